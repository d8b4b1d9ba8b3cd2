//! `gguf`: a checkpoint or merge as a quantized GGUF file.
//!
//! All types are resolved first (`quantize::tensor_types`), before any action has a key. Each tensor
//! is a separate action (`export::tensor_actions`); the file is a composite of the head and the
//! tensors' blobs, so no tensor is copied to build the file.

use mc_encoding::stored_form::StoredForm;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_gguf::exporter::{GgufExporter, MODEL_FILE};
use mc_gguf::recipes;
use mc_ir::label::Label;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, ValueKind};

use crate::action::exec_property::EXEC_PROPERTY;
use crate::action::tags::TAGS;
use crate::action::target_action::target_action;
use crate::attributes::{label, place_of, provider, text};
use crate::calibrate::imatrix::ImatrixInfo;
use crate::export::container::{Container, REPORTS_FILE};
use crate::export::export_info::{ExportInfo, type_shares};
use crate::export::gguf_split::{self, MAX_FILE_SIZE};
use crate::export::model_node::{MODEL_NAME, WRITTEN_MODEL};
use crate::export::published_identity::published_identity;
use crate::export::recipe_of_copy::recipe_of_copy;
use crate::export::tensor_actions::Planner;
use crate::quantize::gguf_copy::{self, COPY};
use crate::quantize::recipe_names;
use crate::quantize::tensor_types::tensor_types;
use crate::quantize::type_rules::{EMBEDDING_TYPE, OUTPUT_TYPE, PURE, TENSOR_TYPE, TENSOR_TYPES};
use crate::source::export_tensors::export_tensors;
use crate::source::model_info::ModelInfo;
use crate::transform::requantize::check_quantized;

/// The rule's name.
pub const NAME: &str = mc_gguf::exporter::NAME;

/// The `gguf` rule.
pub struct Gguf;

static EXPORTER: &dyn Exporter = &GgufExporter;

static QUANTIZE: NodeSchema = NodeSchema::leaf(
    "quantize",
    "How the weights are stored: a recipe of llama.cpp, or `COPY` for a GGUF that stays as it is.",
    ValueKind::Advised(recipes_and_copy, recipe_names::advice),
);

/// The words of `quantize`: recipes, `COPY`, and other names of recipes.
pub(crate) fn recipes_and_copy() -> Vec<&'static str> {
    recipes::names().into_iter().chain([COPY]).chain(recipes::aliases()).collect()
}

static IMATRIX: NodeSchema =
    NodeSchema::leaf("imatrix", "The importance of columns, for the codecs that use it.", ValueKind::Label);

static SCHEMA: NodeSchema = NodeSchema {
    name: NAME,
    doc: "A model as a quantized GGUF file.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &WRITTEN_MODEL, occurs: Occurs::Once },
        ChildSchema { node: &QUANTIZE, occurs: Occurs::Once },
        ChildSchema { node: &TENSOR_TYPE, occurs: Occurs::Any },
        ChildSchema { node: &TENSOR_TYPES, occurs: Occurs::Optional },
        ChildSchema { node: &OUTPUT_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &EMBEDDING_TYPE, occurs: Occurs::Optional },
        ChildSchema { node: &PURE, occurs: Occurs::Optional },
        ChildSchema { node: &IMATRIX, occurs: Occurs::Optional },
        ChildSchema { node: &MODEL_NAME, occurs: Occurs::Optional },
        ChildSchema { node: &MAX_FILE_SIZE, occurs: Occurs::Optional },
        ChildSchema { node: &EXEC_PROPERTY, occurs: Occurs::Any },
        ChildSchema { node: &TAGS, occurs: Occurs::Optional },
    ],
};

