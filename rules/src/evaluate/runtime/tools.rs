//! The table of runtimes: the package that runs a format, its version, and the script that uses it.
//!
//! A runtime runs in the Python interpreter that the user selects ([`choose`]), never in one that a workspace names. Its
//! package must have the declared version, because another one may compute other numbers. Which versions are installed
//! is found once per process, before any action has a key, so that a result of one version is never taken for another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use mc_digest::digest::BlobDigest;
use serde::Deserialize;

use crate::evaluate::runtime::process::{Limits, Process};

/// The runtime of a format.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The format: [`crate::exporters::by_name`].
    pub(crate) format: &'static str,
    /// The package, as installers name it.
    pub(crate) package: &'static str,
    /// The version with which the script was tested.
    pub(crate) version: &'static str,
    /// Further packages that compute numbers.
    also: &'static [&'static str],
    /// The part of the script after the prelude.
    script: &'static str,
}

/// Every runtime; to add one, write its script and a row here.
pub(crate) static TOOLS: &[Tool] = &[
    Tool {
        format: "gguf",
        package: "xllamacpp",
        version: "2026.10.11549",
        also: &[],
        script: include_str!("scripts/xllamacpp.py"),
    },
    Tool {
        format: "mlx",
        package: "mlx-lm",
        version: "0.32.2",
        also: &["mlx", "transformers"],
        script: include_str!("scripts/mlx_lm.py"),
    },
    Tool {
        format: "onnx",
        package: "onnxruntime-genai",
        version: "0.18.0",
        also: &["onnxruntime"],
        script: include_str!("scripts/onnxruntime_genai.py"),
    },
    Tool {
        format: "litert",
        package: "ai-edge-litert",
        version: "2.3.0",
        also: &[],
        script: include_str!("scripts/ai_edge_litert.py"),
    },
];

const PRELUDE: &str = include_str!("scripts/prelude.py");

/// Lists the versions of packages. It imports none of them.
const PROBE: &str = include_str!("scripts/probe.py");

/// Time in which the interpreter must list its packages.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Maximum length of the list.
const MAX_PROBE: u64 = 1 << 16;

/// A runtime that is installed in the declared version.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    /// The runtime.
    pub(crate) tool: &'static Tool,
    /// The interpreter.
    pub(crate) python: PathBuf,
    /// The versions of the packages and of the interpreter: `mlx-lm 0.32.2, mlx 0.32.4, Python 3.11.2`.
    pub(crate) versions: String,
}

/// The interpreter of this process, and the versions of its packages, or the reason why they are unknown.
struct Python {
    path: PathBuf,
    found: OnceLock<Result<Packages, String>>,
}

/// The packages of an interpreter.
#[derive(Clone, Debug, Deserialize)]
struct Packages {
    python: String,
    packages: BTreeMap<String, String>,
}

static PYTHON: OnceLock<Python> = OnceLock::new();

/// Selects the interpreter of this process, before anything is analyzed; returns false if one was selected before.
pub fn choose(python: &Path) -> bool {
    // The runtime has another current folder. A name without a folder is looked up in `PATH`.
    let is_name = python.components().count() == 1 && !python.starts_with(".");
    let path = if is_name { None } else { std::path::absolute(python).ok() };
    let path = path.unwrap_or_else(|| python.to_owned());
    PYTHON.set(Python { path, found: OnceLock::new() }).is_ok()
}

/// Finds the runtime of a format.
///
/// * `version`: the declared version, if it is not the tested one
///
/// # Errors
/// The reason why the runtime cannot be used here.
pub(crate) fn installed(format: &str, version: Option<&str>) -> Result<Installed, String> {
    let tool = TOOLS.iter().find(|tool| tool.format == format);
    let tool = tool.ok_or_else(|| format!("no runtime of `{format}` is known"))?;
    let Some(python) = PYTHON.get() else {
        return Err("no Python interpreter is given; `--runtime-python PATH` gives one".to_owned());
    };
    let found = python.found.get_or_init(|| probe(&python.path));
    let versions = versions(tool, version.unwrap_or(tool.version), found.as_ref().map_err(String::clone)?)?;
    Ok(Installed { tool, python: python.path.clone(), versions })
}

