//! Rewrites a chat template so that its operators are charged for their cost.
//!
//! The engine has no hooks for operators, literals and loops. Its syntax tree is rebuilt with calls around
//! their operands and results: `a + b` becomes `@joined(@passed(a) + @passed(b))`. Templates cannot use such
//! a name. The functions' charges are in `builtins`.
//!
//! Plain text becomes an expression, because the engine writes expressions through the formatter, which
//! counts bytes.

use minijinja::machinery::Span;
use minijinja::machinery::ast::{
    AutoEscape, BinOp, BinOpKind, Break, Call, CallArg, CallBlock, Compare, CompareOp, Const, Continue, Do,
    EmitExpr, Expr, Filter, FilterBlock, ForLoop, GetAttr, GetItem, IfCond, IfExpr, List, Macro, Map, Set,
    SetBlock, Spanned, Stmt, Template, Test, Tuple, UnaryOp, UnaryOpKind, Var, WithBlock,
};
use minijinja::value::Value;

/// Charges for everything in a value.
pub(crate) const READ: &str = "@read";
/// Charges for a value as text.
pub(crate) const PRINTED: &str = "@printed";
/// Charges for the items of a list, or for a text.
pub(crate) const PASSED: &str = "@passed";
/// Charges for a list whose items become arguments.
pub(crate) const SPREAD: &str = "@spread";
/// Charges for a new value that consists of existing items.
pub(crate) const JOINED: &str = "@joined";
/// Charges for a new value around others, and checks its depth.
pub(crate) const MADE: &str = "@made";
/// Checks a value that is put into a namespace.
pub(crate) const STORED: &str = "@stored";
/// The operator `*`.
pub(crate) const TIMES: &str = "@times";

/// A slice.
pub(crate) const SLICE: &str = "@slice";
/// Fails if a list is empty.
pub(crate) const NOT_EMPTY: &str = "@not_empty";
/// Fails, because a statement needs other templates.
pub(crate) const UNSUPPORTED: &str = "@unsupported";

/// Maximum length of texts in the source that are free, because they are short.
const SHORT: usize = 64;

/// Rewrites a whole template.
pub(crate) fn template<'a>(stmt: &Stmt<'a>) -> Stmt<'a> {
    match stmt {
        Stmt::Template(node) => {
            Stmt::Template(Spanned::new(Template { children: statements(&node.children) }, node.span()))
        }
        Stmt::EmitExpr(node) => {
            Stmt::EmitExpr(Spanned::new(EmitExpr { expr: expression(&node.expr) }, node.span()))
        }
        Stmt::EmitRaw(node) => {
            let value = Value::from_safe_string(node.raw.to_owned());
            Stmt::EmitExpr(Spanned::new(EmitExpr { expr: constant(value, node.span()) }, node.span()))
        }
        Stmt::ForLoop(node) => {
            let new = ForLoop {
                target: copy(&node.target),
                iter: passed(&node.iter),
                filter_expr: node.filter_expr.as_ref().map(expression),
                recursive: node.recursive,
                body: statements(&node.body),
                else_body: statements(&node.else_body),
            };
            Stmt::ForLoop(Spanned::new(new, node.span()))
        }
        Stmt::IfCond(node) => {
            let new = IfCond {
                expr: expression(&node.expr),
                true_body: statements(&node.true_body),
                false_body: statements(&node.false_body),
            };
            Stmt::IfCond(Spanned::new(new, node.span()))
        }
        Stmt::WithBlock(node) => Stmt::WithBlock(with_block(node)),
        Stmt::Set(node) => {
            let expr = expression(&node.expr);
            let expr = if has_attribute(&node.target) { call(STORED, vec![expr], node.span()) } else { expr };
            Stmt::Set(Spanned::new(Set { target: copy(&node.target), expr }, node.span()))
        }
        Stmt::SetBlock(node) => {
            let new = SetBlock {
                target: copy(&node.target),
                filter: node.filter.as_ref().map(expression),
                body: statements(&node.body),
            };
            Stmt::SetBlock(Spanned::new(new, node.span()))
        }
        Stmt::AutoEscape(node) => {
            let new = AutoEscape { enabled: expression(&node.enabled), body: statements(&node.body) };
            Stmt::AutoEscape(Spanned::new(new, node.span()))
        }
        Stmt::FilterBlock(node) => {
            let new = FilterBlock { filter: expression(&node.filter), body: statements(&node.body) };
            Stmt::FilterBlock(Spanned::new(new, node.span()))
        }
        Stmt::Macro(node) => Stmt::Macro(macro_declaration(node)),
        Stmt::CallBlock(node) => {
            let new =
                CallBlock { call: call_node(&node.call), macro_decl: macro_declaration(&node.macro_decl) };
            Stmt::CallBlock(Spanned::new(new, node.span()))
        }
        // Inheritance is not supported, so a block is only its statements.
        Stmt::Block(node) => {
            let new = WithBlock { assignments: vec![counted(node.span())], body: statements(&node.body) };
            Stmt::WithBlock(Spanned::new(new, node.span()))
        }
        Stmt::Import(node) => unsupported("import", node.span()),
        Stmt::FromImport(node) => unsupported("from", node.span()),
        Stmt::Extends(node) => unsupported("extends", node.span()),
        Stmt::Include(node) => unsupported("include", node.span()),
        Stmt::Continue(node) => Stmt::Continue(Spanned::new(Continue, node.span())),
        Stmt::Break(node) => Stmt::Break(Spanned::new(Break, node.span())),
        Stmt::Do(node) => Stmt::Do(Spanned::new(Do { call: call_node(&node.call) }, node.span())),
    }
}

