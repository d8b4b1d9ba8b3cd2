//! The declarations of a workspace: its targets, their providers, and diagnostics.

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_analysis::analyze::analyze;
use mc_analysis::check::check;
use mc_analysis::database::Database;
use mc_analysis::diagnostic::Diagnostics;
use mc_analysis::disk::Disk;
use mc_analysis::needed::needed;
use mc_analysis::patterns::labels;
use mc_analysis::query::evaluate::query;
use mc_analysis::resolve::{Resolution, resolve_label};
use mc_analysis::workspace::workspace;
use mc_ir::label::{Label, Pattern};
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::target::Target;
use mc_rules::rules::RULES;
use mc_rules::source::origin;

use crate::declaration_error::DeclarationError;
use crate::event::EventSink;
use crate::fetching::files::{bring, folders};
use crate::settings::declared::DeclaredCache;
use crate::settings::download::Download;
use crate::settings::fetch::FetchSettings;
use crate::store::Store;
use crate::workspace::Workspace;

/// The declarations of a workspace.
pub struct Declarations {
    workspace: Workspace,
    store: Arc<Store>,
    db: Database,
}

/// A target found by a query.
pub struct Found {
    /// Its name.
    pub label: Label,
    /// Its rule; `None` if the declaration is invalid.
    pub rule: Option<&'static str>,
}

/// A requested target, analyzed.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name.
    pub label: Label,
    /// Its providers.
    pub providers: Arc<Providers>,
}

/// Result of a check.
pub struct Checked {
    /// Number of packages that contain the targets.
    pub n_packages: usize,
    /// Number of checked targets, as written.
    pub n_targets: usize,
    /// All diagnostics.
    pub diagnostics: Diagnostics,
}

impl Declarations {
    /// Opens a workspace; files are read on demand.
    ///
    /// * `store`: the store with the fetched files
    pub fn open(workspace: &Workspace, store: &Arc<Store>) -> Self {
        let disk = Disk::new(&workspace.root).with_fetched(folders(Arc::clone(store), workspace));
        let db = Database::new(&workspace.root, RULES, disk);
        Self { workspace: workspace.clone(), store: Arc::clone(store), db }
    }

    /// The workspace with these declarations.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// The remote cache that the workspace declares; none if the declaration cannot be read, which a check reports.
    pub fn remote_cache(&self) -> DeclaredCache {
        let workspace = workspace(&self.db);
        let Some(remote) = workspace.remotes.first() else { return DeclaredCache::default() };
        DeclaredCache {
            address: Some(remote.url.clone()),
            instance: remote.instance.clone(),
            executor: remote.executor.clone(),
            upload: remote.upload,
            required: remote.required,
            download: remote.download.as_deref().and_then(Download::by_word),
            compression: remote.compression,
            chunking: Some(remote.chunking),
            require_signed: remote.require_signed.as_ref().map(|path| self.workspace.root.join(path)),
            has_more: workspace.remotes.len() > 1,
        }
    }

    /// The origins that the targets and all their dependencies declare, sorted, each once.
    ///
    /// # Errors
    /// If a pattern has no matches, or a file that declares the targets has errors.
    pub fn origins(&self, texts: &[String]) -> Result<Vec<Origin>, DeclarationError> {
        let patterns = self.patterns(texts)?;
        self.labels(&patterns)?;
        let targets = needed(&self.db, &patterns)
            .map_err(|diagnostics| DeclarationError::Wrong(Box::new(diagnostics)))?;
        Ok(origins(&targets))
    }

    /// Analyzes the targets that the patterns match, after downloading the files that they need.
    ///
    /// # Errors
    /// If a pattern has no matches, a needed declaration has errors, or a file cannot be downloaded.
    pub fn wanted(
        &self,
        texts: &[String],
        settings: &FetchSettings,
        events: &dyn EventSink,
    ) -> Result<Vec<Wanted>, DeclarationError> {
        let patterns = self.patterns(texts)?;
        let found = self.labels(&patterns)?;
        // If a declaration has errors, nothing is downloaded, and the check below reports them.
        if let Ok(targets) = needed(&self.db, &patterns) {
            bring(&self.workspace, &self.store, &origins(&targets), settings, events)?;
        }
        let diagnostics = check(&self.db, &patterns);
        if !diagnostics.is_empty() {
            return Err(DeclarationError::Wrong(Box::new(diagnostics)));
        }
        let wanted = |label: Label| {
            let analysis = analyze(&self.db, &label);
            let providers = analysis.providers.clone().ok()?;
            Some(Wanted { label, providers })
        };
        let targets: Vec<Wanted> = found.iter().cloned().filter_map(wanted).collect();
        // Every reason for which a target is not analyzed is a diagnostic.
        assert_eq!(targets.len(), found.len(), "a target without diagnostics has providers");
        Ok(targets)
    }

    /// Collects the diagnostics of the targets and all their dependencies.
    ///
    /// # Errors
    /// If a pattern has no matches.
    pub fn check(&self, texts: &[String]) -> Result<Checked, DeclarationError> {
        let patterns = self.patterns(texts)?;
        let found = self.labels(&patterns)?;
        let diagnostics = check(&self.db, &patterns);
        let packages: BTreeSet<_> = found.iter().map(|label| &label.package).collect();
        Ok(Checked { n_packages: packages.len(), n_targets: found.len(), diagnostics })
    }

    /// The targets that a query selects.
    ///
    /// # Errors
    /// If the query is invalid.
    pub fn query(&self, text: &str) -> Result<Vec<Found>, DeclarationError> {
        let labels = query(&self.db, text, &self.workspace.here)
            .map_err(|error| DeclarationError::Query { text: text.to_owned(), error })?;
        let found = |label: Label| {
            let rule = match resolve_label(&self.db, &label) {
                Resolution::Found(target) => Some(target.rule),
                Resolution::Broken | Resolution::Unknown(_) => None,
            };
            Found { label, rule }
        };
        Ok(labels.into_iter().map(found).collect())
    }

    fn patterns(&self, texts: &[String]) -> Result<Vec<Pattern>, DeclarationError> {
        let parse = |text: &String| {
            Pattern::parse(text, &self.workspace.here)
                .map_err(|error| DeclarationError::Pattern { text: text.clone(), error })
        };
        texts.iter().map(parse).collect()
    }

    fn labels(&self, patterns: &[Pattern]) -> Result<Vec<Label>, DeclarationError> {
        labels(&self.db, patterns).map_err(DeclarationError::Unknown)
    }
}

impl Checked {
    /// Returns true if there are errors.
    pub fn has_errors(&self) -> bool {
        !self.diagnostics.is_empty()
    }
}

fn origins(targets: &[Arc<Target>]) -> Vec<Origin> {
    let declared = targets.iter().filter_map(|target| origin::declared(&target.record));
    let origins: BTreeSet<Origin> = declared.map(|placed| placed.value).collect();
    origins.into_iter().collect()
}
