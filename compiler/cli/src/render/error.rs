//! Errors of the library as reports: the exit code, and a hint what to type.

use mc_analysis::query::error::QueryError;
use mc_driver::build::error::EngineError;
use mc_driver::build::failure::BuildFailure;
use mc_driver::clean::CleanError;
use mc_driver::declaration_error::DeclarationError;
use mc_driver::error::Error;
use mc_driver::fetching::error::FetchingError;
use mc_driver::inspect::error::InspectError;
use mc_driver::remote_cache::error::{RemoteCacheError, Role};
use mc_driver::settings::error::SettingsError;
use mc_driver::store::StoreUnavailable;
use mc_driver::store_contents::ContentsError;
use mc_driver::workspace::{MARKER, WorkspaceError};
use mc_fetch::lock_file::LOCK_FILE;
use mc_ir::action::ActionError;
use mc_ir::origin::Origin;
use mc_store::error::StoreError;
use mc_syntax::terminal::printable;

use crate::render::lines;
use crate::render::plural::plural;
use crate::report::Report;

/// An error as a report.
pub(crate) fn report(error: &Error) -> Report {
    match error {
        Error::Workspace(error) => workspace(error),
        Error::StoreUnavailable(error) => unavailable(error),
        Error::Declaration(error) => declaration(error),
        Error::Fetching(error) => fetching(error),
        Error::Settings(error) => settings(error),
        Error::RemoteCache(error) => remote_cache(error),
        Error::Engine(error) => engine(error),
        Error::Inspect(error) => inspect(error),
        Error::Contents(error) => match &**error {
            ContentsError::Unavailable(error) => unavailable(error),
            ContentsError::Store(error) => store(error),
            ContentsError::Fetched(error) => fetching(error),
        },
        Error::Clean(error) => clean(error),
    }
}

/// A failure of a build as a report.
pub(crate) fn build_failure(failure: &BuildFailure) -> Report {
    match failure {
        BuildFailure::Action { node, error } => action(failure, error).at(lines::action(node)),
        BuildFailure::Publish { directory, error } => {
            Report::failed(failure).at(directory.display()).because(error)
        }
        BuildFailure::RemoteCache(_) => {
            Report::failed(failure).hint("Omit `--remote-cache-required` to continue without it")
        }
    }
}

/// An action's error as a report.
pub(crate) fn action(what: impl std::fmt::Display, error: &ActionError) -> Report {
    let report = Report::failed(what).because(error);
    match error {
        ActionError::Failed { help: Some(help), .. } => report.hint(help),
        ActionError::Changed { .. } => {
            report.hint("Stop the program that writes to it (it may have mapped it), then build again")
        }
        _ => report,
    }
}

fn workspace(error: &WorkspaceError) -> Report {
    match error {
        WorkspaceError::NotAFolder { dir, source } => {
            Report::usage(format!("`--workspace {}` is not a folder", dir.display())).because(source)
        }
        WorkspaceError::NotAWorkspace { dir } => {
            Report::usage(format!("`--workspace {}` is not a workspace", dir.display()))
                .because(format!("Expected a file `{MARKER}` in it, found none"))
        }
        WorkspaceError::Outside { current } => Report::usage("This folder is not in a workspace")
            .at(current.display())
            .because(format!("Expected a file `{MARKER}` in it or in a folder above, found none"))
            .hint(format!(
                "Go to a workspace, name one with `--workspace DIR`, or make one: a file `{MARKER}` with the line \
                 `workspace \"NAME\"`"
            )),
    }
}

fn unavailable(error: &StoreUnavailable) -> Report {
    match error {
        StoreUnavailable::NoFolder => Report::usage(error)
            .because("Neither `MC_CACHE_DIR` nor the home folder is set")
            .hint("Name a folder with `--cache-dir DIR`"),
        StoreUnavailable::Unusable(error) => store(error),
    }
}

/// Reports a folder that is not a store as an error in the command line.
fn store(error: &StoreError) -> Report {
    let what = "Cannot use the store";
    match error {
        StoreError::UnknownVersion { .. } | StoreError::NotAStore { .. } => {
            Report::usage(what).because(error)
        }
        _ => Report::failed(what).because(error),
    }
}

/// Reports that the folder for outputs contains files that mc did not write.
fn foreign_outputs(error: &dyn std::fmt::Display, entry: &str) -> Report {
    Report::usage(error).because(format!("It has `{entry}`, but not the file `CACHEDIR.TAG` of mc")).hint(
        "Move or rename it. If an earlier mc created it, remove it: the next build recreates it from the store",
    )
}

