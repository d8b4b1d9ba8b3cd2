//! Parses a worker's result apart from its outputs: exit code and output texts.

use mc_digest::digest::BlobDigest;
use mc_ir::protobuf::{self, MalformedMessage};
use mc_ir::reapi_result::decode_digest;

/// Limit on the characters shown of a program's output.
const MAX_SHOWN: usize = 2000;

/// The end of an action, from an `ActionResult`.
pub(crate) struct Ran<'a> {
    /// Exit code; 0 for success.
    pub(crate) exit_code: i64,
    pub(crate) stdout: Written<'a>,
    pub(crate) stderr: Written<'a>,
}

/// Output text of a program: inline, or the digest of its blob.
pub(crate) struct Written<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) blob: Option<BlobDigest>,
}

impl<'a> Ran<'a> {
    /// # Errors
    /// Fails if the bytes are not a valid message.
    pub(crate) fn read(result: &'a [u8]) -> Result<Self, MalformedMessage> {
        const EXIT_CODE: u32 = 4;
        let written = |raw, blob| {
            let blob = protobuf::bytes(result, blob)?.and_then(|digest| decode_digest(digest).ok());
            Ok(Written { raw: protobuf::bytes(result, raw)?.unwrap_or_default(), blob })
        };
        Ok(Self {
            exit_code: protobuf::number(result, EXIT_CODE)?.cast_signed(),
            stdout: written(5, 6)?,
            stderr: written(7, 8)?,
        })
    }
}

/// Joins the lines of a text and limits its length.
pub(crate) fn in_one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut line = String::new();
    for more in lines {
        if !line.is_empty() {
            line.push_str(" | ");
        }
        line.extend(more.chars().take(MAX_SHOWN));
        if line.len() > MAX_SHOWN {
            break;
        }
    }
    line.chars().take(MAX_SHOWN).collect()
}

#[test]
fn a_long_text_is_truncated() {
    assert_eq!(in_one_line("one\n\n  two\n"), "one | two");
    assert_eq!(in_one_line(&"x".repeat(1 << 20)).len(), MAX_SHOWN);
    assert!(in_one_line(&"x\n".repeat(1 << 20)).len() <= MAX_SHOWN);
}
