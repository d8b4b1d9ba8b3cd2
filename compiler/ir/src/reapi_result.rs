//! Decodes action results from untrusted sources into outputs.
//!
//! Decoding any bytes costs no more than the limits below, and the decoded names are files below a folder only.
//! [`crate::reapi`] encodes results.

use mc_digest::digest::{BlobDigest, Digest};

use crate::output::{Output, Outputs};
use crate::protobuf::{self, Fields, MalformedMessage, Wire};
use crate::reapi::{BLAKE3, position_name};

/// The bytes are not an encoding that [`crate::reapi::encode_result`] produces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("A cached action result is malformed: {0}")]
pub struct MalformedResult(pub &'static str);

impl From<MalformedMessage> for MalformedResult {
    fn from(MalformedMessage(what): MalformedMessage) -> Self {
        Self(what)
    }
}

/// Maximum number of outputs of a result.
pub const MAX_OUTPUTS: usize = 10_000;

/// Maximum number of composite parts of a result; a checkpoint with 100,000 tensors fits.
pub const MAX_PARTS: usize = 1 << 17;

/// Maximum total number of bytes of the trees of a result.
pub const MAX_TREE_BYTES: u64 = 64 << 20;

/// Maximum number of bytes of an output's name: the path limit of operating systems.
const MAX_PATH: usize = 4096;

/// Decodes an `ActionResult`. `fetch_tree` returns the bytes of a `Tree` blob, or `None` if the blob is missing.
///
/// # Errors
/// [`MalformedResult`] if the bytes are not a result, or a tree is missing.
pub fn decode_result(
    bytes: &[u8],
    fetch_tree: &mut dyn FnMut(&BlobDigest) -> Option<Vec<u8>>,
) -> Result<Outputs, MalformedResult> {
    decode_result_with(bytes, fetch_tree, &mut |_, _| {})
}

/// Same as [`decode_result`], and passes to `claim` the BLAKE3 hash that the result states beside a blob's digest.
///
/// A tree is fetched only after the result itself is checked: names, number of outputs, total number of bytes of all
/// trees. So at most [`MAX_TREE_BYTES`] are fetched for a result, even if it names one tree many times.
///
/// # Errors
/// Same as [`decode_result`].
pub fn decode_result_with(
    bytes: &[u8],
    fetch_tree: &mut dyn FnMut(&BlobDigest) -> Option<Vec<u8>>,
    claim: &mut dyn FnMut(&BlobDigest, Digest),
) -> Result<Outputs, MalformedResult> {
    let mut outputs = Outputs::new();
    let mut folders = Vec::new();
    let (mut n_tree_bytes, mut budget) = (0_u64, Budget::default());
    for field in Fields::new(bytes) {
        let (path, output) = match field? {
            (2, Wire::Bytes(file)) => {
                let (path, digest) = decode_named(file, 2, 7, claim)?;
                budget.take(&digest)?;
                (path, Output::File(digest))
            }
            (3, Wire::Bytes(folder)) => {
                let (path, digest) = decode_named(folder, 3, NO_PROPERTIES, claim)?;
                n_tree_bytes = n_tree_bytes.saturating_add(digest.n_bytes);
                folders.push((path.clone(), digest));
                (path, Output::Composite(Vec::new()))
            }
            (10..=12, Wire::Bytes(_)) => return Err(MalformedResult("an output is a symbolic link")),
            _ => continue,
        };
        check_path(&path)?;
        if outputs.insert(path, output).is_some() {
            return Err(MalformedResult("two outputs have the same name"));
        }
        if outputs.len() > MAX_OUTPUTS {
            return Err(MalformedResult("it has more than 10,000 outputs"));
        }
    }
    check_folders(&outputs)?;
    if n_tree_bytes > MAX_TREE_BYTES {
        return Err(MalformedResult("its trees have more than 64 MiB"));
    }
    for (path, digest) in folders {
        let tree = fetch_tree(&digest).ok_or(MalformedResult("the tree of a composite is missing"))?;
        outputs.insert(path, Output::Composite(decode_tree(&tree, &mut budget, claim)?));
    }
    Ok(outputs)
}

/// Total number of bytes of all trees that a result names, before any is fetched.
pub fn n_tree_bytes(result: &[u8]) -> u64 {
    let folders = protobuf::repeated(result, 3).flatten();
    let trees = folders.filter_map(|folder| decode_digest(protobuf::bytes(folder, 3).ok()??).ok());
    trees.fold(0, |n_bytes, tree| n_bytes.saturating_add(tree.n_bytes))
}

/// Totals over the blobs of one result.
#[derive(Default)]
struct Budget {
    n_parts: usize,
    n_bytes: u64,
}

impl Budget {
    fn take(&mut self, blob: &BlobDigest) -> Result<(), MalformedResult> {
        self.n_parts += 1;
        if self.n_parts > MAX_PARTS + MAX_OUTPUTS {
            return Err(MalformedResult("its composites have more than 131,072 parts"));
        }
        // Callers add up sizes in many places, and no sum may overflow.
        self.n_bytes = self.n_bytes.saturating_add(blob.n_bytes);
        if i64::try_from(self.n_bytes).is_err() {
            return Err(MalformedResult("its blobs have 2^63 bytes or more"));
        }
        Ok(())
    }
}

/// Rejects names that lead out of a folder, or that `mc` never gives to a file.
fn check_path(path: &str) -> Result<(), MalformedResult> {
    if path.len() > MAX_PATH {
        return Err(MalformedResult("the name of an output has more than 4096 bytes"));
    }
    if path.chars().any(char::is_control) {
        return Err(MalformedResult("the name of an output contains a control character"));
    }
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(MalformedResult("the name of an output is not a path below a folder"));
    }
    Ok(())
}

