//! Evaluates tensor expressions over the inputs of an action.

use std::borrow::Cow;
use std::ops::Range;

use mc_expression::error::{EvaluationError, InputError};
use mc_expression::evaluator::Evaluator;
use mc_expression::expression::TensorExpr;
use mc_expression::inputs::{InputBytes, Inputs};
use mc_ir::action::{ActionContext, ActionError, Content};

/// Binds an expression to the inputs of a running action.
///
/// # Errors
/// Fails if an input cannot be read or does not fit, or if the action was cancelled.
pub(crate) fn evaluator(expression: &TensorExpr, ctx: &dyn ActionContext) -> Result<Evaluator, ActionError> {
    Evaluator::new(expression, &ActionInputs(ctx)).map_err(action_error)
}

/// Converts an evaluation error; an error of the context comes back unchanged.
pub(crate) fn action_error(error: EvaluationError) -> ActionError {
    match error {
        EvaluationError::Input(error) => match error.downcast::<ActionError>() {
            Ok(error) => *error,
            Err(other) => ActionError::failed(other),
        },
        misfit @ EvaluationError::Misfit(_) => ActionError::failed(misfit),
    }
}

struct ActionInputs<'a>(&'a dyn ActionContext);

struct ActionInput(Content);

impl Inputs for ActionInputs<'_> {
    fn open(&self, input: usize) -> Result<Box<dyn InputBytes>, InputError> {
        Ok(Box::new(ActionInput(self.0.input(input)?)))
    }

    fn go_on(&self) -> Result<(), InputError> {
        Ok(self.0.go_on()?)
    }
}

impl InputBytes for ActionInput {
    fn n_bytes(&self) -> u64 {
        self.0.n_bytes()
    }

    fn range(&self, range: Range<u64>) -> Option<Cow<'_, [u8]>> {
        match self.0.parts.as_slice() {
            [part] => {
                let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
                part.as_slice().get(range).map(Cow::Borrowed)
            }
            _ => self.0.piece(range).map(|piece| Cow::Owned(piece.as_slice().to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mc_ir::action::Piece;

    use super::*;

    #[test]
    fn bytes_are_read_within_one_piece() {
        let pieces = |parts: &[&[u8]]| {
            let parts = parts.iter().map(|bytes| Piece::whole(Arc::new(bytes.to_vec()))).collect();
            ActionInput(Content { parts })
        };
        let (one, two) = (pieces(&[b"abcdef"]), pieces(&[b"abc", b"def"]));
        for input in [&one, &two] {
            assert_eq!(input.n_bytes(), 6);
            assert_eq!(input.range(3..5).as_deref(), Some(&b"de"[..]));
            assert_eq!(input.range(5..7), None);
        }
        assert_eq!(one.range(2..4).as_deref(), Some(&b"cd"[..]));
    }

    #[test]
    fn the_error_of_the_context_comes_back_whole() {
        let reported = ActionError::failed("It is gone").with_help("Look for it");
        let error = action_error(EvaluationError::Input(Box::new(reported)));
        let ActionError::Failed { message, help, .. } = error else { panic!("{error}") };
        assert_eq!((message.as_str(), help.as_deref()), ("It is gone", Some("Look for it")));
        let cancelled = EvaluationError::Input(Box::new(ActionError::Cancelled));
        assert!(matches!(action_error(cancelled), ActionError::Cancelled));
        let misfit = EvaluationError::Misfit("It does not fit".to_owned());
        assert_eq!(action_error(misfit).to_string(), "It does not fit");
    }
}
