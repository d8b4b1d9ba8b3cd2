//! Filters, tests, functions and methods of chat templates, each with its price.
//!
//! They are the engine's own. The price is charged before one runs, and covers the work in the worst case and
//! the memory of the result. A filter that is named in a text, as in `map('upper')`, is found under the same
//! name and has the same price.

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, Value, escape_formatter, filters, functions,
    tests,
};

use crate::chat::budget::{Budget, MAX_WIDTH, length, limit};
use crate::chat::operators::{slice, times};
use crate::chat::rewrite::{
    JOINED, MADE, NOT_EMPTY, PASSED, PRINTED, READ, SLICE, SPREAD, STORED, TIMES, UNSUPPORTED,
};

/// The largest number that `range` accepts.
const MAX_RANGE: i128 = 1_000_000_000;

/// Maximum number of characters of a number, without padding.
const MAX_NUMBER: usize = 400;

/// Kinds of work of a filter, test or method.
#[derive(Clone, Copy)]
enum Price {
    /// Visits the items of lists, but not their content.
    Passing,
    /// Makes a list of the items or letters of a value.
    Listing,
    /// Makes a list of lists, with one item of each argument in each.
    Pairing,
    /// Reads all content, this many times for each byte.
    Reading(usize),
    /// Looks up an attribute, or calls a filter or a test, for each item.
    EachItem,
    /// Compares the items of a list, or their attributes, with each other.
    Sorting,
    /// Adds the items one by one.
    Adding,
    /// Writes the items with a text between them.
    Joining,
    /// Replaces every occurrence of the second text in the first by the third.
    Replacing,
    /// Removes characters that occur in another text.
    Stripping,
    /// Writes spaces before each line.
    Indenting,
    /// Makes lists of a given size, or a given number of lists.
    Grouping,
    /// Writes values in place of placeholders.
    Formatting,
}

/// Registers the engine's builtins, with their prices, in `environment`.
pub(crate) fn add_to(environment: &mut Environment<'static>) {
    add_filters(environment);
    add_tests(environment);
    add_functions(environment);
    environment.set_unknown_method_callback(method);
    environment.set_formatter(format);
}

fn add_filters(environment: &mut Environment<'static>) {
    use Price::{
        Adding, EachItem, Formatting, Grouping, Indenting, Joining, Listing, Pairing, Passing, Reading,
        Replacing, Sorting, Stripping,
    };
    let mut add = |name: &'static str, price: Price, filter: Value| {
        let priced = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
            call_priced(state, price, &filter, &args.into_values())
        };
        environment.add_filter(name, priced);
    };
    add("abs", Passing, Value::from_function(filters::abs));
    add("attr", Passing, Value::from_function(filters::attr));
    add("batch", Grouping, Value::from_function(filters::batch));
    add("bool", Passing, Value::from_function(filters::bool));
    add("capitalize", Reading(4), Value::from_function(filters::capitalize));
    add("chain", Listing, Value::from_function(filters::chain));
    add("count", Passing, Value::from_function(filters::length));
    add("d", Passing, Value::from_function(filters::default));
    add("default", Passing, Value::from_function(filters::default));
    add("dictsort", Sorting, Value::from_function(filters::dictsort));
    add("e", Reading(12), Value::from_function(filters::escape));
    add("escape", Reading(12), Value::from_function(filters::escape));
    add("first", Passing, Value::from_function(filters::first));
    add("float", Passing, Value::from_function(filters::float));
    add("format", Formatting, Value::from_function(filters::format));
    add("groupby", Sorting, Value::from_function(filters::groupby));
    add("indent", Indenting, Value::from_function(filters::indent));
    add("int", Passing, Value::from_function(filters::int));
    add("items", Listing, Value::from_function(filters::items));
    add("join", Joining, Value::from_function(filters::join));
    add("last", Passing, Value::from_function(filters::last));
    add("length", Passing, Value::from_function(filters::length));
    add("lines", Reading(32), Value::from_function(filters::lines));
    add("list", Listing, Value::from_function(filters::list));
    add("lower", Reading(4), Value::from_function(filters::lower));
    add("map", EachItem, Value::from_function(filters::map));
    add("max", Sorting, Value::from_function(filters::max));
    add("min", Sorting, Value::from_function(filters::min));
    // Each line is indented by up to four spaces for each enclosing list.
    add("pprint", Reading(1000), Value::from_function(filters::pprint));
    add("reject", EachItem, Value::from_function(filters::reject));
    add("rejectattr", EachItem, Value::from_function(filters::rejectattr));
    add("replace", Replacing, Value::from_function(filters::replace));
    add("reverse", Listing, Value::from_function(filters::reverse));
    add("round", Passing, Value::from_function(filters::round));
    add("safe", Reading(1), Value::from_function(filters::safe));
    add("select", EachItem, Value::from_function(filters::select));
    add("selectattr", EachItem, Value::from_function(filters::selectattr));
    add("slice", Grouping, Value::from_function(filters::slice));
    add("sort", Sorting, Value::from_function(filters::sort));
    add("split", Reading(32), Value::from_function(filters::split));
    add("string", Reading(12), Value::from_function(filters::string));
    add("sum", Adding, Value::from_function(filters::sum));
    add("title", Reading(4), Value::from_function(filters::title));
    add("tojson", Passing, Value::from_function(crate::chat::json::to_json));
    add("trim", Stripping, Value::from_function(filters::trim));
    add("unique", Sorting, Value::from_function(filters::unique));
    add("upper", Reading(4), Value::from_function(filters::upper));
    add("zip", Pairing, Value::from_function(filters::zip));
}

