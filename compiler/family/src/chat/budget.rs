//! Limits what rendering a chat template costs, counted so that every machine stops at the same place.
//!
//! The engine counts its instructions (fuel), but one instruction may copy a text of any length, compare lists of any
//! size or print a value in which one list stands a billion times. So everything that reads or makes a value asks here
//! first, and pays for as much as it may touch; `rewrite` puts those questions into a template, `builtins`
//! into filters, tests, functions and methods.
//!
//! Time and memory follow from the sums: a unit is about a byte copied, a quarter of a value visited, or a thirtieth of
//! a value kept.

use minijinja::value::{DynObject, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Instructions of the engine for one rendering. A conversation of a thousand messages takes about two hundred
/// thousand.
pub const MAX_INSTRUCTIONS: u64 = 2_000_000;

/// Units of work for one rendering: bytes read or copied, [`VISIT`] for each value that is looked at and [`KEEP`] for
/// each that is kept.
pub const MAX_WORK: usize = 64 << 20;

/// Bytes written for one rendering: into the text, and into the results of macros and blocks on the way to it.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// Depth of lists and mappings in each other.
pub const MAX_VALUE_DEPTH: usize = 100;

/// Spaces that a text or JSON is indented by, or columns that a number is padded to.
pub const MAX_WIDTH: usize = 1000;

/// Characters that a value may print for each byte of its texts: in quotes, most are escaped.
const ESCAPED: usize = 10;

/// Work for looking at a value.
const VISIT: usize = 4;

/// Work for keeping one more value.
const KEEP: usize = 32;

/// Budget that is left for a rendering.
pub(crate) struct Budget {
    work: usize,
    output: usize,
}

/// The error for a limit that was reached; its kind distinguishes it from errors that a template raises by itself.
pub(crate) fn limit(text: String) -> Error {
    Error::new(ErrorKind::OutOfFuel, text)
}

impl Budget {
    /// The budget of the rendering that `state` belongs to.
    pub(crate) fn of<'a>(state: &'a mut State<'_, '_>) -> &'a mut Self {
        state.get_or_insert_extension_with(|| Self { work: MAX_WORK, output: MAX_OUTPUT_BYTES })
    }

    /// Pays for work.
    pub(crate) fn charge(&mut self, work: usize) -> Result<(), Error> {
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                // Whoever keeps an error to himself gets no further either.
                self.work = 0;
                Err(limit(format!("it handles more than {MAX_WORK} bytes of text and values")))
            }
        }
    }

    /// Pays for work that is done `n_times`.
    pub(crate) fn charge_times(&mut self, work: usize, n_times: usize) -> Result<(), Error> {
        self.charge(work.saturating_mul(n_times))
    }

    /// Pays for bytes of output.
    pub(crate) fn charge_output(&mut self, n_bytes: usize) -> Result<(), Error> {
        self.output = self
            .output
            .checked_sub(n_bytes)
            .ok_or_else(|| limit(format!("it writes more than {MAX_OUTPUT_BYTES} bytes")))?;
        Ok(())
    }

    /// Bytes that may still be written.
    pub(crate) fn work_left(&self) -> usize {
        self.work
    }

    /// Pays for reading a value and everything in it, such as for comparing it; returns what that cost.
    pub(crate) fn read(&mut self, value: &Value) -> Result<usize, Error> {
        let before = self.work;
        Walk { budget: self, with_texts: true, mutable: Mutable::Allowed }.visit(value, 0)?;
        Ok(before - self.work)
    }

    /// Pays for a value as text; returns the most bytes that it may have.
    pub(crate) fn print(&mut self, value: &Value) -> Result<usize, Error> {
        if let Some(text) = value.as_str() {
            self.charge(text.len())?;
            return Ok(text.len());
        }
        let n_bytes = self.read(value)?.saturating_mul(ESCAPED);
        self.charge(n_bytes)?;
        Ok(n_bytes)
    }

    /// Pays for passing over a text or the items of a list, and not for what is in them.
    pub(crate) fn pass(&mut self, value: &Value) -> Result<(), Error> {
        self.charge(length(value).saturating_mul(if value.as_object().is_some() { VISIT } else { 1 }))
    }

    /// Pays for a new value and returns it, in memory of its own if it was still to be computed.
    ///
    /// The engine joins, cuts and pairs lists when somebody asks for their items; a list of that kind on top of another
    /// would cost again whenever it is read, and a stack frame for each.
    pub(crate) fn keep(&mut self, value: Value) -> Result<Value, Error> {
        let Some(object) = value.as_object() else {
            self.charge(length(&value))?;
            return Ok(value);
        };
        let is_merged = object.type_name().contains("::Merge");
        match object.repr() {
            ObjectRepr::Iterable => {
                let items = self.collect(object)?;
                Ok(Value::make_object_iterable(items, |items| Box::new(items.iter().cloned())))
            }
            ObjectRepr::Seq if is_merged => self.collect(object).map(Value::from),
            ObjectRepr::Map if is_merged => {
                let mut pairs = Vec::new();
                for pair in object.try_iter_pairs().into_iter().flatten() {
                    self.charge(2 * KEEP)?;
                    pairs.push(pair);
                }
                Ok(Value::from_pairs(pairs))
            }
            _ => {
                self.charge_times(KEEP, length(&value))?;
                Ok(value)
            }
        }
    }

    fn collect(&mut self, list: &DynObject) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        for item in list.try_iter().into_iter().flatten() {
            self.charge(KEEP)?;
            items.push(item);
        }
        Ok(items)
    }

    /// Pays for a list of everything that is in a value, before there is one.
    pub(crate) fn spread(&mut self, value: &Value, n_times: usize) -> Result<(), Error> {
        self.charge_times(length(value).saturating_mul(KEEP), n_times)
    }

    /// The same for a value that may be one level deeper than what it was made of.
    pub(crate) fn keep_deeper(&mut self, value: Value) -> Result<Value, Error> {
        let value = self.keep(value)?;
        Walk { budget: self, with_texts: false, mutable: Mutable::Allowed }.visit(&value, 0)?;
        Ok(value)
    }

    /// Checks a value that is put into a namespace or remembered by a loop.
    ///
    /// Namespaces change after they were looked at. If one could stand in another, chains of them would grow without
    /// end, and a ring would never be freed.
    pub(crate) fn store(&mut self, value: &Value) -> Result<(), Error> {
        Walk { budget: self, with_texts: false, mutable: Mutable::Refused }.visit(value, 0)
    }
}

