//! Statistics of a model on a text: the rule `imatrix`.

pub mod imatrix;
