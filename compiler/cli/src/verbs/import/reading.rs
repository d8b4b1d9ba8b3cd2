//! Reads mergekit's YAML: models, slices and parameters, with their lines.
//!
//! A part that KDL cannot express is an error with the key and its line. [`super::mergekit`] writes the rest.

use super::yaml::{Data, Node, YamlError};

/// A value and its location.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Its line.
    pub(crate) line: usize,
}

/// A merge as mergekit declares it.
#[derive(Debug)]
pub(crate) struct Merge {
    pub(crate) method: At<String>,
    pub(crate) base: Option<At<String>>,
    pub(crate) sources: Sources,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) dtype: Option<At<String>>,
    pub(crate) out_dtype: Option<At<String>>,
    pub(crate) tokenizer: Option<At<String>>,
    pub(crate) seed: Option<At<String>>,
}

/// The inputs of the merge.
#[derive(Debug)]
pub(crate) enum Sources {
    /// Whole models.
    Models(Vec<Source>),
    /// Layers of models.
    Slices(Vec<Slice>),
}

/// Layers that follow each other.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) sources: Vec<Source>,
    pub(crate) parameters: Vec<Parameter>,
}

/// A model, or layers of one.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) model: At<String>,
    pub(crate) layers: Option<[u64; 2]>,
    pub(crate) parameters: Vec<Parameter>,
}

/// A parameter by its name.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// Value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Truth(bool),
    /// Conditions, tried in order.
    Numbers(Vec<Condition>),
}

/// A number or a gradient, for all weights or for those whose name contains a text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    pub(crate) filter: Option<String>,
    pub(crate) values: Vec<f64>,
}

/// Reads a merge.
///
/// # Errors
/// The first invalid part.
pub(crate) fn merge(root: &Node) -> Result<Merge, YamlError> {
    let pairs = mapping(root, "a mapping with `merge_method`")?;
    let keys = Keys { pairs };
    let models = keys.optional("models").map(|node| list(node, source)).transpose()?;
    let slices = keys.optional("slices").map(|node| list(node, slice)).transpose()?;
    let sources = match (models, slices) {
        (Some(models), None) => Sources::Models(models),
        (None, Some(slices)) => Sources::Slices(slices),
        (Some(_), Some(_)) => {
            return Err(YamlError::new(root.line, "Expected `models` or `slices`, found both"));
        }
        (None, None) => {
            let line = keys.line_of("modules").unwrap_or(root.line);
            return Err(YamlError::new(
                line,
                "Expected `models` or `slices`; nothing else can be written as KDL",
            ));
        }
    };
    if let Some(node) = keys.optional("chat_template") {
        let chat = scalar(node)?;
        if chat.value != "auto" {
            return Err(YamlError::new(chat.line, "`chat_template` cannot be written as KDL")
                .help("Put `chat_template.jinja` into the folder of the base"));
        }
    }
    let method = keys.optional("merge_method");
    let method = method.ok_or_else(|| YamlError::new(root.line, "There is no `merge_method`"))?;
    let seed = keys.optional("random_seed").or(keys.optional("seed"));
    let merge = Merge {
        method: scalar(method)?,
        base: keys.optional("base_model").map(model).transpose()?,
        sources,
        parameters: keys.optional("parameters").map(parameters).transpose()?.unwrap_or_default(),
        dtype: keys.optional("dtype").map(scalar).transpose()?,
        out_dtype: keys.optional("out_dtype").map(scalar).transpose()?,
        tokenizer: tokenizer(&keys)?,
        seed: seed.map(scalar).transpose()?,
    };
    keys.known(&[
        "merge_method",
        "models",
        "slices",
        "base_model",
        "parameters",
        "dtype",
        "out_dtype",
        "tokenizer_source",
        "tokenizer",
        "chat_template",
        "random_seed",
        "seed",
    ])?;
    Ok(merge)
}

/// `tokenizer_source: X` or `tokenizer: { source: X }`.
fn tokenizer(keys: &Keys<'_>) -> Result<Option<At<String>>, YamlError> {
    if let Some(node) = keys.optional("tokenizer") {
        let inner = Keys { pairs: mapping(node, "a mapping with `source`")? };
        inner.known(&["source"])?;
        return inner.optional("source").map(tokenizer_source).transpose();
    }
    keys.optional("tokenizer_source").map(tokenizer_source).transpose()
}

/// A word, or the model under `model`, as newer releases write it.
fn tokenizer_source(node: &Node) -> Result<At<String>, YamlError> {
    let source = model(node)?;
    // Older releases mark a model by `model:path`; anything else is a word.
    let value = source.value.strip_prefix("model:").map_or(source.value.clone(), str::to_owned);
    Ok(At { value, line: source.line })
}

fn slice(node: &Node) -> Result<Slice, YamlError> {
    let keys = Keys { pairs: mapping(node, "a mapping with `sources`")? };
    keys.known(&["sources", "parameters"])?;
    let sources =
        keys.optional("sources").ok_or_else(|| YamlError::new(node.line, "The slice has no `sources`"))?;
    let sources = list(sources, source)?;
    if let Some(source) = sources.iter().find(|source| source.layers.is_none()) {
        return Err(YamlError::new(source.model.line, "A source of a slice needs `layer_range`"));
    }
    let parameters = keys.optional("parameters").map(parameters).transpose()?.unwrap_or_default();
    Ok(Slice { sources, parameters })
}

fn source(node: &Node) -> Result<Source, YamlError> {
    let keys = Keys { pairs: mapping(node, "a mapping with `model`")? };
    keys.known(&["model", "layer_range", "parameters"])?;
    let named = keys.optional("model").ok_or_else(|| YamlError::new(node.line, "There is no `model`"))?;
    Ok(Source {
        model: model(named)?,
        layers: keys.optional("layer_range").map(layers).transpose()?,
        parameters: keys.optional("parameters").map(parameters).transpose()?.unwrap_or_default(),
    })
}

