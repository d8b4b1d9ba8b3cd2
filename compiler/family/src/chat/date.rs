//! The date that chat templates are told: fixed, so that equal messages give equal text on any day.

/// The date that Llama 3's template has built in.
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

/// The date in the words of Python's `strftime`.
pub(crate) fn strftime(format: &str) -> String {
    DATE.iter().fold(format.to_owned(), |text, (field, value)| text.replace(field, value))
}
