//! A reason why a format refuses a model.

/// A reason, reported at analysis, before any work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The part that the format cannot express. The message names the format.
    pub message: String,
    /// A hint, if there is one.
    pub help: Option<String>,
    /// The code with which a target overrides the refusal: `allow "CODE"`. `None` if the format cannot express the model
    /// at all.
    pub code: Option<&'static str>,
}

impl Refusal {
    /// Creates a reason without a hint.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, code: None }
    }

    /// Adds a hint.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Lets a target override the refusal with `allow "CODE"`.
    #[must_use]
    pub fn unless_allowed(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }
}
