//! The analysis with a table of small rules of its own, over files in memory.

mod fake;
mod incremental;
