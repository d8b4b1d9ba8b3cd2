//! The gate metric `kl`, and prompts from scripts, on the demo.

use std::fs;

use serde_json::Value;

use crate::sandbox::{GGUF, Sandbox};

const PACKAGE: &str = "models/package.kdl";
const BASE: &str = "//models:roadtrip-base";

/// Adds a gate to the demo's package, on the GGUF that the template has built.
fn add_gate(sandbox: &Sandbox, name: &str, kl: &str) {
    let package = fs::read_to_string(sandbox.path(PACKAGE)).unwrap();
    let gguf = GGUF.replace("//models", "");
    let gate =
        format!("gate \"{name}\" {{\n    gguf \"{gguf}\"\n    kl on=\":evaluation\" context=128 {kl}\n}}\n");
    fs::write(sandbox.path(PACKAGE), package + &gate).unwrap();
}

#[test]
fn a_divergence_within_its_limits_passes_and_a_tight_limit_misses() {
    let sandbox = Sandbox::warm_gguf();
    add_gate(&sandbox, "loose", r#"max-mean=0.01 max-p999=0.5 min-top-1="90%" min-top-5="99%""#);
    add_gate(&sandbox, "tight", "max-mean=0.0001");
    sandbox.mc(&["test", "//models:loose"]).exits(0);
    let ran = sandbox.mc(&["test", "//models:tight"]).exits(3);
    let mut rows = ran.stdout.lines().skip_while(|line| !line.starts_with("  FAIL  kl on evaluation "));
    assert!(rows.next().is_some_and(|row| row.contains(" ± ")), "{}", ran.stdout);
    assert!(rows.next().is_some_and(|limit| limit.contains("at most 0.0001")), "{}", ran.stdout);
    // Both gates measure the same: only the second verdict was new.
    assert!(ran.stderr.contains("1 ran (1 verdict)"), "{}", ran.stderr);
    let checks = sandbox.mc(&["test", "--output", "json", "//models:tight"]).exits(3).json();
    let checks = checks["gates"][0]["checks"].as_array().unwrap().clone();
    let names: Vec<&str> = checks.iter().filter_map(|check| check["name"].as_str()).collect();
    assert_eq!(names, ["kl", "kl median", "kl p99.9", "kl top-1", "kl top-5", "kl rms-delta-p"]);
    let mean = &checks[0];
    let (value, interval) = (mean["value"].as_f64().unwrap(), &mean["interval"]);
    assert!(value > 0.0001 && value < 0.01, "{mean}");
    assert!(interval["low"].as_f64() < Some(value) && interval["high"].as_f64() > Some(value), "{mean}");
}

/// The answers of `mc run` to prompts.
fn answers(sandbox: &Sandbox, model: &str, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["run", "--output", "json", model], arguments].concat();
    let document = sandbox.mc(&arguments).exits(0).json();
    assert_eq!(document["schema"], 1);
    document["answers"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().filter_map(Value::as_f64).collect()
}

#[test]
fn a_checkpoint_answers_token_ids_with_the_probabilities_of_one_pass() {
    let sandbox = Sandbox::new();
    let options = ["--max-tokens", "5", "--ignore-end", "--prompt-logprobs", "--top", "4096"];
    let found = answers(
        &sandbox,
        BASE,
        &[&["--ids", "1,306,46", "--ids", "1,306", "--ids", "7"], &options[..]].concat(),
    );
    assert_eq!(found.len(), 3);
    let (long, short) = (&found[0], &found[1]);
    assert_eq!(long["tokens"].as_array().unwrap().len(), 5);
    assert_eq!(
        (numbers(&long["prompt_logprobs"]).len(), numbers(&found[2]["prompt_logprobs"]).len()),
        (2, 0)
    );
    // The third token of the longer prompt is a candidate after the shorter one.
    let next = short["next"].as_array().unwrap();
    let third = next.iter().find(|token| token["id"] == 46).unwrap();
    assert_eq!(third["logprob"], long["prompt_logprobs"][1]);
    assert_eq!(long["next"][0]["id"], long["tokens"][0], "greedily, the likeliest comes first");
    assert_eq!(long["next"][0]["logprob"], long["logprobs"][0]);
    // An answer passed as a prompt has the same probabilities as it had as an answer.
    let ids: Vec<String> = long["prompt_tokens"]
        .as_array()
        .unwrap()
        .iter()
        .chain(long["tokens"].as_array().unwrap())
        .map(ToString::to_string)
        .collect();
    let again = answers(
        &sandbox,
        BASE,
        &["--ids", &ids.join(","), "--max-tokens", "0", "--prompt-logprobs", "--top", "all"],
    );
    let expected = [numbers(&long["prompt_logprobs"]), numbers(&long["logprobs"])].concat();
    assert_eq!(numbers(&again[0]["prompt_logprobs"]), expected);
    assert!(again[0]["tokens"].as_array().unwrap().is_empty());
    let distribution = numbers(&again[0]["distribution"]);
    #[expect(clippy::disallowed_methods, reason = "a sum, compared within a tolerance")]
    let sum: f64 = distribution.iter().map(|log_probability| log_probability.exp()).sum();
    assert!(distribution.len() == 4096 && (sum - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn a_prompt_that_is_too_long_is_refused_with_its_number() {
    let sandbox = Sandbox::new();
    let long = vec!["5"; 5000].join(",");
    let ran = sandbox.mc(&["run", BASE, "--ids", "5", "--ids", &long]).exits(2);
    assert!(ran.stderr.contains("Prompt 2 cannot be run"), "{}", ran.stderr);
    assert!(ran.stderr.contains("The sequence needs 5000 positions"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn another_backend_measures_the_same_model_under_a_key_of_its_own() {
    let sandbox = Sandbox::warm_gguf();
    // A short text: candle's operators are not optimized in a development build.
    fs::write(sandbox.path("models/short.txt"), "Drive to the nearest charger and find a coffee there.\n")
        .unwrap();
    let package = fs::read_to_string(sandbox.path(PACKAGE)).unwrap();
    let gguf = GGUF.replace("//models", "");
    let more = format!(
        "dataset \"short\" {{ files \"short.txt\" }}\n\
         gate \"loose\" {{ gguf \"{gguf}\"; kl on=\":short\" context=8 max-mean=0.1; }}\n"
    );
    fs::write(sandbox.path(PACKAGE), package + &more).unwrap();
    sandbox.mc(&["test", "//models:loose"]).exits(0);
    let ran = sandbox.mc(&["test", "--backend", "candle-cpu", "//models:loose"]).exits(0);
    assert!(ran.stderr.contains("kl"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(" 0 ran"), "{}", ran.stderr);
    let again = sandbox.mc(&["test", "--backend", "candle-cpu", "//models:loose"]).exits(0);
    assert!(again.stderr.contains(" 0 ran"), "{}", again.stderr);

    let ids = ["--ids", "1,200,300,7", "--max-tokens", "0", "--prompt-logprobs"];
    let exact = answers(&sandbox, BASE, &ids);
    let candle = answers(&sandbox, BASE, &[&ids[..], &["--backend", "candle-cpu"]].concat());
    let pairs = numbers(&exact[0]["prompt_logprobs"]).into_iter().zip(numbers(&candle[0]["prompt_logprobs"]));
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst}");

    let unknown = sandbox.mc(&["test", "--backend", "abacus", "//models:loose"]).exits(2);
    assert!(unknown.stderr.contains("this mc has cpu-exact, candle-cpu"), "{}", unknown.stderr);
}
