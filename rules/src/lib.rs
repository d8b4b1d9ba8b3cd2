//! One file per rule: attributes, analysis, actions.
