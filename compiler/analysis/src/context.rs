//! Implementation of the queries of a rule; every answer is a salsa query or input.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use mc_ir::action::Source;
use mc_ir::attribute::Record;
use mc_ir::label::Label;
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{DependencyFailed, Head, HeadFormat, RuleContext, SourceError};
use mc_ir::rule_error::RuleError;
use mc_ir::target::Target;

use crate::db::Db;
use crate::file_system::unusable;
use crate::outside;
use crate::path::{join, normalize};
use crate::source_file::{Content, Request};

/// Query that returns the providers of a target. Passed as a parameter, because the query itself creates contexts.
pub(crate) type ProvidersOf = fn(&dyn Db, &Label) -> Result<Arc<Providers>, DependencyFailed>;

/// The context of one target.
pub(crate) struct Context<'a> {
    db: &'a dyn Db,
    target: &'a Target,
    providers_of: ProvidersOf,
    /// Every label that the target names; computed on first use.
    named: OnceCell<BTreeSet<Label>>,
    rule_errors: RefCell<Vec<RuleError>>,
    /// Folders outside the package that the rule has received.
    fetched: RefCell<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(db: &'a dyn Db, target: &'a Target, providers_of: ProvidersOf) -> Self {
        let (rule_errors, fetched) = (RefCell::default(), RefCell::default());
        Self { db, target, providers_of, named: OnceCell::new(), rule_errors, fetched }
    }

    /// Returns the errors: forbidden operations of the rule, and forbidden sources.
    pub(crate) fn into_rule_errors(self) -> Vec<RuleError> {
        self.rule_errors.into_inner()
    }

    /// The path if it lies in a folder that this target received from [`RuleContext::fetched`].
    fn in_fetched(&self, path: &str) -> Option<String> {
        let fetched = self.fetched.borrow();
        fetched.iter().find_map(|folder| match path.strip_prefix(folder.as_str())? {
            "" => Some(folder.clone()),
            rest => Some(join(folder, &normalize(rest.strip_prefix('/')?).ok()?)),
        })
    }

    /// Converts a path of the package to one relative to the workspace, and checks that it leads out only with
    /// permission. A path in a folder of fetched files is returned unchanged.
    fn in_workspace(&self, path: &str) -> Result<String, SourceError> {
        if let Some(path) = self.in_fetched(path) {
            return Ok(path);
        }
        let package = &self.target.label.package.0;
        let path = normalize(path)
            .map_err(|reason| unusable(path, &format!("is not a path inside the package: {reason}")))?;
        let path = join(package, &path);
        outside::check(self.db, &path)?;
        Ok(path)
    }

    fn ask(&self, request: Request) -> Result<Content, SourceError> {
        self.db.source_file(request).content(self.db).clone()
    }

    fn names(&self, request: Request) -> Result<Arc<[String]>, SourceError> {
        match self.ask(request)? {
            Content::Names(names) => Ok(names),
            Content::Bytes(_) | Content::Head(_) | Content::Outside(_) => {
                unreachable!("lists, patterns and origins are answered by names")
            }
        }
    }
}

impl RuleContext for Context<'_> {
    fn label(&self) -> &Label {
        &self.target.label
    }

    fn record(&self) -> &Record {
        &self.target.record
    }

    fn providers(&self, label: &Label) -> Result<Arc<Providers>, DependencyFailed> {
        let labels = || self.target.record.labels().into_iter().map(|placed| placed.value).collect();
        if !self.named.get_or_init(labels).contains(label) {
            // A bug in the rule. An answer could close a cycle that the walk over declarations has not seen.
            let message =
                format!("The rule `{}` requests `{label}`, which the target does not name", self.target.rule);
            self.rule_errors.borrow_mut().push(RuleError::new(
                self.target.record.place,
                "analysis::undeclared",
                message,
            ));
            return Err(DependencyFailed);
        }
        (self.providers_of)(self.db, label)
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>, SourceError> {
        match self.ask(Request::Whole(self.in_workspace(path)?))? {
            Content::Bytes(bytes) => Ok(bytes),
            Content::Head(_) | Content::Names(_) | Content::Outside(_) => {
                unreachable!("files are answered by bytes")
            }
        }
    }

    fn read_head(&self, path: &str, format: HeadFormat) -> Result<Head, SourceError> {
        match self.ask(Request::Head(self.in_workspace(path)?, format))? {
            Content::Head(head) => Ok(head),
            Content::Bytes(_) | Content::Names(_) | Content::Outside(_) => {
                unreachable!("containers are answered by heads")
            }
        }
    }

    fn list(&self, folder: &str) -> Result<Arc<[String]>, SourceError> {
        // The package's own folder has an empty path.
        let folder = match folder {
            "" => self.target.label.package.0.clone(),
            folder => self.in_workspace(folder)?,
        };
        self.names(Request::List(folder))
    }

    fn glob(&self, pattern: &str) -> Result<Arc<[String]>, SourceError> {
        let pattern = normalize(pattern)
            .map_err(|reason| unusable(pattern, &format!("is not a pattern inside the package: {reason}")))?;
        let package = &self.target.label.package.0;
        let names = self.names(Request::Glob { folder: package.clone(), pattern })?;
        names.iter().try_for_each(|name| outside::check(self.db, &join(package, name)))?;
        Ok(names)
    }

    fn source(&self, path: &str) -> Source {
        // Rules take paths from attributes, which are normalized already, or from `list` and `glob`. Any other path
        // still stays below the package.
        let path = self.in_fetched(path).map_or_else(
            || {
                let path = join(&self.target.label.package.0, &normalize(path).unwrap_or_default());
                // A file that was not read during the analysis is first read when its action runs.
                if let Err(error) = outside::check(self.db, &path) {
                    let rule_error =
                        RuleError::new(self.target.record.place, "source::outside", error.message);
                    self.rule_errors.borrow_mut().push(rule_error.file(error.path));
                }
                self.db.root().join(path)
            },
            PathBuf::from,
        );
        Source { path: path.into(), range: None }
    }

    fn fetched(&self, origin: &Origin) -> Result<String, SourceError> {
        let names = self.names(Request::Fetched(origin.clone()))?;
        let folder = names.first().cloned().unwrap_or_default();
        self.fetched.borrow_mut().push(folder.clone());
        Ok(folder)
    }
}
