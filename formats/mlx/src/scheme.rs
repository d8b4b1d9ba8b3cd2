//! The parameters of a layer's quantization, and the table of those that MLX has.

/// The parameters of the quantization of a layer, as configurations name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The name of its grid: `affine-4-g64`.
    pub grid: &'static str,
    /// Number of columns that share a scale.
    pub group_size: u32,
    /// Number of bits of a code.
    pub bits: u32,
    /// The mode: `affine`.
    pub mode: &'static str,
}

macro_rules! affine {
    ($bits:literal, $group:literal) => {
        Scheme {
            grid: concat!("affine-", $bits, "-g", $group),
            group_size: $group,
            bits: $bits,
            mode: "affine",
        }
    };
}

/// Every scheme; the first is the default.
pub const SCHEMES: [Scheme; 21] = [
    affine!(4, 64),
    affine!(4, 32),
    affine!(4, 128),
    affine!(2, 32),
    affine!(2, 64),
    affine!(2, 128),
    affine!(3, 32),
    affine!(3, 64),
    affine!(3, 128),
    affine!(5, 32),
    affine!(5, 64),
    affine!(5, 128),
    affine!(6, 32),
    affine!(6, 64),
    affine!(6, 128),
    affine!(8, 32),
    affine!(8, 64),
    affine!(8, 128),
    Scheme { grid: "mxfp4", group_size: 32, bits: 4, mode: "mxfp4" },
    Scheme { grid: "mxfp8", group_size: 32, bits: 8, mode: "mxfp8" },
    Scheme { grid: "nvfp4", group_size: 16, bits: 4, mode: "nvfp4" },
];

/// The scheme of modules that some classes always store with eight bits.
pub(crate) const EIGHT_BITS: Scheme = affine!(8, 64);

/// The scheme with this grid.
pub(crate) fn of_grid(grid: &str) -> Option<&'static Scheme> {
    SCHEMES.iter().find(|scheme| scheme.grid == grid)
}

#[cfg(test)]
mod tests {
    use mc_encoding::grids;

    use super::*;

    #[test]
    fn every_scheme_names_a_grid_with_its_numbers() {
        for scheme in SCHEMES {
            let grid = grids::by_name(scheme.grid).unwrap();
            assert_eq!((grid.bits, grid.group_len(0)), (scheme.bits, scheme.group_size as usize));
            assert_eq!(grid.packing, "mlx");
            assert!(scheme.grid.starts_with(scheme.mode));
        }
    }
}
