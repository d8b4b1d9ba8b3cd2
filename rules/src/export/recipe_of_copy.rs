//! Determines the recipe of a copied GGUF from the types of its tensors.

use mc_gguf::recipes;

use crate::export::export_info::TypeShare;
use crate::source::model_info::ModelInfo;

/// Returns the recipe that the file's key names if most bytes have its main type; otherwise the type of most bytes.
///
/// The key alone is not reliable: in a file with several types it often names another recipe.
pub(crate) fn recipe_of_copy(model: &ModelInfo, types: &[TypeShare]) -> String {
    let main = types.first().map_or("F32", |share| share.kind.as_str());
    let stated = model.files.head.as_ref().and_then(|head| head.recipe);
    let stated = stated.and_then(recipes::by_name).filter(|recipe| recipe.default.name == main);
    stated.map_or(main, |recipe| recipe.name).to_owned()
}
