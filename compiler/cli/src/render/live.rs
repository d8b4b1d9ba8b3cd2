//! Bars that move on a terminal. The library writes to the terminal by itself, so this module escapes the text that it
//! gives to the library, and no other module makes bars.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mc_syntax::terminal::printable;

/// Bars below each other on stderr.
pub(crate) fn bars() -> MultiProgress {
    MultiProgress::with_draw_target(ProgressDrawTarget::stderr())
}

/// A bar on stderr, or a spinner where no length is known.
pub(crate) fn bar(length: Option<u64>, template: &'static str, message: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is a constant and well-formed");
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style);
    bar.with_message(printable(message).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_bars_steer_nothing() {
        assert_eq!(bar(None, "{msg}", "a\u{1b}[2J\nb").message(), "a\\u{1b}[2J\\nb");
    }
}