/// Rejects an output whose path lies below another output, which would have to be both a file and a folder.
fn check_folders(outputs: &Outputs) -> Result<(), MalformedResult> {
    let is_within = |path: &str| path.match_indices('/').any(|(end, _)| outputs.contains_key(&path[..end]));
    if outputs.keys().any(|path| is_within(path)) {
        return Err(MalformedResult("an output is both a file and a folder"));
    }
    Ok(())
}

fn decode_tree(
    bytes: &[u8],
    budget: &mut Budget,
    claim: &mut dyn FnMut(&BlobDigest, Digest),
) -> Result<Vec<BlobDigest>, MalformedResult> {
    const FLAT: MalformedResult = MalformedResult("a composite contains more than files");
    let mut parts = Vec::new();
    for field in Fields::new(bytes) {
        let root = match field? {
            (1, Wire::Bytes(root)) => root,
            (2, Wire::Bytes(_)) => return Err(FLAT),
            _ => continue,
        };
        for field in Fields::new(root) {
            let file = match field? {
                (1, Wire::Bytes(file)) => file,
                (2 | 3, Wire::Bytes(_)) => return Err(FLAT),
                _ => continue,
            };
            let (name, digest) = decode_named(file, 2, 6, claim)?;
            if name != position_name(parts.len()) {
                return Err(MalformedResult("the parts of a composite are out of order"));
            }
            budget.take(&digest)?;
            parts.push(digest);
        }
    }
    Ok(parts)
}

/// A number that no field has.
const NO_PROPERTIES: u32 = 0;

fn decode_named(
    bytes: &[u8],
    digest_field: u32,
    properties_field: u32,
    claim: &mut dyn FnMut(&BlobDigest, Digest),
) -> Result<(String, BlobDigest), MalformedResult> {
    let mut name = None;
    let mut digest = None;
    let mut claimed = None;
    for field in Fields::new(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => name = std::str::from_utf8(text).ok(),
            (number, Wire::Bytes(message)) if number == digest_field => {
                digest = Some(decode_digest(message)?);
            }
            (number, Wire::Bytes(message)) if number == properties_field => {
                claimed = decode_property(message)?;
            }
            _ => {}
        }
    }
    let (name, digest) = name.zip(digest).ok_or(MalformedResult("an output has no name or no digest"))?;
    if let Some(hash) = claimed {
        claim(&digest, hash);
    }
    Ok((name.to_owned(), digest))
}

fn decode_property(bytes: &[u8]) -> Result<Option<Digest>, MalformedResult> {
    for field in Fields::new(bytes) {
        let (1, Wire::Bytes(property)) = field? else { continue };
        let (mut is_ours, mut value) = (false, None);
        for field in Fields::new(property) {
            match field? {
                (1, Wire::Bytes(name)) => is_ours = name == BLAKE3.as_bytes(),
                (2, Wire::Bytes(text)) => {
                    value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
                }
                _ => {}
            }
        }
        if is_ours {
            return Ok(value);
        }
    }
    Ok(None)
}

