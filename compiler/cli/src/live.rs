//! Frames: lines that are redrawn in place on a terminal.
//!
//! After each frame the cursor returns to the frame's first cell, and erasing clears everything from the cursor to the
//! end of the screen. So this module needs no knowledge of how a resized terminal rewraps lines: the cursor stays at
//! its character, and the whole frame is behind it.
//!
//! Lines are escaped here. No other module writes codes that move the cursor.

#[cfg(test)]
pub(crate) mod screen_model;

use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};

use mc_syntax::terminal::printable;

/// Erases the frame; the cursor must be at its beginning.
pub(crate) const ERASE: &str = "\r\u{1B}[J";

/// Size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    /// Cells of a line.
    pub(crate) n_columns: usize,
    /// Lines.
    pub(crate) n_rows: usize,
}

/// True while a frame is on the process's terminal.
static IS_DRAWN: AtomicBool = AtomicBool::new(false);

/// The bytes that draw a frame in place of the previous one.
///
/// * `lines`: each short enough for the terminal
pub(crate) fn drawn(lines: &[String]) -> String {
    let shown: Vec<_> = lines.iter().map(|line| printable(line)).collect();
    let mut bytes = ERASE.to_owned() + &shown.join("\r\n") + "\r";
    if shown.len() > 1 {
        bytes.push_str(&format!("\u{1B}[{}A", shown.len() - 1));
    }
    bytes
}

/// Records whether a frame is on the process's terminal.
pub(crate) fn note(is_drawn: bool) {
    IS_DRAWN.store(is_drawn, Ordering::Relaxed);
}

/// Erases the frame from the process's terminal before the process is ended by force.
pub(crate) fn leave() {
    if IS_DRAWN.swap(false, Ordering::Relaxed) {
        // The write may fail if stderr is closed; the process ends either way.
        drop(std::io::stderr().write_all(ERASE.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::screen_model::Screen;

    fn lines(n_cells: usize) -> Vec<String> {
        ["a", "b", "c"].map(|letter| letter.repeat(n_cells)).to_vec()
    }

    #[test]
    fn a_frame_replaces_the_previous_one() {
        let mut screen = Screen::new(20, 6);
        screen.write("$ mc build\r\n");
        screen.write(&drawn(&lines(5)));
        assert_eq!(screen.text(), "$ mc build\naaaaa\nbbbbb\nccccc");
        screen.write(&drawn(&["d".to_owned()]));
        assert_eq!(screen.text(), "$ mc build\nd");
        screen.write(ERASE);
        screen.write("done\r\n$ ");
        assert_eq!(screen.text(), "$ mc build\ndone\n$");
    }

    #[test]
    fn resizing_leaves_no_remains_of_frames_on_any_terminal() {
        for is_reflowing in [true, false] {
            for (n_columns, n_rows) in [(7, 12), (3, 12), (40, 12), (20, 4), (5, 30), (80, 24)] {
                let mut screen = Screen::new(20, 12);
                screen.is_reflowing = is_reflowing;
                screen.write("$\r\n");
                screen.write(&drawn(&lines(19)));
                screen.resize(n_columns, n_rows);
                screen.write(&drawn(&lines(n_columns - 1)));
                screen.resize(20, 12);
                screen.write(&drawn(&lines(19)));
                screen.write(ERASE);
                screen.write("done\r\n");
                assert_eq!(screen.text(), "$\ndone", "{n_columns} {n_rows} {is_reflowing}");
            }
        }
    }

    #[test]
    fn a_frame_at_the_end_of_the_screen_scrolls_it_once() {
        let mut screen = Screen::new(20, 4);
        screen.write("1\r\n2\r\n3\r\n4\r\n");
        for _ in 0..5 {
            screen.write(&drawn(&lines(3)));
        }
        assert_eq!(screen.text(), "1\n2\n3\n4\naaa\nbbb\nccc");
        screen.write(ERASE);
        assert_eq!(screen.text(), "1\n2\n3\n4");
    }

    #[test]
    fn lines_steer_nothing() {
        assert_eq!(drawn(&["a\u{1b}[2J\nb".to_owned()]), "\r\u{1b}[Ja\\u{1b}[2J\\nb\r");
    }
}
