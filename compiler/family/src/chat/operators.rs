//! Operators of chat templates that replace the engine's own, which are not safe for all operands.
//!
//! The engine's `*` repeats a text or a list before the length of the result can be checked. Its slices
//! subtract indices without checking which is larger.

use minijinja::value::{ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::chat::budget::{Budget, length};

/// Returns the product of two values in this order.
pub(crate) fn times(budget: &mut Budget, left: &Value, right: &Value) -> Result<Value, Error> {
    if let Some((repeated, count)) = repetition(left, right) {
        let count = count.as_usize().ok_or_else(|| {
            let kind = if repeated.as_str().is_some() { "strings" } else { "sequences and iterables" };
            failed(format!("{kind} can only be multiplied with integers"))
        })?;
        return repeat(budget, repeated, count);
    }
    if is_float(left) || is_float(right) {
        if let (Ok(left), Ok(right)) = (f64::try_from(left.clone()), f64::try_from(right.clone())) {
            return Ok(Value::from(left * right));
        }
    } else if let (Ok(left), Ok(right)) = (i128::try_from(left.clone()), i128::try_from(right.clone())) {
        let product = left.checked_mul(right);
        let product = product.ok_or_else(|| failed(format!("unable to calculate {left} * {right}")))?;
        return Ok(i64::try_from(product).map_or_else(|_| Value::from(product), Value::from));
    }
    let (left, right) = (left.kind(), right.kind());
    Err(failed(format!("tried to use * operator on unsupported types {left} and {right}")))
}

/// Returns the text or list of a product, and the number of repetitions.
fn repetition<'a>(left: &'a Value, right: &'a Value) -> Option<(&'a Value, &'a Value)> {
    let pairs = [(left, right), (right, left)];
    let is_list = |value: &Value| {
        value
            .as_object()
            .is_some_and(|object| matches!(object.repr(), ObjectRepr::Seq | ObjectRepr::Iterable))
    };
    let text = pairs.into_iter().find(|(value, _)| value.as_str().is_some());
    text.or_else(|| pairs.into_iter().find(|(value, _)| is_list(value)))
}

fn repeat(budget: &mut Budget, repeated: &Value, count: usize) -> Result<Value, Error> {
    let Some(list) = repeated.as_object() else {
        budget.charge_times(length(repeated), count)?;
        return Ok(Value::from(repeated.as_str().unwrap_or_default().repeat(count)));
    };
    // Three words each, and as many while the list grows.
    budget.charge_times(length(repeated).saturating_mul(32), count)?;
    let items: Vec<Value> = list.try_iter().into_iter().flatten().collect();
    let all: Vec<Value> =
        if items.is_empty() { Vec::new() } else { std::iter::repeat_n(items, count).flatten().collect() };
    let is_empty = all.is_empty();
    Ok(if repeated.is_tuple() {
        Value::from(Tuple::from(all))
    } else if is_empty {
        Value::from(all)
    } else {
        Value::make_object_iterable(all, |all| Box::new(all.iter().cloned()))
    })
}

/// Returns a slice, such as `value[start:stop:step]`, as in Python.
pub(crate) fn slice(
    budget: &mut Budget,
    value: &Value,
    start: &Value,
    stop: &Value,
    step: &Value,
) -> Result<Value, Error> {
    let bound =
        |value: &Value| if value.is_none() { Ok(None) } else { i64::try_from(value.clone()).map(Some) };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(failed("cannot slice by step size of 0".to_owned()));
    }
    budget.charge_times(length(value), 4)?;
    if let Some(text) = value.as_str() {
        let letters: Vec<char> = text.chars().collect();
        return Ok(Value::from(
            indices(letters.len(), start, stop, step).map(|index| letters[index]).collect::<String>(),
        ));
    }
    if let Some(bytes) = value.as_bytes() {
        let bytes = indices(bytes.len(), start, stop, step).map(|index| bytes[index]).collect();
        return Ok(Value::from_bytes(bytes));
    }
    if value.is_undefined() || value.is_none() {
        return Ok(Value::from(Vec::<Value>::new()));
    }
    let list = value.as_object();
    let list = list.filter(|object| matches!(object.repr(), ObjectRepr::Seq | ObjectRepr::Iterable));
    let list = list.ok_or_else(|| failed(format!("value of type {} cannot be sliced", value.kind())))?;
    budget.charge_times(length(value), 32)?;
    let items: Vec<Value> = list.try_iter().into_iter().flatten().collect();
    let items: Vec<Value> =
        indices(items.len(), start, stop, step).map(|index| items[index].clone()).collect();
    Ok(if value.is_tuple() {
        Value::from(Tuple::from(items))
    } else {
        Value::make_object_iterable(items, |items| Box::new(items.iter().cloned()))
    })
}

/// Returns the indices of a slice; each is less than `len`.
fn indices(len: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let len = len as i128;
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let bound = |bound: Option<i64>, default: i128| {
        bound.map_or(default, |bound| {
            let bound = i128::from(bound);
            (if bound < 0 { bound + len } else { bound }).clamp(lowest, highest)
        })
    };
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let (start, stop, step) = (bound(start, first), bound(stop, last), i128::from(step));
    let is_before_stop = move |index: &i128| if step > 0 { *index < stop } else { *index > stop };
    std::iter::successors(Some(start), move |index| Some(index + step))
        .take_while(is_before_stop)
        .map(|index| index as usize)
}

fn is_float(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

fn failed(text: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, text)
}
