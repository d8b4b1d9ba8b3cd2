//! BLAKE3 digests that a worker's program reports for its outputs.

use std::collections::BTreeMap;

use mc_digest::digest::{BlobDigest, Digest};
use mc_ir::output::Outputs;

use crate::lookup::result::Claims;

/// Parses the program's lines about its outputs: `HASH/SIZE NAME` with BLAKE3 digests, one per blob.
///
/// A claim lets the build continue without the blob; it is verified when the blob is downloaded.
pub(crate) fn claims_in(said: &str, theirs: &Outputs) -> Claims {
    let mut lines: BTreeMap<&str, Vec<BlobDigest>> = BTreeMap::new();
    for line in said.lines() {
        if let Some((digest, name)) = line.split_once(' ')
            && let Some((hash, n_bytes)) = digest.split_once('/')
            && let (Ok(hash), Ok(n_bytes)) = (hash.parse::<Digest>(), n_bytes.parse())
        {
            lines.entry(name).or_default().push(BlobDigest::new(hash, n_bytes));
        }
    }
    let mut claims = Claims::new();
    for (name, output) in theirs {
        let said = lines.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let sizes = |blobs: &[BlobDigest]| blobs.iter().map(|blob| blob.n_bytes).collect::<Vec<_>>();
        if sizes(said) == sizes(output.parts()) {
            claims.extend(output.parts().iter().copied().zip(said.iter().map(|blob| blob.hash)));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use mc_ir::output::Output;

    use super::*;

    #[test]
    fn a_worker_reports_the_digests_of_its_outputs() {
        let (ours, theirs) = (BlobDigest::of(b"abc"), BlobDigest::new(BlobDigest::of(b"x").hash, 3));
        let said = |text: &str| {
            let outputs = Outputs::from([
                ("tensor".to_owned(), Output::File(theirs)),
                ("two words".to_owned(), Output::Composite(vec![theirs])),
            ]);
            claims_in(text, &outputs).get(&theirs).copied()
        };
        assert_eq!(said(&format!("{ours} tensor\nsomething else\n")), Some(ours.hash));
        assert_eq!(said(&format!("{ours} two words\n")), Some(ours.hash));
        assert_eq!(said(&format!("{ours} other\n")), None);
        assert_eq!(said(&format!("{} tensor\n", BlobDigest::of(b"abcd"))), None);
        assert_eq!(said("tensor\n\nx/y tensor\n"), None);
    }
}
