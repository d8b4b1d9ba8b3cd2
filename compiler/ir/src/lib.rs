//! The nouns of a build: labels, targets, artifacts, tensor expressions, actions, rules, the action graph.
