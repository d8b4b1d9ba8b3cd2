//! `workspace.kdl`: the name of the workspace, where results are remembered, and where links may lead.

use std::sync::Arc;

use mc_ir::attribute::Record;
use mc_ir::label::PackageId;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};
use mc_syntax::diagnostic::Diagnostic;
use mc_syntax::sink::Sink;

use crate::check_node::Checker;
use crate::db::Db;
use crate::parse::parse;
use crate::path::WORKSPACE_FILE;
use crate::source_file::Request;

/// The settings of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workspace {
    /// Its name; empty when the file does not say it.
    pub name: String,
    /// Files and folders outside of the workspace that links in it may lead to, absolute or relative to the workspace.
    pub allowed_outside: Vec<String>,
    /// How many bytes the store on this machine may take; no limit when absent.
    pub disk_max_bytes: Option<u64>,
    /// Stores of other machines, in the order in which they are asked.
    pub remotes: Vec<Remote>,
}

/// A store of another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it is, such as `grpc://127.0.0.1:8980`.
    pub url: String,
    /// Which of the server's instances.
    pub instance: Option<String>,
    /// Whose workers do steps.
    pub executor: Option<String>,
    /// Whether results made here are sent there.
    pub upload: bool,
    /// Whether a build fails when it does.
    pub required: bool,
    /// Which blobs of its results are fetched: one of [`DOWNLOADS`].
    pub download: Option<String>,
    /// Whether what shrinks travels compressed.
    pub compression: bool,
    /// Whether large blobs travel as the chunks that are new.
    pub chunking: bool,
    /// The file of public keys of which one must have signed a result, seen from the workspace.
    pub require_signed: Option<String>,
}

/// What may be fetched: nothing but what a step on this machine reads, what was asked for, or everything.
pub const DOWNLOADS: [&str; 3] = ["minimal", "toplevel", "all"];

const fn optional(name: &'static str, value: ValueKind, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value, presence: Presence::Optional, doc }
}

const fn switch(name: &'static str, doc: &'static str) -> PropertySchema {
    PropertySchema { name, value: ValueKind::Bool, presence: Presence::Default("false"), doc }
}

static NAME: NodeSchema = NodeSchema::leaf("workspace", "The name of the workspace.", ValueKind::Text);

static ALLOW_OUTSIDE: NodeSchema = NodeSchema::leaf(
    "allow-outside",
    "A file or folder outside of the workspace that links in it may lead to.",
    ValueKind::Text,
);

static DISK: NodeSchema = NodeSchema {
    name: "disk",
    doc: "The store on this machine.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "max-size",
        value: ValueKind::Bytes,
        presence: Presence::Required,
        doc: "Bytes that it may take; what was used least recently is removed beyond that.",
    }],
    children: &[],
};

static REMOTE: NodeSchema = NodeSchema {
    name: "remote",
    doc: "A store of another machine, by URL.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[
        optional("instance", ValueKind::Text, "Which of the server's instances."),
        optional("executor", ValueKind::Text, "The server whose workers do steps."),
        switch("upload", "Whether results made here are sent there."),
        switch("required", "Whether a build fails when the cache does."),
        optional("download", ValueKind::OneOf(|| DOWNLOADS.to_vec()), "Which blobs of results are fetched."),
        switch("compression", "Whether what shrinks travels compressed."),
        PropertySchema {
            name: "chunking",
            value: ValueKind::Bool,
            presence: Presence::Default("true"),
            doc: "Whether large blobs travel as the chunks that are new.",
        },
        optional("require-signed", ValueKind::Text, "Public keys of which one must have signed a result."),
    ],
    children: &[],
};

static CACHE: NodeSchema = NodeSchema {
    name: "cache",
    doc: "Where results are remembered.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &DISK, occurs: Occurs::Optional },
        ChildSchema { node: &REMOTE, occurs: Occurs::Any },
    ],
};

/// What may stand in a `workspace.kdl`; the nodes at its top are the children of this one.
pub static SCHEMA: NodeSchema = NodeSchema {
    name: "",
    doc: "The settings of a workspace.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &NAME, occurs: Occurs::Once },
        ChildSchema { node: &ALLOW_OUTSIDE, occurs: Occurs::Any },
        ChildSchema { node: &CACHE, occurs: Occurs::Optional },
    ],
};

/// The settings, as far as they are right; [`crate::check`] says what is not.
///
/// *Incremental:* equal after an edit that changes no setting.
#[salsa::tracked(returns(clone))]
pub fn workspace(db: &dyn Db) -> Arc<Workspace> {
    Arc::clone(&lower_workspace(db).0)
}

/// The diagnostics of `workspace.kdl`, up to a bound, and the number of further ones.
pub(crate) fn workspace_diagnostics(db: &dyn Db) -> (&[Diagnostic], usize) {
    let (_, diagnostics, n_more) = lower_workspace(db);
    (diagnostics, *n_more)
}

#[salsa::tracked(returns(ref), no_eq)]
fn lower_workspace(db: &dyn Db) -> (Arc<Workspace>, Vec<Diagnostic>, usize) {
    let parsed = parse(db, db.source_file(Request::Declarations(WORKSPACE_FILE.to_owned())));
    let mut diagnostics = parsed.diagnostics.clone();
    let Some(nodes) = parsed.declarations() else {
        return (Arc::default(), diagnostics, parsed.n_more);
    };
    let here = PackageId(String::new());
    let mut checker = Checker::new(&here, Sink::default());
    let record = checker.top(&nodes, &SCHEMA);
    for node in nodes.iter().filter(|node| node.name == CACHE.name && node.children.is_empty()) {
        let help =
            "Leave it out, or write `cache { disk max-size=\"50GB\" }` or `cache { remote \"grpcs://…\" }`";
        let message = "`cache` has no effect without `disk` or `remote`";
        checker.sink.push(Diagnostic::error("cache::empty", message, node.name_span).with_help(help));
    }
    let (found, n_more) = checker.sink.finish();
    // An error of syntax may be the reason for all others.
    if !diagnostics.is_empty() {
        return (Arc::new(settings(&record)), diagnostics, parsed.n_more);
    }
    diagnostics.extend(found);
    (Arc::new(settings(&record)), diagnostics, n_more)
}

fn settings(record: &Record) -> Workspace {
    let cache = record.child("cache");
    let text = |text: Option<&str>| text.map(str::to_owned);
    let remote = |remote: &Record| {
        let is_on = |name| remote.property(name).and_then(|on| on.value.as_bool()).unwrap_or(false);
        let word = |name| remote.property(name).and_then(|word| text(word.value.as_text()));
        Some(Remote {
            url: text(remote.argument()?.value.as_text())?,
            instance: word("instance"),
            executor: word("executor"),
            upload: is_on("upload"),
            required: is_on("required"),
            download: word("download"),
            compression: is_on("compression"),
            chunking: remote.property("chunking").and_then(|on| on.value.as_bool()).unwrap_or(true),
            require_signed: word("require-signed"),
        })
    };
    let max_size = || cache?.child("disk")?.property("max-size")?.value.as_bytes();
    Workspace {
        name: record.value("workspace").and_then(|name| text(name.value.as_text())).unwrap_or_default(),
        allowed_outside: record
            .children("allow-outside")
            .iter()
            .filter_map(|allowed| text(allowed.argument()?.value.as_text()))
            .collect(),
        disk_max_bytes: max_size(),
        remotes: cache.map_or(&[][..], |cache| cache.children("remote")).iter().filter_map(remote).collect(),
    }
}