fn statements<'a>(stmts: &[Stmt<'a>]) -> Vec<Stmt<'a>> {
    stmts.iter().map(template).collect()
}

// The engine charges no fuel for the frame of a `with`, but it does for the variable added here.
fn with_block<'a>(node: &Spanned<WithBlock<'a>>) -> Spanned<WithBlock<'a>> {
    let mut assignments: Vec<_> =
        node.assignments.iter().map(|(target, expr)| (copy(target), expression(expr))).collect();
    assignments.push(counted(node.span()));
    Spanned::new(WithBlock { assignments, body: statements(&node.body) }, node.span())
}

fn counted<'a>(span: Span) -> (Expr<'a>, Expr<'a>) {
    (variable("@with", span), constant(Value::from(true), span))
}

/// A statement that needs other templates fails when it is executed, as in Transformers.
fn unsupported<'a>(statement: &'static str, span: Span) -> Stmt<'a> {
    let arg = CallArg::Pos(constant(Value::from(statement), span));
    let call = Spanned::new(Call { expr: variable(UNSUPPORTED, span), args: vec![arg] }, span);
    Stmt::Do(Spanned::new(Do { call }, span))
}

fn macro_declaration<'a>(node: &Spanned<Macro<'a>>) -> Spanned<Macro<'a>> {
    let new = Macro {
        name: node.name,
        args: node.args.iter().map(copy).collect(),
        defaults: node.defaults.iter().map(expression).collect(),
        body: statements(&node.body),
    };
    Spanned::new(new, node.span())
}

