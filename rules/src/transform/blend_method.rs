//! The table of blend methods: the requirements of each, and the attributes that it uses.

/// A method that merges weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A weighted mean.
    Linear,
    /// A point on the arc between two.
    Slerp,
    /// The base plus each model's difference from it.
    TaskArithmetic,
    /// Task arithmetic, trimmed, keeping values whose signs agree.
    Ties,
    /// Task arithmetic on a random part of each difference.
    DareLinear,
    /// TIES with a random part in place of the largest values.
    DareTies,
    /// Layers copied unchanged, in a new order.
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

/// Every attribute that only some methods use.
pub(crate) const ATTRIBUTES: &[&str] =
    &["weight", "density", "scale", "t", "lambda", "normalize", "rescale", "seed"];

/// Returns the names of the methods.
pub(crate) fn names() -> Vec<&'static str> {
    METHODS.iter().map(|row| row.name).collect()
}

impl Method {
    /// Returns the method with this name.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        METHODS.iter().find(|row| row.name == name).map(|row| row.method)
    }

    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        METHODS.iter().find(|row| row.method == self).map_or("", |row| row.name)
    }

    /// Returns true if it uses an attribute.
    pub(crate) fn takes(self, attribute: &str) -> bool {
        METHODS.iter().any(|row| row.method == self && row.attributes.contains(&attribute))
    }

    /// Returns true if it changes a base, rather than mixing equals.
    pub(crate) fn needs_base(self) -> bool {
        !matches!(self, Self::Linear | Self::Passthrough)
    }

    /// Returns true if it divides sums by the sum of their weights by default.
    pub(crate) fn divides(self) -> bool {
        matches!(self, Self::Linear | Self::Ties)
    }

    /// Returns true if it elects signs.
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
