//! Chat templates: convert messages to the text that the model was trained to continue.
//!
//! Templates are written for Jinja2 as Hugging Face configures it, and are rendered here by minijinja with
//! the same settings, functions and string methods. The date is fixed, so that equal messages give equal text
//! on any day.
//!
//! A template is an untrusted program. Its size and nesting are checked before it is parsed ([`outline`]);
//! instructions, work, memory and output are counted while it runs ([`budget`]); and it is parsed, run and
//! freed on a thread whose stack is large enough for everything that the other limits allow. All limits are
//! counts: whether a template renders depends neither on the machine nor on a clock, and the largest takes
//! less than a second.
//!
//! Source: `_compile_jinja_template`, `chat_template_utils.py` of Transformers.

pub mod budget;
pub(crate) mod builtins;
pub(crate) mod date;
pub(crate) mod json;
pub mod ollama;
pub(crate) mod operators;
pub mod outline;
pub(crate) mod rewrite;
pub mod templates;
pub mod turns;

use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};
use std::thread;

use minijinja::machinery::{self, CodeGenerator};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use regex::Regex;

use crate::chat::budget::MAX_INSTRUCTIONS;
use crate::error::FamilyError;

/// Version of rendering, part of the versions of actions that render; must be raised when a template may give
/// another text.
pub const VERSION: u32 = 1;

/// Name of the threads that run templates; a panic there is reported as an error of the template, not as a
/// bug.
pub const THREAD: &str = "chat template";

/// Stack size in bytes for a template. The deepest template within the limits uses a tenth of it in a build
/// without optimizations.
const STACK_BYTES: usize = 64 << 20;

/// Maximum number of bytes of a template's own text that an error repeats.
const MAX_REASON_BYTES: usize = 2000;

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The speaker: `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// A chat template after parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    source: String,
    place: String,
}

impl ChatTemplate {
    /// Reads the Jinja source of a template.
    ///
    /// * `place`: the file or key that contains it, in quotes, for errors
    ///
    /// # Errors
    /// Fails if it is not a template, or exceeds a limit.
    pub fn new(source: &str, place: &str) -> Result<Self, FamilyError> {
        let (source, place) = (without_marks(source), place.to_owned());
        on_own_stack(&place, "read", || with_instructions(&source, |_, _| Ok(())))?;
        Ok(Self { source, place })
    }

    /// Returns the text of `messages`, with the beginning of the assistant's turn if `add_generation_prompt`.
    ///
    /// # Errors
    /// Fails if the template refuses the messages (for example because roles do not alternate), uses an
    /// unsupported feature, or exceeds a limit.
    pub fn render(
        &self,
        messages: &[Message],
        bos: &str,
        eos: &str,
        add_generation_prompt: bool,
    ) -> Result<String, FamilyError> {
        on_own_stack(&self.place, "rendered", || {
            let context = minijinja::context! {
                messages => messages.iter().map(Message::value).collect::<Vec<_>>(),
                bos_token => bos,
                eos_token => eos,
                add_generation_prompt => add_generation_prompt,
            };
            with_instructions(&self.source, |instructions, environment| {
                let mut text = String::new();
                let mut output = machinery::make_string_output(&mut text);
                let blocks = BTreeMap::new();
                let (_, state) = machinery::eval(
                    environment,
                    instructions,
                    context,
                    &blocks,
                    &mut output,
                    AutoEscape::None,
                )?;
                drop(state);
                drop(output);
                Ok(text)
            })
        })
    }
}

impl Message {
    fn value(&self) -> Value {
        Value::from_pairs([("role", self.role.as_str()), ("content", self.content.as_str())])
    }
}

// The marks around the assistant's words only matter for training. A statement replaces them, so that spaces
// and lines around them are dropped or kept as in Transformers.
fn without_marks(source: &str) -> String {
    static MARKS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
        [r"\{%([-+]?)\s*generation\s*([-+]?)%\}", r"\{%([-+]?)\s*endgeneration\s*([-+]?)%\}"]
            .map(|pattern| Regex::new(pattern).expect("it is a valid expression"))
    });
    let [begin, end] = &*MARKS;
    end.replace_all(&begin.replace_all(source, "{%$1 if true $2%}"), "{%$1 endif $2%}").into_owned()
}

fn syntax() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
}

/// Compiles a template and calls `then`; everything derived from the template is dropped before this returns.
fn with_instructions<T>(
    source: &str,
    then: impl FnOnce(&machinery::Instructions<'_>, &Environment<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let syntax = syntax()?;
    outline::check(source, syntax.clone()).map_err(crate::chat::budget::limit)?;
    let rewritten = {
        let parsed = machinery::parse(source, "chat", syntax)?;
        rewrite::template(&parsed)
    };
    let mut generator = CodeGenerator::new("chat", source);
    generator.compile_stmt(&rewritten);
    drop(rewritten);
    let (instructions, _) = generator.finish();
    then(&instructions, environment())
}

fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::empty();
        environment.set_fuel(Some(MAX_INSTRUCTIONS));
        builtins::add_to(&mut environment);
        environment
    })
}

/// Runs `work` on a thread with its own stack.
fn on_own_stack<T: Send>(
    place: &str,
    action: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, FamilyError> {
    let refused = |reason: String| FamilyError::ChatTemplate { place: place.to_owned(), action, reason };
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(THREAD.to_owned()).stack_size(STACK_BYTES);
        // Errors contain values of the template; they are converted to text, and freed, on the same thread.
        let work = || {
            work().map_err(|error| match limit(&error) {
                Some(limit) => FamilyError::ChatTemplateLimit { place: place.to_owned(), limit },
                None => refused(short(error.to_string())),
            })
        };
        let thread = thread.spawn_scoped(scope, work);
        let thread =
            thread.map_err(|error| refused(format!("no thread could be started for it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(refused("the template engine failed".to_owned())))
    })
}

/// Truncates a long reason, because it may repeat text of the template.
fn short(mut reason: String) -> String {
    if reason.len() > MAX_REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
        reason.push('…');
    }
    reason
}

/// Returns the limit that an error or its cause reports.
fn limit(error: &Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = next {
        if let Some(error) = current.downcast_ref::<Error>() {
            let line = error.line().map_or_else(String::new, |line| format!(" (in line {line})"));
            match (error.kind(), error.detail()) {
                (ErrorKind::OutOfFuel, Some(limit)) => return Some(format!("{limit}{line}")),
                (ErrorKind::OutOfFuel, None) => {
                    return Some(format!("it takes more than {MAX_INSTRUCTIONS} instructions{line}"));
                }
                (_, Some("recursion limit exceeded")) => {
                    return Some(format!("macros, loops and blocks are nested too deeply in calls{line}"));
                }
                (_, Some("template exceeds maximum recursion limits")) => {
                    return Some(format!("its statements and brackets are nested too deeply{line}"));
                }
                _ => {}
            }
        }
        next = current.source();
    }
    None
}
