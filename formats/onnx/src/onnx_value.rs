//! Values of the graph in ONNX: names, types, and the form of rows or heads.

use crate::element_type::ElementType;

/// A value of the graph in ONNX.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OnnxValue {
    /// Its name.
    pub(crate) name: String,
    /// Type of its elements.
    pub(crate) element: ElementType,
    /// Its form.
    pub(crate) form: ValueForm,
    /// The columns of another value that it consists of, if it is such a range.
    pub(crate) columns: Option<Columns>,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueForm {
    /// `[batch, sequence, width]`.
    Rows,
    /// `[batch, sequence, heads, width]`.
    Heads,
}

/// A range of the columns of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Name of the value.
    pub(crate) of: String,
    /// The first column.
    pub(crate) start: u32,
    /// Number of columns.
    pub(crate) len: u32,
    /// Number of columns of the value.
    pub(crate) width: u32,
}
