//! Block quantization codecs and the recipes that mix them.
