//! Tags: what a target keeps its steps from.
//!
//! The words are those of Bazel's users. They change where a step is done and who has its result, and no byte of it,
//! so they are in no key.

/// What the steps of a target are kept from; by default, from nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// They are not sent to workers.
    pub not_on_workers: bool,
    /// Their results are not taken from the team's cache.
    pub not_taken: bool,
    /// Their results are not sent to the team's cache.
    pub not_sent: bool,
}

const ALL: Tags = Tags { not_on_workers: true, not_taken: true, not_sent: true };

const KNOWN: [(&str, Tags); 5] = [
    ("no-remote-exec", Tags { not_on_workers: true, not_taken: false, not_sent: false }),
    ("no-remote-cache", Tags { not_on_workers: false, not_taken: true, not_sent: true }),
    ("no-remote-cache-upload", Tags { not_on_workers: false, not_taken: false, not_sent: true }),
    ("no-remote", ALL),
    ("local", ALL),
];

impl Tags {
    /// What a word means, if it is one.
    pub fn named(word: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| *known == word).map(|(_, tags)| *tags)
    }

    /// Every word.
    pub fn words() -> Vec<&'static str> {
        KNOWN.iter().map(|(word, _)| *word).collect()
    }

    /// Kept from what either is kept from.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            not_on_workers: self.not_on_workers || other.not_on_workers,
            not_taken: self.not_taken || other.not_taken,
            not_sent: self.not_sent || other.not_sent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_not_sent_either() {
        for word in Tags::words() {
            let tags = Tags::named(word).unwrap();
            assert!(tags.not_sent || !tags.not_taken, "{word}");
            assert_eq!(tags.and(Tags::default()), tags);
        }
        let both = Tags::named("no-remote-exec").unwrap().and(Tags::named("no-remote-cache").unwrap());
        assert_eq!(both, ALL);
        assert_eq!(Tags::named("no-cache"), None);
    }
}
