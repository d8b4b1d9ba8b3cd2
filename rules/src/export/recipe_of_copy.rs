//! The recipe of a GGUF that is copied, from the types in it.

use mc_gguf::recipes;

use crate::export::export_info::TypeShare;
use crate::source::model_info::ModelInfo;

/// The recipe that the file's key names, if most bytes are of its main type; else the type of most bytes.
///
/// A file may state anything about itself, and the key of a file with several types is often that of another recipe.
pub(crate) fn recipe_of_copy(model: &ModelInfo, types: &[TypeShare]) -> String {
    let main = types.first().map_or("F32", |share| share.kind.as_str());
    let stated = model.files.head.as_ref().and_then(|head| head.recipe);
    let stated = stated.and_then(recipes::by_name).filter(|recipe| recipe.default.name == main);
    stated.map_or(main, |recipe| recipe.name).to_owned()
}