fn expression<'a>(expr: &Expr<'a>) -> Expr<'a> {
    match expr {
        Expr::Var(_) | Expr::Const(_) => copy(expr),
        Expr::Slice(node) => {
            let bound = |expr: &Option<Expr<'a>>| {
                expr.as_ref().map_or_else(|| constant(Value::from(()), node.span()), expression)
            };
            let args = vec![expression(&node.expr), bound(&node.start), bound(&node.stop), bound(&node.step)];
            call(SLICE, args, node.span())
        }
        Expr::UnaryOp(node) => {
            let is_not = matches!(node.op, UnaryOpKind::Not);
            let op = if is_not { UnaryOpKind::Not } else { UnaryOpKind::Neg };
            Expr::UnaryOp(Spanned::new(UnaryOp { op, expr: expression(&node.expr) }, node.span()))
        }
        Expr::BinOp(node) => binary(node),
        Expr::Compare(node) => {
            let compare = |op: &CompareOp<'a>| CompareOp { op: op.op, expr: printed(&op.expr) };
            let new = Compare { expr: printed(&node.expr), ops: node.ops.iter().map(compare).collect() };
            Expr::Compare(Spanned::new(new, node.span()))
        }
        Expr::IfExpr(node) => {
            let new = IfExpr {
                test_expr: expression(&node.test_expr),
                true_expr: expression(&node.true_expr),
                false_expr: node.false_expr.as_ref().map(expression),
            };
            Expr::IfExpr(Spanned::new(new, node.span()))
        }
        Expr::Filter(node) => {
            let new = Filter {
                name: node.name,
                expr: node.expr.as_ref().map(expression),
                args: arguments(&node.args, expression),
            };
            Expr::Filter(Spanned::new(new, node.span()))
        }
        Expr::Test(node) => {
            let new = Test {
                name: node.name,
                expr: expression(&node.expr),
                args: arguments(&node.args, expression),
            };
            Expr::Test(Spanned::new(new, node.span()))
        }
        Expr::GetAttr(node) => Expr::GetAttr(attribute(node)),
        Expr::GetItem(node) => {
            let is_key = matches!(&node.subscript_expr, Expr::Const(key) if key.value.as_str().is_some());
            let expr = if is_key { expression(&node.expr) } else { passed(&node.expr) };
            let new = GetItem { expr, subscript_expr: read(&node.subscript_expr) };
            Expr::GetItem(Spanned::new(new, node.span()))
        }
        Expr::Call(node) => Expr::Call(call_node(node)),
        Expr::List(node) => {
            let new = Expr::List(Spanned::new(List { items: expressions(&node.items) }, node.span()));
            made(new, &[&node.items], node.span())
        }
        Expr::Tuple(node) => {
            let new = Expr::Tuple(Spanned::new(Tuple { items: expressions(&node.items) }, node.span()));
            made(new, &[&node.items], node.span())
        }
        Expr::Map(node) => {
            let new = Map { keys: node.keys.iter().map(read).collect(), values: expressions(&node.values) };
            let new = Expr::Map(Spanned::new(new, node.span()));
            made(new, &[&node.keys, &node.values], node.span())
        }
    }
}

fn expressions<'a>(exprs: &[Expr<'a>]) -> Vec<Expr<'a>> {
    exprs.iter().map(expression).collect()
}

fn binary<'a>(node: &Spanned<BinOp<'a>>) -> Expr<'a> {
    let wrapped = |op: BinOpKind, left: Expr<'a>, right: Expr<'a>| {
        Expr::BinOp(Spanned::new(BinOp { op, left, right }, node.span()))
    };
    let (left, right) = (&node.left, &node.right);
    match node.op {
        BinOpKind::Eq | BinOpKind::Ne | BinOpKind::Lt | BinOpKind::Lte | BinOpKind::Gt | BinOpKind::Gte => {
            wrapped(node.op, read(left), read(right))
        }
        // The operand searched in a text is printed if it is not a text.
        BinOpKind::In => wrapped(node.op, printed(left), read(right)),
        BinOpKind::Add => {
            call(JOINED, vec![wrapped(BinOpKind::Add, passed(left), passed(right))], node.span())
        }
        BinOpKind::Mul => call(TIMES, vec![expression(left), expression(right)], node.span()),
        BinOpKind::Concat => wrapped(BinOpKind::Concat, printed(left), printed(right)),
        // These operators accept only numbers, or only test for truth.
        BinOpKind::ScAnd
        | BinOpKind::ScOr
        | BinOpKind::Sub
        | BinOpKind::Div
        | BinOpKind::FloorDiv
        | BinOpKind::Rem
        | BinOpKind::Pow => wrapped(node.op, expression(left), expression(right)),
    }
}

/// The engine distinguishes calls of functions and methods by their form, which is kept.
fn call_node<'a>(node: &Spanned<Call<'a>>) -> Spanned<Call<'a>> {
    let new = match &node.expr {
        Expr::Var(_) => Call { expr: copy(&node.expr), args: arguments(&node.args, passed) },
        // `loop.changed` stores its arguments.
        Expr::GetAttr(method) if method.name == "changed" => {
            let stored = |expr: &Expr<'a>| call(STORED, vec![read(expr)], expr.span());
            Call { expr: Expr::GetAttr(attribute(method)), args: arguments(&node.args, stored) }
        }
        // `loop.cycle` divides by the number of its arguments.
        Expr::GetAttr(method) if method.name == "cycle" => {
            Call { expr: Expr::GetAttr(attribute(method)), args: some_arguments(&node.args, node.span()) }
        }
        Expr::GetAttr(method) => {
            Call { expr: Expr::GetAttr(attribute(method)), args: arguments(&node.args, read) }
        }
        other => Call { expr: expression(other), args: arguments(&node.args, passed) },
    };
    Spanned::new(new, node.span())
}

