//! Changes of a base's weights that an adapter makes, by the names of the adapter's tensors.

/// One change of one weight of the base.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightChange {
    /// The weight's name in the base.
    pub weight_name: String,
    /// The change.
    pub change: Change,
}

/// A change to a weight; names are those of the adapter's tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The weight is replaced by the adapter's tensor (`modules_to_save`, `bias`, resized embeddings).
    Replace {
        /// The new weight.
        with: String,
    },
    /// A product of two small matrices is added.
    AddLowRank(LowRankPair),
    /// A vector is added (`lora_bias`).
    AddVector {
        /// The vector.
        values: String,
        /// Its factor.
        scale: f64,
    },
    /// Some rows are replaced by the adapter's (`trainable_token_indices`).
    ReplaceRows {
        /// The replaced rows, in the order of the new ones.
        rows: Vec<u64>,
        /// The new rows.
        with: String,
    },
}

/// A low-rank update: `weight += scale * up * down`, and its optional steps.
#[derive(Clone, Debug, PartialEq)]
pub struct LowRankPair {
    /// The module as the adapter names it, without PEFT's prefix.
    pub module: String,
    /// `[out, rank]`.
    pub up: FactorName,
    /// `[rank, in]`.
    pub down: FactorName,
    /// The rank.
    pub rank: u32,
    /// Factor on the product.
    pub scale: f64,
    /// Layout of the weight.
    pub layout: Layout,
    /// Trained lengths (DoRA).
    pub lengths: Option<Lengths>,
}

/// A factor in the adapter's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorName {
    /// Its name.
    pub name: String,
    /// True if it is stored transposed.
    pub is_turned: bool,
}

/// Layout of a weight with a low-rank update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A matrix.
    Matrix,
    /// The matrices of all experts, one after another.
    Stacked {
        /// True if the rows of each are its inputs.
        is_input_first: bool,
    },
}

/// The lengths that DoRA trains, one for each output of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Of the rows.
    Rows(String),
    /// Of the columns: of embeddings, and of weights that are stored `[in, out]`.
    Columns(String),
}