fn add_tests(environment: &mut Environment<'static>) {
    use Price::{Passing, Reading};
    let mut add = |names: &[&'static str], price: Price, test: Value| {
        for name in names {
            let test = test.clone();
            let priced = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
                call_priced(state, price, &test, &args.into_values())
            };
            environment.add_test(*name, priced);
        }
    };
    add(&["boolean"], Passing, Value::from_function(tests::is_boolean));
    add(&["defined"], Passing, Value::from_function(tests::is_defined));
    add(&["divisibleby"], Passing, Value::from_function(tests::is_divisibleby));
    add(&["endingwith"], Reading(2), Value::from_function(tests::is_endingwith));
    add(&["eq", "equalto", "=="], Reading(1), Value::from_function(tests::is_eq));
    add(&["even"], Passing, Value::from_function(tests::is_even));
    add(&["false"], Passing, Value::from_function(tests::is_false));
    add(&["filter"], Passing, Value::from_function(tests::is_filter));
    add(&["float"], Passing, Value::from_function(tests::is_float));
    add(&["ge", ">="], Reading(1), Value::from_function(tests::is_ge));
    add(&["gt", "greaterthan", ">"], Reading(1), Value::from_function(tests::is_gt));
    add(&["in"], Reading(12), Value::from_function(tests::is_in));
    add(&["integer", "int"], Passing, Value::from_function(tests::is_integer));
    add(&["iterable"], Passing, Value::from_function(tests::is_iterable));
    add(&["le", "<="], Reading(1), Value::from_function(tests::is_le));
    add(&["lower"], Reading(1), Value::from_function(tests::is_lower));
    add(&["lt", "lessthan", "<"], Reading(1), Value::from_function(tests::is_lt));
    add(&["mapping"], Passing, Value::from_function(tests::is_mapping));
    add(&["ne", "!="], Reading(1), Value::from_function(tests::is_ne));
    add(&["none"], Passing, Value::from_function(tests::is_none));
    add(&["number"], Passing, Value::from_function(tests::is_number));
    add(&["odd"], Passing, Value::from_function(tests::is_odd));
    add(&["safe", "escaped"], Passing, Value::from_function(tests::is_safe));
    add(&["sameas"], Reading(1), Value::from_function(tests::is_sameas));
    add(&["sequence"], Passing, Value::from_function(tests::is_sequence));
    add(&["startingwith"], Reading(2), Value::from_function(tests::is_startingwith));
    add(&["string"], Passing, Value::from_function(tests::is_string));
    add(&["test"], Passing, Value::from_function(tests::is_test));
    add(&["true"], Passing, Value::from_function(tests::is_true));
    add(&["undefined"], Passing, Value::from_function(tests::is_undefined));
    add(&["upper"], Reading(1), Value::from_function(tests::is_upper));
}

