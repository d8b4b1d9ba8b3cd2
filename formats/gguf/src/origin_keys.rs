//! Keys of the GGUF that a model was read from, for files made from that model.
//!
//! Keys are copied, because a file may have keys that are unknown here; only those that no longer apply are replaced.

use mc_decoder::program::Decoder;
use mc_decoder::vocabulary::Vocabulary;
use mc_exporter::format_error::FormatError;

use crate::architecture;
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
    /// The checkpoint that the model was fine-tuned from, if any.
    pub(crate) base_model: Option<&'a str>,
    /// The model's computation.
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
        if let Some(base) = self.base_model {
            keys.retain(|(name, _)| !name.starts_with("general.base_model."));
            keys.push(("general.base_model.count".to_owned(), Value::U32(1)));
            keys.push(("general.base_model.0.name".to_owned(), Value::Text(base.to_owned())));
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

/// Replaces the value of a key, or adds the key after the last of its group.
fn set(keys: &mut Keys, name: &str, value: Value) {
    if let Some((_, known)) = keys.iter_mut().find(|(key, _)| key == name) {
        *known = value;
        return;
    }
    let kind = name.split_inclusive('.').next().unwrap_or(name);
    let place = keys.iter().rposition(|(key, _)| key.starts_with(kind)).map_or(keys.len(), |last| last + 1);
    keys.insert(place, (name.to_owned(), value));
}
