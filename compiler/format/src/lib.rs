//! Containers: safetensors and GGUF, read and written.
