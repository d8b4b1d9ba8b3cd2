//! A GGUF file as a `checkpoint`: its keys become a program, its tensors become weights in the names and
//! layout of Hugging Face.
//!
//! So adapters, blends and recipes work as with any checkpoint. Nothing is converted in advance: each weight
//! is an expression over the file ([`crate::source::gguf_weights`]), and if it is exported to a GGUF again,
//! both conversions cancel.

use mc_exporter::identity::Identity;
use mc_family::families::for_decoder;
use mc_gguf::architecture::name_of;
use mc_gguf::exporter::NAME;
use mc_gguf::identity_keys;
use mc_gguf::model::decoder;
use mc_gguf::reader::Gguf;
use mc_gguf::recipes;
use mc_gguf::split::{self, Place as SeriesPlace};
use mc_gguf::value::Value;
use mc_gguf::vocabulary_keys::vocabulary;
use mc_graph::rotary::RotaryPairing;
use mc_ir::action::{Range64, Source};
use mc_ir::attribute::Place;
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{HeadFormat, RuleContext};
use mc_ir::rule_error::RuleError;

use crate::attributes::{shown_path, source_error};
use crate::source::about::{About, Change, Published, SAMPLING, of_card};
use crate::source::checkpoint_files::{front_matter, licenses};
use crate::source::front_matter::FrontMatter;
use crate::source::gguf_weights::{Matching, StoredBlocks};
use crate::source::model_id::{self, ModelId};
use crate::source::model_info::{FileHead, Lineage, ModelFiles, ModelInfo};
use crate::source::origin::declared;

/// Returns the providers of the model in the file at `path`; for a series, `path` is the first file.
///
/// # Errors
/// An error at `place` if a file is missing or corrupt, or does not hold a supported model.
pub(crate) fn provide(ctx: &dyn RuleContext, place: Place, path: &str) -> Result<Providers, Vec<RuleError>> {
    let shown = shown_path(ctx, path);
    let rule_error =
        |message: String| vec![RuleError::new(place, "checkpoint::gguf", message).file(shown.clone())];
    let series = series(place, path)?;
    let heads = series.iter().map(|path| head(ctx, place, path)).collect::<Result<Vec<_>, _>>()?;
    let head_bytes = heads.first().map_or(0, |(gguf, n_bytes)| gguf.data_start.min(*n_bytes));
    let heads: Vec<Gguf> = heads.into_iter().map(|(gguf, _)| gguf).collect();
    let mut stored = Vec::new();
    for (gguf, path) in heads.iter().zip(&series) {
        let file = ctx.source(path).path;
        stored.extend(gguf.tensors.iter().map(|info| StoredBlocks {
            info: (**info).clone(),
            source: Source { path: file.clone(), range: Some(Range64 { start: info.start, end: info.end }) },
        }));
    }
    let whole = whole(heads).map_err(&rule_error)?;
    let stated = decoder(&whole).map_err(|error| rule_error(error.to_string()))?;
    // Read now, so that a corrupt vocabulary is an error of the declaration.
    vocabulary(&whole).map_err(|error| rule_error(error.to_string()))?;
    let family = for_decoder(&stated).ok_or_else(|| {
        rule_error(format!(
            "No supported family matches the architecture `{}` of this file",
            name_of(&stated)
        ))
    })?;
    let decoder = stated.with_pairing(RotaryPairing::HalfSplit);
    let found = Matching { place, file: &shown, family, decoder: &decoder }.weights(&stored)?;
    let file_type = whole.key("general.file_type").and_then(Value::as_u64);
    let recipe = file_type.and_then(recipes::by_file_type).map(|recipe| recipe.name);
    let text = |key: &str| whole.key(key).and_then(Value::as_text).map(str::to_owned);
    let head = Source { path: ctx.source(path).path, range: Some(Range64 { start: 0, end: head_bytes }) };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let names = ctx.list(folder).map_err(|error| vec![source_error(place, "checkpoint::gguf", &error)])?;
    let file_name = path.rsplit('/').next().unwrap_or(path);
    let stem = file_name.strip_suffix(".gguf").unwrap_or(file_name);
    let title = text("general.name").filter(|name| !name.is_empty());
    let origin = declared(ctx.record()).map(|origin| origin.value);
    let card = front_matter(ctx, folder, &names);
    let about = About {
        title: title.clone().unwrap_or_else(|| model_id::title(&ctx.label().name)),
        identity: identity(&whole, &card, origin.as_ref()),
        pipeline_tag: card.text("pipeline_tag").map(str::to_owned),
        sampling: sampling(&whole),
        change: Change::None,
    };
    let info = ModelInfo {
        name: ctx.label().name.clone(),
        known_as: title.into_iter().chain([stem.to_owned()]).collect(),
        is_quantized: found.is_quantized,
        family: family.name(),
        decoder,
        weights: found.weights.into(),
        factors: found.factors.into(),
        files: ModelFiles {
            head: Some(FileHead { format: NAME, recipe, source: head.clone() }),
            vocabulary: Some(head),
            licenses: all_licenses(ctx, folder, &names),
            ..ModelFiles::default()
        },
        lineage: [Lineage {
            role: "base".to_owned(),
            label: ctx.label().clone(),
            published: Published::new(&about.title, &about.identity, origin.as_ref()),
            tensors: stored.into_iter().map(|tensor| (tensor.info.name, tensor.source)).collect(),
        }]
        .into(),
        about: about.into(),
    };
    Ok(Providers::default().with(info))
}

