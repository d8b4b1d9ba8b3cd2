//! Files that we write have the same meaning for an independent GGUF reader.

use std::io::Cursor;

use gguf_rs::{ByteOrder, GGUFContainer};
use mc_gguf::layout::{Layout, TensorPlan};
use mc_gguf::tensor_type::by_name;
use mc_gguf::value::Value;

#[test]
fn keys_and_tensors_are_read_as_they_were_written() {
    let text = |text: &str| Value::Text(text.to_owned());
    let keys = [
        ("general.architecture", text("llama")),
        ("general.name", text("Straße")),
        ("llama.block_count", Value::U32(2)),
        ("llama.rope.freq_base", Value::F32(500_000.0)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.tokens", Value::texts(["a", "", "€"])),
        ("tokenizer.ggml.token_type", Value::integers([1, 3, -1])),
    ];
    let keys = keys.map(|(name, value)| (name.to_owned(), value));
    let plan = |name: &str, kind: &str, dims: &[u64]| TensorPlan {
        name: name.to_owned(),
        kind: by_name(kind).unwrap(),
        dims: dims.to_vec(),
    };
    let plans = [plan("output_norm.weight", "F32", &[5]), plan("token_embd.weight", "Q4_K", &[256, 3])];
    let layout = Layout::new(&keys, &plans, 32);
    let mut bytes = layout.head.clone();
    for stretch in &layout.tensors {
        bytes.resize(bytes.len() + (stretch.n_bytes + stretch.padding) as usize, 7);
    }

    // The container expects a reader positioned after the magic number.
    let reader = Box::new(Cursor::new(bytes[4..].to_vec()));
    let model = GGUFContainer::new(ByteOrder::LE, reader, u64::MAX).decode().unwrap();
    let shown: Vec<String> = model.metadata().iter().map(|(key, value)| format!("{key} = {value}")).collect();
    assert_eq!(
        shown,
        [
            "general.architecture = \"llama\"",
            "general.name = \"Straße\"",
            "llama.block_count = 2",
            "llama.rope.freq_base = 500000.0",
            "tokenizer.ggml.add_bos_token = true",
            "tokenizer.ggml.token_type = [1,3,-1]",
            "tokenizer.ggml.tokens = [\"a\",\"\",\"€\"]",
        ]
    );
    assert_eq!(model.data_offset(), layout.head.len() as u64);
    let tensors: Vec<(&str, &[u64], u64, u64)> = model
        .tensors()
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice(), tensor.offset, tensor.size))
        .collect();
    assert_eq!(
        tensors,
        [("output_norm.weight", &[5][..], 0, 20), ("token_embd.weight", &[256, 3][..], 32, 3 * 144)]
    );
}
