//! The filter `tojson` of chat templates.
//!
//! Jinja2's own filter escapes `<` and similar characters for HTML; Transformers replaces it by plain JSON,
//! as this does.

use std::io::{self, Write};

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, State, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::chat::budget::{Budget, MAX_WIDTH, limit};

/// Formats a value as JSON.
pub(crate) fn to_json(state: &mut State<'_, '_>, value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted because templates pass it; text is never escaped to ASCII here, which is the default of
    // Transformers.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    if indent.is_some_and(|n_spaces| n_spaces > MAX_WIDTH) {
        return Err(limit(format!("JSON is indented by more than {MAX_WIDTH} spaces")));
    }
    let budget = Budget::of(state);
    // Once for the value itself, and a few times for the tree that is written.
    let work = budget.read(value)?;
    budget.charge_times(work, 8)?;
    let value = serde_json::to_value(value).map_err(unwritable)?;
    let mut text = Bounded { bytes: Vec::new(), n_left: budget.work_left() };
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)),
        Some(n_spaces) => {
            let spaces = " ".repeat(n_spaces);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter))
        }
    };
    // The bytes are charged first, because text that is too long causes the other error.
    let n_bytes = if written.is_err() && text.n_left == 0 { usize::MAX } else { text.bytes.len() };
    budget.charge(n_bytes)?;
    written.map_err(unwritable)?;
    String::from_utf8(text.bytes).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, error.to_string())
}

/// A buffer of limited size.
struct Bounded {
    bytes: Vec<u8>,
    n_left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.n_left.checked_sub(bytes.len()) {
            Some(n_left) => {
                self.n_left = n_left;
                self.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.n_left = 0;
                Err(io::Error::other("the text is too long"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes JSON on one line as Python does: with a space after every comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
