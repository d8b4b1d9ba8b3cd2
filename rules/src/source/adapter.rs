//! `adapter`: a PEFT LoRA folder, with the checkpoint that it was trained on.
//!
//! It has no actions. `merge`, which knows the base, checks that the tensors fit.

use mc_family::adapter::AdapterConfig;
use mc_family::adapter::base::is_another_base;
use mc_ir::action::Source;
use mc_ir::attribute::Placed;
use mc_ir::label::Label;
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::attributes::{bool_property, label_property, provider, shown_path, source_error};
use crate::source::about::{Published, of_card};
use crate::source::checkpoint_files::{TOKEN_FILES, front_matter, licenses};
use crate::source::file_size::{self, MAX_TOKEN_FILE_BYTES};
use crate::source::front_matter::FrontMatter;
use crate::source::model_id::{self, ModelId};
use crate::source::model_info::{ModelFiles, ModelInfo};
use crate::source::origin::{DIR, HTTP, HUGGING_FACE, OCI, declared, folder};
use crate::source::weights::{StoredTensor, joined, stored_tensors};

/// The `adapter` rule.
pub struct Adapter;

/// Provider of an adapter, read by a merge.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterInfo {
    /// The checkpoint that it was trained on.
    pub base: Label,
    /// The model of that checkpoint.
    pub model: ModelInfo,
    /// Configuration, which scales its pairs of factors.
    pub config: AdapterConfig,
    /// Its tensors.
    pub tensors: Vec<StoredTensor>,
    /// The tokenizer in its folder.
    pub tokenizer: Option<AdapterTokenizer>,
    /// License texts, each with the name that a bundle gives it.
    pub licenses: Vec<(Source, String)>,
    /// True if the declaration overrides the base that its configuration names.
    pub(crate) is_of_any_base: bool,
    /// The front matter of its model card.
    pub(crate) card: FrontMatter,
    /// The published facts about it.
    pub published: Published,
}

/// The tokenizer files in an adapter's folder. They are used as a set: a file that is missing here is not
/// taken from the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdapterTokenizer {
    tokenizer: Source,
    tokenizer_config: Option<Source>,
    special_tokens_map: Option<Source>,
    chat_template: Option<Source>,
}

impl AdapterTokenizer {
    fn find(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> Option<Self> {
        let file =
            |name: &str| names.iter().any(|found| found == name).then(|| ctx.source(&joined(folder, name)));
        Some(Self {
            tokenizer: file("tokenizer.json")?,
            tokenizer_config: file("tokenizer_config.json"),
            special_tokens_map: file("special_tokens_map.json"),
            chat_template: file("chat_template.jinja"),
        })
    }

    /// Creates a tokenizer of one file.
    #[cfg(test)]
    pub(crate) fn alone(tokenizer: Source) -> Self {
        Self { tokenizer, tokenizer_config: None, special_tokens_map: None, chat_template: None }
    }

    /// Replaces the base's files with these.
    pub(crate) fn replace(&self, files: &mut ModelFiles) {
        let Self { tokenizer, tokenizer_config, special_tokens_map, chat_template } = self.clone();
        *files = ModelFiles {
            vocabulary: None,
            tokenizer: Some(tokenizer),
            tokenizer_model: None,
            tokenizer_config,
            added_tokens: None,
            special_tokens_map,
            chat_template,
            chat_template_json: None,
            additional_chat_templates: Vec::new(),
            ..files.clone()
        };
    }
}

static SCHEMA: NodeSchema = NodeSchema {
    name: "adapter",
    doc: "A LoRA as PEFT stores it: `adapter_config.json` and `adapter_model.safetensors`.",
    arguments: Arguments::None,
    properties: &[
        DIR,
        PropertySchema {
            name: "base",
            value: ValueKind::Label,
            presence: Presence::Required,
            doc: "The checkpoint that it was trained on.",
        },
        PropertySchema {
            name: "any-base",
            value: ValueKind::Bool,
            presence: Presence::Optional,
            doc: "`#true` accepts the base although the adapter names it differently.",
        },
    ],
    children: &[
        ChildSchema { node: &HUGGING_FACE, occurs: Occurs::Optional },
        ChildSchema { node: &HTTP, occurs: Occurs::Optional },
        ChildSchema { node: &OCI, occurs: Occurs::Optional },
    ],
};

impl Rule for Adapter {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let (folder, place) = folder(ctx)?;
        let base: Placed<Label> = label_property(ctx.record(), "base").ok_or_else(Vec::new)?;
        let model: ModelInfo = provider(ctx, &base, "a `checkpoint`")?;
        let names = ctx.list(&folder).map_err(|error| {
            vec![
                source_error(place, "adapter::folder", &error)
                    .help("`dir` is relative to the package's folder"),
            ]
        })?;
        let files = names.iter().filter(|name| TOKEN_FILES.contains(&name.as_str()));
        let files: Vec<String> = files.map(|name| joined(&folder, name)).collect();
        file_size::check(ctx, place, "adapter::file", &files, MAX_TOKEN_FILE_BYTES)?;
        let config_path = joined(&folder, "adapter_config.json");
        let config =
            ctx.read(&config_path).map_err(|error| vec![source_error(place, "adapter::config", &error)])?;
        let config = AdapterConfig::from_json(&String::from_utf8_lossy(&config)).map_err(|error| {
            vec![
                RuleError::new(place, "adapter::config", error.to_string())
                    .file(shown_path(ctx, &config_path)),
            ]
        })?;
        if let Some(declared) = &config.base_model
            && !bool_property(ctx.record(), "any-base")
            && is_another_base(declared, &model.known_as)
        {
            let known = model.known_as.join("` or `");
            let message =
                format!("The adapter was trained on `{declared}`; `{}` is known as `{known}`", base.value);
            return Err(vec![RuleError::new(base.place, "adapter::base", message).help(
                "Name the checkpoint that it was trained on, or write `any-base=#true` if it is this one under another \
                 name",
            )]);
        }
        let card = front_matter(ctx, &folder, &names);
        let origin = declared(ctx.record()).map(|origin| origin.value);
        let title = match &origin {
            Some(Origin::HuggingFace { repository, .. }) => ModelId::parse(repository, None).name,
            _ => ctx.label().name.clone(),
        };
        let info = AdapterInfo {
            base: base.value,
            published: Published::new(&model_id::title(&title), &of_card(&card, None), origin.as_ref()),
            card,
            is_of_any_base: bool_property(ctx.record(), "any-base"),
            model,
            config,
            tensors: stored_tensors(ctx, place, &folder, &names, "adapter_model")?,
            tokenizer: AdapterTokenizer::find(ctx, &folder, &names),
            licenses: licenses(ctx, &folder, &names),
        };
        Ok(Providers::default().with(info))
    }
}
