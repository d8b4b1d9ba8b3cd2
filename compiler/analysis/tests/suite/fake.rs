//! A workspace in memory, and rules for tests.

use mc_analysis::database::Database;
use mc_analysis::db::AnyRule;
use mc_analysis::execution_log::ExecutionLog;
use mc_analysis::memory::Memory;
use mc_ir::attribute::Placed;
use mc_ir::label::{Label, PackageId, Pattern};
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_ir::target::Target;

/// The provider of every rule here.
#[derive(Debug, PartialEq)]
pub(crate) struct Words(pub(crate) String);

pub(crate) static RULES: &[&AnyRule] = &[&Note, &Join, &Count, &Folder, &Pair, &Everything, &Rogue];

const fn node(
    name: &'static str,
    arguments: Arguments,
    properties: &'static [PropertySchema],
    children: &'static [ChildSchema],
) -> NodeSchema {
    NodeSchema { name, doc: "For tests.", arguments, properties, children }
}

const fn property(name: &'static str, value: ValueKind, presence: Presence) -> PropertySchema {
    PropertySchema { name, value, presence, doc: "For tests." }
}

const fn value(name: &'static str, kind: ValueKind) -> NodeSchema {
    node(name, Arguments::One(kind), &[], &[])
}

static FILE: NodeSchema = value("file", ValueKind::Path);
static PART: NodeSchema = value("part", ValueKind::Label);
static OF: NodeSchema = value("of", ValueKind::Label);
static FILES: NodeSchema = value("files", ValueKind::Glob);
static LEFT: NodeSchema = value("left", ValueKind::Path);
static RIGHT: NodeSchema = value("right", ValueKind::Path);

/// `note "n" file="a.txt"`: provides the words of a file.
struct Note;

static NOTE: NodeSchema =
    node("note", Arguments::None, &[], &[ChildSchema { node: &FILE, occurs: Occurs::Once }]);

impl Rule for Note {
    fn schema(&self) -> &'static NodeSchema {
        &NOTE
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let file = ctx.record().value("file").expect("the schema asks for it");
        let path = file.value.as_text().expect("the schema says so");
        match ctx.read(path) {
            Ok(bytes) => Ok(Providers::default().with(Words(String::from_utf8_lossy(&bytes).into_owned()))),
            Err(error) => Err(vec![RuleError::new(file.place, "note::file", error.to_string())]),
        }
    }
}

/// `join "j" { part ":a"; part ":b" }`: provides the words of other targets.
struct Join;

static JOIN: NodeSchema = node(
    "join",
    Arguments::None,
    &[property("separator", ValueKind::Text, Presence::Default(" "))],
    &[ChildSchema { node: &PART, occurs: Occurs::Any }],
);

impl Rule for Join {
    fn schema(&self) -> &'static NodeSchema {
        &JOIN
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let mut words = Vec::new();
        for Placed { value, .. } in ctx.record().labels() {
            let Ok(providers) = ctx.providers(&value) else {
                return Err(Vec::new());
            };
            words.push(providers.get::<Words>().expect("every rule gives words").0.clone());
        }
        let separator = ctx.record().property("separator").expect("it has a default");
        let words = words.join(separator.value.as_text().expect("the schema says so"));
        Ok(Providers::default().with(Words(words)))
    }
}

/// `count "c" of=":a"`: provides the number of letters of another target. Other letters with the same count give equal
/// providers.
struct Count;

static COUNT: NodeSchema =
    node("count", Arguments::None, &[], &[ChildSchema { node: &OF, occurs: Occurs::Once }]);

impl Rule for Count {
    fn schema(&self) -> &'static NodeSchema {
        &COUNT
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let of = ctx.record().value("of").and_then(|of| of.value.as_label()).expect("the schema asks for it");
        let providers = ctx.providers(of).map_err(|_| Vec::new())?;
        let words = providers.get::<Words>().expect("every rule gives words");
        Ok(Providers::default().with(Words(words.0.len().to_string())))
    }
}

/// `folder "f" files="data/*.txt"`: provides the names of the matching files.
struct Folder;

static FOLDER: NodeSchema =
    node("folder", Arguments::None, &[], &[ChildSchema { node: &FILES, occurs: Occurs::Once }]);

impl Rule for Folder {
    fn schema(&self) -> &'static NodeSchema {
        &FOLDER
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let files = ctx.record().value("files").expect("the schema asks for it");
        match ctx.glob(files.value.as_text().expect("the schema says so")) {
            Ok(names) => Ok(Providers::default().with(Words(names.join(" ")))),
            Err(error) => Err(vec![RuleError::new(files.place, "folder::files", error.to_string())]),
        }
    }
}

/// `pair "p" left="a.txt" right="b.txt"`: expands into two notes and a join of them.
struct Pair;

static PAIR: NodeSchema = node(
    "pair",
    Arguments::None,
    &[],
    &[ChildSchema { node: &LEFT, occurs: Occurs::Once }, ChildSchema { node: &RIGHT, occurs: Occurs::Once }],
);