fn attribute<'a>(node: &Spanned<GetAttr<'a>>) -> Spanned<GetAttr<'a>> {
    Spanned::new(GetAttr { expr: expression(&node.expr), name: node.name }, node.span())
}

fn arguments<'a>(args: &[CallArg<'a>], each: impl Fn(&Expr<'a>) -> Expr<'a>) -> Vec<CallArg<'a>> {
    let argument = |arg: &CallArg<'a>| match arg {
        CallArg::Pos(expr) => CallArg::Pos(each(expr)),
        CallArg::Kwarg(name, expr) => CallArg::Kwarg(name, each(expr)),
        CallArg::PosSplat(expr) => CallArg::PosSplat(paid(SPREAD, expr)),
        CallArg::KwargSplat(expr) => CallArg::KwargSplat(paid(SPREAD, expr)),
    };
    args.iter().map(argument).collect()
}

/// The same, with an error if there are no arguments.
fn some_arguments<'a>(args: &[CallArg<'a>], span: Span) -> Vec<CallArg<'a>> {
    let positional = |arg: &CallArg<'a>| match arg {
        CallArg::Pos(expr) => Some(read(expr)),
        _ => None,
    };
    let expanded = |arg: &CallArg<'a>| match arg {
        CallArg::PosSplat(expr) => Some(paid(SPREAD, expr)),
        _ => None,
    };
    let mut all: Vec<CallArg<'a>> = args.iter().filter_map(positional).map(CallArg::Pos).collect();
    if all.is_empty() {
        let items = args.iter().find_map(expanded);
        let items = items.unwrap_or_else(|| Expr::List(Spanned::new(List { items: Vec::new() }, span)));
        all.push(CallArg::PosSplat(call(NOT_EMPTY, vec![items], span)));
    }
    all
}

fn read<'a>(expr: &Expr<'a>) -> Expr<'a> {
    paid(READ, expr)
}

fn printed<'a>(expr: &Expr<'a>) -> Expr<'a> {
    paid(PRINTED, expr)
}

fn passed<'a>(expr: &Expr<'a>) -> Expr<'a> {
    paid(PASSED, expr)
}

fn paid<'a>(function: &'static str, expr: &Expr<'a>) -> Expr<'a> {
    match expr {
        Expr::Const(node) if node.value.as_str().is_none_or(|text| text.len() <= SHORT) => copy(expr),
        _ => call(function, vec![expression(expr)], expr.span()),
    }
}

/// A literal of constants is created once, when the template is compiled.
fn made<'a>(literal: Expr<'a>, items: &[&[Expr<'a>]], span: Span) -> Expr<'a> {
    let is_constant = items.iter().all(|items| items.iter().all(|item| matches!(item, Expr::Const(_))));
    if is_constant { literal } else { call(MADE, vec![literal], span) }
}

fn call<'a>(function: &'static str, args: Vec<Expr<'a>>, span: Span) -> Expr<'a> {
    let args = args.into_iter().map(CallArg::Pos).collect();
    Expr::Call(Spanned::new(Call { expr: variable(function, span), args }, span))
}

fn constant<'a>(value: Value, span: Span) -> Expr<'a> {
    Expr::Const(Spanned::new(Const { value }, span))
}

fn variable<'a>(name: &'a str, span: Span) -> Expr<'a> {
    Expr::Var(Spanned::new(Var { id: name }, span))
}

/// Returns true if an assignment sets an attribute.
fn has_attribute(target: &Expr<'_>) -> bool {
    match target {
        Expr::List(list) => list.items.iter().any(has_attribute),
        target => matches!(target, Expr::GetAttr(_)),
    }
}

/// Copies a target of an assignment, a name or a constant unchanged.
fn copy<'a>(expr: &Expr<'a>) -> Expr<'a> {
    match expr {
        Expr::Const(node) => constant(node.value.clone(), node.span()),
        Expr::List(node) => {
            Expr::List(Spanned::new(List { items: node.items.iter().map(copy).collect() }, node.span()))
        }
        Expr::GetAttr(node) => {
            Expr::GetAttr(Spanned::new(GetAttr { expr: copy(&node.expr), name: node.name }, node.span()))
        }
        Expr::Var(node) => variable(node.id, node.span()),
        other => expression(other),
    }
}
