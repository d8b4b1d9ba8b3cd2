//! The analysis with a table of small rules of its own, over files in memory.

mod diagnostics;
mod disk;
mod fake;
mod incremental;
mod queries;
