//! The analysis that the rules of most formats share: a model, an encoding for each tensor, and settings become actions
//! and an [`ExportInfo`].
//!
//! A rule adds its schema and the names of its own settings. GGUF has recipes and a copy mode instead, and an analysis
//! of its own ([`crate::export::gguf`]).

use std::sync::Arc;

use mc_encoding::encoding::Encoding;
use mc_encoding::solvers;
use mc_encoding::solvers::solver::Solver;
use mc_encoding::stored_form::StoredForm;
use mc_exporter::export_settings::ExportSettings;
use mc_exporter::exporter::Exporter;
use mc_exporter::model_description::ModelDescription;
use mc_exporter::quantization::UnencodedTensor;
use mc_exporter::refusal::Refusal;
use mc_exporter::source_file::SourceFile;
use mc_ir::action::Artifact;
use mc_ir::attribute::{Placed, Record, Value};
use mc_ir::provider::Providers;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, NodeSchema, ValueKind};

use crate::action::target_action::target_action;
use crate::attributes::{label, place_of, provider, text};
use crate::calibrate::imatrix::ImatrixInfo;
use crate::export::container::{Container, REPORTS_FILE, checkpoint_names};
use crate::export::export_info::{ExportInfo, type_shares_of_forms};
use crate::export::published_identity::published_identity;
use crate::export::tensor_actions::{Plan, Planner, rule_error};
use crate::inference::written_model::WrittenModel;
use crate::quantize::encoding_rules::{self, Matrix, Selected};
use crate::source::export_tensors::{ExportTensor, export_tensors};
use crate::source::model_info::ModelInfo;
use crate::transform::requantize::check_quantized;

/// The imatrix of the rules.
pub(crate) static IMATRIX: NodeSchema = NodeSchema::leaf(
    "imatrix",
    "The importance of columns: codes and scales are chosen for the least weighted error.",
    ValueKind::Label,
);

/// The solver of the rules.
pub(crate) static SOLVER: NodeSchema = NodeSchema::leaf(
    "solver",
    "The choice of codes and scales; by default `weighted` if there is an imatrix, otherwise that of the format's own tools.",
    ValueKind::OneOf(solver_names),
);

/// Number of positions of the caches.
pub(crate) static CONTEXT: NodeSchema = NodeSchema::leaf(
    "context",
    "Number of tokens of the longest conversation; by default the model's training context, at most 4096.",
    ValueKind::Integer,
);

/// The refusals that the target overrides.
pub(crate) static ALLOW: NodeSchema = NodeSchema {
    name: "allow",
    doc: "Codes of refusals to override, as a refusal's help names them.",
    arguments: Arguments::Many(ValueKind::Text),
    properties: &[],
    children: &[],
};

fn solver_names() -> Vec<&'static str> {
    solvers::SOLVERS.iter().map(|solver| solver.name).collect()
}

/// The default of `context`, unless the model was trained with less.
const DEFAULT_CONTEXT: u32 = 4096;

/// A format whose rule uses this analysis.
pub(crate) struct PlannedExport {
    /// The format.
    pub(crate) exporter: &'static dyn Exporter,
    /// The settings that only this format has.
    pub(crate) options: &'static [&'static NodeSchema],
}

