//! Limits the length of files that are read completely.
//!
//! Such files are small in every checkpoint. A sparse file of some terabytes, which takes no space on a disk,
//! would be hashed for hours and then fill the memory. So lengths are checked before a file becomes the input
//! of an action.

use mc_ir::attribute::Place;
use mc_ir::rule::{HeadFormat, RuleContext};
use mc_ir::rule_error::RuleError;

use crate::attributes::{shown_path, source_error};

/// Maximum size in bytes of a file of a tokenizer, a template or a license. The largest `tokenizer.json` in
/// use has 35 MB.
pub(crate) const MAX_TOKEN_FILE_BYTES: u64 = 256 << 20;

/// Maximum size in bytes of a dataset's file.
pub(crate) const MAX_DATA_FILE_BYTES: u64 = 1 << 30;

/// Checks files, given by their paths relative to the package.
///
/// # Errors
/// An error with `code` at `place` for each file that is inaccessible or longer than `max_bytes`.
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
                    .push(RuleError::new(place, code, message).help("Check that it is the right file"));
            }
            Err(error) => rule_errors.push(source_error(place, code, &error)),
        }
    }
    if rule_errors.is_empty() { Ok(()) } else { Err(rule_errors) }
}
