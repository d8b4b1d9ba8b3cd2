//! Reads lists in responses of servers without copying them.
//!
//! Lists have a limit on their entries; further entries are ignored.

use std::collections::BTreeSet;

use mc_digest::digest::BlobDigest;
use mc_ir::protobuf::{self, MalformedMessage};
use mc_ir::reapi_result::decode_digest;
use tonic::{Code, Status};

/// The status for a response that cannot be parsed.
pub(crate) fn unreadable(error: &MalformedMessage) -> Status {
    Status::data_loss(format!("its answer cannot be read: {error}"))
}

/// The digests in a field of a response, at most `max` of them. Entries that are not digests are left out.
pub(crate) fn digests(answer: &[u8], field: u32, max: usize) -> Result<Vec<BlobDigest>, Status> {
    let mut found = Vec::new();
    for digest in protobuf::repeated(answer, field) {
        let digest = digest.map_err(|error| unreadable(&error))?;
        if found.len() == max {
            break;
        }
        found.extend(decode_digest(digest));
    }
    Ok(found)
}

/// Appends the chunks in a response about a blob to earlier ones; `None` if an entry is not a digest, or there are more
/// than `max`.
pub(crate) fn chunks(
    answer: &[u8],
    mut before: Vec<BlobDigest>,
    max: usize,
) -> Result<Option<Vec<BlobDigest>>, Status> {
    const CHUNKS: u32 = 1;
    for digest in protobuf::repeated(answer, CHUNKS) {
        let Ok(digest) = decode_digest(digest.map_err(|error| unreadable(&error))?) else { return Ok(None) };
        if before.len() == max {
            return Ok(None);
        }
        before.push(digest);
    }
    Ok(Some(before))
}

/// The requested blobs that a response contains. A blob of the wrong length is left out like a missing one, and
/// requested again on its own.
pub(crate) fn batch(
    answer: &[u8],
    mut asked: BTreeSet<BlobDigest>,
) -> Result<Vec<(BlobDigest, Vec<u8>)>, Status> {
    const DATA: u32 = 2;
    const STATUS: u32 = 3;
    let mut found = Vec::new();
    for response in responses(answer, STATUS) {
        let Response { digest, status, message } = response?;
        let Some(digest) = digest.filter(|digest| asked.contains(digest)) else { continue };
        let data = field(message, DATA)?;
        if code(status)? == Code::Ok && data.len() as u64 == digest.n_bytes && asked.remove(&digest) {
            found.push((digest, data.to_vec()));
        }
    }
    Ok(found)
}

/// Checks that the server accepted all blobs of a batch.
///
/// # Errors
/// The first rejection.
pub(crate) fn taken(answer: &[u8]) -> Result<(), Status> {
    const STATUS: u32 = 2;
    const MESSAGE: u32 = 2;
    for response in responses(answer, STATUS) {
        let status = response?.status;
        let code = code(status)?;
        if code != Code::Ok {
            let message = field(status, MESSAGE)?;
            return Err(Status::with_details(code, words(message), status.to_vec().into()));
        }
    }
    Ok(())
}

/// Checks that the stored result in the response has the same outputs as the one that was sent. A bit flipped on the
/// way may leave a message that the server can parse. A response without outputs is not checked.
///
/// # Errors
/// A status that causes a retry.
pub(crate) fn repeats(answer: &[u8], sent: &[u8]) -> Result<(), Status> {
    let mut expected: BTreeSet<_> = outputs(sent).collect::<Result<_, _>>()?;
    let n_expected = expected.len();
    for found in outputs(answer) {
        if !expected.remove(&found?) {
            return Err(changed());
        }
    }
    if expected.is_empty() || expected.len() == n_expected { Ok(()) } else { Err(changed()) }
}

fn changed() -> Status {
    Status::aborted("it stored another result than was sent")
}

/// The outputs that a result names: the field, the name, and the digest of a file or a tree.
fn outputs(result: &[u8]) -> impl Iterator<Item = Result<(u32, &[u8], Option<BlobDigest>), Status>> {
    const NAME: u32 = 1;
    // Field of the digest: in a file, and in a folder, which is a tree.
    const FILES: (u32, u32) = (2, 2);
    const FOLDERS: (u32, u32) = (3, 3);
    [FILES, FOLDERS].into_iter().flat_map(|(list, digest)| {
        protobuf::repeated(result, list).map(move |output| {
            let output = output.map_err(|error| unreadable(&error))?;
            Ok((list, field(output, NAME)?, decode_digest(field(output, digest)?).ok()))
        })
    })
}

/// The response for one blob of a batch.
struct Response<'a> {
    digest: Option<BlobDigest>,
    status: &'a [u8],
    message: &'a [u8],
}

/// * `status_field`: the field of the status in each response
fn responses(answer: &[u8], status_field: u32) -> impl Iterator<Item = Result<Response<'_>, Status>> {
    const RESPONSES: u32 = 1;
    const DIGEST: u32 = 1;
    protobuf::repeated(answer, RESPONSES).map(move |response| {
        let message = response.map_err(|error| unreadable(&error))?;
        let digest = decode_digest(field(message, DIGEST)?).ok();
        Ok(Response { digest, status: field(message, status_field)?, message })
    })
}

/// The bytes of a field; empty if absent.
pub(crate) fn field(message: &[u8], field: u32) -> Result<&[u8], Status> {
    Ok(protobuf::bytes(message, field).map_err(|error| unreadable(&error))?.unwrap_or_default())
}

/// The code of a status.
pub(crate) fn code(status: &[u8]) -> Result<Code, Status> {
    const CODE: u32 = 1;
    let code = protobuf::number(status, CODE).map_err(|error| unreadable(&error))?;
    Ok(i32::try_from(code).map_or(Code::Unknown, Code::from_i32))
}

/// Limit on the bytes kept of a server's text.
const MAX_WORDS: usize = 4096;

/// A server's text, for messages.
pub(crate) fn words(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(MAX_WORDS)]).into_owned()
}
