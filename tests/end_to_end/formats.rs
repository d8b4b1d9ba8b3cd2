//! Every format beside GGUF: its bytes depend on nothing but its inputs, an edit re-encodes what it changes, and formats
//! share the tensors that they store alike.

use std::fs;

use crate::safetensors_file::set_element;
use crate::sandbox::Sandbox;

/// The formats, each with an encoding.
const FORMATS: [(&str, &str); 3] = [("mlx", "affine-4-g64"), ("onnx", "int4-g32"), ("litert", "int4-g32")];

/// The demo with a target for each format.
fn demo() -> Sandbox {
    let sandbox = Sandbox::new();
    let path = sandbox.path("models/package.kdl");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str(r#"merge "merged" { base ":roadtrip-base"; adapter ":roadtrip-adapter" }"#);
    for (format, word) in FORMATS {
        text.push_str(&format!("\n{format} \"as-{format}\" {{ model \":merged\"; quantize \"{word}\" }}\n"));
        text.push_str(&format!("{format} \"plain-{format}\" {{ model \":merged\"; quantize \"f32\" }}\n"));
    }
    fs::write(path, text).unwrap();
    sandbox
}

#[test]
fn one_job_and_many_jobs_give_the_same_files() {
    let (one, many) = (demo(), demo());
    for (format, _) in FORMATS {
        let target = format!("//models:as-{format}");
        let built = one.build(&["--jobs", "1", "--cpu-path", "baseline", &target]);
        assert_eq!(built.digests(), many.build(&["--jobs", "5", &target]).digests(), "{format}");
        assert_eq!(many.build(&[&target]).n_ran(), 0, "{format}");
    }
    assert!(one.files("mc-out") == many.files("mc-out"));
}

#[test]
fn one_changed_value_of_a_lora_factor_encodes_one_tensor() {
    let sandbox = demo();
    let targets = FORMATS.map(|(format, _)| format!("//models:as-{format}"));
    for target in &targets {
        sandbox.build(&[target]);
    }
    let path = sandbox.path("models/adapter/adapter_model.safetensors");
    set_element(&path, "base_model.model.model.layers.2.mlp.up_proj.lora_B.weight", [0, 0], 0.25);
    for ((format, _), target) in FORMATS.iter().zip(&targets) {
        assert_eq!(sandbox.build(&[target]).ran_by_kind(), format!("{format} 1, tensor 1"));
    }
}

#[test]
fn formats_share_the_tensors_that_they_store_alike() {
    let sandbox = demo();
    sandbox.build(&["//models:plain-mlx"]);
    for format in ["onnx", "litert"] {
        let built = sandbox.build(&[&format!("//models:plain-{format}")]);
        assert_eq!(built.ran_by_kind(), format!("{format} 1"));
    }
}