impl PlannedExport {
    /// Analyzes a target of the format.
    ///
    /// # Errors
    /// Everything that is wrong with the declaration, and everything that the format cannot express.
    pub(crate) fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let model_label = label(record, "model").ok_or_else(Vec::new)?;
        let model: Result<ModelInfo, _> =
            provider(ctx, &model_label, "a `checkpoint`, a `merge` or a `blend`");
        let imatrix = label(record, IMATRIX.name)
            .map(|imatrix| provider::<ImatrixInfo>(ctx, &imatrix, "an `imatrix`"))
            .transpose();
        let (model, imatrix) = match (model, imatrix) {
            (Ok(model), Ok(imatrix)) => (model, imatrix),
            (model, imatrix) => {
                return Err([model.err(), imatrix.err()].into_iter().flatten().flatten().collect());
            }
        };
        check_quantized(record.child("model"), &model_label, &model)?;
        let settings = self.settings(record, &model)?;
        let names = checkpoint_names(&model.files);
        let files: Vec<SourceFile<'_>> = names.iter().map(|name| SourceFile { name, bytes: None }).collect();
        let planner = Planner {
            exporter: self.exporter,
            owner: ctx.label(),
            record,
            place: model_label.place,
            model: &model,
            imatrix: imatrix.as_ref(),
            is_copy: false,
            files,
            settings: &settings,
        };
        planner.check()?;
        let tensors = export_tensors(self.exporter, &model);
        let forms = self.forms(record, &planner.description(), &model, &tensors, imatrix.is_some())?;
        let plan = planner.plan(tensors, forms.into_iter())?;
        Ok(self.provide(ctx, &model, &settings, imatrix.as_ref(), &plan))
    }

    fn provide(
        &self,
        ctx: &dyn RuleContext,
        model: &ModelInfo,
        settings: &ExportSettings,
        imatrix: Option<&ImatrixInfo>,
        plan: &Plan,
    ) -> Providers {
        let record = ctx.record();
        let name = text(record, "model-name").unwrap_or(&model.about.title).to_owned();
        let is_quantized = plan.tensors.iter().any(|tensor| matches!(tensor.form, StoredForm::Planes { .. }));
        let identity = published_identity(model, is_quantized);
        let container = Container::new(
            self.exporter,
            (&name, identity.clone()),
            &settings.quantization,
            model,
            imatrix,
            settings,
            plan,
        );
        let file_names = container.files().to_vec();
        let inputs = container.inputs(&plan.planned);
        let node = target_action(ctx.label(), record, container, inputs);
        let artifacts: Vec<_> = file_names.iter().map(|name| node.artifact(name)).collect();
        let is_weighed = plan.planned.iter().any(|tensor| tensor.is_weighed);
        let info = ExportInfo {
            format: self.exporter.name(),
            whole: node.artifact(&file_names[0]),
            files: artifacts.clone(),
            file_names: file_names.clone(),
            written: written_model(self.exporter, &file_names, &artifacts, plan),
            reports: node.artifact(REPORTS_FILE),
            name,
            identity,
            recipe: settings.quantization.clone(),
            types: type_shares_of_forms(plan),
            n_tensor_bytes: plan.planned.iter().map(|tensor| tensor.plane.n_bytes).sum(),
            model: model.clone(),
            calibration: imatrix.filter(|_| is_weighed).and_then(|imatrix| imatrix.calibration.clone()),
        };
        let mut providers = Providers::default().with(info);
        providers.outputs.extend(file_names.into_iter().zip(artifacts));
        providers
    }

    fn settings(&self, record: &Record, model: &ModelInfo) -> Result<ExportSettings, Vec<RuleError>> {
        let default = self.exporter.quantizations().first().map_or("", |quantization| quantization.name);
        let options = self.options.iter().filter_map(|node| {
            let words = record.child(node.name)?.arguments.iter().map(written).collect::<Option<Vec<_>>>()?;
            Some((node.name.to_owned(), words.join(" ")))
        });
        let allowed = record.children(ALLOW.name).iter().flat_map(|node| &node.arguments);
        Ok(ExportSettings {
            quantization: text(record, encoding_rules::QUANTIZE).unwrap_or(default).to_owned(),
            context: Some(context(record, model)?),
            options: options.collect(),
            allowed: allowed.filter_map(|code| code.value.as_text().map(str::to_owned)).collect(),
        })
    }

    /// Selects the form of each tensor.
    fn forms(
        &self,
        record: &Record,
        description: &ModelDescription<'_>,
        model: &ModelInfo,
        tensors: &[ExportTensor],
        is_weighed: bool,
    ) -> Result<Vec<StoredForm>, Vec<RuleError>> {
        let name =
            |tensor: &ExportTensor| model.weight(tensor.tensor).map_or("", |weight| weight.name.as_str());
        let is_matrix = |tensor: &&ExportTensor| tensor.tensor.is_quantizable();
        let matrices: Vec<Matrix<'_>> = tensors
            .iter()
            .filter(is_matrix)
            .map(|tensor| Matrix { tensor: tensor.tensor, name: name(tensor) })
            .collect();
        let selected = encoding_rules::select(record, self.exporter, &matrices)?;
        let solver = solver(record, is_weighed)?;
        let mut of_matrices = selected.iter();
        let default = self.exporter.quantizations().first().ok_or_else(Vec::new)?;
        let (mut forms, mut errors) = (Vec::new(), Vec::new());
        for tensor in tensors {
            let own = Selected { quantization: default, place: place_of(record, encoding_rules::QUANTIZE) };
            let selected = if is_matrix(&tensor) { *of_matrices.next().unwrap_or(&own) } else { own };
            let shape = tensor.expression.shape();
            // A merged weight is computed in F32, and stored as the checkpoint stores it.
            let stored = model.weight(tensor.tensor).map(|weight| weight.dtype);
            let unencoded = UnencodedTensor {
                tensor: tensor.tensor,
                name: name(tensor),
                dtype: stored.unwrap_or_else(|| tensor.expression.element_type()),
                shape: &shape,
            };
            let form = self.exporter.form(description, &unencoded, selected.quantization);
            match form.and_then(|form| solved(form, solver)) {
                Ok(form) => forms.push(form),
                Err(refusal) => errors.push(rule_error(selected.place, "export::encoding", refusal)),
            }
        }
        // One error shows that an encoding does not fit; every layer would repeat it.
        errors.truncate(1);
        if errors.is_empty() { Ok(forms) } else { Err(errors) }
    }
}

