//! Converts a merge of mergekit to targets of a package: a `checkpoint` for each model, and a `blend`.
//!
//! Parameters are looked up in mergekit's order: the model's own, the slice's, the merge's. So a slice's parameters of
//! models are written at each of its models.

use super::kdl::{Line, comment, number, quoted};
use super::reading::{At, Condition, Merge, Parameter, Slice, Source, Sources, Value, merge};
use super::yaml::{YamlError, parse};

/// mergekit's name of the method, ours, and whether the method changes the base instead of summing.
const METHODS: &[(&str, &str, bool)] = &[
    ("linear", "linear", false),
    ("slerp", "slerp", true),
    ("task_arithmetic", "task-arithmetic", true),
    ("ties", "ties", true),
    ("dare_linear", "dare-linear", true),
    ("dare_ties", "dare-ties", true),
    ("passthrough", "passthrough", false),
];

/// The parameters, with their owner (each model, or the merge) and the methods that use them.
const PARAMETERS: &[(&str, Owner, &[&str])] = &[
    ("weight", Owner::Model, &["linear", "task-arithmetic", "ties", "dare-linear", "dare-ties"]),
    ("density", Owner::Model, &["ties", "dare-linear", "dare-ties"]),
    ("scale", Owner::Model, &["passthrough"]),
    ("t", Owner::Merge, &["slerp"]),
    ("lambda", Owner::Merge, &["task-arithmetic", "ties", "dare-linear", "dare-ties"]),
    ("normalize", Owner::Merge, &["linear", "task-arithmetic", "ties", "dare-linear", "dare-ties"]),
    ("rescale", Owner::Merge, &["dare-linear", "dare-ties"]),
];

/// The boolean parameters.
const BOOLEANS: [&str; 2] = ["normalize", "rescale"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Model,
    Merge,
}

const DTYPES: &[(&str, &str)] = &[("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16")];

/// Converts a file of mergekit to KDL.
///
/// * `name`: name of the blend
/// * `file`: path of the input, for a comment
///
/// # Errors
/// The first unsupported or invalid part, with its line.
pub(crate) fn kdl(yaml: &str, name: &str, file: &str) -> Result<String, YamlError> {
    let merge = merge(&parse(yaml)?)?;
    let found = METHODS.iter().find(|(theirs, ..)| *theirs == merge.method.value);
    let Some((_, method, needs_base)) = found else {
        let known: Vec<&str> = METHODS.iter().map(|(theirs, ..)| *theirs).collect();
        let what = format!("`merge_method: {}` cannot be written as KDL", merge.method.value);
        return Err(YamlError::new(merge.method.line, what).help(format!("Known: `{}`", known.join("`, `"))));
    };
    let mut writer =
        Writer { method, needs_base: *needs_base, models: Vec::new(), names: Vec::new(), notes: Vec::new() };
    writer.names.push(target_name(name));
    let blend = writer.blend(&merge)?;
    let mut out = format!("{}\n", comment(&format!("From mergekit: {file}")));
    for note in &writer.notes {
        out.push_str(&format!("{}\n", comment(note)));
    }
    for model in &writer.models {
        model.checkpoint().iter().for_each(|line| line.write(&mut out, 0));
    }
    out.push('\n');
    blend.write(&mut out, 0);
    Ok(out)
}

struct Writer {
    /// Our name of the method.
    method: &'static str,
    needs_base: bool,
    models: Vec<Model>,
    /// Names of existing targets.
    names: Vec<String>,
    /// Omitted parts, with reasons.
    notes: Vec<String>,
}

/// A model and its target.
struct Model {
    reference: String,
    name: String,
}

