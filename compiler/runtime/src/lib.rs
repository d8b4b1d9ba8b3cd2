//! The forward pass: logits, activations, generation, metrics.