fn add_functions(environment: &mut Environment<'static>) {
    environment.add_function(READ, |state: &mut State<'_, '_>, value: Value| {
        Budget::of(state).read(&value).map(|_| value)
    });
    environment.add_function(PRINTED, |state: &mut State<'_, '_>, value: Value| {
        Budget::of(state).print(&value).map(|_| value)
    });
    environment.add_function(PASSED, |state: &mut State<'_, '_>, value: Value| {
        Budget::of(state).pass(&value).map(|()| value)
    });
    environment.add_function(SPREAD, |state: &mut State<'_, '_>, value: Value| {
        Budget::of(state).spread(&value, 1).map(|()| value)
    });
    environment.add_function(JOINED, |state: &mut State<'_, '_>, value: Value| Budget::of(state).keep(value));
    environment
        .add_function(MADE, |state: &mut State<'_, '_>, value: Value| Budget::of(state).keep_deeper(value));
    environment.add_function(STORED, |state: &mut State<'_, '_>, value: Value| {
        Budget::of(state).store(&value).map(|()| value)
    });
    environment.add_function(TIMES, |state: &mut State<'_, '_>, left: Value, right: Value| {
        times(Budget::of(state), &left, &right)
    });
    environment.add_function(
        SLICE,
        |state: &mut State<'_, '_>, value: Value, start: Value, stop: Value, step: Value| {
            slice(Budget::of(state), &value, &start, &stop, &step)
        },
    );
    environment.add_function(NOT_EMPTY, |value: Value| match length(&value) {
        0 => Err(Error::new(ErrorKind::InvalidOperation, "there is nothing to cycle through")),
        _ => Ok(value),
    });
    environment.add_function(UNSUPPORTED, |statement: String| -> Result<String, Error> {
        let text = format!("`{statement}` needs other templates, and a chat template stands alone");
        Err(Error::new(ErrorKind::InvalidOperation, text))
    });
    environment.add_function("raise_exception", |state: &mut State<'_, '_>, message: Value| {
        Budget::of(state).print(&message)?;
        Err::<Value, _>(Error::new(ErrorKind::InvalidOperation, message.to_string()))
    });
    environment.add_function("strftime_now", |state: &mut State<'_, '_>, format: &str| {
        // A field exceeds its value by at most this length.
        Budget::of(state).charge_times(format.len(), 32).map(|()| crate::chat::date::strftime(format))
    });
    let mut add =
        |name: &'static str, price: fn(&mut Budget, &[Value]) -> Result<(), Error>, function: Value| {
            let priced = move |state: &mut State<'_, '_>, args: Rest<ValueOrKwargs>| {
                let args = args.into_values();
                price(Budget::of(state), &args)?;
                let result = function.call(state, &args)?;
                Budget::of(state).keep_deeper(result)
            };
            environment.add_function(name, priced);
        };
    add("dict", pass_all, Value::from_function(functions::dict));
    add("namespace", store_all, Value::from_function(functions::namespace));
    add("range", range, Value::from_function(functions::range));
}

fn pass_all(budget: &mut Budget, args: &[Value]) -> Result<(), Error> {
    args.iter().try_for_each(|arg| budget.pass(arg))
}

fn store_all(budget: &mut Budget, args: &[Value]) -> Result<(), Error> {
    args.iter().try_for_each(|arg| budget.store(arg))
}

// The engine refuses more than 100,000 numbers, but computes their count without checking for overflow.
fn range(_: &mut Budget, args: &[Value]) -> Result<(), Error> {
    let is_huge = |arg: &Value| {
        i128::try_from(arg.clone()).is_ok_and(|number| number.unsigned_abs() > MAX_RANGE.unsigned_abs())
    };
    if args.iter().any(is_huge) {
        return Err(limit(format!("`range` is given a number of more than {MAX_RANGE}")));
    }
    Ok(())
}

