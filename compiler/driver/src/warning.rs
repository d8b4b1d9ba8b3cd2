//! Warnings: harmless problems.

use std::fmt;

use mc_ir::label::Label;
use mc_store::local::corruption::Corruption;

/// A harmless problem.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Warning {
    /// An object of the store was damaged.
    #[error("{0}")]
    Damaged(Corruption),
    /// A result, or a blob, was unusable and is made here.
    #[error("{0}")]
    Doubted(String),
    /// The remote cache cannot be used, and the build continues without it.
    #[error("The remote cache is not used: {reason}")]
    RemoteCacheLeftOut {
        /// The reason.
        reason: String,
    },
    /// The remote cache failed during the build.
    #[error("{0}")]
    RemoteCache(RemoteFailure),
    /// The remote cache sent unusable data.
    #[error("{0}")]
    UnusableResults(UnusableResults),
    /// Workers failed, and their actions ran locally.
    #[error("The workers of {server} did not run some actions, which ran here: {reason}")]
    WorkersFailed {
        /// The server of the workers.
        server: String,
        /// The first failure.
        reason: String,
    },
    /// Workers are not used, because results must be signed and theirs are not.
    #[error("The workers of {address} are not used, because their results are not signed")]
    WorkersUnsigned {
        /// The server of the workers.
        address: String,
    },
    /// A remark about a tensor.
    #[error("{label}: {text}")]
    Tensor {
        /// The target.
        label: Label,
        /// The text.
        text: String,
    },
    /// The store is larger than its limit, and what is left is in use.
    #[error(
        "The store has {n_bytes} bytes, more than its limit of {max_bytes}: the rest is in use, by a running command, by \
         outputs under mc-out, or as files that the workspace has pinned"
    )]
    StoreTooLarge {
        /// Bytes that it has.
        n_bytes: u64,
        /// Bytes that it may have.
        max_bytes: u64,
    },
    /// The store is larger than its limit, and the collection failed.
    #[error("The store could not be shrunk to its limit: {reason}")]
    StoreNotTrimmed {
        /// The reason.
        reason: String,
    },
    /// More warnings about tensors than are shown.
    #[error("{label}: {n_more} more")]
    MoreTensors {
        /// The target.
        label: Label,
        /// Their number.
        n_more: usize,
    },
}

/// A failure of the remote cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFailure {
    /// It failed and is required.
    #[error("The remote cache {server} failed: {reason}")]
    Required {
        /// The cache.
        server: String,
        /// The reason.
        reason: String,
    },
    /// It failed, and the build continued without it.
    #[error("The remote cache {server} is no longer used after a failure: {reason}")]
    LeftAlone {
        /// The cache.
        server: String,
        /// The reason.
        reason: String,
    },
    /// It does not accept results.
    #[error("The remote cache {server} does not accept {} results of this build: {reason}", what(*takes_some))]
    NotTaken {
        /// The cache.
        server: String,
        /// True if it accepts some.
        takes_some: bool,
        /// The reason.
        reason: String,
    },
}

fn what(takes_some: bool) -> &'static str {
    if takes_some { "some" } else { "any" }
}

/// Unusable results and blobs of a remote cache; they were made here instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableResults {
    /// The cache.
    pub server: String,
    /// Number of results that could not be read, and the reason for the first.
    pub unreadable: Option<(usize, String)>,
    /// Number of results without a trusted signature.
    pub n_unsigned: usize,
    /// Number of missing blobs that results name.
    pub n_gone: usize,
    /// True if the cache was no longer used, because too many blobs were missing.
    pub is_given_up: bool,
    /// First response whose bytes did not match the requested digest.
    pub mismatch: Option<String>,
}

impl UnusableResults {
    /// Returns true if there is nothing to report.
    pub fn is_empty(&self) -> bool {
        let Self { unreadable, n_unsigned, n_gone, is_given_up, mismatch, .. } = self;
        unreadable.is_none() && *n_unsigned == 0 && *n_gone == 0 && !is_given_up && mismatch.is_none()
    }
}

impl fmt::Display for UnusableResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, what: &str, why: &str| {
            let plural = if n == 1 { "" } else { "s" };
            (n > 0).then(|| format!("{n} {what}{plural} {why}"))
        };
        let (n_unreadable, reason) = self.unreadable.clone().unwrap_or_default();
        let counted = [
            count(n_unreadable, "result", &format!("could not be read ({reason})")),
            count(self.n_unsigned, "result", "without a trusted signature"),
            count(self.n_gone, "blob", "missing that results name"),
            self.is_given_up.then(|| "it is no longer used because too many blobs were missing".to_owned()),
        ];
        let counted: Vec<String> = counted.into_iter().flatten().collect();
        let counted = (!counted.is_empty()).then(|| format!("{}: {}", self.server, counted.join(", ")));
        let useless: Vec<String> = counted.into_iter().chain(self.mismatch.clone()).collect();
        write!(f, "{}; the missing results were made here", useless.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_results_are_reported_in_one_line() {
        let useless = UnusableResults {
            server: "grpc://cache".to_owned(),
            unreadable: None,
            n_unsigned: 1,
            n_gone: 2,
            is_given_up: true,
            mismatch: None,
        };
        assert_eq!(
            useless.to_string(),
            "grpc://cache: 1 result without a trusted signature, 2 blobs missing that results name, it is no longer used \
             because too many blobs were missing; the missing results were made here"
        );
    }
}
