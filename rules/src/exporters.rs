//! The table of formats that models are written in. Adding one is a crate of its own, a rule in `export`, and a row here
//! and in [`crate::rules`].
//!
//! The table stands below all folders, because whoever opens a model that was written, or reads one to make something
//! else of it, asks here which format it is in.

use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::container::Container;
use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_file::ModelFile;
use mc_gguf::exporter::GgufExporter;

/// Every format, in the order of the manual.
pub static EXPORTERS: &[&dyn Exporter] = &[&GgufExporter];

/// The format of a name.
pub fn by_name(name: &str) -> Option<&'static dyn Exporter> {
    EXPORTERS.iter().copied().find(|exporter| exporter.name() == name)
}

/// The name of a format as people write it.
pub fn title(name: &str) -> &str {
    by_name(name).map_or(name, |exporter| exporter.title())
}

/// Every format whose files are read.
pub fn containers() -> impl Iterator<Item = &'static dyn Container> {
    EXPORTERS.iter().filter_map(|exporter| exporter.container())
}

/// The format of a file that begins so, if its files are read.
pub fn recognized(head: &[u8]) -> Option<&'static dyn Container> {
    containers().find(|container| container.recognizes(head))
}

/// The model in a file of any format.
///
/// * `head`: the file's first bytes, at least its whole head
/// * `n_bytes`: length of the whole file
///
/// # Errors
/// When no format recognizes it, or the one that does finds it broken.
pub fn open(head: &[u8], n_bytes: u64) -> Result<ModelFile, FormatError> {
    read(head, |container| container.open(head, n_bytes))
}

/// The vocabulary in a head of any format.
///
/// # Errors
/// As [`open`].
pub fn vocabulary(head: &[u8]) -> Result<Vocabulary, FormatError> {
    read(head, |container| container.vocabulary(head))
}

fn read<T>(head: &[u8], read: impl Fn(&dyn Container) -> Result<T, FormatError>) -> Result<T, FormatError> {
    if let Some(container) = recognized(head) {
        return read(container);
    }
    // Each format says best what it expected.
    let messages: Vec<String> =
        containers().filter_map(|container| read(container).err()).map(|error| error.message).collect();
    Err(FormatError::new(messages.join("; ")))
}
