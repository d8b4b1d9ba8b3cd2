//! The layouts of a bundle: where the model's files lie in its folder, and which files a layout adds. To add one, write
//! a row.

use mc_digest::content_hash::ContentHash;
use mc_ir::schema::{Arguments, NodeSchema, Presence, PropertySchema, ValueKind};
use serde_json::json;

/// The attribute, for `bundle` and for `model`.
pub(crate) static LAYOUT: NodeSchema = NodeSchema {
    name: "layout",
    doc: "The places of the model's files: `folder`, the default; `swift-package` for Xcode; `android-assets` for Gradle.",
    arguments: Arguments::One(ValueKind::OneOf(names)),
    properties: &[MAX_PART_SIZE],
    children: &[],
};

/// The largest file of `android-assets`.
pub(crate) const MAX_PART_SIZE: PropertySchema = PropertySchema {
    name: "max-part-size",
    value: ValueKind::Bytes,
    presence: Presence::Optional,
    doc: "Only for `android-assets`: the size above which a file is cut into parts, which the app joins; by default `1GB`.",
};

/// Below the limit of Google Play for one asset pack, which is 1.5 GB.
pub(crate) const DEFAULT_PART_BYTES: u64 = 1_000_000_000;

/// Number of parts that names with three digits can count.
pub(crate) const MAX_PARTS: u64 = 1000;

/// A layout.
pub(crate) struct Layout {
    /// Its name.
    pub(crate) name: &'static str,
    /// The folder of the model's files, relative to the bundle; empty or ending in `/`.
    pub(crate) folder: fn(&str) -> String,
    /// True if large files are cut into parts.
    pub(crate) has_parts: bool,
    /// The files that the layout adds.
    added: fn(&Placed<'_>) -> Vec<(String, String)>,
}

/// The model whose files a layout places.
pub(crate) struct Placed<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its version.
    pub(crate) version: &'a str,
    /// The name of the file to open, without the folder.
    pub(crate) main_file: &'a str,
    /// The parts of a file that was cut.
    pub(crate) parts: Option<&'a Parts>,
}

/// A file that is cut into parts.
#[derive(Clone, ContentHash, Debug)]
#[content("parts")]
pub(crate) struct Parts {
    /// Index of the file among the model's files.
    #[content("file")]
    pub(crate) file: u64,
    /// The name of the file, without the folder.
    #[content("name")]
    pub(crate) name: String,
    /// Number of parts.
    #[content("count")]
    pub(crate) count: u64,
    /// The largest part.
    #[content("max-bytes")]
    pub(crate) max_bytes: u64,
}

impl Parts {
    /// The name of a part, without the folder.
    pub(crate) fn part_name(&self, number: u64) -> String {
        format!("{}.part-{number:03}", self.name)
    }
}

/// Every layout; the first is the default.
pub(crate) static LAYOUTS: &[Layout] = &[
    Layout { name: "folder", folder: |_| String::new(), has_parts: false, added: |_| Vec::new() },
    Layout {
        name: "swift-package",
        folder: |name| format!("Sources/{0}/Resources/Model/", module(name)),
        has_parts: false,
        added: swift_files,
    },
    Layout {
        name: "android-assets",
        folder: |name| format!("src/main/assets/{}/", module(name).to_ascii_lowercase()),
        has_parts: true,
        added: android_files,
    },
];

fn names() -> Vec<&'static str> {
    LAYOUTS.iter().map(|layout| layout.name).collect()
}

/// The layout with this name.
pub(crate) fn by_name(name: &str) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.name == name)
}

impl Layout {
    /// The files that the layout adds: paths in the bundle, and texts.
    pub(crate) fn added_files(&self, placed: &Placed<'_>) -> Vec<(String, String)> {
        (self.added)(placed)
    }
}

/// A name of a module: letters and digits, the first an upper-case letter.
fn module(name: &str) -> String {
    let words = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let module: String = words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect();
    if module.starts_with(|first: char| first.is_ascii_alphabetic()) {
        module
    } else {
        format!("Model{module}")
    }
}

fn swift_files(placed: &Placed<'_>) -> Vec<(String, String)> {
    let module = module(placed.name);
    let package = format!(
        "// swift-tools-version:5.9\nimport PackageDescription\n\nlet package = Package(\n    name: \"{module}\",\n    \
         products: [.library(name: \"{module}\", targets: [\"{module}\"])],\n    targets: [\n        \
         .target(name: \"{module}\", resources: [.copy(\"Resources/Model\")])\n    ]\n)\n"
    );
    let source = format!(
        "import Foundation\n\n/// The model {module} {version}.\npublic enum {module} {{\n    \
         /// The folder with the files of the model.\n    \
         public static let folder = Bundle.module.resourceURL!.appendingPathComponent(\"Model\")\n\n    \
         /// The file to open.\n    \
         public static let file = folder.appendingPathComponent(\"{file}\")\n}}\n",
        version = placed.version,
        file = placed.main_file,
    );
    vec![("Package.swift".to_owned(), package), (format!("Sources/{module}/{module}.swift"), source)]
}

fn android_files(placed: &Placed<'_>) -> Vec<(String, String)> {
    let Some(parts) = placed.parts else { return Vec::new() };
    let names: Vec<String> = (0..parts.count).map(|number| parts.part_name(number)).collect();
    let list = json!({ "file": parts.name, "parts": names });
    let folder = module(placed.name).to_ascii_lowercase();
    vec![(format!("src/main/assets/{folder}/parts.json"), format!("{list:#}\n"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_identifiers() {
        let modules = ["Roadtrip", "road-trip 3.2", "7b", "…"].map(module);
        assert_eq!(modules, ["Roadtrip", "RoadTrip32", "Model7b", "Model"]);
    }

    #[test]
    fn a_layout_adds_what_its_build_system_reads() {
        let parts = Parts { file: 0, name: "a.litertlm".to_owned(), count: 2, max_bytes: 10 };
        let placed = Placed { name: "App", version: "1.0", main_file: "a.litertlm", parts: Some(&parts) };
        let names = |layout: &str| -> Vec<String> {
            by_name(layout).unwrap().added_files(&placed).into_iter().map(|(name, _)| name).collect()
        };
        assert!(names("folder").is_empty());
        assert_eq!(names("swift-package"), ["Package.swift", "Sources/App/App.swift"]);
        assert_eq!(names("android-assets"), ["src/main/assets/app/parts.json"]);
        let (_, list) = by_name("android-assets").unwrap().added_files(&placed).remove(0);
        assert!(list.contains("a.litertlm.part-001"), "{list}");
    }
}
