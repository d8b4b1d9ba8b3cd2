//! Tags: restrictions on the actions of a target.
//!
//! The words are those of Bazel. They affect where an action runs and who receives its result, but not the result, so
//! they are not part of any key.

/// Restrictions on the actions of a target; by default, none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// Actions are not sent to workers.
    pub not_on_workers: bool,
    /// Results are not taken from the remote cache.
    pub not_taken: bool,
    /// Results are not uploaded to the remote cache.
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
    /// The restriction with this name, if there is one.
    pub fn named(word: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| *known == word).map(|(_, tags)| *tags)
    }

    /// The names of all tags.
    pub fn words() -> Vec<&'static str> {
        KNOWN.iter().map(|(word, _)| *word).collect()
    }

    /// The union of both restrictions.
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
    fn results_that_are_not_taken_are_not_sent_either() {
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
