//! Refusals: models that mlx-lm would run as another model, and settings that contradict each other.

use mc_decoder::program::Decoder;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;
use mc_graph::rotary::RotaryScaling;

use crate::class::{self, Class, Windows};
use crate::config;
use crate::mixed;
use crate::quantizations::float;
use crate::settings::{DTYPE, SHORT_CONTEXT, is_short_context};

/// Every reason why a folder would not hold this model.
pub(crate) fn refusals(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let Some(class) = class::of_family(&model.decoder.family) else {
        let message = format!("mlx-lm has no class for models of the family `{}`", model.decoder.family);
        return vec![Refusal::new(message)];
    };
    if !model.has_file(config::FILE) {
        let message = "MLX needs the configuration of a checkpoint; this model has no `config.json`";
        return vec![Refusal::new(message).help("Take the checkpoint from which the model was made")];
    }
    let (decoder, settings) = (model.decoder, model.settings);
    let found = [
        scaling(class, decoder),
        factors(decoder, settings),
        windows(class, decoder, settings),
        mixture(decoder, settings),
        dtypes(settings),
    ];
    found.into_iter().flatten().collect()
}

fn scalings(decoder: &Decoder) -> impl Iterator<Item = &RotaryScaling> {
    decoder.attentions().filter_map(|attention| Some(&attention.rotary.as_ref()?.scaling))
}

fn scaling(class: &Class, decoder: &Decoder) -> Option<Refusal> {
    let mut found = scalings(decoder).filter_map(class::kind);
    let (_, name) = found.find(|(kind, _)| !class.scalings.contains(kind))?;
    Some(Refusal::new(format!("mlx-lm ignores the scaling `{name}` in models of its class `{}`", class.name)))
}

/// `LongRope` with two sets of factors: mlx-lm has only one.
fn factors(decoder: &Decoder, settings: &ExportSettings) -> Option<Refusal> {
    let original = scalings(decoder).find_map(|scaling| match scaling {
        RotaryScaling::LongRope { original_context, factors, .. } => {
            let is_one = factors.as_ref().is_some_and(|factors| factors.long == factors.short);
            (!is_one).then_some(*original_context)
        }
        _ => None,
    })?;
    if is_short_context(settings) {
        return None;
    }
    let message = format!(
        "mlx-lm takes the long factors of the scaling `longrope` at every length, so it computes another model in \
         conversations of up to {original} tokens"
    );
    let help = format!(
        "`{SHORT_CONTEXT} #true` writes the short factors in their place, for conversations of up to {original} tokens"
    );
    Some(Refusal::new(message).help(help).unless_allowed("mlx::short-factor"))
}

fn windows(class: &Class, decoder: &Decoder, settings: &ExportSettings) -> Option<Refusal> {
    // A window of the whole context is none.
    let narrow = |window: &u32| *window < decoder.context_length;
    let windows: Vec<Option<u32>> =
        decoder.attentions().map(|attention| attention.window.filter(narrow)).collect();
    let window = windows.iter().flatten().min()?;
    let is_supported = match class.windows {
        Windows::Ignored => false,
        Windows::LayerTypes => windows.contains(&None),
        Windows::Pattern => class::pattern(decoder).is_some(),
    };
    if is_supported || is_short_context(settings) {
        return None;
    }
    let message = format!(
        "mlx-lm ignores the attention window of {window} tokens in models of its class `{}`, so it computes another \
         model in longer conversations",
        class.name
    );
    let help = format!("`{SHORT_CONTEXT} #true` states that conversations have at most {window} tokens");
    Some(Refusal::new(message).help(help).unless_allowed("mlx::window"))
}

/// Mixtures give more bits to down projections, which mlx-lm finds by their name.
fn mixture(decoder: &Decoder, settings: &ExportSettings) -> Option<Refusal> {
    let mixture = mixed::by_name(&settings.quantization)?;
    let has_none = decoder.family == "lfm2";
    has_none.then(|| {
        let message = format!("`{}` needs layers named `down_proj`; models of LFM2 have none", mixture.name);
        Refusal::new(message).help("Take one number of bits, and `tensor-type` for some layers")
    })
}

fn dtypes(settings: &ExportSettings) -> Option<Refusal> {
    let (word, dtype) = (settings.quantization.as_str(), settings.option(DTYPE)?);
    let is_other = float(word).is_some() && word != dtype;
    is_other.then(|| {
        Refusal::new(format!(
            "`quantize \"{word}\"` and `{DTYPE} \"{dtype}\"` name two types for the same weights"
        ))
        .help(format!("Leave out `{DTYPE}`"))
    })
}
