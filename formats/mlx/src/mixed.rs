//! Mixtures of two numbers of bits: the recipes of `mlx_lm.convert --quant-predicate`.
//!
//! Values and down projections of some layers, and the head, get more bits. Source: `mixed_quant_predicate_builder` of
//! mlx-lm 0.32.2 (mlx_lm/convert.py).

use crate::scheme::Scheme;

/// A mixture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mixture {
    /// Its word.
    pub(crate) name: &'static str,
    /// Its meaning in one sentence.
    pub(crate) doc: &'static str,
    /// The scheme of most layers.
    pub(crate) low: Scheme,
    /// The scheme of the layers with more bits.
    pub(crate) high: Scheme,
}

const TWO: Scheme = affine("affine-2-g64", 2);
const THREE: Scheme = affine("affine-3-g64", 3);
const FOUR: Scheme = affine("affine-4-g64", 4);
const SIX: Scheme = affine("affine-6-g64", 6);

const fn affine(grid: &'static str, bits: u32) -> Scheme {
    Scheme { grid, group_size: 64, bits, mode: "affine" }
}

const DOC: &str = "Two numbers of bits: the larger in the head, and in values and down projections of about half of the layers.";

/// Every mixture.
pub(crate) const MIXTURES: [Mixture; 4] = [
    Mixture { name: "mixed-2-6", doc: DOC, low: TWO, high: SIX },
    Mixture { name: "mixed-3-4", doc: DOC, low: THREE, high: FOUR },
    Mixture { name: "mixed-3-6", doc: DOC, low: THREE, high: SIX },
    Mixture { name: "mixed-4-6", doc: DOC, low: FOUR, high: SIX },
];

/// The parameters that mlx-lm states for all layers of a mixture, before those of each layer.
pub(crate) const STATED: Scheme = FOUR;

/// The mixture with this word.
pub(crate) fn by_name(word: &str) -> Option<&'static Mixture> {
    MIXTURES.iter().find(|mixture| mixture.name == word)
}

impl Mixture {
    /// The scheme of a layer.
    ///
    /// * `path`: its path in the model: `model.layers.3.mlp.down_proj`
    /// * `n_blocks`: number of layers of the model
    pub(crate) fn scheme(&self, path: &str, n_blocks: usize) -> Scheme {
        let has = |part: &str| path.contains(part);
        let is_sensitive = has("v_proj") || has("v_a_proj") || has("v_b_proj") || has("down_proj");
        let is_high = has("lm_head") || is_sensitive && has_more_bits(block(path), n_blocks);
        if is_high { self.high } else { self.low }
    }
}

/// The layer that a path names; 0 if it names none, as in mlx-lm.
fn block(path: &str) -> usize {
    path.split('.').find_map(|part| part.parse().ok()).unwrap_or(0)
}

fn has_more_bits(block: usize, n_blocks: usize) -> bool {
    let eighth = n_blocks / 8;
    block < eighth || block >= 7 * n_blocks / 8 || (block as i64 - eighth as i64).rem_euclid(3) == 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::of_grid;

    #[test]
    fn every_scheme_is_one_of_the_table() {
        for mixture in MIXTURES {
            assert_eq!(of_grid(mixture.low.grid), Some(&mixture.low));
            assert_eq!(of_grid(mixture.high.grid), Some(&mixture.high));
        }
        assert_eq!(of_grid(STATED.grid), Some(&STATED));
    }

    #[test]
    fn sensitive_layers_have_more_bits() {
        let mixture = by_name("mixed-4-6").unwrap();
        let bits = |path: &str| mixture.scheme(path, 16).bits;
        let down = |block: usize| bits(&format!("model.layers.{block}.mlp.down_proj"));
        let high: Vec<usize> = (0..16).filter(|block| down(*block) == 6).collect();
        assert_eq!(high, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert_eq!(
            [bits("lm_head"), bits("model.embed_tokens"), bits("model.layers.0.mlp.up_proj")],
            [6, 4, 4]
        );
        assert_eq!(bits("model.layers.15.self_attn.qkv_proj"), 6);
    }
}
