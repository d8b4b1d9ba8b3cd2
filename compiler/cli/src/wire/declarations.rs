//! The declarations of a workspace: which targets there are, what they provide, and what is wrong with them.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::ValueEnum;
use mc_analysis::analyze::analyze;
use mc_analysis::check::check;
use mc_analysis::database::Database;
use mc_analysis::diagnostic::Diagnostics;
use mc_analysis::disk::Disk;
use mc_analysis::needed::needed;
use mc_analysis::patterns::labels;
use mc_analysis::query::error::QueryError;
use mc_analysis::query::evaluate::query;
use mc_analysis::resolve::{Resolution, resolve_label};
use mc_analysis::workspace::workspace;
use mc_ir::label::{Label, Pattern};
use mc_ir::origin::Origin;
use mc_ir::target::Target;
use mc_rules::rules::RULES;
use mc_rules::source::origin;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::options::Download;
use crate::render::diagnostic;
use crate::report::Report;
use crate::wire::fetching::{bring, folders};
use crate::wire::targets::Wanted;
use crate::wire::team_settings::Declared;
use crate::workspace::Workspace;

/// The declarations of a workspace.
pub(crate) struct Declarations {
    workspace: Workspace,
    db: Database,
}

/// A target that a query found.
pub(crate) struct Found {
    /// Its name.
    pub(crate) label: Label,
    /// Its rule; unknown where the declaration is broken.
    pub(crate) rule: Option<&'static str>,
}

/// What a check found.
pub(crate) struct Checked {
    /// How many packages the targets are in.
    pub(crate) n_packages: usize,
    /// How many targets were looked at, as written.
    pub(crate) n_targets: usize,
    /// Everything that is wrong.
    pub(crate) diagnostics: Diagnostics,
}

impl Declarations {
    /// Looks at a workspace; nothing is read before it is asked for.
    pub(crate) fn open(invocation: &Invocation, workspace: &Workspace) -> Self {
        let fetched = folders(&invocation.options, workspace);
        let disk = Disk::new(&workspace.root).with_fetched(fetched);
        let db = Database::new(&workspace.root, RULES, disk);
        Self { workspace: workspace.clone(), db }
    }

    /// What the workspace says about its team's cache; nothing where it cannot be read, which others report.
    pub(crate) fn team_cache(&self) -> Declared {
        let workspace = workspace(&self.db);
        let Some(remote) = workspace.remotes.first() else { return Declared::default() };
        Declared {
            address: Some(remote.url.clone()),
            instance: remote.instance.clone(),
            executor: remote.executor.clone(),
            upload: remote.upload,
            required: remote.required,
            download: remote.download.as_deref().and_then(|word| Download::from_str(word, false).ok()),
            compression: remote.compression,
            chunking: Some(remote.chunking),
            require_signed: remote.require_signed.as_ref().map(|path| self.workspace.root.join(path)),
            has_more: workspace.remotes.len() > 1,
        }
    }

    /// The origins elsewhere that the targets and all that they need declare, sorted, each once.
    ///
    /// # Errors
    /// After every mistake in the files that declare them has been shown.
    pub(crate) fn origins(&self, invocation: &Invocation, texts: &[String]) -> Result<Vec<Origin>, Failure> {
        let patterns = self.patterns(texts)?;
        self.labels(&patterns)?;
        let targets = needed(&self.db, &patterns).map_err(|diagnostics| refuse(invocation, &diagnostics))?;
        Ok(origins(&targets))
    }

    /// The targets that the patterns stand for, analysed, after what they need from elsewhere was brought here.
    ///
    /// # Errors
    /// After every mistake in what they need has been shown.
    pub(crate) fn wanted(&self, invocation: &Invocation, texts: &[String]) -> Result<Vec<Wanted>, Failure> {
        let patterns = self.patterns(texts)?;
        let found = self.labels(&patterns)?;
        // Where a declaration is wrong nothing is fetched, and the check below says what is wrong.
        if let Ok(targets) = needed(&self.db, &patterns) {
            bring(invocation, &self.workspace, &origins(&targets))?;
        }
        let diagnostics = check(&self.db, &patterns);
        if !diagnostics.is_empty() {
            return Err(refuse(invocation, &diagnostics));
        }
        let wanted = |label: Label| {
            let analysis = analyze(&self.db, &label);
            let providers = analysis.providers.clone().ok()?;
            Some(Wanted { label, providers })
        };
        let targets: Vec<Wanted> = found.iter().cloned().filter_map(wanted).collect();
        // Whatever keeps a target from being analysed is a diagnostic of somebody.
        assert_eq!(targets.len(), found.len(), "a target without diagnostics has providers");
        Ok(targets)
    }