/// Upper bound on the characters or items of a value.
pub(crate) fn length(value: &Value) -> usize {
    match (value.as_str(), value.as_object()) {
        (Some(text), _) => text.len(),
        (None, Some(object)) => object.enumerator_len().unwrap_or(1),
        (None, None) => value.as_bytes().map_or(0, <[u8]>::len),
    }
}

/// A tenth of the digits of a number that has more than twenty, such as 1e300.
fn digits(value: &Value) -> usize {
    let is_short = |number: f64| number == 0.0 || (1e-15..1e15).contains(&number.abs());
    let is_float = value.kind() == ValueKind::Number && !value.is_integer();
    if is_float && !f64::try_from(value.clone()).is_ok_and(is_short) { 40 } else { 0 }
}

/// Permission for namespaces and loops in a value.
#[derive(Clone, Copy, PartialEq)]
enum Mutable {
    Allowed,
    Refused,
}

/// A visit of everything in a value, as often as it is there.
struct Walk<'a> {
    budget: &'a mut Budget,
    with_texts: bool,
    mutable: Mutable,
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.budget.charge(VISIT)?;
        match value.as_object() {
            Some(object) => self.visit_object(object, depth),
            None if self.with_texts => self.budget.charge(length(value) + digits(value)),
            None => Ok(()),
        }
    }

    fn visit_object(&mut self, object: &DynObject, depth: usize) -> Result<(), Error> {
        if depth >= MAX_VALUE_DEPTH {
            return Err(limit(format!("more than {MAX_VALUE_DEPTH} lists are in each other")));
        }
        let name = object.type_name();
        let is_loop = name.ends_with("::Loop");
        if self.mutable == Mutable::Refused && (is_loop || name.ends_with("::Namespace")) {
            return Err(limit("a namespace or `loop` is put into a namespace".to_owned()));
        }
        if is_loop {
            // To look at the next item takes it from where it comes.
            return Ok(());
        }
        if let Some(pairs) = object.try_iter_pairs() {
            for (key, value) in pairs {
                self.visit(&key, depth + 1)?;
                self.visit(&value, depth + 1)?;
            }
        } else if matches!(object.repr(), ObjectRepr::Seq | ObjectRepr::Iterable) {
            for item in object.try_iter().into_iter().flatten() {
                self.visit(&item, depth + 1)?;
            }
        }
        Ok(())
    }
}
