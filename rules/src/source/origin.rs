//! Location of the files of a `checkpoint` or an `adapter`: a folder of the package (`dir`), or a remote
//! origin (`hf`, `http`, `oci`), from which they were fetched.
//!
//! This module downloads nothing: the analysis locates the folder of the fetched files. An origin is part of the key
//! only of actions that write it into files; the bytes of the files are part of the key of every action that reads
//! them.

use mc_gguf::split::Place as SeriesPlace;
use mc_ir::attribute::{Place, Placed, Record, Value};
use mc_ir::origin::Origin;
use mc_ir::rule::RuleContext;
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

/// The property that replaces an origin.
pub(crate) const DIR: PropertySchema =
    PropertySchema { name: "dir", value: ValueKind::Path, presence: Presence::Optional, doc: "Its folder." };

/// The property that names a GGUF file in the folder, instead of a Hugging Face checkpoint.
pub(crate) const GGUF: PropertySchema = PropertySchema {
    name: "gguf",
    value: ValueKind::Path,
    presence: Presence::Optional,
    doc: "A GGUF file, or the first of a series. Its path is relative to `dir`, or to the fetched files.",
};

static FILES: NodeSchema = NodeSchema {
    name: "files",
    doc: "Patterns of the files to fetch; by default, those that a checkpoint needs.",
    arguments: Arguments::Many(ValueKind::Text),
    properties: &[],
    children: &[],
};

static FILE: NodeSchema = NodeSchema {
    name: "file",
    doc: "The name of a file below the address.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[],
    children: &[],
};

/// `hf "org/name" revision="…"`.
pub(crate) static HUGGING_FACE: NodeSchema = NodeSchema {
    name: "hf",
    doc: "A repository of Hugging Face, at a commit.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[PropertySchema {
        name: "revision",
        value: ValueKind::Text,
        // A movable revision is rejected later, with the commit to write instead; the default is this branch.
        presence: Presence::Default("main"),
        doc: "The commit, 40 hexadecimal digits.",
    }],
    children: &[ChildSchema { node: &FILES, occurs: Occurs::Optional }],
};

/// `http "https://host/folder/" { file "config.json" }`.
pub(crate) static HTTP: NodeSchema = NodeSchema {
    name: "http",
    doc: "Files of a web server, below an address.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[],
    children: &[ChildSchema { node: &FILE, occurs: Occurs::Any }],
};

/// `oci "registry/repository@sha256:…"`.
pub(crate) static OCI: NodeSchema = NodeSchema {
    name: "oci",
    doc: "An artifact of an OCI registry, whose layers have titles.",
    arguments: Arguments::One(ValueKind::Text),
    properties: &[],
    children: &[],
};

/// Returns the origin that a target declares, with its location; `None` if it has a `dir`.
pub fn declared(record: &Record) -> Option<Placed<Origin>> {
    let text = |placed: &Placed<Value>| placed.value.as_text().unwrap_or_default().to_owned();
    let origin = |node: &Record, origin: Origin| Some(Placed { value: origin, place: node.place });
    if let Some(node) = record.child("hf") {
        let files = node.child("files").map_or(&[][..], |files| files.arguments.as_slice());
        let mut files: Vec<String> = files.iter().map(text).collect();
        if let Some(file) = record.property(GGUF.name).map(text).filter(|_| files.is_empty()) {
            files = gguf_files(&file);
        }
        let revision = node.property("revision").map(text).unwrap_or_default();
        let repository = text(node.argument()?);
        return origin(node, Origin::hugging_face(&repository, &revision, files));
    }
    if let Some(node) = record.child("http") {
        let files = node.children("file").iter().filter_map(|file| file.argument().map(text));
        return origin(node, Origin::http(&text(node.argument()?), files.collect()));
    }
    let node = record.child("oci")?;
    origin(node, Origin::oci(&text(node.argument()?)))
}

/// Returns the patterns of a GGUF and its accompanying files: all files of a series, licenses.
fn gguf_files(name: &str) -> Vec<String> {
    let files = SeriesPlace::of(name).map_or_else(|| vec![name.to_owned()], |place| place.names());
    files.into_iter().chain(["LICENSE*".to_owned(), "LICENCE*".to_owned(), "NOTICE*".to_owned()]).collect()
}

/// Returns the folder with the files of a target, as a path for its context, and the location of its
/// declaration.
///
/// # Errors
/// An error if there is not exactly one such declaration, or if it names files that are not pinned or not
/// fetched.
pub(crate) fn folder(ctx: &dyn RuleContext) -> Result<(String, Place), Vec<RuleError>> {
    let record = ctx.record();
    let places = [
        record.property("dir").map(|dir| dir.place),
        record.child("hf").map(|node| node.place),
        record.child("http").map(|node| node.place),
        record.child("oci").map(|node| node.place),
    ];
    let mut places = places.into_iter().flatten();
    match (places.next(), places.next()) {
        (None, _) => {
            if let Some(file) = record.property(GGUF.name) {
                return Ok((String::new(), file.place));
            }
            let rule_error =
                RuleError::new(record.place, "origin::missing", "The location of the files is missing");
            return Err(vec![rule_error.help("Add `dir=\"folder\"`, or `hf`, `http` or `oci` as a child")]);
        }
        (Some(first), Some(second)) => {
            let rule_error =
                RuleError::new(second, "origin::several", "The location of the files is given twice");
            return Err(vec![rule_error.related(first, "first given here")]);
        }
        (Some(_), None) => {}
    }
    if let Some(dir) = record.property("dir") {
        return Ok((dir.value.as_text().unwrap_or_default().to_owned(), dir.place));
    }
    let Some(Placed { value: origin, place }) = declared(record) else { return Err(Vec::new()) };
    origin.check().map_err(|error| {
        let rule_error = RuleError::new(place, "origin::form", error.message);
        vec![if error.moves { rule_error.help("Run `mc lock` to see what to write") } else { rule_error }]
    })?;
    match ctx.fetched(&origin) {
        Ok(folder) => Ok((folder, place)),
        Err(error) => {
            let rule_error = RuleError::new(place, "origin::fetched", error.message);
            Err(vec![if error.is_missing { rule_error.absence() } else { rule_error }])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gguf_in_a_repository_includes_its_series_and_its_licenses() {
        let licenses = ["LICENSE*", "LICENCE*", "NOTICE*"];
        let wanted = |files: &[&str]| -> Vec<String> {
            files.iter().chain(&licenses).map(|name| (*name).to_owned()).collect()
        };
        assert_eq!(gguf_files("a-Q8_0.gguf"), wanted(&["a-Q8_0.gguf"]));
        assert_eq!(
            gguf_files("a-00001-of-00002.gguf"),
            wanted(&["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"])
        );
    }
}
