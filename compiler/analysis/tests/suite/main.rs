//! Tests of the analysis with a table of small rules, over files in memory.

mod diagnostics;
mod disk;
mod fake;
mod fetched;
mod files;
mod incremental;
mod labels;
mod queries;
mod shown;
