//! `README.md` of a bundle: the model card, for people.

use mc_exporter::count_label::count_label;

use crate::evaluate::verdict::{NOT_RUN, Verdict, megabytes};
use crate::ship::bundle_file::BundleFile;
use crate::ship::card_header;
use crate::ship::loading;
use crate::ship::package::{CARD, CHECKSUMS, MANIFEST, MODELFILE, Package, SourceFacts};
use crate::ship::prompt::Prompt;

/// The inputs of a card.
pub(crate) struct ModelCard<'a> {
    /// The facts that are known before the build.
    pub(crate) package: &'a Package,
    /// The architecture that the model's file names.
    pub(crate) architecture: &'a str,
    /// The measurements of the gates.
    pub(crate) verdict: Option<&'a Verdict>,
    /// The chat of the model.
    pub(crate) prompt: &'a Prompt,
    /// The digest of each source.
    pub(crate) digests: &'a [String],
    /// The files that were created before the card.
    pub(crate) files: &'a [&'a BundleFile],
}

impl ModelCard<'_> {
    /// The card as text.
    pub(crate) fn text(&self) -> String {
        let sections = [
            Some(self.title()),
            Some(loading::text(self.package, self.prompt)),
            Some(self.sources()),
            Some(self.types()),
            Some(self.memory()),
            self.verdict.map(quality),
            Some(self.files()),
        ];
        let sections: Vec<String> = sections.into_iter().flatten().collect();
        format!("{}\n{}", card_header::text(self.package), sections.join("\n"))
    }

    fn title(&self) -> String {
        let package = self.package;
        let description = package
            .identity
            .description
            .as_ref()
            .map_or(String::new(), |text| format!("{}\n\n", one_line(text)));
        format!(
            "# {} {} ({})\n\n{description}A {} model with {} parameters, stored as {} for {}.\n",
            one_line(&package.name),
            package.version,
            package.recipe,
            self.architecture,
            count_label(package.n_parameters),
            package.recipe,
            package.device.as_ref().map_or("any device", |device| device.name.as_str()),
        )
    }

    fn sources(&self) -> String {
        let mut text =
            "## Made of\n\n| role | source | revision | license | digest |\n|---|---|---|---|---|\n"
                .to_owned();
        for (source, digest) in self.package.sources.iter().zip(self.digests) {
            let SourceFacts { role, name, repository, revision, url, license, .. } = source;
            let name = cell(repository.as_ref().unwrap_or(name));
            let linked = match url {
                Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
                    format!("[{name}]({url})")
                }
                _ => name,
            };
            let or_dash =
                |text: &Option<String>| text.as_ref().map_or_else(|| "-".to_owned(), |text| cell(text));
            text.push_str(&format!(
                "| {role} | {linked} | {} | {} | `{digest}` |\n",
                or_dash(revision),
                or_dash(license)
            ));
        }
        if let Some(calibration) = &self.package.calibration {
            text.push_str(&format!("| calibration | {} | - | - | - |\n", cell(calibration)));
        }
        text
    }

    fn types(&self) -> String {
        let mut text = "## Types\n\n| type | tensors | size |\n|---|---|---|\n".to_owned();
        for share in &self.package.types {
            text.push_str(&format!(
                "| {} | {} | {} |\n",
                share.kind,
                share.n_tensors,
                megabytes(share.n_bytes)
            ));
        }
        text
    }

    fn memory(&self) -> String {
        let (n_ctx, memory) = (self.package.n_ctx, &self.package.memory);
        let mut text =
            format!("## Memory\n\nEstimated for {n_ctx} tokens of context.\n\n| part | size |\n|---|---|\n");
        for (part, n_bytes) in [
            ("weights", memory.weights),
            ("key-value cache", memory.kv_cache),
            ("compute buffers", memory.compute),
            ("total", memory.total()),
        ] {
            text.push_str(&format!("| {part} | {} |\n", megabytes(n_bytes)));
        }
        text
    }

    fn files(&self) -> String {
        let package = self.package;
        let models: Vec<String> = package.model_files().into_iter().map(|file| file.name).collect();
        let added = package.added_files();
        let meaning = |name: &str| {
            if models.iter().any(|file| file == name) {
                "the model"
            } else if package.adapters.iter().any(|file| file == name) {
                "an adapter that an app may add"
            } else if added.iter().any(|(file, _)| file == name) {
                "for the layout of the bundle"
            } else if name == MODELFILE {
                "for `ollama create`"
            } else {
                "a license text of the sources"
            }
        };
        let mut text = "## Files\n\n| file | content | SHA-256 |\n|---|---|---|\n".to_owned();
        for file in self.files {
            text.push_str(&format!("| `{}` | {} | `{}` |\n", file.name, meaning(&file.name), file.sha256));
        }
        text.push_str(&format!(
            "\n`{MANIFEST}` holds the same facts for programs. `{CHECKSUMS}` covers every file, `{CARD}` and \
             `{MANIFEST}` too: `sha256sum --check {CHECKSUMS}`.\n"
        ));
        text
    }
}

fn quality(verdict: &Verdict) -> String {
    let mut text = "## Quality\n\nBaseline: the same model before quantization, on the same data.\n\n\
                    | gate | baseline | measured | change | limit |\n|---|---|---|---|---|\n"
        .to_owned();
    for check in &verdict.checks {
        let name =
            check.on.as_ref().map_or_else(|| check.name.clone(), |on| format!("{} on {on}", check.name));
        let dash = || "-".to_owned();
        text.push_str(&format!(
            "| {name} | {} | {} | {} | {} |\n",
            check.baseline.clone().unwrap_or_else(dash),
            check
                .not_run
                .as_ref()
                .map_or_else(|| check.measured.clone(), |reason| cell(&format!("{NOT_RUN}: {reason}"))),
            check.delta.clone().unwrap_or_else(dash),
            check.limit
        ));
    }
    text
}

/// A text inside a table.
fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

fn one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_control()).collect::<Vec<_>>().join(" ")
}
