//! `README.md` of a bundle: the model card, for people.

use mc_exporter::count_label::count_label;

use crate::evaluate::verdict::{Verdict, megabytes};
use crate::ship::package::Package;

/// The card of a model that its file calls `architecture`.
pub(crate) fn text(package: &Package, architecture: &str, verdict: Option<&Verdict>) -> String {
    let mut card = String::from("---\n");
    if let Some(licence) = &package.licence {
        card.push_str(&format!("license: {licence}\n"));
    }
    card.push_str(&format!("library_name: {}\nquantization: {}\n---\n\n", package.format, package.recipe));
    card.push_str(&format!("# {} {} ({})\n\n", package.name, package.version, package.recipe));
    card.push_str(&format!(
        "A {} model with {} parameters, quantized to {} for {}.\n\n",
        architecture,
        count_label(package.n_parameters),
        package.recipe,
        package.device.as_ref().map_or("any device", |device| device.name.as_str()),
    ));
    card.push_str("## Made of\n\n| role | source |\n|---|---|\n");
    for (role, name) in &package.sources {
        card.push_str(&format!("| {role} | {name} |\n"));
    }
    if let Some(calibration) = &package.calibration {
        card.push_str(&format!("| calibration | {calibration} |\n"));
    }
    card.push_str(&format!(
        "\n## Memory\n\nEstimated for {} tokens of context.\n\n| part | size |\n|---|---|\n",
        package.n_ctx
    ));
    let memory = &package.memory;
    for (part, n_bytes) in [
        ("weights", memory.weights),
        ("key-value cache", memory.kv_cache),
        ("compute buffers", memory.compute),
        ("total", memory.total()),
    ] {
        card.push_str(&format!("| {part} | {} |\n", megabytes(n_bytes)));
    }
    if let Some(verdict) = verdict {
        card.push_str("\n## Quality\n\nBaseline: the same model before quantization, on the same data.\n\n");
        card.push_str("| gate | baseline | measured | change | limit |\n|---|---|---|---|---|\n");
        for check in &verdict.checks {
            let name =
                check.on.as_ref().map_or_else(|| check.name.clone(), |on| format!("{} on {on}", check.name));
            let dash = || "-".to_owned();
            card.push_str(&format!(
                "| {name} | {} | {} | {} | {} |\n",
                check.baseline.clone().unwrap_or_else(dash),
                check.measured,
                check.delta.clone().unwrap_or_else(dash),
                check.limit
            ));
        }
    }
    card.push_str(&format!(
        "\n## Files\n\n- `{}`: the model\n- `manifest.json`: the same facts for programs, with digests\n\
         - `Modelfile`: for `ollama create`\n",
        package.main_file()
    ));
    for licence in &package.licences {
        card.push_str(&format!("- `{licence}`: a licence text of the sources\n"));
    }
    card
}
