//! Limits the cost of rendering a chat template; costs are counted, so every machine stops at the same
//! position.
//!
//! The engine counts its instructions (fuel), but one instruction may copy a text of any length, compare
//! lists of any size or print a value that contains one list a billion times. So everything that reads or
//! creates a value first charges the budget for the worst case; `rewrite` inserts these charges into a
//! template, `builtins` into filters, tests, functions and methods.
//!
//! Time and memory follow from the sums: a unit is about one byte copied, a quarter of a value visited, or a
//! thirtieth of a value kept.

use minijinja::value::{DynObject, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Maximum number of engine instructions per rendering. A conversation of a thousand messages takes about two
/// hundred thousand.
pub const MAX_INSTRUCTIONS: u64 = 2_000_000;

/// Maximum work per rendering: bytes read or copied, `VISIT` for each value that is visited and `KEEP`
/// for each that is kept.
pub const MAX_WORK: usize = 64 << 20;

/// Maximum number of bytes written per rendering: into the text, and into the results of macros and blocks.
pub const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// Maximum depth of nested lists and mappings.
pub const MAX_VALUE_DEPTH: usize = 100;

/// Maximum indentation of a text or JSON in spaces, and maximum padding of a number in columns.
pub const MAX_WIDTH: usize = 1000;

/// Maximum number of characters that a value prints per byte of its texts: in quotes, most are escaped.
const ESCAPED: usize = 10;

/// Work to visit a value.
const VISIT: usize = 4;

/// Work to keep one more value.
const KEEP: usize = 32;

/// Remaining budget of a rendering.
pub(crate) struct Budget {
    work: usize,
    output: usize,
}

/// Creates the error for an exceeded limit; its kind distinguishes it from errors that a template raises
/// itself.
pub(crate) fn limit(text: String) -> Error {
    Error::new(ErrorKind::OutOfFuel, text)
}

impl Budget {
    /// Returns the budget of the rendering to which `state` belongs.
    pub(crate) fn of<'a>(state: &'a mut State<'_, '_>) -> &'a mut Self {
        state.get_or_insert_extension_with(|| Self { work: MAX_WORK, output: MAX_OUTPUT_BYTES })
    }

    /// Charges work.
    pub(crate) fn charge(&mut self, work: usize) -> Result<(), Error> {
        match self.work.checked_sub(work) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => {
                // Code that swallows the error cannot continue either.
                self.work = 0;
                Err(limit(format!("it handles more than {MAX_WORK} bytes of text and values")))
            }
        }
    }

    /// Charges work that is done `n_times`.
    pub(crate) fn charge_times(&mut self, work: usize, n_times: usize) -> Result<(), Error> {
        self.charge(work.saturating_mul(n_times))
    }

    /// Charges bytes of output.
    pub(crate) fn charge_output(&mut self, n_bytes: usize) -> Result<(), Error> {
        self.output = self
            .output
            .checked_sub(n_bytes)
            .ok_or_else(|| limit(format!("it writes more than {MAX_OUTPUT_BYTES} bytes")))?;
        Ok(())
    }

    /// Returns the number of bytes that may still be written.
    pub(crate) fn work_left(&self) -> usize {
        self.work
    }

    /// Charges for reading a value with its content, such as for comparing it; returns the cost.
    pub(crate) fn read(&mut self, value: &Value) -> Result<usize, Error> {
        let before = self.work;
        Walk { budget: self, with_texts: true, mutable: Mutable::Allowed }.visit(value, 0)?;
        Ok(before - self.work)
    }

    /// Charges for a value as text; returns its maximum number of bytes.
    pub(crate) fn print(&mut self, value: &Value) -> Result<usize, Error> {
        if let Some(text) = value.as_str() {
            self.charge(text.len())?;
            return Ok(text.len());
        }
        let n_bytes = self.read(value)?.saturating_mul(ESCAPED);
        self.charge(n_bytes)?;
        Ok(n_bytes)
    }

    /// Charges for iterating over a text or the items of a list, but not over their content.
    pub(crate) fn pass(&mut self, value: &Value) -> Result<(), Error> {
        self.charge(length(value).saturating_mul(if value.as_object().is_some() { VISIT } else { 1 }))
    }

    /// Charges for a new value and returns it; a lazy value is computed and copied.
    ///
    /// The engine joins, cuts and pairs lists lazily, when their items are read; a lazy list on top of
    /// another would cost again on every read, and a stack frame for each.
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

    /// Charges for a list of everything in a value, before the list exists.
    pub(crate) fn spread(&mut self, value: &Value, n_times: usize) -> Result<(), Error> {
        self.charge_times(length(value).saturating_mul(KEEP), n_times)
    }

    /// Like `keep`, for a value that may be one level deeper than its operands.
    pub(crate) fn keep_deeper(&mut self, value: Value) -> Result<Value, Error> {
        let value = self.keep(value)?;
        Walk { budget: self, with_texts: false, mutable: Mutable::Allowed }.visit(&value, 0)?;
        Ok(value)
    }

    /// Checks a value that is put into a namespace or remembered by a loop.
    ///
    /// Namespaces can change after the check. If one could contain another, chains of them would grow without
    /// end, and a cycle would never be freed.
    pub(crate) fn store(&mut self, value: &Value) -> Result<(), Error> {
        Walk { budget: self, with_texts: false, mutable: Mutable::Refused }.visit(value, 0)
    }
}

/// Returns an upper bound on the characters or items of a value.
pub(crate) fn length(value: &Value) -> usize {
    match (value.as_str(), value.as_object()) {
        (Some(text), _) => text.len(),
        (None, Some(object)) => object.enumerator_len().unwrap_or(1),
        (None, None) => value.as_bytes().map_or(0, <[u8]>::len),
    }
}

/// Returns a tenth of the digits of a number that has more than twenty, such as 1e300.
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

/// A visit of everything in a value, with repetitions.
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
            return Err(limit(format!("more than {MAX_VALUE_DEPTH} lists are nested")));
        }
        let name = object.type_name();
        let is_loop = name.ends_with("::Loop");
        if self.mutable == Mutable::Refused && (is_loop || name.ends_with("::Namespace")) {
            return Err(limit("a namespace or `loop` is put into a namespace".to_owned()));
        }
        if is_loop {
            // Reading the next item would consume it.
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
