//! KDL text to a typed tree with spans and diagnostics.
