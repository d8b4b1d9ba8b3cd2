//! `workspace.kdl`: the name of the workspace, its caches, and the permitted targets of links.

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
    /// Its name; empty if the file does not state it.
    pub name: String,
    /// Files and folders outside of the workspace to which its links may lead; absolute or relative to the workspace.
    pub allowed_outside: Vec<String>,
    /// Maximum number of bytes of the store on this machine; `None` for no limit.
    pub disk_max_bytes: Option<u64>,
    /// Remote caches, in the order of lookups.
    pub remotes: Vec<Remote>,
}

/// A remote cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its URL, such as `grpc://127.0.0.1:8980`.
    pub url: String,
    /// Name of the server's instance.
    pub instance: Option<String>,
    /// URL of the server whose workers run actions.
    pub executor: Option<String>,
    /// True if results made here are uploaded.
    pub upload: bool,
    /// True if a build fails when the remote cache fails.
    pub required: bool,
    /// The blobs of its results that are downloaded: one of [`DOWNLOADS`].
    pub download: Option<String>,
    /// True if compressible blobs are transferred compressed.
    pub compression: bool,
    /// True if only the new chunks of large blobs are transferred.
    pub chunking: bool,
    /// Path of a file of public keys, relative to the workspace; a result must be signed by one of them.
    pub require_signed: Option<String>,
}

/// Values of `download`: only blobs that an action on this machine reads, also the requested outputs, or everything.
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
    "A file or folder outside of the workspace to which links in it may lead.",
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
    doc: "A remote cache, by URL.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[
        optional("instance", ValueKind::Text, "Name of the server's instance."),
        optional("executor", ValueKind::Text, "The server whose workers run actions."),
        switch("upload", "Whether results made here are uploaded."),
        switch("required", "Whether a build fails when the cache fails."),
        optional("download", ValueKind::OneOf(|| DOWNLOADS.to_vec()), "The blobs of results to download."),
        switch("compression", "Whether compressible blobs are transferred compressed."),
        PropertySchema {
            name: "chunking",
            value: ValueKind::Bool,
            presence: Presence::Default("true"),
            doc: "Whether only the new chunks of large blobs are transferred.",
        },
        optional("require-signed", ValueKind::Text, "Public keys, one of which must have signed a result."),
    ],
    children: &[],
};

static CACHE: NodeSchema = NodeSchema {
    name: "cache",
    doc: "Where results are stored.",
    arguments: Arguments::None,
    properties: &[],
    children: &[
        ChildSchema { node: &DISK, occurs: Occurs::Optional },
        ChildSchema { node: &REMOTE, occurs: Occurs::Any },
    ],
};

/// The allowed content of a `workspace.kdl`; its top-level nodes are the children of this one.
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

/// Returns the valid settings; [`crate::check`] reports the invalid ones.
///
/// *Incremental:* equal after an edit that changes no setting.
#[salsa::tracked(returns(clone))]
pub fn workspace(db: &dyn Db) -> Arc<Workspace> {
    Arc::clone(&lower_workspace(db).0)
}

/// Returns the diagnostics of `workspace.kdl`, up to a limit, and the number of further ones.
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
            "Remove it, or write `cache { disk max-size=\"50GB\" }` or `cache { remote \"grpcs://…\" }`";
        let message = "`cache` has no effect without `disk` or `remote`";
        checker.sink.push(Diagnostic::error("cache::empty", message, node.name_span).with_help(help));
    }
    let (found, n_more) = checker.sink.finish();
    // A syntax error may be the cause of all other errors.
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
