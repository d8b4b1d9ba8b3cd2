//! Limits the length of files that are read as a whole.
//!
//! Such files are small in every checkpoint; one of some terabytes, which costs nothing on a disk when it is all holes,
//! would be hashed for hours and then fill the memory. So lengths are checked before a file becomes the input of an
//! action.

use mc_ir::attribute::Place;
use mc_ir::rule::{HeadFormat, RuleContext};
use mc_ir::rule_error::RuleError;

use crate::attributes::{shown_path, source_error};

/// Bytes of a file of a tokenizer, a template or a license. The largest `tokenizer.json` in use has 35 MB.
pub(crate) const MAX_TOKEN_FILE_BYTES: u64 = 256 << 20;

/// Bytes of a file of a dataset.
pub(crate) const MAX_DATA_FILE_BYTES: u64 = 1 << 30;

/// Checks files, given by their paths relative to the package.
///
/// # Errors
/// A fault of `code` at `place` for each that cannot be looked at or is longer than `max_bytes`.
pub(crate) fn check<'a>(
    ctx: &dyn RuleContext,
    place: Place,
    code: &'static str,
    paths: impl IntoIterator<Item = &'a String>,
    max_bytes: u64,
) -> Result<(), Vec<RuleError>> {
    let mut rule_errors = Vec::new();
    for path in paths {
        match ctx.read_head(path, HeadFormat::Nothing) {
            Ok(head) if head.n_bytes <= max_bytes => {}
            Ok(head) => {
                let message = format!(
                    "`{}` has {} bytes; expected at most {max_bytes}",
                    shown_path(ctx, path),
                    head.n_bytes
                );
                rule_errors
                    .push(RuleError::new(place, code, message).help("Is it the file that its name says?"));
            }
            Err(error) => rule_errors.push(source_error(place, code, &error)),
        }
    }
    if rule_errors.is_empty() { Ok(()) } else { Err(rule_errors) }
}
