//! The work of running models over a text, and the progress of such runs.

use mc_ir::action::ActionContext;
use mc_ir::work::{Progress, ProgressUnit, Work};

/// Bytes of text per token, a guess used before the text is tokenized.
const BYTES_PER_TOKEN: u64 = 4;

/// Seconds per token and KiB of weights if no duration is recorded: about 5 GFLOP/s. Picked by gut feeling.
const SECONDS_PER_UNIT: f64 = 2e-7;

/// Returns the work of running models over a text.
///
/// * `class`: name of a group of actions that take the same time per token and byte of weights
/// * `sizes`: bytes of the models' inputs, followed by those of the text
pub(crate) fn reading(class: &str, sizes: &[u64]) -> Work {
    let (text, models) = sizes.split_last().map_or((0, &[][..]), |(text, models)| (*text, models));
    let n_weights = models.iter().fold(0u64, |sum, n_bytes| sum.saturating_add(*n_bytes));
    let n_tokens = text / BYTES_PER_TOKEN + 1;
    let n_units = n_tokens.saturating_mul(n_weights / 1024 + 1);
    Work { class: class.to_owned(), n_units, assumed: SECONDS_PER_UNIT }
}

/// Forwards the progress of a computation to the observers of its action.
pub(crate) fn report(ctx: &dyn ActionContext, unit: ProgressUnit) -> impl Fn(usize, usize) + Sync {
    move |n_done, n_total| {
        ctx.progress(Progress { n_done: n_done as u64, n_total: n_total as u64, unit });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_grows_with_the_text_and_the_weights() {
        let units = |sizes: &[u64]| reading("perplexity", sizes).n_units;
        assert_eq!(units(&[1024 * 9, 4 * 99]), 1000);
        assert_eq!(units(&[1024 * 9, 1024 * 10, 4 * 99]), 2000);
        assert_eq!((units(&[]), units(&[u64::MAX, u64::MAX, u64::MAX]) > 1 << 60), (1, true));
    }
}
