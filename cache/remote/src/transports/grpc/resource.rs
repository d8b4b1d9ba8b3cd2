//! Resource names of blobs in ByteStream.
//!
//! ```text
//! read   {instance/}blobs/{function/}HASH/SIZE
//! write  {instance/}uploads/UUID/blobs/{function/}HASH/SIZE
//! ```
//!
//! `compressed-blobs/zstd` replaces `blobs` if the bytes are compressed; hash and size are of the uncompressed bytes.
//! The function is included if the hash length does not imply it: `blake3`, but not `sha256`. Source:
//! build/bazel/remote/execution/v2/remote_execution.proto.

use mc_digest::digest::BlobDigest;

use crate::function::DigestFunction;

/// Encoding of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Travel {
    /// Uncompressed.
    Plain,
    /// Compressed with zstd.
    Zstd,
}

fn blob(function: DigestFunction, travel: Travel, digest: &BlobDigest) -> String {
    let kind = match travel {
        Travel::Plain => "blobs",
        Travel::Zstd => "compressed-blobs/zstd",
    };
    let function = match function {
        DigestFunction::Blake3 => "blake3/",
        DigestFunction::Sha256 => "",
    };
    format!("{kind}/{function}{}/{}", digest.hash, digest.n_bytes)
}

fn of_instance(instance: &str, rest: &str) -> String {
    if instance.is_empty() { rest.to_owned() } else { format!("{instance}/{rest}") }
}

/// Resource name for reading a blob.
pub(crate) fn reading(
    instance: &str,
    function: DigestFunction,
    travel: Travel,
    digest: &BlobDigest,
) -> String {
    of_instance(instance, &blob(function, travel, digest))
}

/// Resource name for one upload of a blob.
pub(crate) fn writing(
    instance: &str,
    function: DigestFunction,
    travel: Travel,
    digest: &BlobDigest,
    uuid: &str,
) -> String {
    of_instance(instance, &format!("uploads/{uuid}/{}", blob(function, travel, digest)))
}

/// A unique id for an upload.
pub(crate) fn uuid() -> String {
    let mut bytes = [0_u8; 16];
    // There is no fallback without system randomness: ids must be unique across machines.
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .expect("the system has randomness");
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_names_match_the_specification() {
        let digest = BlobDigest::of(b"abc");
        let hash = digest.hash;
        let read = |instance, function, travel| reading(instance, function, travel, &digest);
        assert_eq!(read("", DigestFunction::Sha256, Travel::Plain), format!("blobs/{hash}/3"));
        assert_eq!(read("a/b", DigestFunction::Blake3, Travel::Plain), format!("a/b/blobs/blake3/{hash}/3"));
        assert_eq!(
            read("", DigestFunction::Blake3, Travel::Zstd),
            format!("compressed-blobs/zstd/blake3/{hash}/3")
        );
        assert_eq!(
            writing("main", DigestFunction::Sha256, Travel::Plain, &digest, "u"),
            format!("main/uploads/u/blobs/{hash}/3")
        );
    }

    #[test]
    fn each_upload_has_a_unique_name() {
        let (one, two) = (uuid(), uuid());
        assert_ne!(one, two);
        assert_eq!((one.len(), &one[14..15]), (36, "4"));
    }
}