/// `path`, `org/name`, or mergekit's long form `{ model: { path: …, revision: … } }`.
fn model(node: &Node) -> Result<At<String>, YamlError> {
    let Data::Mapping(pairs) = &node.data else { return scalar(node) };
    let keys = Keys { pairs };
    if let Some(inner) = keys.optional("model") {
        keys.known(&["model"])?;
        return model(inner);
    }
    keys.known(&["path", "revision"])?;
    let path = keys.optional("path").ok_or_else(|| YamlError::new(node.line, "The model has no `path`"))?;
    let mut path = scalar(path)?;
    if let Some(revision) = keys.optional("revision") {
        path.value = format!("{}@{}", path.value, scalar(revision)?.value);
    }
    Ok(path)
}

fn layers(node: &Node) -> Result<[u64; 2], YamlError> {
    let wrong =
        || YamlError::new(node.line, format!("Expected two layers, `[0, 16]`; found {}", node.describe()));
    let Data::Sequence(items) = &node.data else { return Err(wrong()) };
    let numbers: Vec<u64> = items
        .iter()
        .map(|item| scalar(item)?.value.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    numbers.try_into().map_err(|_| wrong())
}

fn parameters(node: &Node) -> Result<Vec<Parameter>, YamlError> {
    let pairs = mapping(node, "a mapping of parameters")?;
    let parameter = |(name, node): &(String, Node)| {
        Ok(Parameter { name: name.clone(), line: node.line, value: value(node)? })
    };
    pairs.iter().map(parameter).collect()
}

fn value(node: &Node) -> Result<Value, YamlError> {
    match &node.data {
        Data::Scalar { text, is_quoted: false } if matches!(text.as_str(), "true" | "True" | "TRUE") => {
            Ok(Value::Truth(true))
        }
        Data::Scalar { text, is_quoted: false } if matches!(text.as_str(), "false" | "False" | "FALSE") => {
            Ok(Value::Truth(false))
        }
        Data::Scalar { .. } => Ok(Value::Numbers(vec![condition(None, node)?])),
        Data::Mapping(_) => Ok(Value::Numbers(vec![conditional(node)?])),
        Data::Sequence(items) if items.iter().any(|item| matches!(item.data, Data::Mapping(_))) => {
            items.iter().map(conditional).collect::<Result<_, _>>().map(Value::Numbers)
        }
        Data::Sequence(_) => Ok(Value::Numbers(vec![condition(None, node)?])),
    }
}

/// `{ filter: self_attn, value: … }`.
fn conditional(node: &Node) -> Result<Condition, YamlError> {
    let keys = Keys { pairs: mapping(node, "a mapping with `value`")? };
    keys.known(&["filter", "value"])?;
    let filter = keys.optional("filter").map(scalar).transpose()?;
    let filter = filter.map(|filter| filter.value).filter(|filter| filter != "*");
    let value = keys.optional("value").ok_or_else(|| YamlError::new(node.line, "There is no `value`"))?;
    condition(filter, value)
}

fn condition(filter: Option<String>, node: &Node) -> Result<Condition, YamlError> {
    let values = match &node.data {
        Data::Sequence(items) if !items.is_empty() => items.iter().map(number).collect::<Result<_, _>>()?,
        _ => vec![number(node)?],
    };
    Ok(Condition { filter, values })
}

fn number(node: &Node) -> Result<f64, YamlError> {
    let wrong = || YamlError::new(node.line, format!("Expected a number, found {}", node.describe()));
    let Data::Scalar { text, .. } = &node.data else { return Err(wrong()) };
    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(wrong)
}

fn scalar(node: &Node) -> Result<At<String>, YamlError> {
    match &node.data {
        Data::Scalar { text, .. } if !node.is_null() => Ok(At { value: text.clone(), line: node.line }),
        _ => Err(YamlError::new(node.line, format!("Expected a text, found {}", node.describe()))),
    }
}

fn list<T>(node: &Node, item: fn(&Node) -> Result<T, YamlError>) -> Result<Vec<T>, YamlError> {
    match &node.data {
        Data::Sequence(items) if !items.is_empty() => items.iter().map(item).collect(),
        _ => Err(YamlError::new(node.line, format!("Expected a list, found {}", node.describe()))),
    }
}

fn mapping<'a>(node: &'a Node, expected: &str) -> Result<&'a [(String, Node)], YamlError> {
    match &node.data {
        Data::Mapping(pairs) => Ok(pairs),
        _ => Err(YamlError::new(node.line, format!("Expected {expected}, found {}", node.describe()))),
    }
}

/// The keys of a mapping.
struct Keys<'a> {
    pairs: &'a [(String, Node)],
}

impl<'a> Keys<'a> {
    /// The value of a key, if it is present and not null.
    fn optional(&self, name: &str) -> Option<&'a Node> {
        self.pairs.iter().find(|(key, node)| key == name && !node.is_null()).map(|(_, node)| node)
    }

    fn line_of(&self, name: &str) -> Option<usize> {
        self.optional(name).map(|node| node.line)
    }

    /// Rejects all keys that are not among the names.
    fn known(&self, names: &[&str]) -> Result<(), YamlError> {
        match self.pairs.iter().find(|(key, node)| !names.contains(&key.as_str()) && !node.is_null()) {
            None => Ok(()),
            Some((key, node)) => Err(YamlError::new(node.line, format!("`{key}` cannot be written as KDL"))
                .help(format!("Known here: `{}`", names.join("`, `")))),
        }
    }
}