impl Writer {
    fn blend(&mut self, merge: &Merge) -> Result<Line, YamlError> {
        let mut children = vec![Line::new(format!("method {}", quoted(self.method)))];
        if let Some(base) = &merge.base {
            let label = self.label(base)?;
            children.push(Line::new(format!("base {label}")));
        }
        match &merge.sources {
            Sources::Models(models) => {
                let is_base = |source: &Source| {
                    merge.base.as_ref().is_some_and(|base| base.value == source.model.value)
                };
                if let Some(base) =
                    merge.base.as_ref().filter(|_| !self.needs_base && !models.iter().any(is_base))
                {
                    let what =
                        format!("`base_model` is not one of the models, and `{}` has no base", self.method);
                    return Err(
                        YamlError::new(base.line, what).help("Leave it out, or list it with a `weight`")
                    );
                }
                let needs_base = self.needs_base;
                for source in models.iter().filter(|source| !(needs_base && is_base(source))) {
                    if source.layers.is_some() {
                        let what = "`layer_range` is only valid in `slices`";
                        return Err(YamlError::new(source.model.line, what));
                    }
                    children.push(self.source(source, &[])?);
                }
            }
            Sources::Slices(slices) => {
                for slice in slices {
                    children.push(self.slice(slice, merge.base.as_ref())?);
                }
            }
        }
        for parameter in &merge.parameters {
            // mergekit scales the kept values to the old sum of magnitudes; no method here does.
            if parameter.name == "rescale" && self.method == "ties" && truth(parameter)? {
                return Err(YamlError::new(parameter.line, "`rescale` of `ties` cannot be written as KDL")
                    .help("Leave it out, or take `dare_ties`"));
            }
            if self.owner(parameter).is_none() {
                continue;
            }
            if BOOLEANS.contains(&parameter.name.as_str()) {
                children.push(Line::new(format!("{} #{}", parameter.name, truth(parameter)?)));
            } else {
                children.extend(lines(&parameter.name, conditions(parameter, &parameter.value)?));
            }
        }
        if let Some(dtype) = merge.out_dtype.as_ref().or(merge.dtype.as_ref()) {
            let ours = DTYPES.iter().find(|(theirs, _)| *theirs == dtype.value).ok_or_else(|| {
                YamlError::new(dtype.line, format!("The type `{}` cannot be written as KDL", dtype.value))
                    .help("Known: `float32`, `float16`, `bfloat16`")
            })?;
            children.push(Line::new(format!("dtype {}", quoted(ours.1))));
        }
        if let Some(seed) = &merge.seed {
            let number: u64 = seed.value.parse().map_err(|_| {
                YamlError::new(seed.line, format!("Expected a whole number, found `{}`", seed.value))
            })?;
            if self.method.starts_with("dare") {
                children.push(Line::new(format!("seed {number}")));
            }
        }
        if let Some(tokenizer) = &merge.tokenizer {
            match tokenizer.value.as_str() {
                "base" => {}
                "union" => {
                    return Err(YamlError::new(
                        tokenizer.line,
                        "`tokenizer_source: union` cannot be written as KDL",
                    )
                    .help("Give all models the same tokens first, where they came from; then leave it out"));
                }
                _ => {
                    let label = self.label(tokenizer)?;
                    children.push(Line::new(format!("tokenizer {label}")));
                }
            }
        }
        Ok(Line { text: format!("blend {}", quoted(&self.names[0])), children })
    }

    fn slice(&mut self, slice: &Slice, base: Option<&At<String>>) -> Result<Line, YamlError> {
        let mut of_models = Vec::new();
        let mut of_slice = Vec::new();
        for parameter in &slice.parameters {
            match self.owner(parameter) {
                Some(Owner::Model) => of_models.push(parameter),
                Some(Owner::Merge) if parameter.name == "t" => {
                    of_slice.extend(lines("t", conditions(parameter, &parameter.value)?));
                }
                Some(Owner::Merge) => {
                    let what = format!("`{}` of a single slice cannot be written as KDL", parameter.name);
                    return Err(YamlError::new(parameter.line, what).help("Say it for the whole merge"));
                }
                None => {}
            }
        }
        let mut children = Vec::new();
        for source in &slice.sources {
            let is_base = self.needs_base && base.is_some_and(|base| base.value == source.model.value);
            let line = if is_base {
                let bare =
                    Source { model: source.model.clone(), layers: source.layers, parameters: Vec::new() };
                self.source(&bare, &[])?
            } else {
                self.source(source, &of_models)?
            };
            children.push(line);
        }
        children.extend(of_slice);
        Ok(Line { text: "slice".to_owned(), children })
    }