/// The files as gates open them; `None` if the format has a reader for whole files.
fn written_model(
    exporter: &dyn Exporter,
    file_names: &[String],
    artifacts: &[Artifact],
    Plan { tensors, planned }: &Plan,
) -> Option<Arc<WrittenModel>> {
    exporter.container().is_none().then(|| {
        Arc::new(WrittenModel {
            files: file_names.iter().cloned().zip(artifacts.iter().cloned()).collect(),
            tensors: tensors.clone(),
            planes: planned.iter().map(|planned| planned.plane.clone()).collect(),
        })
    })
}

/// The text of a value.
fn written(value: &Placed<Value>) -> Option<String> {
    let value = &value.value;
    let number = || value.as_integer().map(|number| number.to_string());
    let truth = || value.as_bool().map(|truth| truth.to_string());
    value.as_text().map(str::to_owned).or_else(number).or_else(truth)
}

fn context(record: &Record, model: &ModelInfo) -> Result<u32, Vec<RuleError>> {
    let trained = model.decoder.context_length;
    let Some(asked) = record.value(CONTEXT.name).and_then(|context| context.value.as_integer()) else {
        return Ok(DEFAULT_CONTEXT.min(trained));
    };
    u32::try_from(asked).ok().filter(|asked| (1..=trained).contains(asked)).ok_or_else(|| {
        let message =
            format!("A context of {asked} tokens is out of range; the model's training context is {trained}");
        vec![RuleError::new(place_of(record, CONTEXT.name), "export::context", message)]
    })
}

/// The declared solver; with an imatrix `weighted` by default.
fn solver(record: &Record, is_weighed: bool) -> Result<Option<(&'static Solver, bool)>, Vec<RuleError>> {
    let stated = text(record, SOLVER.name).and_then(solvers::by_name);
    match stated {
        Some(solver) if *solver == solvers::weighted::SOLVER && !is_weighed => {
            let message = "The solver `weighted` needs an imatrix; found none";
            Err(vec![
                RuleError::new(place_of(record, SOLVER.name), "export::solver", message)
                    .help("Add `imatrix \":target\"`, or take `least-error`"),
            ])
        }
        Some(solver) => Ok(Some((solver, true))),
        None => Ok(is_weighed.then_some((&solvers::weighted::SOLVER, false))),
    }
}

/// Replaces the solver of a form.
fn solved(form: StoredForm, solver: Option<(&'static Solver, bool)>) -> Result<StoredForm, Refusal> {
    let (StoredForm::Planes { encoding, weights }, Some((solver, is_stated))) = (form, solver) else {
        return Ok(form);
    };
    match Encoding::new(encoding.grid, solver, encoding.packing) {
        Ok(encoding) => Ok(StoredForm::Planes { encoding, weights }),
        Err(error) if is_stated => Err(Refusal::new(error.to_string())),
        Err(_) => Ok(form),
    }
}
