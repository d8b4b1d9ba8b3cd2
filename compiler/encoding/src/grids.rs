//! The table of grids. A grid is a file in `grids/` and a row here.

pub mod affine;
pub mod float;
pub mod grid;
pub mod int4;
pub mod int8;
pub mod scales;
pub mod uint;
pub(crate) mod uniform;

use crate::grids::grid::Grid;

/// Every grid; those that differ only in numbers share a file.
pub static GRIDS: &[&[Grid]] = &[&affine::GRIDS, &float::GRIDS, &int4::GRIDS, &int8::GRIDS, &uint::GRIDS];

/// All grids, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Grid> {
    GRIDS.iter().copied().flatten()
}

/// The grid with this name, for example `affine-4-g64`.
pub fn by_name(name: &str) -> Option<&'static Grid> {
    all().find(|grid| grid.name == name)
}

/// Every name, in the order of the table.
pub fn names() -> Vec<&'static str> {
    all().map(|grid| grid.name).collect()
}

#[cfg(test)]
mod tests {
    use mc_tensor::dtype::DType;

    use super::*;

    #[test]
    fn names_are_unique_and_every_code_is_the_nearest_to_its_level() {
        for grid in all() {
            assert_eq!(all().filter(|other| other.name == grid.name).count(), 1, "{grid}");
            let (low, high) = grid.codes;
            assert!(low < high && high - low < 1 << grid.bits, "{grid}");
            let codes: Vec<i32> = (low..=high).collect();
            let (mut levels, mut nearest) = (vec![0.0; codes.len()], vec![0; codes.len()]);
            (grid.levels)(&codes, &mut levels);
            (grid.nearest)(&levels, &mut nearest);
            // Two codes may have the same level: zero and minus zero.
            let mut nearest_levels = vec![0.0; codes.len()];
            (grid.levels)(&nearest, &mut nearest_levels);
            assert_eq!(nearest_levels, levels, "{grid}");
            (grid.nearest)(&[f32::NEG_INFINITY, f32::INFINITY], &mut nearest);
            assert_eq!(nearest[..2], [low, high], "{grid}");
        }
    }

    #[test]
    fn blocks_have_every_size_and_type_of_scale() {
        for (kind, bits) in [("int4", 4), ("int8", 8), ("uint4", 4), ("uint8", 8)] {
            for group in [16, 32, 64, 128, 256] {
                for (suffix, scales) in [("", DType::F16), ("-f32", DType::F32)] {
                    let grid = by_name(&format!("{kind}-g{group}{suffix}")).unwrap();
                    assert_eq!((grid.bits, grid.group_len(512)), (bits, group));
                    assert_eq!(grid.scale_dtype(DType::BF16), scales);
                }
            }
        }
    }

    #[test]
    fn the_grids_of_mlx_are_all_there() {
        for bits in [2, 3, 4, 5, 6, 8] {
            for group in [32, 64, 128] {
                let grid = by_name(&format!("affine-{bits}-g{group}")).unwrap();
                assert_eq!((grid.bits, grid.codes.1), (bits, (1 << bits) - 1));
                assert!(grid.fits(group) && !grid.fits(group + 16) && grid.n_groups(4 * group) == 4);
            }
        }
    }
}
