//! Programs of malformed configurations and files become small graphs, or errors.

use mc_decoder::lower::lower;
use mc_decoder::program::Decoder;
use mc_family::families::for_config;
use mc_gguf::model;
use mc_gguf::reader::Gguf;
use serde_json::Value;

/// Maximum number of nodes of one layer: a layer with every part has half as many.
const MAX_NODES: usize = 64;

/// Wrong numbers for configurations.
const NUMBERS: [i64; 9] = [0, 1, 2, 3, 7, 255, 65_536, 1 << 20, (1 << 30) + 1];

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    files.collect()
}

fn check(decoder: &Decoder) {
    if let Ok(graph) = lower(decoder) {
        assert!(graph.nodes().len() <= MAX_NODES * (decoder.blocks.len() + 1), "{}", decoder.family);
    }
}

fn check_config(config: &Value) -> bool {
    let Ok(family) = for_config(config) else { return false };
    family.decoder(config).inspect(check).is_ok()
}

#[test]
fn configurations_with_any_numbers_become_graphs_or_errors() {
    let mut n_read = 0;
    for bytes in corpus("config") {
        let Ok(config) = mc_family::config::parse("config.json", &bytes) else { continue };
        n_read += usize::from(check_config(&config));
        let Some(keys) = config.as_object() else { continue };
        for key in keys.keys().filter(|key| config[key.as_str()].is_number()) {
            for number in NUMBERS {
                let mut changed = config.clone();
                changed[key.as_str()] = number.into();
                n_read += usize::from(check_config(&changed));
            }
        }
    }
    assert!(n_read > 100, "{n_read}");
}

#[test]
fn files_with_any_bytes_become_graphs_or_errors() {
    let mut n_read = 0;
    for bytes in corpus("gguf") {
        for place in 0..bytes.len() {
            for flip in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                let Ok(gguf) = Gguf::parse(&changed, changed.len() as u64) else { continue };
                if let Ok(decoder) = model::decoder(&gguf) {
                    check(&decoder);
                    n_read += 1;
                }
            }
        }
    }
    assert!(n_read > 100, "{n_read}");
}
