//! The declarations of a workspace: its targets, their providers, and diagnostics.

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_analysis::analyze::analyze;
use mc_analysis::check::{LeftOut, check, check_without_weights};
use mc_analysis::database::Database;
use mc_analysis::diagnostic::Diagnostics;
use mc_analysis::disk::Disk;
use mc_analysis::near_packages::near_packages;
use mc_analysis::needed::needed;
use mc_analysis::packages::packages;
use mc_analysis::path::PACKAGE_FILE;
use mc_analysis::patterns::labels;
use mc_analysis::query::evaluate::query;
use mc_analysis::query::locations::{Location, locations, named};
use mc_analysis::resolve::{Resolution, resolve_label};
use mc_analysis::workspace::workspace;
use mc_ir::label::{Label, Pattern};
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::target::Target;
use mc_rules::rules::RULES;
use mc_rules::ship::group::GroupInfo;
use mc_rules::source::origin;

use crate::declaration_error::DeclarationError;
use crate::event::EventSink;
use crate::fetching::files::{bring, folders};
use crate::label_guess::guess;
use crate::settings::declared::DeclaredCache;
use crate::settings::download::Download;
use crate::settings::fetch::FetchSettings;
use crate::settings::store_limit::StoreLimit;
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
    /// The place of its declaration.
    pub location: Location,
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
    /// Targets that could not be checked as a whole, because weights are not on this machine.
    pub left_out: Vec<LeftOut>,
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
        let store_limit = self.store_limit();
        let Some(remote) = workspace.remotes.first() else {
            return DeclaredCache { store_limit, ..DeclaredCache::default() };
        };
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
            store_limit,
            has_more: workspace.remotes.len() > 1,
        }
    }

    /// The size limit that the workspace sets for the store of this machine; `None` if it sets none.
    pub fn store_limit(&self) -> Option<StoreLimit> {
        let max_bytes = workspace(&self.db).disk_max_bytes?;
        Some(StoreLimit { max_bytes, workspace: Some(self.workspace.clone()) })
    }

    /// The remote origins that the targets and their dependencies declare, sorted, without duplicates.
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
        let mut targets = Vec::new();
        let mut seen = BTreeSet::new();
        found.into_iter().for_each(|label| self.analyzed(label, &mut seen, &mut targets));
        Ok(targets)
    }

    /// Adds an analyzed target without diagnostics; for a group, its members. Each is visited once.
    fn analyzed(&self, label: Label, seen: &mut BTreeSet<Label>, targets: &mut Vec<Wanted>) {
        if !seen.insert(label.clone()) {
            return;
        }
        let providers = analyze(&self.db, &label).providers.clone();
        // Every reason for which a target is not analyzed is a diagnostic.
        let providers = providers.expect("a target without diagnostics has providers");
        if let Some(group) = providers.get::<GroupInfo>() {
            group.members.iter().cloned().for_each(|member| self.analyzed(member, seen, targets));
        } else {
            targets.push(Wanted { label, providers });
        }
    }

    /// Reports every error in the targets and their dependencies. Needs only headers and configurations of models;
    /// targets for which these are not on this machine are left out.
    ///
    /// # Errors
    /// If a pattern has no matches.
    pub fn check(&self, texts: &[String]) -> Result<Checked, DeclarationError> {
        let patterns = self.patterns(texts)?;
        let found = self.labels(&patterns)?;
        let (diagnostics, left_out) = check_without_weights(&self.db, &patterns);
        let packages: BTreeSet<_> = found.iter().map(|label| &label.package).collect();
        Ok(Checked { n_packages: packages.len(), n_targets: found.len(), diagnostics, left_out })
    }

    /// The targets that match a query: a path in its order, others sorted.
    ///
    /// # Errors
    /// If the query is invalid.
    pub fn query(&self, text: &str) -> Result<Vec<Found>, DeclarationError> {
        self.query_all(&[text.to_owned()])
    }

    /// The targets that match any of the queries: for a single query in its order, for several sorted.
    ///
    /// # Errors
    /// If a query is wrong.
    pub fn query_all(&self, texts: &[String]) -> Result<Vec<Found>, DeclarationError> {
        let evaluate = |text: &String| {
            query(&self.db, text, &self.workspace.here)
                .map_err(|error| DeclarationError::Query { text: text.clone(), error })
        };
        let mut labels = match texts {
            [text] => return Ok(self.found(evaluate(text)?)),
            texts => texts.iter().map(evaluate).collect::<Result<Vec<_>, _>>()?.concat(),
        };
        labels.sort();
        labels.dedup();
        Ok(self.found(labels))
    }

    fn found(&self, labels: Vec<Label>) -> Vec<Found> {
        let locations = locations(&self.db, &labels);
        let found = |(label, location): (Label, Location)| {
            let rule = match resolve_label(&self.db, &label) {
                Resolution::Found(target) => Some(target.rule),
                Resolution::Broken | Resolution::Unknown(_) => None,
            };
            Found { label, rule, location }
        };
        labels.into_iter().zip(locations).map(found).collect()
    }

    /// The targets that a target names, as far as they exist.
    pub fn named(&self, label: &Label) -> Vec<Label> {
        named(&self.db, label)
    }

    fn patterns(&self, texts: &[String]) -> Result<Vec<Pattern>, DeclarationError> {
        let parse = |text: &String| {
            Pattern::parse(text, &self.workspace.here).map_err(|error| {
                let guess = guess(&self.db, &self.workspace, text);
                DeclarationError::Pattern { text: text.clone(), error, guess }
            })
        };
        texts.iter().map(parse).collect()
    }

    fn labels(&self, patterns: &[Pattern]) -> Result<Vec<Label>, DeclarationError> {
        labels(&self.db, patterns).map_err(|mut errors| {
            if packages(&self.db).is_empty() {
                let help = self.help_for_no_packages();
                errors.iter_mut().for_each(|error| error.help = Some(help.clone()));
            }
            DeclarationError::Unknown(errors)
        })
    }

    /// Says how packages are declared, and which files may have been meant to declare one.
    fn help_for_no_packages(&self) -> String {
        let rule = format!("A package is a folder with a `{PACKAGE_FILE}`");
        match near_packages(&Disk::new(&self.workspace.root)).as_slice() {
            [] => format!("{rule}; write one, such as `models/{PACKAGE_FILE}`"),
            found => format!("{rule}; `{}` is not read", found.join("`, `")),
        }
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
