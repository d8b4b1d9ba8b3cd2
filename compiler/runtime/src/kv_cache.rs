//! Keys and values of the positions seen so far, in f32.

use mc_decoder::program::Decoder;

use crate::error::RuntimeError;
use crate::lanes;

/// Keys and values of one sequence.
#[derive(Clone, Debug)]
pub struct KvCache {
    capacity: usize,
    n_positions: usize,
    blocks: Vec<BlockCache>,
}

impl KvCache {
    /// An empty cache for at most `capacity` positions; memory is taken as positions come.
    pub fn new(decoder: &Decoder, capacity: usize) -> Self {
        let block = |block: &mc_decoder::program::Block| {
            let heads = block.attention().map(|attention| (attention.n_kv_heads, attention.head_dim));
            let (n_kv_heads, head_dim) = heads.unwrap_or_default();
            BlockCache::new(n_kv_heads as usize, head_dim as usize)
        };
        Self { capacity, n_positions: 0, blocks: decoder.blocks.iter().map(block).collect() }
    }

    /// Positions seen so far.
    pub fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// Positions that it can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets all positions but the first `n_positions`.
    pub fn truncate(&mut self, n_positions: usize) {
        self.n_positions = self.n_positions.min(n_positions);
        for block in &mut self.blocks {
            block.truncate(n_positions);
        }
    }

    /// Checks that `n_tokens` more fit and that the blocks are those of a program.
    ///
    /// # Errors
    /// [`RuntimeError::CacheFull`] or [`RuntimeError::ForeignCache`].
    pub(crate) fn check(&self, decoder: &Decoder, n_tokens: usize) -> Result<(), RuntimeError> {
        let needed = self.n_positions + n_tokens;
        if needed > self.capacity {
            return Err(RuntimeError::CacheFull { capacity: self.capacity, needed });
        }
        let same = |(block, cache): (&mc_decoder::program::Block, &BlockCache)| {
            block.attention().is_some_and(|attention| {
                cache.heads.len() == attention.n_kv_heads as usize
                    && cache.head_dim == attention.head_dim as usize
            })
        };
        if decoder.blocks.len() != self.blocks.len() || !decoder.blocks.iter().zip(&self.blocks).all(same) {
            return Err(RuntimeError::ForeignCache);
        }
        Ok(())
    }

    /// The cache of one layer.
    pub(crate) fn block_mut(&mut self, block: usize) -> &mut BlockCache {
        &mut self.blocks[block]
    }

    /// Counts the positions that every block has been given.
    pub(crate) fn advance(&mut self, n_tokens: usize) {
        self.n_positions += n_tokens;
    }
}

/// Keys and values of one layer.
#[derive(Clone, Debug)]
pub struct BlockCache {
    head_dim: usize,
    heads: Vec<HeadCache>,
}

impl BlockCache {
    fn new(n_kv_heads: usize, head_dim: usize) -> Self {
        let head = HeadCache { padded_dim: lanes::padded(head_dim), keys: Vec::new(), values: Vec::new() };
        Self { head_dim, heads: vec![head; n_kv_heads] }
    }

    fn truncate(&mut self, n_positions: usize) {
        for head in &mut self.heads {
            head.keys.truncate(n_positions * head.padded_dim);
            head.values.truncate(n_positions * head.padded_dim);
        }
    }

    /// Adds positions: rows of `[n_kv_heads * head_dim]`.
    pub(crate) fn extend(&mut self, keys: &[f32], values: &[f32]) {
        let row_len = self.heads.len() * self.head_dim;
        for (keys, values) in keys.chunks_exact(row_len).zip(values.chunks_exact(row_len)) {
            let rows = keys.chunks_exact(self.head_dim).zip(values.chunks_exact(self.head_dim));
            for (head, (key, value)) in self.heads.iter_mut().zip(rows) {
                head.push(key, value);
            }
        }
    }

    /// Positions held.
    pub(crate) fn n_positions(&self) -> usize {
        self.heads.first().map_or(0, |head| head.keys.len() / head.padded_dim)
    }

    /// The key and value heads.
    pub(crate) fn heads(&self) -> &[HeadCache] {
        &self.heads
    }
}

/// Keys and values of one head, each row filled up with zeros to whole lanes.
#[derive(Clone, Debug)]
pub(crate) struct HeadCache {
    padded_dim: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl HeadCache {
    fn push(&mut self, key: &[f32], value: &[f32]) {
        let padding = self.padded_dim - key.len();
        for (rows, row) in [(&mut self.keys, key), (&mut self.values, value)] {
            rows.extend_from_slice(row);
            rows.resize(rows.len() + padding, 0.0);
        }
    }

    /// Width of a row.
    pub(crate) fn padded_dim(&self) -> usize {
        self.padded_dim
    }

    /// `[n_positions, padded_dim]`.
    pub(crate) fn keys(&self) -> &[f32] {
        &self.keys
    }

    /// `[n_positions, padded_dim]`.
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}