    fn source(&mut self, source: &Source, of_slice: &[&Parameter]) -> Result<Line, YamlError> {
        let mut text = format!("model {}", self.label(&source.model)?);
        if let Some([from, to]) = source.layers {
            text.push_str(&format!(" from={from} to={to}"));
        }
        let mut children = Vec::new();
        for (name, owner, methods) in PARAMETERS {
            let is_it = |parameter: &&Parameter| parameter.name == *name;
            let own = source.parameters.iter().find(is_it);
            let of_slice = of_slice.iter().copied().find(is_it);
            if *owner == Owner::Merge || !methods.contains(&self.method) {
                if let Some(parameter) = own {
                    self.leave_out(&parameter.name);
                }
                continue;
            }
            let mut all = Vec::new();
            for parameter in own.into_iter().chain(of_slice) {
                all.extend(conditions(parameter, &parameter.value)?);
            }
            match reachable(all).as_slice() {
                [Condition { filter: None, values }] if values.len() == 1 => {
                    text.push_str(&format!(" {name}={}", number(values[0])));
                }
                all => children.extend(lines(name, all.to_vec())),
            }
        }
        for parameter in &source.parameters {
            if !PARAMETERS.iter().any(|(name, ..)| *name == parameter.name) {
                self.leave_out(&parameter.name);
            }
        }
        Ok(Line { text, children })
    }

    /// The owner of the parameter; `None` if the method does not use it.
    fn owner(&mut self, parameter: &Parameter) -> Option<Owner> {
        let row = PARAMETERS.iter().find(|(name, ..)| *name == parameter.name);
        match row.filter(|(_, _, methods)| methods.contains(&self.method)) {
            Some((_, owner, _)) => Some(*owner),
            None => {
                self.leave_out(&parameter.name);
                None
            }
        }
    }

    fn leave_out(&mut self, name: &str) {
        let note = match name {
            "int8_mask" => "`int8_mask` is left out: it only saves memory".to_owned(),
            _ => format!("`{name}` is omitted: `{}` does not use it", self.method),
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The quoted label of a model; records its checkpoint.
    fn label(&mut self, model: &At<String>) -> Result<String, YamlError> {
        if let Some(known) = self.models.iter().find(|known| known.reference == model.value) {
            return Ok(quoted(&format!(":{}", known.name)));
        }
        if model.value.contains('+') {
            let what = format!("The model `{}` with an adapter cannot be written as KDL", model.value);
            return Err(YamlError::new(model.line, what)
                .help("Declare an `adapter` and a `merge`, and name that in the `blend`"));
        }
        let path = model.value.split('@').next().unwrap_or_default().trim_end_matches('/');
        let stem = target_name(path.rsplit('/').next().unwrap_or_default());
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let mut names = std::iter::once(stem.clone()).chain(numbered);
        let name = names.find(|name| !self.names.contains(name)).unwrap_or(stem);
        self.names.push(name.clone());
        self.models.push(Model { reference: model.value.clone(), name: name.clone() });
        Ok(quoted(&format!(":{name}")))
    }
}

impl Model {
    /// The target of the model, with a comment on what remains to be done.
    fn checkpoint(&self) -> Vec<Line> {
        let (path, revision) = self.reference.split_once('@').unwrap_or((&self.reference, ""));
        let name = quoted(&self.name);
        if is_on_hub(path) {
            let is_pinned = revision.len() == 40 && revision.chars().all(|digit| digit.is_ascii_hexdigit());
            let revision = if is_pinned { revision } else { "<40 hex digits>" };
            let node = Line::new(format!("hf {} revision={}", quoted(path), quoted(revision)));
            let node = Line { text: format!("checkpoint {name}"), children: vec![node] };
            let ask = comment(&format!("Set the revision of {path}: the commit in its history on the hub"));
            return if is_pinned { vec![node] } else { vec![Line::new(ask), node] };
        }
        let dir = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
        let node = Line::new(format!("checkpoint {name} dir={}", quoted(dir)));
        if dir.starts_with(['/', '~']) || dir.split('/').any(|part| part == "..") {
            let ask = comment("The folder must be inside the package: move it there, or add a link to it");
            return vec![Line::new(ask), node];
        }
        vec![node]
    }
}

/// Returns true for `org/name`, unless the text is marked as a path.
fn is_on_hub(path: &str) -> bool {
    let mut parts = path.split('/');
    let is_word =
        |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && !part.starts_with(['.', '~']));
    is_word(parts.next()) && is_word(parts.next()) && parts.next().is_none()
}

/// A valid name of a target.
fn target_name(text: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    let name: String = text.chars().map(letter).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "blend".to_owned() } else { name.to_owned() }
}

fn conditions(parameter: &Parameter, value: &Value) -> Result<Vec<Condition>, YamlError> {
    match value {
        Value::Numbers(conditions) => Ok(conditions.clone()),
        Value::Truth(truth) => Err(YamlError::new(
            parameter.line,
            format!("Expected a number for `{}`, found `{truth}`", parameter.name),
        )),
    }
}

