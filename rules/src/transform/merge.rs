//! `merge`: a checkpoint with low-rank adapters added to its weights.
//!
//! It has no actions: each weight becomes an expression, which the actions that read it evaluate while they
//! stream, so a merged model is never written. Adapters are applied in the order in which they are written,
//! in f32; a changed weight is rounded to the type of the base once, after the last.

use mc_ir::attribute::{Placed, Record};
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::attributes::{bool_property, label, number_property, provider};
use crate::source::adapter::AdapterInfo;
use crate::source::export_tensors::family_of;
use crate::source::front_matter::FrontMatter;
use crate::source::model_info::{Lineage, ModelInfo};
use crate::transform::adapter_weights::{AdaptedWeights, Application};
use crate::transform::requantize::{REQUANTIZE, check_quantized};

/// The rule's name.
pub const NAME: &str = "merge";

/// The `merge` rule.
pub struct Merge;

static BASE: NodeSchema = NodeSchema {
    name: "base",
    doc: "The checkpoint, or another merge.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[REQUANTIZE],
    children: &[],
};

/// An adapter and its scale; for this rule and for `model`.
pub(crate) static ADAPTER: NodeSchema = NodeSchema {
    name: "adapter",
    doc: "An adapter to add; several are added in the order in which they are written.",
    arguments: Arguments::One(ValueKind::Label),
    properties: &[
        PropertySchema {
            name: "scale",
            value: ValueKind::Number,
            presence: Presence::Default("1.0"),
            doc: "Factor on the adapter's own scale.",
        },
        PropertySchema {
            name: "keep-tied",
            value: ValueKind::Bool,
            presence: Presence::Optional,
            doc: "`#true` keeps a tied head equal to the token embedding, as PEFT's merge does.",
        },
    ],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A checkpoint with adapters added to its weights.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &BASE, occurs: Occurs::Once },
        ChildSchema { node: &ADAPTER, occurs: Occurs::Any },
    ],
};

impl Rule for Merge {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let base = label(record, "base").ok_or_else(Vec::new)?;
        let mut rule_errors = Vec::new();
        let info: Option<ModelInfo> = provider(ctx, &base, "a `checkpoint`, a `merge` or a `blend`")
            .map_err(|found| rule_errors.extend(found))
            .ok();
        if record.children("adapter").is_empty() {
            rule_errors.push(
                RuleError::new(record.place, "merge::empty", "The merge adds no adapter")
                    .help("Add `adapter \":name\"`, or use the checkpoint itself"),
            );
        }
        if let Some(Err(found)) = info.as_ref().map(|info| check_quantized(record.child("base"), &base, info))
        {
            rule_errors.extend(found);
        }
        let mut merging = info.map(|info| Merging {
            base: &base.value,
            weights: AdaptedWeights::new(&info),
            info,
            cards: Vec::new(),
        });
        for child in record.children("adapter") {
            if let Err(found) = add(ctx, merging.as_mut(), child) {
                rule_errors.extend(found);
            }
        }
        match merging {
            Some(Merging { info, weights, cards, .. }) if rule_errors.is_empty() => {
                // A user who permitted quantized weights for this merge need not do so again for targets that use the
                // merge.
                let info = ModelInfo {
                    about: info.about.adapted(ctx.label(), &cards).into(),
                    weights: weights.finish().into(),
                    is_quantized: false,
                    ..info
                };
                Ok(Providers::default().with(info))
            }
            _ => Err(rule_errors),
        }
    }
}

fn add(
    ctx: &dyn RuleContext,
    merging: Option<&mut Merging<'_>>,
    child: &Record,
) -> Result<(), Vec<RuleError>> {
    let Some(placed) = child.argument() else { return Err(Vec::new()) };
    let Some(named) = placed.value.as_label() else { return Err(Vec::new()) };
    let named = Placed { value: named.clone(), place: placed.place };
    let adapter: AdapterInfo = provider(ctx, &named, "an `adapter`")?;
    let Some(merging) = merging else { return Err(Vec::new()) };
    merging.add(child, &named, &adapter)
}

