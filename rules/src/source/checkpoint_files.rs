//! The files of a checkpoint's folder that are not weights: configuration, tokenizer, licenses.

use mc_ir::action::Source;
use mc_ir::attribute::Place;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;

use crate::attributes::shown_path;
use crate::source::file_size::{self, MAX_TOKEN_FILE_BYTES};
use crate::source::front_matter::FrontMatter;
use crate::source::model_info::{ADDITIONAL_CHAT_TEMPLATES, ModelFiles};
use crate::source::weights::joined;

/// The files of a tokenizer, each of which is read completely.
pub(crate) const TOKEN_FILES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// Finds the files of a folder.
pub(crate) struct Reader<'a> {
    /// The rule that reads.
    pub(crate) ctx: &'a dyn RuleContext,
    /// Location of the folder's declaration.
    pub(crate) place: Place,
    /// The folder, relative to the package.
    pub(crate) folder: &'a str,
    /// The file names in the folder.
    pub(crate) names: &'a [String],
}

impl Reader<'_> {
    fn optional(&self, name: &str) -> Option<Source> {
        self.names.iter().any(|found| found == name).then(|| self.ctx.source(&joined(self.folder, name)))
    }

    fn required(&self, name: &str, help: &str) -> Result<Source, Vec<RuleError>> {
        self.optional(name).ok_or_else(|| {
            let message = format!("There is no `{name}` in `{}`", shown_path(self.ctx, self.folder));
            vec![RuleError::new(self.place, "checkpoint::file", message).help(help)]
        })
    }

    /// Returns the files of a checkpoint.
    ///
    /// # Errors
    /// An error for each required file that is missing.
    pub(crate) fn files(&self) -> Result<ModelFiles, Vec<RuleError>> {
        let config = self.required("config.json", "A checkpoint is a folder as Hugging Face stores it");
        let (tokenizer, tokenizer_model) =
            (self.optional("tokenizer.json"), self.optional("tokenizer.model"));
        let has_tokenizer =
            if tokenizer.is_none() && tokenizer_model.is_none() {
                let message = format!(
                    "There is neither `tokenizer.json` nor `tokenizer.model` in `{}`",
                    shown_path(self.ctx, self.folder)
                );
                Err(vec![RuleError::new(self.place, "checkpoint::file", message).help(
                    "Save it with the model: `AutoTokenizer.from_pretrained(…).save_pretrained(folder)`",
                )])
            } else {
                Ok(())
            };
        // If both are missing, both are reported.
        let config = match (config, has_tokenizer) {
            (Ok(config), Ok(())) => config,
            (config, has_tokenizer) => {
                return Err([config.err(), has_tokenizer.err()].into_iter().flatten().flatten().collect());
            }
        };
        self.check_sizes()?;
        Ok(ModelFiles {
            config: Some(config),
            head: None,
            vocabulary: None,
            tokenizer,
            tokenizer_model,
            tokenizer_config: self.optional("tokenizer_config.json"),
            added_tokens: self.optional("added_tokens.json"),
            special_tokens_map: self.optional("special_tokens_map.json"),
            generation_config: self.optional("generation_config.json"),
            chat_template: self.optional("chat_template.jinja"),
            chat_template_json: self.optional("chat_template.json"),
            additional_chat_templates: self.additional_chat_templates(),
            licenses: licenses(self.ctx, self.folder, self.names),
        })
    }

    fn check_sizes(&self) -> Result<(), Vec<RuleError>> {
        let names = self.names.iter().filter(|name| TOKEN_FILES.contains(&name.as_str()) || is_license(name));
        let mut paths: Vec<String> = names.map(|name| joined(self.folder, name)).collect();
        let folder = joined(self.folder, ADDITIONAL_CHAT_TEMPLATES);
        if let Ok(names) = self.ctx.list(&folder) {
            paths.extend(names.iter().map(|name| joined(&folder, name)));
        }
        file_size::check(self.ctx, self.place, "checkpoint::file", &paths, MAX_TOKEN_FILE_BYTES)
    }

    fn additional_chat_templates(&self) -> Vec<(String, Source)> {
        let folder = joined(self.folder, ADDITIONAL_CHAT_TEMPLATES);
        // Most checkpoints have no such folder.
        let Ok(names) = self.ctx.list(&folder) else { return Vec::new() };
        let mut names: Vec<&String> = names.iter().filter(|name| name.ends_with(".jinja")).collect();
        names.sort();
        names.into_iter().map(|name| (name.clone(), self.ctx.source(&joined(&folder, name)))).collect()
    }
}

/// Returns the front matter of the model card in a folder; empty if there is no card.
pub(crate) fn front_matter(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> FrontMatter {
    const CARD: &str = "README.md";
    // An unreadable card is treated like a missing one.
    let card = names.iter().any(|name| name == CARD).then(|| ctx.read(&joined(folder, CARD)).ok()).flatten();
    card.map_or_else(FrontMatter::default, |card| FrontMatter::parse(&String::from_utf8_lossy(&card)))
}

/// Returns the license texts of a folder, each with its name in a bundle.
pub(crate) fn licenses(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> Vec<(Source, String)> {
    names
        .iter()
        .filter(|name| is_license(name))
        .map(|name| (ctx.source(&joined(folder, name)), name.clone()))
        .collect()
}

fn is_license(name: &str) -> bool {
    let upper = name.to_uppercase();
    ["LICENSE", "LICENCE", "NOTICE", "COPYING", "USE_POLICY"].iter().any(|word| upper.starts_with(word))
}