/// `true`, or a number that represents it.
fn truth(parameter: &Parameter) -> Result<bool, YamlError> {
    match &parameter.value {
        Value::Truth(truth) => Ok(*truth),
        Value::Numbers(conditions) => match conditions.as_slice() {
            [Condition { filter: None, values }] if values.len() == 1 => Ok(values[0] != 0.0),
            _ => {
                let what = format!(
                    "`{}` that differs from weight to weight cannot be written as KDL",
                    parameter.name
                );
                Err(YamlError::new(parameter.line, what).help("Say it for the whole merge"))
            }
        },
    }
}

/// Removes the conditions after one that is always true.
fn reachable(mut conditions: Vec<Condition>) -> Vec<Condition> {
    if let Some(last) = conditions.iter().position(|condition| condition.filter.is_none()) {
        conditions.truncate(last + 1);
    }
    conditions
}

fn lines(name: &str, conditions: Vec<Condition>) -> Vec<Line> {
    let line = |condition: Condition| {
        let values: Vec<String> = condition.values.iter().copied().map(number).collect();
        let filter =
            condition.filter.map(|filter| format!(" filter={}", quoted(&filter))).unwrap_or_default();
        Line::new(format!("{name} {}{filter}", values.join(" ")))
    };
    reachable(conditions).into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(yaml: &str, expected: Expect) {
        let text = match kdl(yaml, "mix", "mix.yml") {
            Ok(kdl) => kdl,
            Err(error) => {
                format!("line {}: {}\n{}\n", error.line, error.what, error.help.unwrap_or_default())
            }
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn linear() {
        check(
            "\
models:
  - model: ./toy
    parameters:
      weight: 1.0
  - model: other/toy@0123456789abcdef0123456789abcdef01234567
    parameters:
      weight: 0.3
  - model: other/toys
    parameters:
      weight: [0.1, 0.9]
merge_method: linear
dtype: float16
",
            expect![[r#"
                // From mergekit: mix.yml
                checkpoint "toy" dir="toy"
                checkpoint "toy-2" {
                    hf "other/toy" revision="0123456789abcdef0123456789abcdef01234567"
                }
                // Set the revision of other/toys: the commit in its history on the hub
                checkpoint "toys" {
                    hf "other/toys" revision="<40 hex digits>"
                }

                blend "mix" {
                    method "linear"
                    model ":toy" weight=1
                    model ":toy-2" weight=0.3
                    model ":toys" {
                        weight 0.1 0.9
                    }
                    dtype "F16"
                }
            "#]],
        );
    }

    #[test]
    fn slerp_with_gradients() {
        check(
            "\
slices:
  - sources:
      - model: toy
        layer_range: [0, 2]
      - model: tuned
        layer_range: [0, 2]
merge_method: slerp
base_model: toy
parameters:
  t:
    - filter: self_attn
      value: [0, 0.5, 0.3, 0.7, 1]
    - filter: mlp
      value: [1, 0.5, 0.7, 0.3, 0]
    - value: 0.5
dtype: bfloat16
",
            expect![[r#"
                // From mergekit: mix.yml
                checkpoint "toy" dir="toy"
                checkpoint "tuned" dir="tuned"

                blend "mix" {
                    method "slerp"
                    base ":toy"
                    slice {
                        model ":toy" from=0 to=2
                        model ":tuned" from=0 to=2
                    }
                    t 0 0.5 0.3 0.7 1 filter="self_attn"
                    t 1 0.5 0.7 0.3 0 filter="mlp"
                    t 0.5
                    dtype "BF16"
                }
            "#]],
        );
    }

    #[test]
    fn ties() {
        check(
            "\
models:
  - model: toy
  - model: tuned
    parameters:
      density: 0.5
      weight:
        - filter: mlp
          value: 0.5
        - value: 0
  - model: taught
    parameters:
      density: [1, 0.7, 0.1]
      weight: 1.0
merge_method: ties
base_model: toy
parameters:
  normalize: true
  int8_mask: true
dtype: float16
",
            expect![[r#"
                // From mergekit: mix.yml
                // `int8_mask` is left out: it only saves memory
                checkpoint "toy" dir="toy"
                checkpoint "tuned" dir="tuned"
                checkpoint "taught" dir="taught"

                blend "mix" {
                    method "ties"
                    base ":toy"
                    model ":tuned" density=0.5 {
                        weight 0.5 filter="mlp"
                        weight 0
                    }
                    model ":taught" weight=1 {
                        density 1 0.7 0.1
                    }
                    normalize #true
                    dtype "F16"
                }
            "#]],
        );
    }

    #[test]
    fn dare_ties() {
        check(
            "\
models:
  - model: toy
  - model: tuned
    parameters: { weight: 0.6, density: 0.53 }
  - model: taught
    parameters: { weight: 0.4 }
merge_method: dare_ties
base_model: toy
parameters:
  density: 0.5
  lambda: 0.8
random_seed: 7
tokenizer_source: model:tuned
dtype: float32
out_dtype: bfloat16
",
            expect![[r#"
                // From mergekit: mix.yml
                checkpoint "toy" dir="toy"
                checkpoint "tuned" dir="tuned"
                checkpoint "taught" dir="taught"

                blend "mix" {
                    method "dare-ties"
                    base ":toy"
                    model ":tuned" weight=0.6 density=0.53
                    model ":taught" weight=0.4
                    density 0.5
                    lambda 0.8
                    dtype "BF16"
                    seed 7
                    tokenizer ":tuned"
                }
            "#]],
        );
    }

    #[test]
    fn passthrough() {
        check(
            "\
slices:
  - sources:
    - model: toy
      layer_range: [0, 2]
  - sources:
    - model: tuned
      layer_range: [1, 2]
      parameters:
        scale:
          - filter: o_proj
            value: 0.0
          - filter: down_proj
            value: 0.0
          - value: 1.0
merge_method: passthrough
dtype: bfloat16
",
            expect![[r#"
                // From mergekit: mix.yml
                checkpoint "toy" dir="toy"
                checkpoint "tuned" dir="tuned"

                blend "mix" {
                    method "passthrough"
                    slice {
                        model ":toy" from=0 to=2
                    }
                    slice {
                        model ":tuned" from=1 to=2 {
                            scale 0 filter="o_proj"
                            scale 0 filter="down_proj"
                            scale 1
                        }
                    }
                    dtype "BF16"
                }
            "#]],
        );
    }

    #[test]
    fn unsupported_parts_are_errors_with_their_lines() {
        let with =
            |line: &str| format!("models:\n  - model: toy\n    parameters:\n      weight: 1\n{line}\n");
        check(
            &with("merge_method: model_stock"),
            expect![[r#"
            line 5: `merge_method: model_stock` cannot be written as KDL
            Known: `linear`, `slerp`, `task_arithmetic`, `ties`, `dare_linear`, `dare_ties`, `passthrough`
        "#]],
        );
        check(
            &with("merge_method: linear\ntokenizer_source: union"),
            expect![[r#"
            line 6: `tokenizer_source: union` cannot be written as KDL
            Give all models the same tokens first, where they came from; then leave it out
        "#]],
        );
        check(
            &with("merge_method: linear\nfavourite: 3"),
            expect![[r#"
            line 6: `favourite` cannot be written as KDL
            Known here: `merge_method`, `models`, `slices`, `base_model`, `parameters`, `dtype`, `out_dtype`, `tokenizer_source`, `tokenizer`, `chat_template`, `random_seed`, `seed`
        "#]],
        );
        check(
            &with("merge_method: linear\nbase_model: other"),
            expect![[r#"
            line 6: `base_model` is not one of the models, and `linear` has no base
            Leave it out, or list it with a `weight`
        "#]],
        );
        check(
            &with("merge_method: linear\ndtype: int8"),
            expect![[r#"
            line 6: The type `int8` cannot be written as KDL
            Known: `float32`, `float16`, `bfloat16`
        "#]],
        );
        check(
            "merge_method: ties\nbase_model: a\nmodels:\n  - model: b\nparameters:\n  rescale: true\n",
            expect![[r#"
                line 6: `rescale` of `ties` cannot be written as KDL
                Leave it out, or take `dare_ties`
            "#]],
        );
        check(
            "merge_method: linear\nmodels:\n  - model: a+b\n",
            expect![[r#"
            line 3: The model `a+b` with an adapter cannot be written as KDL
            Declare an `adapter` and a `merge`, and name that in the `blend`
        "#]],
        );
        check(
            "merge_method: linear\nmodels:\n  - model: a\n    parameters: {weight: x}\n",
            expect![[r#"
            line 4: Expected a number, found `x`

        "#]],
        );
        check(
            "merge_method: linear\nmodules:\n  x: 1\n",
            expect![[r#"
            line 2: Expected `models` or `slices`; nothing else can be written as KDL

        "#]],
        );
    }
}
