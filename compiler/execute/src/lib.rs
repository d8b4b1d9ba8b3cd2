//! Schedule, look up, run, store, materialize.
