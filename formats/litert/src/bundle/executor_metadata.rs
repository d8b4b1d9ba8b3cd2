//! The caches of a graph, as LiteRT-LM's executor needs to know them.
//!
//! Source: executor_metadata.proto of LiteRT-LM.

use crate::bundle::protobuf::Message;
use crate::caches::{Cache, CacheKind};

/// The message.
///
/// * `n_positions`: number of positions that keys and values hold
pub(crate) fn of(caches: &[Cache], n_positions: u32) -> Vec<u8> {
    // The columns before a convolution cannot be rolled back.
    let has_columns = caches.iter().any(|cache| cache.kind == CacheKind::Columns);
    let history = if has_columns { 0 } else { n_positions };
    let executor = caches.iter().fold(Message::new().integer(1, u64::from(history)), |message, cache| {
        message.message(2, &buffer(cache, n_positions))
    });
    Message::new().message(1, &executor).into_bytes()
}

/// A cache, which has the same name as an input and as an output of each signature.
fn buffer(cache: &Cache, n_positions: u32) -> Message {
    let named = (1..=4).fold(Message::new(), |message, number| message.text(number, &cache.name));
    let (cache_type, axis) = match cache.kind {
        CacheKind::Keys => (1, Some(2)),
        CacheKind::Values => (2, Some(3)),
        CacheKind::Columns => (5, None),
    };
    let message = named.integer(6, cache_type);
    match axis {
        Some(axis) => message.integer(7, axis).integer(9, u64::from(n_positions)),
        None => message,
    }
}