impl Rule for Gguf {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let model_label = label(record, "model").ok_or_else(Vec::new)?;
        let model: Result<ModelInfo, _> =
            provider(ctx, &model_label, "a `checkpoint`, a `merge` or a `blend`");
        let imatrix = label(record, "imatrix")
            .map(|imatrix| provider::<ImatrixInfo>(ctx, &imatrix, "an `imatrix`"))
            .transpose();
        let (model, imatrix) = match (model, imatrix) {
            (Ok(model), Ok(imatrix)) => (model, imatrix),
            (model, imatrix) => {
                return Err([model.err(), imatrix.err()].into_iter().flatten().flatten().collect());
            }
        };
        let stated = text(record, "quantize").ok_or_else(Vec::new)?;
        let recipe = recipes::by_name(stated);
        let name = text(record, "model-name").unwrap_or(&model.about.title).to_owned();
        let identity = published_identity(&model, recipe.is_some_and(|recipe| recipe.default.block_len > 1));
        let planner = Planner {
            exporter: EXPORTER,
            owner: ctx.label(),
            record,
            place: model_label.place,
            model: &model,
            imatrix: imatrix.as_ref(),
            is_copy: recipe.is_none(),
            files: Vec::new(),
            settings: ExportSettings::NONE,
        };
        let plan = match recipe {
            None => planner.steps(&gguf_copy::tensors(record, place_of(record, "quantize"), &model)?)?,
            Some(recipe) => {
                check_quantized(record.child("model"), &model_label, &model)?;
                planner.check()?;
                let tensors = export_tensors(EXPORTER, &model);
                let choices = tensor_types(ctx, &model, &tensors, recipe, imatrix.as_ref())?;
                planner.plan(tensors, choices.iter().map(|choice| StoredForm::Blocks(choice.codec)))?
            }
        };
        let planned = &plan.planned;
        let n_tensor_bytes = planned.iter().map(|tensor| tensor.plane.n_bytes).sum();
        let is_weighed = planned.iter().any(|tensor| tensor.is_weighed);
        let calibration =
            imatrix.as_ref().filter(|_| is_weighed).and_then(|imatrix| imatrix.calibration.clone());
        let types = type_shares(planned.iter().map(|tensor| &tensor.plane));
        let shown_recipe =
            recipe.map_or_else(|| recipe_of_copy(&model, &types), |recipe| recipe.name.to_owned());
        let container = Container::new(
            EXPORTER,
            (&name, identity.clone()),
            recipe.map_or(COPY, |recipe| recipe.name),
            &model,
            imatrix.as_ref(),
            ExportSettings::NONE,
            &plan,
        );
        let inputs = container.inputs(planned);
        let node = target_action(ctx.label(), record, container, inputs);
        let whole = node.artifact(MODEL_FILE);
        let reports = node.artifact(REPORTS_FILE);
        let files = match record.value(MAX_FILE_SIZE.name) {
            None => vec![whole.clone()],
            Some(max) => {
                let planes = planned.iter().map(|tensor| tensor.plane.clone()).collect();
                gguf_split::files(ctx.label(), record, max, &name, &whole, planes, model.decoder.n_vocab)?
            }
        };
        let info = ExportInfo {
            format: EXPORTER.name(),
            whole,
            files,
            file_names: Vec::new(),
            written: None,
            reports,
            name,
            identity,
            recipe: shown_recipe,
            types,
            n_tensor_bytes,
            model,
            calibration,
        };
        let outputs = gguf_split::named(&file_name(ctx.label()), &info.files);
        let mut providers = Providers::default().with(info);
        providers.outputs.extend(outputs);
        Ok(providers)
    }
}

/// Returns `app.gguf`, also for the target `app.gguf`.
pub(crate) fn file_name(label: &Label) -> String {
    if label.name.ends_with(".gguf") { label.name.clone() } else { format!("{}.gguf", label.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_ends_in_gguf_once() {
        let label = |name: &str| {
            Label::parse(&format!("//a:{name}"), &mc_ir::label::PackageId(String::new())).unwrap()
        };
        assert_eq!(file_name(&label("app")), "app.gguf");
        assert_eq!(file_name(&label("app.gguf")), "app.gguf");
    }
}
