//! The actions that a worker can run from a command alone: kind, version and parameters.
//!
//! An action is created from its parameters and returns them again; a command that does not survive this
//! round trip is refused, so a worker that reads a command differently from its sender never returns a
//! result. To support another kind, write a `RemoteKind` next to its action and list it here; metrics
//! declare theirs themselves.

use mc_ir::action::{Action, ActionKind};

use crate::action::remote_kind::{Parameters, RemoteKind};
use crate::calibrate::{calibrate, imatrix};
use crate::evaluate::metrics::METRICS;
use crate::quantize::tensor_action;

/// Returns every kind: those of this table, and those of metrics.
fn kinds() -> impl Iterator<Item = RemoteKind> {
    let of_metrics = METRICS.iter().filter_map(|metric| metric.remote);
    [tensor_action::REMOTE, imatrix::REMOTE, calibrate::REMOTE].into_iter().chain(of_metrics)
}

/// Reason why a command is not an action that this worker can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteKindError {
    /// This `mc` does not have the kind, or not that version of it.
    #[error("`{found}` is not an action that this mc runs remotely; it runs {known}")]
    UnknownKind {
        /// The kind with its version.
        found: String,
        /// The kinds that it has.
        known: String,
    },
    /// The parameters are not those of any action of this kind.
    #[error("The parameters of `{kind}` are not as this mc writes them: {reason}")]
    Parameters {
        /// The kind with its version.
        kind: String,
        /// Description of the problem.
        reason: String,
    },
}

/// Returns true if a worker can run actions of this kind.
pub fn is_remote(kind: ActionKind) -> bool {
    kinds().any(|known| known.kind == kind)
}

/// Creates the action of a kind such as `tensor@2` with these parameters.
///
/// # Errors
/// [`RemoteKindError`] if there is no such action.
pub fn make(kind: &str, parameters: &Parameters) -> Result<Box<dyn Action>, RemoteKindError> {
    let shown = |kind: ActionKind| format!("{}@{}", kind.name, kind.version);
    let Some(known) = kinds().find(|known| shown(known.kind) == kind) else {
        let known: Vec<String> = kinds().map(|known| format!("`{}`", shown(known.kind))).collect();
        return Err(RemoteKindError::UnknownKind { found: kind.to_owned(), known: known.join(", ") });
    };
    let refused = |reason: String| RemoteKindError::Parameters { kind: kind.to_owned(), reason };
    let action = (known.make)(parameters).map_err(refused)?;
    if action.kind() != known.kind || action.parameters() != parameters {
        return Err(refused("They change when they are parsed and written again".to_owned()));
    }
    Ok(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn actions_are_recreated_from_their_own_description() {
        let gguf = [("model", "gguf"), ("backend", "cpu-exact@1")];
        let of_gguf = |own: &[(&str, &str)]| owned(&[&gguf[..], own].concat());
        let version = |kind: ActionKind| format!("{}@{}", kind.name, kind.version);
        let quantize = "quantize(Q8_0@1, load($0, BF16, [4, 32]))";
        let of_metric = |name: &str| kinds().find(|remote| remote.kind.name == name).unwrap();
        for (remote, parameters) in [
            (tensor_action::REMOTE, owned(&[("expression", quantize)])),
            (tensor_action::REMOTE, owned(&[("expression", "decode($0, Q4_K, [4, 256])")])),
            (of_metric("perplexity"), of_gguf(&[("context", "64")])),
            (of_metric("accuracy"), of_gguf(&[("max-tokens", "8")])),
            (of_metric("generation"), of_gguf(&[("max-tokens", "8"), ("items", "json")])),
            (
                of_metric("parity"),
                owned(&[&gguf[..], &gguf, &[("max-tokens", "8"), ("items", "text")]].concat()),
            ),
            (of_metric("kl"), owned(&[&gguf[..], &gguf, &[("context", "64")]].concat())),
        ] {
            let action = make(&version(remote.kind), &parameters).unwrap();
            assert_eq!(action.parameters(), parameters);
            assert!(is_remote(action.kind()));
            assert!(!action.describe().is_empty());
        }
    }

    #[test]
    fn invalid_actions_are_refused() {
        let refusal = |kind: &str, parameters: &[(&str, &str)]| match make(kind, &owned(parameters)) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(refusal("tensor@1", &[]).contains("`tensor@1` is not an action that this mc runs remotely"));
        assert!(refusal("gguf@1", &[]).contains("it runs `tensor@2`, `imatrix@"));
        for expression in [
            "quantize(Q8_0@9, load($0, BF16, [4, 32]))",
            "load($0, I8, [4])",
            "cast(BF16, load($0, F32, [4]))",
            "quantize(Q8_0@1, load($0, BF16, [4, 33]))",
        ] {
            assert_ne!(refusal("tensor@2", &[("expression", expression)]), "", "{expression}");
        }
        assert_ne!(refusal("tensor@2", &[("other", "")]), "");
        let gguf = [("model", "gguf"), ("backend", "cpu-exact@1"), ("context", "64")];
        assert_eq!(refusal("perplexity@2", &gguf), "");
        let others = [
            [gguf[0], ("backend", "cpu-exact@0"), gguf[2]],
            [gguf[0], gguf[1], ("context", "064")],
            [("model", "onnx"), gguf[1], gguf[2]],
            [gguf[1], gguf[0], gguf[2]],
        ];
        for parameters in others {
            assert_ne!(refusal("perplexity@2", &parameters), "", "{parameters:?}");
        }
    }
}
