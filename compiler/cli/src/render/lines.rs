//! Progress as plain lines, for logs: one for each step that ran.

use std::time::Duration;

use mc_ir::action::ActionNode;
use mc_syntax::terminal::printable;

/// The line of a step that ran: kind, label, description, time.
pub(crate) fn ran(node: &ActionNode, elapsed: Duration) -> String {
    format!("{}  ({})\n", step(node), seconds(elapsed))
}

/// A step in one line: kind, label, description.
pub(crate) fn step(node: &ActionNode) -> String {
    format!("{:<10} {}  {}", node.action.kind().name, node.label, printable(&node.action.describe()))
}

/// A time with the digits that matter.
pub(crate) fn seconds(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_have_two_digits() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_secs(75)), "75 s");
    }
}