/// Writes a value into the text, or into the result of a macro or block.
fn format(output: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let n_bytes = Budget::of(state).print(value)?;
    // HTML escaping, which a template may turn on, expands some characters to six.
    let is_escaping = !matches!(state.auto_escape(), AutoEscape::None);
    let n_bytes = if is_escaping { n_bytes.saturating_mul(6) } else { n_bytes };
    Budget::of(state).charge_output(n_bytes)?;
    escape_formatter(output, state, value)
}

fn call_priced(
    state: &mut State<'_, '_>,
    price: Price,
    function: &Value,
    args: &[Value],
) -> Result<Value, Error> {
    charge(Budget::of(state), price, args)?;
    let result = function.call(state, args)?;
    let budget = Budget::of(state);
    match price {
        Price::Sorting | Price::Grouping | Price::Passing | Price::Listing | Price::Pairing
            if result.as_object().is_some() =>
        {
            budget.keep_deeper(result)
        }
        _ => budget.keep(result),
    }
}

/// Calls a method of a text, a list or a mapping, as in Python.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let mut all = vec![value.clone()];
    all.extend_from_slice(args);
    let price = match (value.kind(), name) {
        (ValueKind::String, "split" | "splitlines") => Price::Reading(32),
        (ValueKind::String, "replace") => Price::Replacing,
        (ValueKind::String, "strip" | "lstrip" | "rstrip") => Price::Stripping,
        (ValueKind::String, "format") => Price::Formatting,
        (ValueKind::String, "join") => {
            all.swap(0, args.len().min(1));
            Price::Joining
        }
        (ValueKind::String, _) | (_, "count") => Price::Reading(4),
        _ => Price::Passing,
    };
    charge(Budget::of(state), price, &all)?;
    let result = minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)?;
    Budget::of(state).keep(result)
}

fn charge(budget: &mut Budget, price: Price, args: &[Value]) -> Result<(), Error> {
    let first = args.first().cloned().unwrap_or_default();
    let others = args.get(1..).unwrap_or_default();
    pass_all(budget, args)?;
    match price {
        Price::Passing => Ok(()),
        Price::Listing => budget.spread(&first, 1),
        Price::Pairing => budget.spread(&first, args.len()),
        Price::Reading(n_times) => {
            let work = read_all(budget, args)?;
            budget.charge_times(work, n_times)
        }
        Price::EachItem => {
            let n_bytes = text_bytes(others);
            budget.charge_times(n_bytes + 64, length(&first))
        }
        Price::Sorting => {
            let n_bytes = text_bytes(others);
            budget.charge_times(n_bytes + 64, length(&first))?;
            // A list has at most two million items, so sorting takes at most twenty comparisons of each.
            let work = read_all(budget, args)?;
            budget.charge_times(work, 20)
        }
        Price::Adding => {
            let work = read_all(budget, args)?;
            budget.charge_times(work, length(&first))
        }
        Price::Joining => {
            match first.as_object() {
                Some(object) => {
                    for item in object.try_iter().into_iter().flatten() {
                        budget.print(&item)?;
                    }
                }
                None => budget.charge_times(4, length(&first))?,
            }
            budget.charge_times(text_bytes(others), length(&first))
        }
        Price::Replacing => replacing(budget, args),
        Price::Stripping => {
            budget.print(&first)?;
            budget.charge_times(text_bytes(others), length(&first))
        }
        Price::Indenting => {
            let n_bytes = budget.print(&first)?;
            budget.charge(n_bytes)?;
            let text = first.as_str().unwrap_or_default();
            budget.charge_times(width(others)?, text.matches('\n').count() + 1)
        }
        Price::Grouping => {
            budget.spread(&first, 1)?;
            numbers(others)
                .try_for_each(|count| budget.charge_times(64, usize::try_from(count).unwrap_or(usize::MAX)))
        }
        Price::Formatting => formatting(budget, &first, others),
    }
}

