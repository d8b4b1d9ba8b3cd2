//! The blobs of remote results that are fetched.

/// The blobs of remote results that are fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Download {
    /// Only those that an action on this machine reads; outputs stay where they are.
    Minimal,
    /// Those that were asked for, too.
    #[default]
    Toplevel,
    /// All.
    All,
}

impl Download {
    /// All, with the words for them.
    pub const WORDS: [(Self, &'static str); 3] =
        [(Self::Minimal, "minimal"), (Self::Toplevel, "toplevel"), (Self::All, "all")];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Toplevel => "toplevel",
            Self::All => "all",
        }
    }

    /// The one that a word stands for.
    pub fn by_word(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(_, known)| *known == word).map(|(download, _)| download)
    }
}
