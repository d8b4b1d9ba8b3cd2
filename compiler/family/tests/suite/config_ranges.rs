//! Invalid numbers in configurations are refused by name, in every family.

use mc_family::families::for_config;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::configs;

/// Returns values that are not counts.
fn not_counts() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1),
        json!(0.5),
        json!(1_u64 << 40),
        json!(1_u64 << 60),
        json!("4"),
        json!(true),
        json!([4]),
    ]
}

/// Returns values that are not factors, bases or epsilons.
fn not_numbers() -> Vec<Value> {
    vec![
        json!(0),
        json!(-1e-5),
        json!(1.8e19),
        json!(1e-300),
        json!("1e-5"),
        json!(true),
        json!([1.0]),
        json!({}),
    ]
}

/// Returns the paths of the numbers in a configuration.
fn numbers(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in config.as_object().unwrap() {
        if value.is_number() {
            found.push(format!("/{key}"));
        }
        if value.is_object() {
            found.extend(numbers(value).into_iter().map(|inner| format!("/{key}{inner}")));
        }
    }
    found
}

/// Reads a configuration; returns the family's reason if it is refused.
fn read(config: &Value) -> Result<(), String> {
    let family = for_config(config).map_err(|error| error.to_string())?;
    family.decoder(config).map(drop).map_err(|error| error.to_string())
}

#[test]
fn invalid_numbers_are_refused_in_every_family() {
    let mut n_tried = 0;
    for (family, config) in configs::all() {
        assert_eq!(read(&config), Ok(()), "{family}");
        for pointer in numbers(&config) {
            let key = pointer.rsplit('/').next().unwrap();
            let is_count = config.pointer(&pointer).unwrap().is_u64();
            for nonsense in if is_count { not_counts() } else { not_numbers() } {
                let mut changed = config.clone();
                *changed.pointer_mut(&pointer).unwrap() = nonsense.clone();
                let error = read(&changed).expect_err(&format!("{family}: `{key}` is {nonsense}"));
                assert!(
                    error.contains(key) && error.contains("xpected"),
                    "{family}, {key}, {nonsense}: {error}"
                );
                n_tried += 1;
            }
        }
    }
    assert!(n_tried > 500, "{n_tried}");
}

#[test]
fn each_kind_of_invalid_number_is_reported_with_its_range() {
    let (_, llama) = configs::all().swap_remove(0);
    for (key, value, expected) in [
        ("rms_norm_eps", json!(1.8e19), "expected a number from 1e-12 to 0.1"),
        ("rope_theta", json!(0.5), "expected a number from 2 to 1e12"),
        ("max_position_embeddings", json!(1_u64 << 60), "expected a whole number from 1 to 1073741824"),
        ("num_hidden_layers", json!(1_u64 << 40), "expected a whole number from 1 to 1000"),
        ("vocab_size", json!(-3), "expected a whole number from 1 to 16777216"),
        ("head_dim", json!(65_538), "expected a whole number from 1 to 65536"),
    ] {
        let mut changed = llama.clone();
        changed[key] = value.clone();
        let error = read(&changed).unwrap_err();
        assert!(
            error.contains(key) && error.contains(expected) && error.contains(&value.to_string()),
            "{error}"
        );
    }
}

proptest! {
    /// Numbers close to those of published models are accepted.
    #[test]
    fn sensible_numbers_are_read(
        exponent in 3_i32..12, base in 100.0..1e9_f64, context in 8_u32..20_000_000, n_vocab in 16_u32..1_000_000,
    ) {
        let (_, mut llama) = configs::all().swap_remove(0);
        llama["rms_norm_eps"] = json!(10_f64.powi(-exponent));
        llama["rope_theta"] = json!(base);
        llama["max_position_embeddings"] = json!(context);
        llama["vocab_size"] = json!(n_vocab);
        prop_assert_eq!(read(&llama), Ok(()));
    }
}
