//! The blobs of remote results to download.

/// The blobs of remote results to download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Download {
    /// Only those that a local action reads; outputs stay in the remote cache.
    Minimal,
    /// Also the requested outputs.
    #[default]
    Toplevel,
    /// All blobs.
    All,
}

impl Download {
    /// All variants with their words.
    pub const WORDS: [(Self, &'static str); 3] =
        [(Self::Minimal, "minimal"), (Self::Toplevel, "toplevel"), (Self::All, "all")];

    /// The word of the variant.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Toplevel => "toplevel",
            Self::All => "all",
        }
    }

    /// The variant of a word.
    pub fn by_word(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(_, known)| *known == word).map(|(download, _)| download)
    }
}