/// Decodes a `Digest`.
///
/// # Errors
/// [`MalformedResult`] if the hash is not 64 hexadecimal digits, or the size is negative.
pub fn decode_digest(bytes: &[u8]) -> Result<BlobDigest, MalformedResult> {
    let mut hash = None;
    let mut n_bytes = 0;
    for field in Fields::new(bytes) {
        match field? {
            (1, Wire::Bytes(text)) => {
                hash = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Digest>().ok());
            }
            (2, Wire::Number(number)) => n_bytes = number,
            _ => {}
        }
    }
    if i64::try_from(n_bytes).is_err() {
        return Err(MalformedResult("the size of a blob is negative"));
    }
    hash.map(|hash| BlobDigest::new(hash, n_bytes)).ok_or(MalformedResult("a digest is not 64 hex digits"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reapi::{
        Message, annotate, annotation, encode_digest, encode_file_node, encode_result, encode_result_with,
    };

    fn blob(text: &str) -> Output {
        Output::File(BlobDigest::of(text.as_bytes()))
    }

    #[test]
    fn results_read_back() {
        let outputs = Outputs::from([
            ("model.gguf".to_owned(), Output::Composite(vec![BlobDigest::of(b"a"), BlobDigest::of(b"")])),
            ("manifest.json".to_owned(), blob("m")),
        ]);
        let (result, trees) = encode_result(&outputs);
        let read = decode_result(&result, &mut |digest| {
            trees.iter().find(|tree| BlobDigest::of(tree) == *digest).cloned()
        });
        assert_eq!(read, Ok(outputs));
        assert!(decode_result(&result, &mut |_| None).is_err());
    }

    #[test]
    fn notes_are_found_by_name_and_change_no_result() {
        let outputs = Outputs::from([("file".to_owned(), blob("f"))]);
        let (mut result, _) = encode_result(&outputs);
        assert_eq!(annotation(&result, "a"), None);
        annotate(&mut result, "a", b"first");
        annotate(&mut result, "b", b"second");
        assert_eq!(annotation(&result, "a"), Some(&b"first"[..]));
        assert_eq!(annotation(&result, "b"), Some(&b"second"[..]));
        assert_eq!(annotation(&result, "c"), None);
        assert_eq!(decode_result(&result, &mut |_| None), Ok(outputs));
    }

    #[test]
    fn hashes_beside_digests_are_decoded() {
        let outputs = Outputs::from([
            ("file".to_owned(), blob("f")),
            ("whole".to_owned(), Output::Composite(vec![BlobDigest::of(b"a"), BlobDigest::of(b"b")])),
        ]);
        let other = |digest: &BlobDigest| Digest::of(digest.hash.as_bytes());
        let (result, trees) = encode_result_with(&BlobDigest::of, &outputs, &|digest| Some(other(digest)));
        let mut claims = Vec::new();
        let read = decode_result_with(
            &result,
            &mut |digest| trees.iter().find(|tree| BlobDigest::of(tree) == *digest).cloned(),
            &mut |digest, hash| claims.push((*digest, hash)),
        );
        assert_eq!(read, Ok(outputs));
        let expected = [b"f", b"a", b"b"].map(|bytes| (BlobDigest::of(bytes), other(&BlobDigest::of(bytes))));
        assert_eq!(claims, expected);
    }

    /// A message with bytes fields only.
    fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
        let mut message = Message::default();
        fields.iter().for_each(|(number, bytes)| message.raw(*number, bytes));
        message.bytes
    }

    /// A result with a file for each of the names.
    fn files(names: &[&[u8]]) -> Vec<u8> {
        let digest = encode_digest(&BlobDigest::of(b"x"));
        let file = |name: &&[u8]| message(&[(1, name), (2, &digest)]);
        names.iter().flat_map(|name| message(&[(2, &file(name))])).collect()
    }

    fn refused(result: &[u8], tree: &[u8]) -> String {
        decode_result(result, &mut |_| Some(tree.to_vec())).unwrap_err().to_string()
    }

    #[test]
    fn names_that_leave_the_folder_or_collide_are_refused() {
        assert!(decode_result(&files(&[b"a", b"b/c", b"b/d e"]), &mut |_| None).is_ok());
        for outside in ["../x", "/x", "", "a//b", "a/", "./a", "a/../b", "..", "."] {
            assert!(
                refused(&files(&[outside.as_bytes()]), b"").ends_with("not a path below a folder"),
                "{outside}"
            );
        }
        for control in ["a\0b", "a\nb", "a\u{1b}[2J", "a\u{9b}1m"] {
            assert!(
                refused(&files(&[control.as_bytes()]), b"").ends_with("a control character"),
                "{control:?}"
            );
        }
        assert!(refused(&files(&[&[b'a'; MAX_PATH + 1]]), b"").ends_with("more than 4096 bytes"));
        assert!(refused(&files(&[b"a", b"a"]), b"").ends_with("two outputs have the same name"));
        assert!(refused(&files(&[b"a", b"a/b"]), b"").ends_with("both a file and a folder"));
        assert!(refused(&files(&[b"\xff"]), b"").ends_with("no name or no digest"));
        let both = [
            files(&[b"a"]),
            message(&[(3, &message(&[(1, b"a"), (3, &encode_digest(&BlobDigest::of(b"t")))]))]),
        ];
        assert!(refused(&both.concat(), b"").ends_with("two outputs have the same name"));
        for links in 10..=12 {
            assert!(
                refused(&message(&[(links, &message(&[(1, b"a"), (2, b"/etc")]))]), b"")
                    .ends_with("a symbolic link")
            );
        }
    }

    /// A result with a composite for each of the names, all of a tree with `n_bytes` bytes.
    fn composites(names: &[&str], n_bytes: u64) -> Vec<u8> {
        let digest = encode_digest(&BlobDigest::new(Digest::of(b"tree"), n_bytes));
        let folder = |name: &&str| message(&[(1, name.as_bytes()), (3, &digest)]);
        names.iter().flat_map(|name| message(&[(3, &folder(name))])).collect()
    }

    /// A tree whose parts have the sizes.
    fn tree(sizes: impl Iterator<Item = u64>) -> Vec<u8> {
        let part = |(index, n_bytes): (usize, u64)| {
            message(&[(1, &encode_file_node(index, &BlobDigest::new(Digest::of(b"x"), n_bytes), None))])
        };
        message(&[(1, &sizes.enumerate().flat_map(part).collect::<Vec<u8>>())])
    }

    #[test]
    fn trees_that_hold_more_than_files_in_order_are_refused() {
        let result = composites(&["a"], 100);
        let node = |name: &[u8]| message(&[(1, name), (2, &encode_digest(&BlobDigest::of(b"x")))]);
        let root = |field, name| message(&[(1, &message(&[(field, &node(name))]))]);
        assert!(decode_result(&result, &mut |_| Some(root(1, b"000000"))).is_ok());
        for (tree, expected) in [
            (root(2, b"000000"), "more than files"),
            (root(3, b"000000"), "more than files"),
            (message(&[(1, b""), (2, b"")]), "more than files"),
            (root(1, b"../000000"), "out of order"),
            (root(1, b"000001"), "out of order"),
            ([root(1, b"000000"), root(1, b"000000")].concat(), "out of order"),
        ] {
            assert!(refused(&result, &tree).ends_with(expected), "{expected}");
        }
        // The decoder does not descend, regardless of the nesting.
        let deep = (0..100_000).fold(Vec::new(), |inner: Vec<u8>, _| {
            let head = message(&[(2, &inner[..inner.len().min(40)])]);
            head.into_iter().chain(inner.into_iter().take(40)).collect()
        });
        assert!(refused(&result, &message(&[(1, &deep)])).ends_with("more than files"));
    }

    #[test]
    fn the_cost_of_a_result_is_limited_before_a_tree_is_fetched() {
        let mut n_fetched = 0;
        let names: Vec<String> = (0..100).map(|index| format!("{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = composites(&names, 1 << 20);
        let read = decode_result(&many, &mut |_| {
            n_fetched += 1;
            None
        });
        assert_eq!(
            (read.unwrap_err().to_string().split(": ").nth(1), n_fetched),
            (Some("its trees have more than 64 MiB"), 0)
        );
        for sizes in [vec![1 << 62; 2], vec![u64::MAX], vec![1 << 63], vec![(1 << 63) - 1, 1]] {
            let reported = refused(&composites(&["a"], 1), &tree(sizes.into_iter()));
            assert!(reported.contains("2^63") || reported.contains("negative"), "{reported}");
        }
        let too_many = tree(std::iter::repeat_n(1, MAX_PARTS + MAX_OUTPUTS + 1));
        assert!(refused(&composites(&["a"], 1), &too_many).ends_with("131,072 parts"));
        let outputs: Vec<String> = (0..=MAX_OUTPUTS).map(|index| format!("{index}")).collect();
        let outputs: Vec<&[u8]> = outputs.iter().map(String::as_bytes).collect();
        assert!(refused(&files(&outputs), b"").ends_with("10,000 outputs"));
    }

    proptest! {
        #[test]
        fn foreign_bytes_are_refused_or_read_but_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read = decode_result(&bytes, &mut |_| Some(bytes.clone()));
            prop_assert!(read.is_ok() || read.is_err());
        }
    }
}
