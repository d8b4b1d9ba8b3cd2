//! The date that chat templates see: fixed, so that equal messages give equal text on any day.

/// The date that is built into Llama 3's template.
const DATE: [(&str, &str); 8] = [
    ("%d", "26"),
    ("%b", "Jul"),
    ("%B", "July"),
    ("%m", "07"),
    ("%Y", "2024"),
    ("%y", "24"),
    ("%A", "Friday"),
    ("%a", "Fri"),
];

/// Formats the date as Python's `strftime` does.
pub(crate) fn strftime(format: &str) -> String {
    DATE.iter().fold(format.to_owned(), |text, (field, value)| text.replace(field, value))
}