fn declaration(error: &DeclarationError) -> Report {
    match error {
        // Shown with its source lines, see `failure`.
        DeclarationError::Wrong(_) => Report::usage(error),
        DeclarationError::Pattern { guess: Some(guess), .. } => {
            Report::usage(error).hint(format!("Did you mean `{guess}`?"))
        }
        DeclarationError::Pattern { guess: None, .. } => Report::usage(error)
            .hint("A target is named by a label: `//package:target` or `:target`; see `mc help labels`"),
        DeclarationError::Unknown(errors) => {
            Report::usage(error).maybe_hint(errors.iter().find_map(|it| it.help.as_ref()))
        }
        DeclarationError::Query { text, error } => query(text, error),
        DeclarationError::Fetching(error) => fetching(error),
    }
}

fn engine(error: &EngineError) -> Report {
    match error {
        EngineError::StoreUnavailable(error) => unavailable(error),
        EngineError::Store(error) => store(error),
        EngineError::RemoteCache(error) => remote_cache(error),
        EngineError::ForeignOutputs { entry, .. } => foreign_outputs(error, entry),
        EngineError::Threads(reason) => Report::usage(error).because(reason),
        EngineError::BringOutput(reason) | EngineError::ReadOutput(reason) => action(error, reason),
        EngineError::Verdict(reason) => {
            Report::failed(error).because(reason).hint("Build again with another `--cache-dir`")
        }
        EngineError::TensorReports(reason) => Report::failed(error)
            .because(reason)
            .hint("Run `mc cache verify`, which removes damaged objects; then build again"),
    }
}

/// The query with carets below the location of the error, in terminal columns.
fn query(text: &str, error: &QueryError) -> Report {
    // `-->` and the further lines of a report start in different columns.
    const INDENT: usize = 2;
    let n_columns =
        |range: std::ops::Range<usize>| text.get(range).map_or(0, |part| printable(part).chars().count());
    let n_before = INDENT + n_columns(0..error.span.start);
    let n_marks = n_columns(error.span.clone()).max(1);
    let place = format!("{}\n{}{}", printable(text), " ".repeat(n_before), "^".repeat(n_marks));
    Report::usage(&error.message).at(place).maybe_hint(error.help.as_ref())
}

fn fetching(error: &FetchingError) -> Report {
    match error {
        FetchingError::Store(error) => unavailable(error),
        FetchingError::LockFile { path, reason } => Report::usage(error).at(path.display()).because(reason),
        FetchingError::WriteLockFile { source, .. } => Report::failed(error).because(source),
        FetchingError::HuggingFace(reason) => Report::usage("Cannot use `HF_ENDPOINT`").because(reason),
        FetchingError::Task { source, .. } => {
            Report::failed(error).because(source).maybe_hint(source.help().as_ref())
        }
        FetchingError::OfflineMissing { missing } => offline(missing),
        FetchingError::OfflineUnpinned { origins } => {
            Report::usage("Cannot pin these origins with `--offline`").because(names(origins))
        }
        FetchingError::Unpinned { origins } => {
            let are = if origins.len() == 1 { " is" } else { "s are" };
            Report::usage(format!("{} origin{are} not in `{LOCK_FILE}`", origins.len()))
                .because(names(origins))
                .hint("Run `mc lock`")
        }
        FetchingError::PathError { origin, now, .. } => {
            let now = now.as_ref().map(|now| format!("Write `{now}`, its current location"));
            Report::usage(error).at(origin).maybe_hint(now.as_ref())
        }
    }
}

