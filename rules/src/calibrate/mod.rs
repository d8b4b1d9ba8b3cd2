//! Statistics of a model on a text.
//!
//! | file | rule |
//! |---|---|
//! | `imatrix` | `imatrix` |

pub mod imatrix;
