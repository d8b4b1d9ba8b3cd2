//! From declarations to the action graph, incrementally.
