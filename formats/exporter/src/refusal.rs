//! A reason for which a format does not take a model.

/// One reason, told at analysis, before any work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The part that the format cannot express; it names the format.
    pub message: String,
    /// Advice, if anything helps.
    pub help: Option<String>,
}

impl Refusal {
    /// A reason that nothing helps against.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// The same reason, with what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
