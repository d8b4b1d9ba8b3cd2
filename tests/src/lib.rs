//! Tests of the house as a whole; the library part holds the helpers that they share.
