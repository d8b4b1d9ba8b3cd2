//! The manifests of bundles keep to the schema that is published in `docs/schemas`.
//!
//! [`errors`] checks the part of JSON Schema 2020-12 that this schema uses, and refuses a word that it does not know, so
//! that nothing in the schema is left unchecked.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Words that state nothing about a value.
const WORDS_FOR_READERS: [&str; 5] = ["$schema", "$id", "$defs", "title", "description"];

struct Schema(Value);

impl Schema {
    fn published() -> Self {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas/bundle-manifest-2.schema.json");
        Self(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    /// Everything in a value that the schema does not allow.
    fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(&self.0, value, "", &mut errors);
        errors
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
        for (word, rule) in schema.as_object().unwrap() {
            let is_kept = match word.as_str() {
                word if WORDS_FOR_READERS.contains(&word) => true,
                "$ref" => {
                    let target = self.0.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                    self.check(target, value, at, errors);
                    true
                }
                "type" => types(rule).iter().any(|kind| is_of(kind, value)),
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "anyOf" => rule.as_array().unwrap().iter().any(|schema| {
                    let mut errors = Vec::new();
                    self.check(schema, value, at, &mut errors);
                    errors.is_empty()
                }),
                "pattern" => value.as_str().is_none_or(|text| matches(rule.as_str().unwrap(), text)),
                "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
                "minItems" => {
                    value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap())
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}/{index}"), errors);
                    }
                    true
                }
                "required" => value.as_object().is_none_or(|object| {
                    rule.as_array().unwrap().iter().all(|name| object.contains_key(name.as_str().unwrap()))
                }),
                "properties" => {
                    for (name, schema) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.check(schema, value, &format!("{at}/{name}"), errors);
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let known = schema.get("properties").and_then(Value::as_object);
                    let others = value.as_object().into_iter().flatten();
                    let others =
                        others.filter(|(name, _)| known.is_none_or(|known| !known.contains_key(*name)));
                    let mut is_kept = true;
                    for (name, value) in others {
                        match rule {
                            Value::Bool(allowed) => is_kept &= allowed,
                            schema => self.check(schema, value, &format!("{at}/{name}"), errors),
                        }
                    }
                    is_kept
                }
                other => panic!("the schema has the word `{other}`, which this test does not know"),
            };
            if !is_kept {
                errors.push(format!("{at}: {word}"));
            }
        }
    }
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::Array(kinds) => kinds.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => vec![kind.as_str().unwrap()],
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type `{other}`"),
    }
}

/// The three patterns of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    let is_hex =
        |text: &str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match pattern {
        "^[0-9a-f]{64}$" => is_hex(text),
        "^blake3:[0-9a-f]{64}$" => text.strip_prefix("blake3:").is_some_and(is_hex),
        r"^[0-9]+(\.[0-9]+)*$" => text.split('.').all(|part| part.parse::<u64>().is_ok()),
        other => panic!("the schema has the pattern `{other}`, which this test does not know"),
    }
}

fn manifest(sandbox: &Sandbox, target: &str) -> Value {
    let path = format!("mc-out/models/{target}/manifest.json");
    assert!(!sandbox.run(&format!("mc build --quiet //models:{target}")).contains("error"));
    serde_json::from_str(&sandbox.read(&path)).unwrap()
}

#[test]
fn manifests_keep_to_the_published_schema() {
    let sandbox = Sandbox::new();
    sandbox.write("models/data/questions.jsonl", "{\"utterance\": \"are you there?\", \"answer\": \"ok\"}\n");
    sandbox.write(
        "models/package.kdl",
        "checkpoint \"toy\" dir=\"toy\"\nadapter \"tone\" dir=\"toy-adapter\" base=\":toy\"\n\
         dataset \"questions\" { files \"data/questions.jsonl\" }\ndevice \"phone\" os=\"ios\" { app-memory \"3GB\" }\n\
         adapter-gguf \"tone-gguf\" { adapter \":tone\" }\n\
         model \"plain\" { base \":toy\"; quantize \"Q8_0\" }\n\
         model \"gated\" { base \":toy\"; adapter \":tone\"; quantize \"Q4_K_M\"; device \":phone\"\n\
         gate { size max=\"1GB\"; accuracy on=\":questions\" min=\"1%\" max-decrease=\"100%\" max-tokens=2\n\
         runtime-parity on=\":questions\" } }\n\
         model \"in-parts\" { base \":toy\"; quantize \"F16\"; max-file-size \"1500kB\" }\n\
         gguf \"weights\" { model \":toy\"; quantize \"Q8_0\" }\n\
         bundle \"with-adapter\" { gguf \":weights\"; adapter \":tone-gguf\" }\n",
    );
    let schema = Schema::published();
    for target in ["plain", "gated", "in-parts", "with-adapter"] {
        let found = manifest(&sandbox, target);
        assert_eq!(schema.errors(&found), Vec::<String>::new(), "{target}: {found:#}");
    }
    let gates = &manifest(&sandbox, "gated")["gates"];
    let not_run: Vec<&Value> =
        gates["checks"].as_array().unwrap().iter().filter(|check| check.get("not_run").is_some()).collect();
    assert_eq!(gates["passed"], json!(true));
    assert!(matches!(not_run[..], [check] if check["value"].is_null() && check["passed"] == json!(false)));
    let mut broken = manifest(&sandbox, "plain");
    broken["parameters"] = json!("922880");
    broken["more"] = json!(1);
    broken["sources"][0]["digest"] = json!("sha256:0");
    let expected = [": additionalProperties", "/parameters: type", "/sources/0/digest: pattern"];
    let mut errors = schema.errors(&broken);
    errors.sort();
    assert!(expected.iter().all(|expected| errors.iter().any(|error| error == expected)), "{errors:?}");
}