fn read_all(budget: &mut Budget, args: &[Value]) -> Result<usize, Error> {
    args.iter().try_fold(0_usize, |sum, arg| Ok(sum.saturating_add(budget.read(arg)?)))
}

fn replacing(budget: &mut Budget, args: &[Value]) -> Result<(), Error> {
    for arg in args {
        budget.print(arg)?;
    }
    let text = |index: usize| args.get(index).and_then(Value::as_str);
    let Some(whole) = text(0) else { return Ok(()) };
    // A number is converted to text and has some digits.
    let n_times = match text(1) {
        Some(part) => whole.matches(part).count(),
        None => whole.len(),
    };
    budget.charge_times(text(2).map_or(MAX_NUMBER, str::len), n_times)
}

/// Returns the bytes of the texts among the arguments, including named ones.
fn text_bytes(args: &[Value]) -> usize {
    each(args).filter_map(|arg| arg.as_str().map(str::len)).sum()
}

/// Returns the non-negative numbers among the arguments.
fn numbers(args: &[Value]) -> impl Iterator<Item = u128> {
    each(args).filter_map(|arg| i128::try_from(arg).ok()).filter_map(|number| u128::try_from(number).ok())
}

/// Iterates over the arguments, named ones last.
fn each(args: &[Value]) -> impl Iterator<Item = Value> {
    args.iter().flat_map(|arg| match Kwargs::try_from(arg.clone()) {
        Ok(named) => named.args().filter_map(|name| named.peek(name).ok()).collect(),
        Err(_) => vec![arg.clone()],
    })
}

/// Returns the largest number among the arguments, which is a number of spaces.
fn width(args: &[Value]) -> Result<usize, Error> {
    let widest = numbers(args).max().unwrap_or_default();
    match usize::try_from(widest) {
        Ok(width) if width <= MAX_WIDTH => Ok(width),
        _ => Err(limit(format!("a text is indented by more than {MAX_WIDTH} spaces"))),
    }
}

/// Each placeholder may write all values, with the largest width in the pattern.
fn formatting(budget: &mut Budget, pattern: &Value, args: &[Value]) -> Result<(), Error> {
    let text = pattern.as_str().unwrap_or_default();
    let too_wide = || limit(format!("a value is padded to more than {MAX_WIDTH} columns"));
    for spec in specifications(text) {
        let mut digits =
            spec.split(|letter: char| !letter.is_ascii_digit()).filter(|digits| !digits.is_empty());
        if digits.any(|digits| digits.parse::<usize>().map_or(true, |number| number > MAX_WIDTH)) {
            return Err(too_wide());
        }
    }
    // A width may be an argument.
    if text.contains('*') && numbers(args).any(|number| number > MAX_WIDTH as u128) {
        return Err(too_wide());
    }
    let mut n_bytes = MAX_NUMBER + MAX_WIDTH;
    for arg in args {
        n_bytes = n_bytes.saturating_add(budget.print(arg)?);
    }
    budget.charge(text.len())?;
    budget.charge_times(n_bytes, text.matches(['%', '{']).count())
}

/// Returns the specification after each placeholder in a pattern of either kind: `05.1` of `%05.1f`, `>9` of
/// `{:>9}`.
fn specifications(pattern: &str) -> impl Iterator<Item = &str> {
    let after_percent = |rest: &str| match rest.strip_prefix('(').and_then(|name| name.find(')')) {
        Some(end) => end + 2,
        None => 0,
    };
    let printf = pattern.split('%').skip(1).map(move |rest| {
        let spec = &rest[after_percent(rest).min(rest.len())..];
        let is_part = |letter: char| letter.is_ascii_digit() || "-+ #.*hlL".contains(letter);
        &spec[..spec.find(|letter| !is_part(letter)).unwrap_or(spec.len())]
    });
    let braces = pattern.split('{').skip(1).map(|rest| {
        let field = rest.split('}').next().unwrap_or(rest);
        field.split_once(':').map_or("", |(_, spec)| spec)
    });
    printf.chain(braces)
}
