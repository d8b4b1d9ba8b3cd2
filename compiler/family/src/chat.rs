//! Chat templates: messages to the text that the model was trained to continue.
//!
//! Templates are written for Jinja2 as Hugging Face sets it up, and are rendered here by minijinja with the same
//! settings, functions and string methods. The date is fixed, so that equal messages give equal text on any day.
//!
//! Source: `_compile_jinja_template`, `chat_template_utils.py` of Transformers.

use std::io::{self, Write};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::error::FamilyError;

/// The date that templates are told; it is the one that Llama 3's template has built in.
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

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: String,
    /// What is said.
    pub content: String,
}

/// A chat template that has been read.
pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// Reads the Jinja source of a template.
    ///
    /// # Errors
    /// When it is no template.
    pub fn new(source: &str) -> Result<Self, FamilyError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| failed("read", &error))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        // The markers around the assistant's words matter to training alone.
        let source = source.replace("{% generation %}", "").replace("{% endgeneration %}", "");
        let source = source.replace("{%- generation %}", "").replace("{%- endgeneration %}", "");
        environment.add_template_owned("chat", source).map_err(|error| failed("read", &error))?;
        Ok(Self { environment })
    }

    /// The text of `messages`, with the beginning of the assistant's turn if `add_generation_prompt`.
    ///
    /// # Errors
    /// When the template refuses the messages, such as roles out of turn, or uses what is not supported.
    pub fn render(
        &self,
        messages: &[Message],
        bos: &str,
        eos: &str,
        add_generation_prompt: bool,
    ) -> Result<String, FamilyError> {
        let template = self.environment.get_template("chat").map_err(|error| failed("rendered", &error))?;
        let context = minijinja::context! {
            messages => messages.iter().map(Message::value).collect::<Vec<_>>(),
            bos_token => bos,
            eos_token => eos,
            add_generation_prompt => add_generation_prompt,
        };
        template.render(context).map_err(|error| failed("rendered", &error))
    }
}

impl Message {
    fn value(&self) -> Value {
        Value::from_pairs([("role", self.role.as_str()), ("content", self.content.as_str())])
    }
}

fn failed(action: &'static str, error: &Error) -> FamilyError {
    FamilyError::ChatTemplate { action, reason: error.to_string() }
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: &str) -> String {
    DATE.iter().fold(format.to_owned(), |text, (field, value)| text.replace(field, value))
}

// Jinja2's own escapes `<` and its kin for web pages; Transformers replaces it by plain JSON.
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    // Accepted because templates pass it; text is never escaped to ASCII here, as Transformers' default has it.
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    let value = serde_json::to_value(value).map_err(unwritable)?;
    let mut text = Vec::new();
    match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut text, Spaced)).map_err(unwritable)?,
        Some(n_spaces) => {
            let spaces = " ".repeat(n_spaces);
            let formatter = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut text, formatter)).map_err(unwritable)?;
        }
    }
    String::from_utf8(text).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::BadSerialization, error.to_string())
}

/// Python's way to write JSON on one line: a space after every comma and colon.
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
