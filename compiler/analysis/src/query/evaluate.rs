//! Answers queries about targets: `deps(//models:tone)`, `rdeps(//..., //data:held-out) ^ kind(gate, //...)`.
//!
//! The functions are in [`crate::query::functions`]. A pattern matches targets as declared; `deps` adds the parts into
//! which a short form expands. References to targets that do not exist are skipped: [`crate::check`] reports them.

use std::ops::Range;

use mc_ir::label::{Label, PackageId, Pattern};

use crate::db::Db;
use crate::patterns::labels;
use crate::query::call::{Answer, Call};
use crate::query::error::QueryError;
use crate::query::expression::{Expression, Operator, parse};
use crate::query::functions;
use crate::query::targets::{Set, Targets};

/// Returns the targets of a query: a path in its order, all others sorted. Labels without `//` are resolved in the
/// package `here`.
///
/// # Errors
/// [`QueryError`], with the location in `text`, if the text is not a query or names something that does not exist.
pub fn query(db: &dyn Db, text: &str, here: &PackageId) -> Result<Vec<Label>, QueryError> {
    let expression = parse(text)?;
    let answer = Evaluation { targets: Targets { db }, here }.answer(&expression)?;
    Ok(match answer {
        Answer::Set(set) => set.into_iter().collect(),
        Answer::Path(path) => path,
    })
}

struct Evaluation<'a> {
    targets: Targets<'a>,
    here: &'a PackageId,
}

impl Evaluation<'_> {
    fn answer(&self, expression: &Expression<'_>) -> Result<Answer, QueryError> {
        match expression {
            Expression::Word { text, span } => self.pattern(text, span).map(Answer::Set),
            Expression::Join { operator, left, right } => {
                let (left, right) = (self.set(left)?, self.set(right)?);
                Ok(Answer::Set(match operator {
                    Operator::Union => &left | &right,
                    Operator::Except => &left - &right,
                    Operator::Intersect => &left & &right,
                }))
            }
            Expression::Call { name, span, arguments } => {
                let evaluate = &|argument: &Expression<'_>| self.set(argument);
                let call = Call { targets: &self.targets, span: span.clone(), arguments, evaluate };
                functions::call(name, &call)
            }
        }
    }

    fn set(&self, expression: &Expression<'_>) -> Result<Set, QueryError> {
        Ok(match self.answer(expression)? {
            Answer::Set(set) => set,
            Answer::Path(path) => path.into_iter().collect(),
        })
    }

    fn pattern(&self, text: &str, span: &Range<usize>) -> Result<Set, QueryError> {
        let pattern = Pattern::parse(text, self.here).map_err(|error| {
            let function = mc_syntax::nearest::nearest(text, functions::names());
            let help = function.map(|name| format!("Did you mean `{name}(…)`?")).or_else(|| {
                // The missing colon is the most common error.
                let with_colon = format!(":{text}");
                Label::parse(&with_colon, self.here)
                    .ok()
                    .map(|label| format!("Write `{with_colon}` for `{label}`"))
            });
            QueryError { help, ..QueryError::new(span.clone(), error.to_string()) }
        })?;
        labels(self.targets.db, &[pattern]).map(|labels| labels.into_iter().collect()).map_err(|errors| {
            let message: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
            let help = errors.iter().find_map(|error| error.help.clone());
            QueryError { help, ..QueryError::new(span.clone(), message.join("; ")) }
        })
    }
}
