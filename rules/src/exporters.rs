//! The table of formats to which models are written. To add one, write a crate for it, a rule in `export`,
//! and a row here and in [`crate::rules`].
//!
//! The table is below all folders because code that opens an exported model, or reads one as a source, looks
//! up its format here.

use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::container::Container;
use mc_exporter::exporter::Exporter;
use mc_exporter::format_error::FormatError;
use mc_exporter::model_file::ModelFile;
use mc_gguf::exporter::GgufExporter;
use mc_litert::exporter::LitertExporter;
use mc_mlx::exporter::MlxExporter;
use mc_onnx::exporter::OnnxExporter;

/// Every format, in the order of the manual.
pub static EXPORTERS: &[&dyn Exporter] = &[&GgufExporter, &MlxExporter, &OnnxExporter, &LitertExporter];

/// Returns the format with this name.
pub fn by_name(name: &str) -> Option<&'static dyn Exporter> {
    EXPORTERS.iter().copied().find(|exporter| exporter.name() == name)
}

/// Returns the name of a format as people write it.
pub fn title(name: &str) -> &str {
    by_name(name).map_or(name, |exporter| exporter.title())
}

/// Returns every format whose files can be read.
pub fn containers() -> impl Iterator<Item = &'static dyn Container> {
    EXPORTERS.iter().filter_map(|exporter| exporter.container())
}

/// Recognizes the format of a file by its first bytes, if its files can be read.
pub fn recognized(head: &[u8]) -> Option<&'static dyn Container> {
    containers().find(|container| container.recognizes(head))
}

/// Recognizes a format whose files do not describe themselves by the name of the file to open.
pub fn of_main_file(name: &str) -> Option<&'static dyn Exporter> {
    EXPORTERS.iter().copied().find(|exporter| exporter.is_main_file(name))
}

/// Opens the model in a file of any format.
///
/// * `head`: the file's first bytes, at least its whole head
/// * `n_bytes`: length of the whole file
///
/// # Errors
/// Fails if no format recognizes it, or if the one that does finds it corrupt.
pub fn open(head: &[u8], n_bytes: u64) -> Result<ModelFile, FormatError> {
    read(head, |container| container.open(head, n_bytes))
}

/// Reads the vocabulary in a head of any format.
///
/// # Errors
/// Same as [`open`].
pub fn vocabulary(head: &[u8]) -> Result<Vocabulary, FormatError> {
    read(head, |container| container.vocabulary(head))
}

fn read<T>(head: &[u8], read: impl Fn(&dyn Container) -> Result<T, FormatError>) -> Result<T, FormatError> {
    if let Some(container) = recognized(head) {
        return read(container);
    }
    // No format recognizes the file, so the error lists what each format expected.
    let messages: Vec<String> =
        containers().filter_map(|container| read(container).err()).map(|error| error.message).collect();
    Err(FormatError::new(messages.join("; ")))
}
