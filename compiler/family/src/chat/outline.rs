//! Size and nesting of a chat template, checked before it is parsed.
//!
//! The engine's parser and compiler use one stack frame per level, and the engine does not count every kind
//! of nesting: a chain of `+`, of `not`, of filters or of `elif` is as deep as it is long. So tokens are
//! counted first, by the engine's own tokenizer, which does not recurse.
//!
//! If a template cannot be tokenized, the parser reports the error.

use minijinja::machinery::{Token, Tokenizer};
use minijinja::syntax::SyntaxConfig;

/// Maximum size in bytes of a template's source. The longest published ones have some 20 kB.
pub const MAX_SOURCE_BYTES: usize = 256 << 10;

/// Maximum nesting of operators, filters, attributes and brackets in one expression.
///
/// Items of a list and arguments of a call are not nested in each other; the longest chains of published
/// templates have about thirty operators.
pub const MAX_EXPRESSION_DEPTH: usize = 500;

/// Maximum nesting of statements; each `elif` is nested in the `if` before it. Published templates have up to
/// ten levels.
pub const MAX_BLOCK_DEPTH: usize = 100;

/// Checks size and nesting of a template's source.
///
/// # Errors
/// A description of the exceeded limit.
pub(crate) fn check(source: &str, syntax: SyntaxConfig) -> Result<(), String> {
    if source.len() > MAX_SOURCE_BYTES {
        return Err(format!("it has {} bytes, and at most {MAX_SOURCE_BYTES} are read", source.len()));
    }
    let mut tokenizer = Tokenizer::new(source, "chat", false, syntax);
    let mut blocks = Blocks::default();
    let mut expression = Expression::default();
    while let Ok(Some((token, span))) = tokenizer.next_token() {
        match token {
            Token::VariableStart | Token::BlockStart => {
                expression = Expression::default();
                blocks.tag = matches!(token, Token::BlockStart).then(Tag::default);
            }
            Token::BlockEnd => blocks.end_tag(),
            token => {
                blocks.see(&token, expression.open.is_empty());
                expression.see(&token);
            }
        }
        if expression.depth() > MAX_EXPRESSION_DEPTH {
            return Err(format!(
                "an expression in line {} has more than {MAX_EXPRESSION_DEPTH} nested operators and brackets",
                span.start_line
            ));
        }
        if blocks.depth() > MAX_BLOCK_DEPTH {
            return Err(format!(
                "in line {} there are more than {MAX_BLOCK_DEPTH} nested statements",
                span.start_line
            ));
        }
    }
    Ok(())
}

/// Depth of an expression's tree, by the tokens so far.
#[derive(Default)]
struct Expression {
    /// Number of operators since the last comma outside of all brackets.
    n_operators: usize,
    /// The same for each open bracket.
    open: Vec<usize>,
}

impl Expression {
    fn see(&mut self, token: &Token<'_>) {
        match token {
            Token::BracketOpen | Token::ParenOpen | Token::BraceOpen => {
                *self.innermost() += 1;
                self.open.push(0);
            }
            Token::BracketClose | Token::ParenClose | Token::BraceClose => drop(self.open.pop()),
            Token::Comma => *self.innermost() = 0,
            Token::Ident("and" | "or" | "not" | "if" | "else" | "is" | "in")
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::FloorDiv
            | Token::Pow
            | Token::Mod
            | Token::Dot
            | Token::Tilde
            | Token::Pipe
            | Token::Eq
            | Token::Ne
            | Token::Gt
            | Token::Gte
            | Token::Lt
            | Token::Lte => *self.innermost() += 1,
            _ => {}
        }
    }

    fn innermost(&mut self) -> &mut usize {
        self.open.last_mut().unwrap_or(&mut self.n_operators)
    }

    fn depth(&self) -> usize {
        self.n_operators + self.open.iter().sum::<usize>() + self.open.len()
    }
}

/// The open statements, each with its number of `elif`.
#[derive(Default)]
struct Blocks {
    open: Vec<usize>,
    tag: Option<Tag>,
}

/// Parts of a tag so far.
#[derive(Default)]
struct Tag {
    keyword: Option<Keyword>,
    is_assignment: bool,
}

#[derive(Clone, Copy)]
enum Keyword {
    Opens,
    Set,
    Elif,
    Ends,
    Other,
}

impl Blocks {
    fn see(&mut self, token: &Token<'_>, is_outermost: bool) {
        let Some(tag) = &mut self.tag else { return };
        match (tag.keyword, token) {
            (None, Token::Ident(word)) => tag.keyword = Some(keyword(word)),
            (Some(Keyword::Set), Token::Assign) if is_outermost => tag.is_assignment = true,
            _ => {}
        }
    }

    fn end_tag(&mut self) {
        let Some(tag) = self.tag.take() else { return };
        match tag.keyword {
            Some(Keyword::Opens) => self.open.push(1),
            Some(Keyword::Set) if !tag.is_assignment => self.open.push(1),
            Some(Keyword::Elif) => {
                if let Some(n_branches) = self.open.last_mut() {
                    *n_branches += 1;
                }
            }
            Some(Keyword::Ends) => drop(self.open.pop()),
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        self.open.iter().sum()
    }
}

fn keyword(word: &str) -> Keyword {
    match word {
        "for" | "if" | "with" | "macro" | "call" | "filter" | "autoescape" | "block" => Keyword::Opens,
        "set" => Keyword::Set,
        "elif" => Keyword::Elif,
        word if word.starts_with("end") => Keyword::Ends,
        _ => Keyword::Other,
    }
}
