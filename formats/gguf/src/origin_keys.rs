//! Keys of the GGUF from which a model was read, for files made from that model.
//!
//! Keys are copied, because a file may have keys that are unknown here; only those that no longer apply are replaced.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::format_error::FormatError;
use mc_exporter::identity::Identity;

use crate::architecture;
use crate::identity_keys::{identity_keys, is_about_identity};
use crate::key_writer::Keys;
use crate::reader::Gguf;
use crate::split::{COUNT_KEY, NUMBER_KEY, TENSORS_KEY};
use crate::value::Value;
use crate::vocabulary_keys::vocabulary_keys;

/// Prefix of the keys that describe the provenance of files that we write.
pub(crate) const OURS: &str = "mc.";

/// The keys that stay the same if no tensor changes: all but the position in a series and the alignment, which the new
/// file determines.
pub(crate) fn copied(head: &Gguf) -> Keys {
    let is_of_file = |name: &str| [NUMBER_KEY, COUNT_KEY, TENSORS_KEY, "general.alignment"].contains(&name);
    head.to_keys().into_iter().filter(|(name, _)| !is_of_file(name)).collect()
}

/// The properties of a model that differ from its head's keys.
pub(crate) struct Changes<'a> {
    /// The new name of the model.
    pub(crate) name: &'a str,
    /// The number of the recipe.
    pub(crate) file_type: u32,
    /// The program that quantizes the model, if any.
    pub(crate) quantized_by: Option<&'a str>,
    /// The published facts about the model.
    pub(crate) identity: &'a Identity,
    /// True if they replace those of the head, because the weights changed.
    pub(crate) is_changed: bool,
    /// Number of the model's parameters, used if the facts do not state it.
    pub(crate) size_label: &'a str,
    /// The computation of the model.
    pub(crate) decoder: &'a Decoder,
    /// The vocabulary, if it differs from the head's.
    pub(crate) vocabulary: Option<&'a Vocabulary>,
}

impl Changes<'_> {
    /// The keys of a file made from the head's model.
    ///
    /// # Errors
    /// If the number of layers changed and a key has a value per layer.
    pub(crate) fn keys(&self, head: &Gguf) -> Result<Keys, FormatError> {
        let mut keys = copied(head);
        keys.retain(|(name, _)| !name.starts_with(OURS));
        set(&mut keys, "general.name", Value::Text(self.name.to_owned()));
        set(&mut keys, "general.file_type", Value::U32(self.file_type));
        match self.quantized_by {
            Some(program) => set(&mut keys, "general.quantized_by", Value::Text(program.to_owned())),
            None => keys.retain(|(name, _)| name != "general.quantized_by"),
        }
        set(&mut keys, "general.quantization_version", Value::U32(2));
        let names_no_parent = keys.iter().all(|(name, _)| !name.starts_with("general.base_model."));
        if self.is_changed {
            keys.retain(|(name, _)| !is_about_identity(name));
            insert_identity(&mut keys, identity_keys(self.identity, Some(self.size_label)));
        } else if names_no_parent {
            let parents = Identity { base_models: self.identity.base_models.clone(), ..Identity::default() };
            insert_identity(&mut keys, identity_keys(&parents, None));
        }
        self.layers(&mut keys)?;
        if let Some(vocabulary) = self.vocabulary {
            keys.retain(|(name, _)| !name.starts_with("tokenizer."));
            keys.extend(vocabulary_keys(vocabulary, architecture::name_of(self.decoder))?);
        }
        Ok(keys)
    }

    fn layers(&self, keys: &mut Keys) -> Result<(), FormatError> {
        let architecture = architecture::name_of(self.decoder);
        let count = format!("{architecture}.block_count");
        let n_blocks = self.decoder.blocks.len() as u32;
        let stated = keys.iter().find(|(name, _)| *name == count).and_then(|(_, value)| value.as_u64());
        if stated == Some(u64::from(n_blocks)) {
            return Ok(());
        }
        let prefix = format!("{architecture}.");
        let by_layer =
            |(name, value): &&(String, Value)| name.starts_with(&prefix) && value.as_array().is_some();
        if let Some((name, _)) = keys.iter().find(by_layer) {
            let message = format!("Key `{name}` has one value per layer, but the layers have changed");
            return Err(FormatError::new(message)
                .with_help("Start from the Hugging Face checkpoint that the GGUF was made from"));
        }
        set(keys, &count, Value::U32(n_blocks));
        Ok(())
    }
}

/// Inserts keys after the last general one.
fn insert_identity(keys: &mut Keys, identity: Keys) {
    let last = keys.iter().rposition(|(name, _)| name.starts_with("general."));
    let place = last.map_or(keys.len(), |last| last + 1);
    keys.splice(place..place, identity);
}

/// Replaces the value of a key, or inserts the key after the last one with the same prefix.
fn set(keys: &mut Keys, name: &str, value: Value) {
    if let Some((_, known)) = keys.iter_mut().find(|(key, _)| key == name) {
        *known = value;
        return;
    }
    let kind = name.split_inclusive('.').next().unwrap_or(name);
    let place = keys.iter().rposition(|(key, _)| key.starts_with(kind)).map_or(keys.len(), |last| last + 1);
    keys.insert(place, (name.to_owned(), value));
}