/// Returns the facts in the keys, completed by those of a model card next to the file.
fn identity(whole: &Gguf, card: &FrontMatter, origin: Option<&Origin>) -> Identity {
    let (keys, card) = (identity_keys::identity(whole), of_card(card, None));
    let is_licensed = keys.license.is_some();
    let list = |first: Vec<String>, second: Vec<String>| if first.is_empty() { second } else { first };
    let mut identity = Identity {
        license: keys.license.or(card.license),
        license_name: keys.license_name.or(card.license_name.filter(|_| !is_licensed)),
        license_link: keys.license_link.or(card.license_link.filter(|_| !is_licensed)),
        tags: list(keys.tags, card.tags),
        languages: list(keys.languages, card.languages),
        base_models: if keys.base_models.is_empty() { card.base_models } else { keys.base_models },
        ..keys
    };
    if let Some(Origin::HuggingFace { repository, .. }) = origin
        && identity.base_models.is_empty()
    {
        identity.base_models.push(ModelId::parent(repository, None));
    }
    identity
}

/// Returns the recommended sampling parameters in the keys, named as in `generation_config.json`.
fn sampling(whole: &Gguf) -> Vec<(String, String)> {
    let names = ["temp", "top_k", "top_p", "min_p", "penalty_repeat"];
    let number = |key: &str| match whole.key(&format!("general.sampling.{key}"))? {
        Value::F32(number) if number.is_finite() => Some(number.to_string()),
        value => value.as_u64().map(|number| number.to_string()),
    };
    let advice = SAMPLING.iter().zip(names);
    advice.filter_map(|(name, key)| Some(((*name).to_owned(), number(key)?))).collect()
}

/// Returns the license texts next to the file, and those of the declared folder.
fn all_licenses(ctx: &dyn RuleContext, folder: &str, names: &[String]) -> Vec<(Source, String)> {
    let mut found = licenses(ctx, folder, names);
    let declared = crate::source::origin::folder(ctx).map(|(folder, _)| folder).unwrap_or_default();
    if declared != folder
        && let Ok(names) = ctx.list(&declared)
    {
        let is_new = |name: &str| !found.iter().any(|(_, known)| known == name);
        let more: Vec<_> =
            licenses(ctx, &declared, &names).into_iter().filter(|(_, name)| is_new(name)).collect();
        found.extend(more);
    }
    found
}

/// Returns the files that a path denotes.
fn series(place: Place, path: &str) -> Result<Vec<String>, Vec<RuleError>> {
    let Some(of_series) = SeriesPlace::of(path) else { return Ok(vec![path.to_owned()]) };
    if of_series.number == 1 {
        return Ok(of_series.names());
    }
    let message = format!("`{path}` is file {} of {}", of_series.number, of_series.count);
    let first = of_series.names().swap_remove(0);
    Err(vec![
        RuleError::new(place, "checkpoint::gguf", message)
            .help(format!("Name the first file, which has the keys: `{first}`")),
    ])
}

/// Returns the head of a file and the length of the file.
fn head(ctx: &dyn RuleContext, place: Place, path: &str) -> Result<(Gguf, u64), Vec<RuleError>> {
    let head = ctx.read_head(path, HeadFormat::Beginning).map_err(|error| {
        let rule_error = source_error(place, "checkpoint::gguf", &error);
        vec![if error.is_missing {
            rule_error
                .help("`gguf` is relative to the package's folder, or to `dir`; a series needs all its files")
        } else {
            rule_error
        }]
    })?;
    let gguf = Gguf::parse(&head.bytes, head.n_bytes).map_err(|error| {
        vec![RuleError::new(place, "checkpoint::gguf", error.to_string()).file(shown_path(ctx, path))]
    })?;
    Ok((gguf, head.n_bytes))
}

/// Joins the heads of a series into the head of a single file.
fn whole(mut heads: Vec<Gguf>) -> Result<Gguf, String> {
    if heads.len() == 1 {
        return Ok(heads.swap_remove(0));
    }
    let merged = split::merge(&heads).map_err(|error| error.to_string())?;
    Gguf::parse(&merged.layout.head, u64::MAX).map_err(|error| error.to_string())
}
