//! Refusals: parts of a configuration that GGUF files cannot express.
//!
//! Files omit much that the architecture name implies: which layers have a window or no positions, and which rotary
//! scalings the readers support. Readers would treat a model that differs as another model, so it is refused.

use mc_decoder::kinds::attention::Attention;
use mc_decoder::program::Decoder;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::refusal::Refusal;
use mc_graph::rotary::RotaryScaling;

use crate::architecture::{self, Architecture, Scaling};

/// The architecture whose readers ignore a model's window and see the whole context: llama.cpp's converter has always
/// written its files this way, too.
const WITHOUT_WINDOWS: &str = "llama";

/// Every reason why a file cannot hold a model.
pub(crate) fn refusals(model: &ModelDescription<'_>) -> Vec<Refusal> {
    let Some(architecture) = architecture::of_family(&model.decoder.family) else {
        let message = format!("GGUF has no architecture for models of the family `{}`", model.decoder.family);
        return vec![Refusal::new(message)];
    };
    let check = Check { architecture, decoder: model.decoder };
    let found =
        [check.scaling(), check.base(), check.windows(), check.positions(), check.experts(), check.shares()];
    found.into_iter().flatten().map(Refusal::new).collect()
}

struct Check<'a> {
    architecture: &'static Architecture,
    decoder: &'a Decoder,
}

impl Check<'_> {
    /// The attention of each layer that has one, with the layer number from 1.
    fn attentions(&self) -> impl Iterator<Item = (u32, &Attention)> {
        let numbered = (1..).zip(&self.decoder.blocks);
        numbered.filter_map(|(number, block)| Some((number, block.attention()?)))
    }

    fn lacking(&self, what: &str) -> String {
        format!("GGUF cannot express {what} in a `{}` model", self.architecture.name)
    }

    fn scaling(&self) -> Option<String> {
        let scalings = self.attentions().filter_map(|(_, attention)| {
            let (kind, name) = kind(&attention.rotary.as_ref()?.scaling)?;
            Some((kind, name)).filter(|(kind, _)| !self.architecture.scalings.contains(kind))
        });
        scalings.map(|(_, name)| self.lacking(&format!("`{name}` scaling"))).next()
    }

    fn base(&self) -> Option<String> {
        let expected = self.architecture.base?;
        let mut bases = self.attentions().filter_map(|(_, attention)| Some(attention.rotary.as_ref()?.base));
        let other = bases.find(|base| *base != expected)?;
        Some(format!("{}; expected {expected}", self.lacking(&format!("a rotary base of {other}"))))
    }

    fn windows(&self) -> Option<String> {
        if self.architecture.name == WITHOUT_WINDOWS
            || self.attentions().all(|(_, attention)| attention.window.is_none())
        {
            return None;
        }
        let Some(interval) = self.architecture.window_interval else {
            return Some(self.lacking("attention windows"));
        };
        let is_other = |(number, attention): (u32, &Attention)| {
            attention.window.is_some() == number.is_multiple_of(interval)
        };
        self.attentions().any(is_other).then(|| {
            let expected = match interval {
                u32::MAX => "in every layer".to_owned(),
                interval => format!("in all but the last of each {interval} layers"),
            };
            format!("{}; expected them {expected}", self.lacking("attention windows in some layers"))
        })
    }

    fn positions(&self) -> Option<String> {
        let has_positions = |number: u32| {
            self.architecture.position_interval.is_none_or(|interval| !number.is_multiple_of(interval))
        };
        let is_other =
            |(number, attention): (u32, &Attention)| attention.rotary.is_some() != has_positions(number);
        self.attentions().any(is_other).then(|| {
            let expected = self.architecture.position_interval.map_or_else(
                || "expected none".to_owned(),
                |interval| format!("expected only the last of each {interval}"),
            );
            format!("{}; {expected}", self.lacking("these layers without positions"))
        })
    }

    /// Readers divide the weights of the chosen experts by their sum in every model.
    fn shares(&self) -> Option<String> {
        let mut experts = self.decoder.blocks.iter().filter_map(|block| block.experts());
        let is_plain = experts.any(|experts| !experts.is_normalized);
        is_plain.then(|| self.lacking("shares of experts that do not sum to 1"))
    }

    fn experts(&self) -> Option<String> {
        let mut layers = self.decoder.blocks.iter().map(|block| block.experts().is_some());
        let first = layers.next()?;
        layers
            .any(|experts| experts != first)
            .then(|| self.lacking("layers without experts among layers with them"))
    }
}

/// The kind of a scaling and its name in configurations; `None` where there is none.
fn kind(scaling: &RotaryScaling) -> Option<(Scaling, &'static str)> {
    Some(match scaling {
        // Divisors are stored as tensors of the file, whatever their source.
        RotaryScaling::None | RotaryScaling::Divisors { .. } => return None,
        RotaryScaling::Linear { .. } => (Scaling::Linear, "linear"),
        RotaryScaling::Llama3 { .. } => (Scaling::Llama3, "llama3"),
        RotaryScaling::Yarn(_) => (Scaling::Yarn, "yarn"),
        RotaryScaling::LongRope { .. } => (Scaling::LongRope, "longrope"),
    })
}