    /// Everything that is wrong with the targets, and with all that they need.
    pub(crate) fn check(&self, texts: &[String]) -> Result<Checked, Failure> {
        let patterns = self.patterns(texts)?;
        let found = self.labels(&patterns)?;
        let diagnostics = check(&self.db, &patterns);
        let packages: BTreeSet<_> = found.iter().map(|label| &label.package).collect();
        Ok(Checked { n_packages: packages.len(), n_targets: found.len(), diagnostics })
    }

    /// The targets that a query stands for.
    pub(crate) fn query(&self, text: &str) -> Result<Vec<Found>, Report> {
        let labels =
            query(&self.db, text, &self.workspace.here).map_err(|error| query_report(text, &error))?;
        let found = |label: Label| {
            let rule = match resolve_label(&self.db, &label) {
                Resolution::Found(target) => Some(target.rule),
                Resolution::Broken | Resolution::Unknown(_) => None,
            };
            Found { label, rule }
        };
        Ok(labels.into_iter().map(found).collect())
    }

    fn patterns(&self, texts: &[String]) -> Result<Vec<Pattern>, Report> {
        let parse = |text: &String| {
            Pattern::parse(text, &self.workspace.here).map_err(|error| pattern_report(text, &error))
        };
        texts.iter().map(parse).collect()
    }

    fn labels(&self, patterns: &[Pattern]) -> Result<Vec<Label>, Report> {
        labels(&self.db, patterns).map_err(|errors| {
            let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            let report = Report::usage(messages.join("\n"));
            match errors.iter().find_map(|error| error.help.as_ref()) {
                Some(help) => report.hint(help),
                None => report,
            }
        })
    }
}

impl Checked {
    /// Whether anything is wrong.
    pub(crate) fn has_errors(&self) -> bool {
        !self.diagnostics.is_empty()
    }
}

fn origins(targets: &[Arc<Target>]) -> Vec<Origin> {
    let declared = targets.iter().filter_map(|target| origin::declared(&target.record));
    let origins: BTreeSet<Origin> = declared.map(|placed| placed.value).collect();
    origins.into_iter().collect()
}

/// Shows the diagnostics.
fn refuse(invocation: &Invocation, diagnostics: &Diagnostics) -> Failure {
    diagnostic::tell(invocation, diagnostics);
    if invocation.is_json() {
        let exit = Exit::Declaration.word();
        invocation.json(&serde_json::json!({
            "status": exit,
            "diagnostics": diagnostic::json(diagnostics),
            "more": diagnostics.n_more,
        }));
    }
    Failure::Told(Exit::Declaration)
}

fn pattern_report(text: &str, error: &mc_ir::label::LabelError) -> Report {
    let report = Report::usage(format!("`{text}` is not a label: {}", error.reason));
    // The commonest slip: `models:app` for `//models:app`.
    if text.contains(':') && !text.starts_with(['/', ':', '.']) {
        return report.hint(format!("Did you mean `//{text}`?"));
    }
    report.hint("Write `//package:target`, `:target`, `//package/...` or `//...`")
}

fn query_report(text: &str, error: &QueryError) -> Report {
    let before = text.get(..error.span.start).unwrap_or(text).chars().count();
    let n_marks = text.get(error.span.clone()).map_or(1, |marked| marked.chars().count().max(1));
    let place = format!("{text}\n{}{}", " ".repeat(before), "^".repeat(n_marks));
    let report = Report::usage(&error.message).at(place);
    match &error.help {
        Some(help) => report.hint(help),
        None => report,
    }
}