fn names(origins: &[Origin]) -> String {
    origins.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn offline(missing: &[(Origin, String)]) -> Report {
    const MAX_SHOWN: usize = 20;
    let n_files = missing.len();
    let shown = missing.iter().take(MAX_SHOWN).map(|(origin, name)| format!("{name}  of {origin}"));
    let mut shown: Vec<String> = shown.collect();
    if n_files > MAX_SHOWN {
        shown.push(format!("and {} more", n_files - MAX_SHOWN));
    }
    let are = if n_files == 1 { "is" } else { "are" };
    Report::failed(format!(
        "{n_files} file{} {are} missing, and `--offline` prevents downloads",
        plural(n_files)
    ))
    .because(shown.join("\n"))
    .hint("Run `mc fetch` while there is a network")
}

fn inspect(error: &InspectError) -> Report {
    match error {
        InspectError::NotFound { source, .. } => {
            Report::usage(error).because(source).hint("Name a file, or a target as `//package:target`")
        }
        InspectError::NotAFile { .. } => Report::usage(error).hint("Name a file, or a folder with a model"),
        InspectError::NotAModelFolder { reason, .. } => {
            Report::usage(error).because(reason).hint("Name one of the files in it")
        }
        InspectError::Unmapped { reason, .. } => Report::failed(error).because(reason),
        InspectError::Arranged { .. } => {
            Report::usage(error).hint("Compare each of them with the checkpoint from which it was made")
        }
        InspectError::Tensor { source, .. } => action(error, source),
        InspectError::AmbiguousHash { candidates, .. } => {
            const MAX_SHOWN: usize = 10;
            let shown = candidates.iter().take(MAX_SHOWN).map(ToString::to_string);
            let mut shown: Vec<String> = shown.collect();
            if candidates.len() > MAX_SHOWN {
                shown.push(format!("and {} more", candidates.len() - MAX_SHOWN));
            }
            Report::usage(error).because(shown.join("\n")).hint("Type more digits")
        }
        InspectError::Open { source, .. } => Report::failed(error).because(source),
        InspectError::NotTheFirst { first, .. } => {
            Report::usage(error).hint(format!("Name the first file, which has the keys: `{first}`"))
        }
        InspectError::MissingOfSeries { .. } => {
            Report::usage(error).hint("Fetch all its files into one folder")
        }
        InspectError::Unreadable { reason, .. } => Report::failed(error).because(reason),
        InspectError::UnknownFormat { start: Some(start), .. } => Report::failed(error).because(format!(
            "It begins with `{start}`; expected `GGUF`, or the length of a safetensors header and `{{`"
        )),
        InspectError::UnknownFormat { start: None, .. } => {
            Report::failed(error).because("Expected a GGUF or safetensors file, `model.onnx`, `.tflite` or `.litertlm`")
        }
        InspectError::NotOneTarget { .. } => Report::usage(error),
        InspectError::NoModelFile { .. } => Report::usage(error)
            .hint("Name a `model`, a `bundle` or a target of a format, such as `gguf` or `mlx`: mc query 'kind(model, //...)'"),
        InspectError::NoModel { .. } => Report::usage(error).hint(
            "Name a `model`, a `bundle`, a target of a format, such as `gguf` or `mlx`, a `checkpoint`, `merge` or `blend`, or a .gguf file",
        ),
        // Shown one failure at a time, see `failure`.
        InspectError::Unbuilt(_) => Report::failed(error),
        InspectError::Engine(error) => engine(error),
        InspectError::Store(error) => store(error),
        InspectError::NoObject { store, .. } => Report::failed(error).at(store.display()).hint(
            "`mc build --output json` prints hashes; build again, or name the store with `--cache-dir`",
        ),
        InspectError::DamagedObject { .. } => Report::failed(error)
            .because("Its bytes do not match its hash; it was set aside")
            .hint("Build again to recreate it"),
        InspectError::OutsideFile { .. } => Report::failed(error),
    }
}

fn clean(error: &CleanError) -> Report {
    match error {
        CleanError::Io { source, .. } => Report::failed(error).because(source),
        CleanError::ForeignOutputs { entry, .. } => foreign_outputs(error, entry),
        CleanError::NotAStore { .. } => Report::usage(error)
            .because("Expected a file `VERSION` that begins with `mc-store`; nothing was removed")
            .hint("Name the store's folder with `--cache-dir DIR`"),
    }
}

fn settings(error: &SettingsError) -> Report {
    match error {
        SettingsError::NoCache => {
            Report::usage("`--remote-cache-required` needs a remote cache, but none is set")
                .hint("Name it with `--remote-cache URL`, or in workspace.kdl: cache { remote \"URL\" }")
        }
        SettingsError::SeveralDeclared => Report::usage(error)
            .because("It names several caches; expected one")
            .hint("To use several, put a proxy such as buildbox-casd in front of them"),
        SettingsError::Cache(reason) | SettingsError::Executor(reason) => {
            Report::usage(error).because(reason)
        }
    }
}

fn remote_cache(error: &RemoteCacheError) -> Report {
    let unusable = || Report::usage("Cannot use the remote cache");
    match error {
        RemoteCacheError::Unusable(reason)
        | RemoteCacheError::Key(reason)
        | RemoteCacheError::Program(reason) => Report::usage(error).because(reason),
        RemoteCacheError::Proxy(reason) => Report::usage(error).because(reason),
        RemoteCacheError::Offline => {
            Report::usage("`--offline` and `--remote-cache-required` exclude each other")
        }
        RemoteCacheError::HeadersExposed(role) => {
            let option = match role {
                Role::Cache => "--remote-cache-header",
                Role::Executor => "--remote-exec-header",
            };
            unusable().because(format!(
                "`--remote-header` and `{option}` are sent only over TLS or to this machine, and never to buckets or \
                 folders"
            ))
        }
        RemoteCacheError::Tls(reason) => Report::usage("Cannot use the TLS options").because(reason),
        RemoteCacheError::GoogleExposed => {
            unusable().because("`--google-default-credentials` needs a server over TLS or on this machine")
        }
        RemoteCacheError::Google(reason) => {
            Report::usage("Cannot use `--google-default-credentials`").because(reason)
        }
        RemoteCacheError::CallLog { path, source } => {
            Report::usage("Cannot write the log of `--remote-grpc-log`").at(path.display()).because(source)
        }
        RemoteCacheError::NotAnExecutor => Report::usage("Cannot use the remote executor")
            .because("Only gRPC servers run actions")
            .hint("Its address begins with `grpc://`, `grpcs://` or `unix:`"),
    }
}