/// Returns the arguments of the interpreter, which then ignores its environment and the current folder, and writes no
/// bytecode.
pub(crate) fn arguments<const N: usize>(own: [&str; N]) -> Vec<String> {
    ["-I", "-B"].into_iter().chain(own).map(str::to_owned).collect()
}

/// The versions in words.
///
/// # Errors
/// The reason why they are not those that are needed.
fn versions(tool: &Tool, needed: &str, found: &Packages) -> Result<String, String> {
    let package = tool.package;
    match found.packages.get(package) {
        None => return Err(format!("{package} is not installed; the gate needs version {needed}")),
        Some(found) if found != needed => {
            return Err(format!("{package} {found} is installed; the gate needs version {needed}"));
        }
        Some(_) => {}
    }
    let also = tool.also.iter().filter_map(|name| Some((*name, found.packages.get(*name)?.as_str())));
    let all = [(package, needed)].into_iter().chain(also).chain([("Python", found.python.as_str())]);
    Ok(all.map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", "))
}

fn probe(python: &Path) -> Result<Packages, String> {
    let names: Vec<&str> =
        TOOLS.iter().flat_map(|tool| tool.also.iter().copied().chain([tool.package])).collect();
    let request = serde_json::json!({ "packages": names });
    let arguments = arguments(["-c", PROBE]);
    let limits = Limits { silence: PROBE_LIMIT, n_bytes: MAX_PROBE };
    let shown = python.display();
    let failed = |reason: String| format!("`{shown}` cannot list its packages: {reason}");
    let mut process = Process::start(python, &arguments, None, &request.to_string(), limits)
        .map_err(|error| failed(error.to_string()))?;
    let line = process.line(&mut || Ok(())).map_err(|error| failed(error.to_string()))?;
    let line = line.ok_or_else(|| failed(process.ending()))?;
    serde_json::from_str(&line).map_err(|error| failed(error.to_string()))
}

impl Tool {
    /// Returns the whole script.
    pub(crate) fn text(&self) -> String {
        format!("{PRELUDE}\n\n{}", self.script)
    }

    /// Returns the digest of the script, for keys.
    pub(crate) fn digest(&self) -> BlobDigest {
        BlobDigest::of(self.text().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(found: &[(&str, &str)]) -> Packages {
        let packages =
            found.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect();
        Packages { python: "3.11.2".to_owned(), packages }
    }

    #[test]
    fn only_the_declared_version_is_used_and_every_version_is_recorded() {
        let tool = TOOLS.iter().find(|tool| tool.format == "mlx").unwrap();
        let found = packages(&[("mlx-lm", "0.32.2"), ("mlx", "0.32.4"), ("numpy", "2.4")]);
        assert_eq!(versions(tool, "0.32.2", &found).unwrap(), "mlx-lm 0.32.2, mlx 0.32.4, Python 3.11.2");
        let other = versions(tool, "0.33.0", &found).unwrap_err();
        assert_eq!(other, "mlx-lm 0.32.2 is installed; the gate needs version 0.33.0");
        let none = versions(tool, "0.32.2", &packages(&[])).unwrap_err();
        assert_eq!(none, "mlx-lm is not installed; the gate needs version 0.32.2");
    }

    #[test]
    fn without_an_interpreter_nothing_runs() {
        let reason = installed("gguf", None).unwrap_err();
        assert_eq!(reason, "no Python interpreter is given; `--runtime-python PATH` gives one");
        assert!(installed("tar", None).unwrap_err().contains("no runtime of `tar` is known"));
    }

    #[test]
    fn every_format_has_one_runtime() {
        for tool in TOOLS {
            assert_eq!(
                TOOLS.iter().filter(|other| other.format == tool.format).count(),
                1,
                "{}",
                tool.format
            );
            assert!(tool.text().contains("tell(") && tool.text().starts_with("\"\"\""));
        }
    }
}
