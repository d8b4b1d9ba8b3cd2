//! The model as a program: what a decoder computes, told once for runtime and exporters.