impl Rule for Pair {
    fn schema(&self) -> &'static NodeSchema {
        &PAIR
    }

    fn expand(&self, target: Target) -> Result<Vec<Target>, Vec<RuleError>> {
        let mut whole = target;
        let mut targets = Vec::new();
        for side in ["left", "right"] {
            let written = whole.record.children.remove(side).expect("the schema asks for it").remove(0);
            if written.argument().is_some_and(|path| path.value.as_text() == Some("never.txt")) {
                return Err(vec![RuleError::new(
                    written.place,
                    "pair::never",
                    "`never.txt` is never a side",
                )]);
            }
            let label = Label::new(whole.label.package.clone(), format!("{}-{side}", whole.label.name));
            let mut part = mc_ir::attribute::Record::new(whole.record.place);
            part.arguments
                .push(Placed { value: mc_ir::attribute::Value::Label(label.clone()), place: written.place });
            whole.record.children.entry("part".to_owned()).or_default().push(part);
            let mut record = mc_ir::attribute::Record::new(whole.record.place);
            record.children.insert("file".to_owned(), vec![written]);
            targets.push(Target { label, rule: "note", record, expanded_from: None });
        }
        whole.rule = "join";
        let separator =
            Placed { value: mc_ir::attribute::Value::Text("+".to_owned()), place: whole.record.place };
        whole.record.properties.insert("separator".to_owned(), separator);
        targets.push(whole);
        Ok(targets)
    }

    fn analyze(&self, _ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        Err(vec![])
    }
}

/// `everything "e" …`: has an attribute of each kind.
struct Everything;

fn colors() -> Vec<&'static str> {
    vec!["red", "green", "blue"]
}

static LIMIT: NodeSchema =
    node("limit", Arguments::None, &[property("max", ValueKind::Bytes, Presence::Required)], &[]);
static WORDS: NodeSchema = node("words", Arguments::Many(ValueKind::Text), &[], &[]);

static EVERYTHING: NodeSchema = node(
    "everything",
    Arguments::None,
    &[
        property("text", ValueKind::Text, Presence::Optional),
        property("color", ValueKind::OneOf(colors), Presence::Optional),
        property("integer", ValueKind::Integer, Presence::Optional),
        property("number", ValueKind::Number, Presence::Optional),
        property("bool", ValueKind::Bool, Presence::Optional),
        property("label", ValueKind::Label, Presence::Optional),
        property("path", ValueKind::Path, Presence::Optional),
        property("glob", ValueKind::Glob, Presence::Optional),
        property("bytes", ValueKind::Bytes, Presence::Optional),
        property("fraction", ValueKind::Fraction, Presence::Optional),
    ],
    &[
        ChildSchema { node: &LIMIT, occurs: Occurs::Optional },
        ChildSchema { node: &WORDS, occurs: Occurs::Optional },
    ],
);

impl Rule for Everything {
    fn schema(&self) -> &'static NodeSchema {
        &EVERYTHING
    }

    fn analyze(&self, _ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        Ok(Providers::default())
    }
}

/// `rogue "…"`: does something that rules must not do, chosen by its name.
struct Rogue;

static ROGUE: NodeSchema = node("rogue", Arguments::None, &[], &[]);

impl Rule for Rogue {
    fn schema(&self) -> &'static NodeSchema {
        &ROGUE
    }

    fn expand(&self, target: Target) -> Result<Vec<Target>, Vec<RuleError>> {
        let part = |label, rule| Target { label, rule, record: target.record.clone(), expanded_from: None };
        let part = match target.label.name.as_str() {
            "declares" => Some(part(label("//elsewhere:part"), "note")),
            "invents" => Some(part(Label::new(target.label.package.clone(), "part"), "no-such-rule")),
            _ => None,
        };
        Ok(part.into_iter().chain([target]).collect())
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let rule_error = |text: String| vec![RuleError::new(ctx.record().place, "rogue::read", text)];
        match ctx.label().name.as_str() {
            // A rule that ignores the error fails all the same.
            "asks" => {
                Ok(ctx.providers(&label("//:a")).map_or_else(|_| Providers::default(), |_| unreachable!()))
            }
            "reads" => match ctx.read("../../etc/passwd") {
                Ok(_) => Err(rule_error("It left the package".to_owned())),
                Err(error) => Err(rule_error(error.to_string())),
            },
            _ => Ok(Providers::default()),
        }
    }
}

/// A database over files in memory, the files, and the log of executed queries.
pub(crate) struct Fixture {
    pub(crate) db: Database,
    pub(crate) files: Memory,
    log: ExecutionLog,
}

impl Fixture {
    /// Creates files by path and text. Adds a `workspace.kdl` if there is none.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let memory = Memory::new(files);
        if !files.iter().any(|(path, _)| *path == "workspace.kdl") {
            memory.write("workspace.kdl", b"workspace \"test\"\n");
        }
        Self::over(memory)
    }

    pub(crate) fn over(files: Memory) -> Self {
        let log = ExecutionLog::default();
        let db = Database::with_log("/root", RULES, files.clone(), &log);
        Self { db, files, log }
    }

    /// The queries that ran since the last call, sorted, because their order does not matter here.
    pub(crate) fn executed(&self) -> Vec<String> {
        let mut executed = self.log.take(&self.db);
        executed.sort();
        executed
    }
}

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text, &PackageId(String::new())).expect("tests name labels")
}

pub(crate) fn pattern(text: &str) -> Pattern {
    Pattern::parse(text, &PackageId(String::new())).expect("tests name patterns")
}