/// A merge while its adapters are applied.
struct Merging<'a> {
    base: &'a Label,
    info: ModelInfo,
    weights: AdaptedWeights,
    /// The name and the model card of each adapter.
    cards: Vec<(String, FrontMatter)>,
}

impl Merging<'_> {
    fn add(
        &mut self,
        child: &Record,
        named: &Placed<Label>,
        adapter: &AdapterInfo,
    ) -> Result<(), Vec<RuleError>> {
        // In a merge of a merge, adapters must match the checkpoint at the bottom.
        let checkpoint = self.info.lineage.first().map(|lineage| &lineage.label);
        if adapter.base != *self.base && Some(&adapter.base) != checkpoint {
            let (found, base) = (&adapter.base, self.base);
            let message = format!("`{}` was trained on `{found}`; it is added to `{base}`", named.value);
            return Err(vec![
                RuleError::new(named.place, "merge::base", message)
                    .help("Name the checkpoint that the adapter declares as its `base`"),
            ]);
        }
        let family = family_of(&self.info).ok_or_else(Vec::new)?;
        let rule_error = |code: &'static str, message: String| {
            let rule_error = RuleError::new(named.place, code, message);
            match help(code) {
                Some(help) => rule_error.help(help),
                None => rule_error,
            }
        };
        let application = Application {
            adapter,
            scale: number_property(child, "scale").unwrap_or(1.0),
            keeps_tied: bool_property(child, "keep-tied"),
            rule_error: &rule_error,
        };
        self.weights.apply(&mut self.info, family, &application)?;
        self.add_files(named, adapter);
        Ok(())
    }

    fn add_files(&mut self, named: &Placed<Label>, adapter: &AdapterInfo) {
        let n_adapters =
            self.info.lineage.iter().filter(|lineage| lineage.role.starts_with("adapter.")).count();
        let lineage = Lineage {
            role: format!("adapter.{n_adapters}"),
            label: named.value.clone(),
            published: adapter.published.clone(),
            tensors: adapter
                .tensors
                .iter()
                .map(|tensor| (tensor.name.clone(), tensor.source.clone()))
                .collect(),
        };
        let base = adapter.config.base_model.as_deref().filter(|_| !adapter.is_of_any_base);
        self.cards.push((named.value.name.clone(), adapter.card.clone()));
        let mut sources: Vec<Lineage> = self.info.lineage.iter().cloned().chain([lineage]).collect();
        if let (Some(base), Some(first)) = (base, sources.first_mut()) {
            // The adapter was checked to be of this checkpoint.
            first.published = first.published.clone().known_as(base);
        }
        self.info.lineage = sources.into();
        let files = &mut self.info.files;
        if let Some(tokenizer) = &adapter.tokenizer {
            tokenizer.replace(files);
        }
        for (source, name) in &adapter.licenses {
            // A license text whose name is taken gets the adapter's name added.
            let is_taken = files.licenses.iter().any(|(_, taken)| taken == name);
            let name = if is_taken { format!("{name}.adapter") } else { name.clone() };
            if !files.licenses.iter().any(|(_, taken)| *taken == name) {
                files.licenses.push((source.clone(), name));
            }
        }
    }
}

/// Returns the help for an error of an adapter.
fn help(code: &str) -> Option<&'static str> {
    match code {
        "merge::scale" => Some("Leave `scale` out, or train the adapter without DoRA and whole modules"),
        "merge::lost" => Some("Put this adapter first, so that the others add to its weights"),
        "merge::tied" => Some("Leave `keep-tied` out"),
        "merge::tokens" => {
            Some("Save the tokenizer beside the adapter, and the embedding and the head with it")
        }
        _ => None,
    }
}
