//! Dtypes, shapes, borrowed views, conversions, and what a tensor is for.
