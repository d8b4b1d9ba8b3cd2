//! From a label to its target, or to what the writer may have meant.

use std::sync::Arc;

use mc_ir::label::Label;
use mc_ir::target::Target;

use crate::db::Db;
use crate::keys::{TargetKey, package_key, target_key};
use crate::package::{Package, package, package_of, packages};
use crate::path::{PACKAGE_FILE, package_file};
use crate::suggest::{did_you_mean, guess};

/// What a label stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// A target.
    Found(Arc<Target>),
    /// A target whose declaration is wrong, or may be lost behind a mistake in its file; that is reported there.
    Broken,
    /// Nothing.
    Unknown(Unknown),
}

/// Why a label stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was expected and what was found.
    pub message: String,
    /// What the writer may have meant.
    pub help: Option<String>,
}

/// What a label stands for.
///
/// *Incremental:* depends on the label's own package; on the others only while the label stands for nothing.
pub fn resolve_label(db: &dyn Db, label: &Label) -> Resolution {
    resolve(db, target_key(db, label))
}

#[salsa::tracked(returns(clone))]
pub(crate) fn resolve<'db>(db: &'db dyn Db, key: TargetKey<'db>) -> Resolution {
    let label = key.label(db);
    let package = package(db, package_key(db, &label.package));
    if let Some(target) = package.targets.get(&label.name) {
        return Resolution::Found(Arc::clone(target));
    }
    if package.declared.contains_key(&label.name) || package.is_partial {
        return Resolution::Broken;
    }
    Resolution::Unknown(if package.exists {
        unknown_target(db, label, &package)
    } else {
        unknown_package(db, label)
    })
}

fn unknown_target(db: &dyn Db, label: &Label, package: &Package) -> Unknown {
    let message = format!("There is no target `{label}`");
    let names: Vec<&str> = package.names().collect();
    let near = guess(&label.name, names.iter().copied())
        .map(|name| format!("Did you mean `{}`?", Label::new(label.package.clone(), name)));
    let help = near.or_else(|| elsewhere(db, label)).unwrap_or_else(|| match names.as_slice() {
        [] => format!("`{}` declares no targets", label.package),
        names => format!("`{}` declares {}", label.package, list(names)),
    });
    Unknown { message, help: Some(help) }
}

fn unknown_package(db: &dyn Db, label: &Label) -> Unknown {
    let message = format!("There is no package `{}`", label.package);
    let packages: Vec<String> = packages(db).iter().map(ToString::to_string).collect();
    let near = did_you_mean(&label.package.to_string(), packages.iter().map(String::as_str));
    let help = near.or_else(|| elsewhere(db, label)).unwrap_or_else(|| {
        let file = package_file(&label.package);
        format!("A package is a folder with a `{PACKAGE_FILE}`; `{file}` does not exist")
    });
    Unknown { message, help: Some(help) }
}

/// The same name, or a near one, in another package.
fn elsewhere(db: &dyn Db, label: &Label) -> Option<String> {
    let mut all = Vec::new();
    for id in packages(db).iter() {
        let package = package_of(db, id);
        if let Some(name) = package.names().find(|name| *name == label.name) {
            return Some(format!("Did you mean `{}`?", Label::new(id.clone(), name)));
        }
        all.extend(package.names().map(|name| Label::new(id.clone(), name)));
    }
    let near = guess(&label.name, all.iter().map(|label| label.name.as_str()))?;
    all.iter().find(|label| label.name == near).map(|label| format!("Did you mean `{label}`?"))
}

/// The first few names.
fn list(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let rest = names.len().saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}
