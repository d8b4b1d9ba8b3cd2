//! The methods of blends, as a table: what each needs and which attributes mean something to it.

/// How weights become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A weighted mean.
    Linear,
    /// A point on the arc between two.
    Slerp,
    /// The base and what each learned beyond it.
    TaskArithmetic,
    /// The same, trimmed, where signs agree.
    Ties,
    /// Task arithmetic on a random part of each difference.
    DareLinear,
    /// TIES with a random part for the largest.
    DareTies,
    /// Layers as they are, in a new order.
    Passthrough,
}

/// A row of the table.
struct Row {
    method: Method,
    name: &'static str,
    attributes: &'static [&'static str],
}

const METHODS: &[Row] = &[
    Row { method: Method::Linear, name: "linear", attributes: &["weight", "normalize"] },
    Row { method: Method::Slerp, name: "slerp", attributes: &["t"] },
    Row {
        method: Method::TaskArithmetic,
        name: "task-arithmetic",
        attributes: &["weight", "lambda", "normalize"],
    },
    Row { method: Method::Ties, name: "ties", attributes: &["weight", "density", "lambda", "normalize"] },
    Row {
        method: Method::DareLinear,
        name: "dare-linear",
        attributes: &["weight", "density", "lambda", "normalize", "rescale", "seed"],
    },
    Row {
        method: Method::DareTies,
        name: "dare-ties",
        attributes: &["weight", "density", "lambda", "normalize", "rescale", "seed"],
    },
    Row { method: Method::Passthrough, name: "passthrough", attributes: &["scale"] },
];

/// Every attribute that only some methods take.
pub(crate) const ATTRIBUTES: &[&str] =
    &["weight", "density", "scale", "t", "lambda", "normalize", "rescale", "seed"];

/// The names of the methods.
pub(crate) fn names() -> Vec<&'static str> {
    METHODS.iter().map(|row| row.name).collect()
}

impl Method {
    /// The method of a name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        METHODS.iter().find(|row| row.name == name).map(|row| row.method)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        METHODS.iter().find(|row| row.method == self).map_or("", |row| row.name)
    }

    /// Whether an attribute means something to it.
    pub(crate) fn takes(self, attribute: &str) -> bool {
        METHODS.iter().any(|row| row.method == self && row.attributes.contains(&attribute))
    }

    /// Whether it changes a base, rather than mixing equals.
    pub(crate) fn needs_base(self) -> bool {
        !matches!(self, Self::Linear | Self::Passthrough)
    }

    /// Whether sums are divided by the sum of their weights when nothing is said.
    pub(crate) fn divides(self) -> bool {
        matches!(self, Self::Linear | Self::Ties)
    }

    /// Whether signs are elected.
    pub(crate) fn elects(self) -> bool {
        matches!(self, Self::Ties | Self::DareTies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_of_the_table_is_known() {
        for name in names() {
            let method = Method::by_name(name).unwrap();
            assert_eq!(method.name(), name);
        }
        for row in METHODS {
            for attribute in row.attributes {
                assert!(ATTRIBUTES.contains(attribute), "{attribute}");
            }
        }
    }
}
