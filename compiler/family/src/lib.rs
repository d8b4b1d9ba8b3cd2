//! Model families: checkpoint names, configuration and tokenizer to ModelTensor and Decoder.
