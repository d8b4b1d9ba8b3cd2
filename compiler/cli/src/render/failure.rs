//! Shows why a verb failed, and returns the exit code.

use mc_analysis::diagnostic::Diagnostics;
use mc_driver::build::failure::{BuildFailure, Unbuilt};
use mc_driver::declaration_error::DeclarationError;
use mc_driver::error::Error;
use mc_driver::inspect::error::InspectError;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::render::{diagnostic, error};
use crate::report::Report;

/// Shows a failure.
pub(crate) fn tell(invocation: &Invocation, failure: Failure) -> Exit {
    match failure {
        Failure::Report(report) => print_report(invocation, &report),
        Failure::Error(error) => match *error {
            Error::Declaration(DeclarationError::Wrong(diagnostics)) => refuse(invocation, &diagnostics),
            Error::Inspect(InspectError::Unbuilt(unbuilt)) => report_unbuilt(invocation, &unbuilt),
            other => print_report(invocation, &error::report(&other)),
        },
    }
}

/// Prints the failures of a build. With `--output json` the document of the caller holds them.
pub(crate) fn report_errors(invocation: &Invocation, failures: &[BuildFailure], is_interrupted: bool) {
    if invocation.is_json() {
        return;
    }
    for failure in failures {
        invocation.error(&error::build_failure(failure));
    }
    if is_interrupted {
        invocation.streams.error("interrupted: every action that had finished is kept\n");
    }
}

/// Failures of a build as JSON.
pub(crate) fn json_errors(failures: &[BuildFailure]) -> Vec<serde_json::Value> {
    failures.iter().map(|failure| error::build_failure(failure).json()).collect()
}

fn print_report(invocation: &Invocation, report: &Report) -> Exit {
    if invocation.is_json() {
        invocation.json(&json!({ "status": report.exit.word(), "errors": [report.json()] }));
    } else {
        invocation.error(report);
    }
    report.exit
}

fn report_unbuilt(invocation: &Invocation, unbuilt: &Unbuilt) -> Exit {
    let Unbuilt { failures, is_interrupted } = unbuilt;
    report_errors(invocation, failures, *is_interrupted);
    let exit = if *is_interrupted { Exit::Interrupted } else { Exit::Failed };
    if invocation.is_json() {
        invocation.json(&json!({ "status": exit.word(), "errors": json_errors(failures) }));
    }
    exit
}

fn refuse(invocation: &Invocation, diagnostics: &Diagnostics) -> Exit {
    let exit = Exit::Declaration;
    if !invocation.is_json() {
        diagnostic::tell(invocation, diagnostics);
    } else {
        invocation.json(&json!({
            "status": exit.word(),
            "diagnostics": diagnostic::json(diagnostics),
            "more": diagnostics.n_more,
        }));
    }
    exit
}
