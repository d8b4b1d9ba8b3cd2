//! Folders of fetched files: the only ones outside the package in which rules may read.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use mc_analysis::analyze::analyze;
use mc_analysis::database::Database;
use mc_analysis::db::AnyRule;
use mc_analysis::disk::{Disk, NotFetched};
use mc_analysis::needed::needed;
use mc_ir::attribute::Place;
use mc_ir::origin::Origin;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, NodeSchema, Presence, PropertySchema, ValueKind};

use crate::fake::{Words, label, pattern};

/// `far "f" from="https://host/"`: provides the contents of the file `a` of that origin.
struct Far;

static FAR: NodeSchema = NodeSchema {
    name: "far",
    doc: "For tests.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "from",
        value: ValueKind::Text,
        presence: Presence::Required,
        doc: "For tests.",
    }],
    children: &[],
};

static RULES: &[&AnyRule] = &[&Far];

impl Rule for Far {
    fn schema(&self) -> &'static NodeSchema {
        &FAR
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let from = ctx.record().property("from").and_then(|from| from.value.as_text()).unwrap_or_default();
        let rule_error = |message: String| vec![RuleError::new(Place(0), "far::fetched", message)];
        let origin = Origin::http(from, vec!["a".to_owned()]);
        let folder = ctx.fetched(&origin).map_err(|error| rule_error(error.to_string()))?;
        let names = ctx.list(&folder).map_err(|error| rule_error(error.to_string()))?;
        let bytes = ctx.read(&format!("{folder}/a")).map_err(|error| rule_error(error.to_string()))?;
        let source = ctx.source(&format!("{folder}/a")).path;
        assert!(source.is_absolute() && source.exists(), "{}", source.display());
        for outside in [format!("{folder}/../a"), format!("{folder}x"), "/etc/passwd".to_owned()] {
            assert!(ctx.read(&outside).is_err(), "{outside}");
            assert!(!ctx.source(&outside).path.is_file(), "{outside}");
        }
        let words = format!("{}: {}", names.join(", "), String::from_utf8_lossy(&bytes));
        Ok(Providers::default().with(Words(words)))
    }
}

#[test]
fn a_rule_reads_in_the_folder_that_it_received_and_no_other() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("fetched-{}", std::process::id()));
    let (workspace, store) = (root.join("workspace"), root.join("store"));
    fs::create_dir_all(&workspace).unwrap();
    fs::create_dir_all(store.join("here")).unwrap();
    fs::write(store.join("a"), "outside").unwrap();
    fs::write(store.join("here/a"), "inside").unwrap();
    fs::write(workspace.join("workspace.kdl"), "workspace \"test\"\n").unwrap();
    let text = "far \"f\" from=\"https://here/\"\nfar \"g\" from=\"https://there/\"\n";
    fs::write(workspace.join("package.kdl"), text).unwrap();
    let disk = Disk::new(&workspace).with_fetched(move |origin| match origin {
        Origin::Http { base, .. } if base == "https://here/" => Ok(store.join("here")),
        _ => Err(NotFetched { message: format!("{origin} is far away"), is_pinned: true }),
    });
    let db = Database::new(&workspace, RULES, disk);
    let found = analyze(&db, &label("//:f"));
    assert_eq!(found.providers.as_ref().unwrap().get::<Words>().unwrap().0, "a: inside");
    let refused = analyze(&db, &label("//:g"));
    assert_eq!(refused.rule_errors[0].message, "http \"https://there/\" is far away");

    let targets = needed(&db, &[pattern("//...")]).unwrap();
    let names: BTreeSet<&str> = targets.iter().map(|target| target.label.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["f", "g"]));
    fs::write(workspace.join("package.kdl"), format!("{text}far \"h\"\n")).unwrap();
    let mut db = db;
    db.refresh();
    let wrong = needed(&db, &[pattern("//...")]).unwrap_err();
    assert_eq!(wrong.shown[0].diagnostic.message, "`far` needs `from`");
    fs::remove_dir_all(root).unwrap();
}
