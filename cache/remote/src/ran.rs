//! Reads the rest of a worker's result, besides the outputs: how the action ended, and what its program wrote.

use mc_digest::digest::BlobDigest;
use mc_ir::protobuf::{self, MalformedMessage};
use mc_ir::reapi_result::decode_digest;

/// Characters that are shown of what a program wrote.
const MAX_SHOWN: usize = 2000;

/// The end of an action, as an `ActionResult` says it.
pub(crate) struct Ran<'a> {
    /// 0 where all went well.
    pub(crate) exit_code: i64,
    pub(crate) stdout: Written<'a>,
    pub(crate) stderr: Written<'a>,
}

/// Output of a program: the bytes themselves, or their blob.
pub(crate) struct Written<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) blob: Option<BlobDigest>,
}

impl<'a> Ran<'a> {
    /// # Errors
    /// When the bytes are not a message.
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

/// Joins the lines of a text, and cuts the result to a decent length.
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
fn a_long_text_is_cut() {
    assert_eq!(in_one_line("one\n\n  two\n"), "one | two");
    assert_eq!(in_one_line(&"x".repeat(1 << 20)).len(), MAX_SHOWN);
    assert!(in_one_line(&"x\n".repeat(1 << 20)).len() <= MAX_SHOWN);
}
