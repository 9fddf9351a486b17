//! Fields that a mapping reads and the document does not have; floats it writes down.
//!
//! VRL knows that such a field is null and goes on, so a misspelled optional field would be lost in
//! silence. The types of local variables are VRL's own secret, so this follows them itself, through
//! assignments and the blocks of `each`; where it loses track it says nothing, and the check of the
//! outputs has the last word.

use std::collections::HashMap;

use vrl::diagnostic::Span;
use vrl::parser::ast::{
    Assignment, AssignmentTarget, Block, Container, Expr, FunctionCall, IfStatement, Literal, Node,
    Opcode, Predicate, Program, Query, QueryTarget, RootExpr, Unary,
};
use vrl::path::{OwnedSegment, PathPrefix};
use vrl::value::Kind;

use super::bounds;
use crate::diagnostics::{LoadError, Source, nearest};

/// Every field that is read and not there, and every float, with its place; and what is wrong only
/// when VRL runs the mapping.
pub(super) fn check(
    source: Source<'_>,
    program: &Program,
    document: &Kind,
    metadata: &Kind,
) -> (Vec<(Span, LoadError)>, Vec<LoadError>) {
    let (variables, found, unbounded) = Default::default();
    let mut walk = Walk { source, document, metadata, variables, nested: 0, found, unbounded };
    for expression in &program.0 {
        if let RootExpr::Expr(expression) = &**expression {
            walk.expression(expression);
        }
    }
    (walk.found, walk.unbounded)
}

struct Walk<'a> {
    source: Source<'a>,
    document: &'a Kind,
    metadata: &'a Kind,
    variables: HashMap<String, Kind>,
    /// How many blocks that run for every item are around this.
    nested: usize,
    found: Vec<(Span, LoadError)>,
    unbounded: Vec<LoadError>,
}

impl Walk<'_> {
    /// Walks an expression; its type where it is known.
    fn expression(&mut self, expression: &Node<Expr>) -> Option<Kind> {
        match &**expression {
            Expr::Literal(literal) => {
                if matches!(**literal, Literal::Float(_)) {
                    let fix = "write it as text and use to_money or to_quantity".to_owned();
                    self.add("TL2004", literal.span(), "a number with a fraction", Some(fix));
                }
                matches!(**literal, Literal::Integer(_)).then(Kind::integer)
            }
            Expr::Container(container) => self.container(container),
            Expr::IfStatement(statement) => self.condition(statement),
            Expr::Op(op) => {
                let left = self.expression(&op.0);
                let right = self.expression(&op.2);
                let whole = [&left, &right].map(|kind| kind.as_ref().is_some_and(Kind::is_integer));
                if *op.1.inner() == Opcode::Mul {
                    let sides = [left.as_ref(), right.as_ref()];
                    self.unbounded.extend(bounds::multiplication(self.source, sides, op.1.span()));
                }
                if *op.1.inner() == Opcode::Div {
                    let fix = "multiply by a quantity and name the rounding".to_owned();
                    self.add("TL2004", op.1.span(), "division makes a float", Some(fix));
                }
                // `a ?? b` and `a || b` are for errors and nulls; the fields are those of `a`.
                match op.1.inner() {
                    Opcode::Err | Opcode::Or => left,
                    Opcode::Add | Opcode::Sub | Opcode::Mul if whole == [true; 2] => left,
                    _ => None,
                }
            }
            Expr::Assignment(assignment) => self.assignment(assignment),
            Expr::Query(query) => self.query(query),
            Expr::FunctionCall(call) => self.call(call),
            Expr::Variable(name) => self.variables.get(name.to_string().as_str()).cloned(),
            Expr::Unary(unary) => {
                let Unary::Not(not) = &**unary;
                let (_, inner) = (**not).clone().take();
                self.expression(&inner);
                None
            }
            Expr::Abort(abort) => {
                abort.message.iter().for_each(|message| drop(self.expression(message)));
                None
            }
            Expr::Return(returned) => self.expression(&returned.expr),
            Expr::Break(_) => None,
        }
    }

    fn container(&mut self, container: &Container) -> Option<Kind> {
        match container {
            Container::Group(group) => self.expression(&group.0),
            Container::Block(block) => self.block(block),
            Container::Array(array) => {
                (**array).clone().into_iter().for_each(|item| drop(self.expression(&item)));
                None
            }
            Container::Object(object) => {
                for (_, value) in (**object).clone() {
                    self.expression(&value);
                }
                None
            }
        }
    }

    fn block(&mut self, block: &Block) -> Option<Kind> {
        block.0.iter().map(|expression| self.expression(expression)).last().flatten()
    }

    fn condition(&mut self, statement: &IfStatement) -> Option<Kind> {
        match &*statement.predicate {
            Predicate::One(expression) => drop(self.expression(expression)),
            Predicate::Many(expressions) => {
                expressions.iter().for_each(|expression| drop(self.expression(expression)));
            }
        }
        let first = self.block(&statement.if_node);
        let second = statement.else_node.as_ref().map(|block| self.block(block));
        match second {
            Some(second) => Some(first?.union(second?)),
            None => first,
        }
    }

    fn assignment(&mut self, assignment: &Assignment) -> Option<Kind> {
        let (targets, expression) = match assignment {
            Assignment::Single { target, expr, .. } => (vec![target], expr),
            Assignment::Infallible { ok, err, expr, .. } => (vec![ok, err], expr),
        };
        let kind = self.expression(expression);
        for (at, target) in targets.into_iter().enumerate() {
            if let AssignmentTarget::Internal(name, path) = &**target {
                match (&kind, path) {
                    (Some(kind), None) if at == 0 => {
                        self.variables.insert(name.to_string(), kind.clone());
                    }
                    _ => drop(self.variables.remove(name.to_string().as_str())),
                }
            }
        }
        kind
    }

    fn call(&mut self, call: &FunctionCall) -> Option<Kind> {
        let arguments: Vec<_> =
            call.arguments.iter().map(|argument| self.expression(&argument.expr)).collect();
        let first = arguments.into_iter().next().flatten();
        if let Some(closure) = &call.closure {
            let item = first.as_ref().and_then(item_kind);
            let value = closure.variables.last();
            let outer = value.and_then(|name| self.variables.remove(name.to_string().as_str()));
            if let (Some(name), Some(item)) = (value, item) {
                self.variables.insert(name.to_string(), item);
            }
            let found = bounds::iteration(self.source, self.nested, closure.span());
            self.unbounded.extend(found);
            self.nested += 1;
            self.block(&closure.block);
            self.nested -= 1;
            if let Some(name) = value {
                self.variables.remove(name.to_string().as_str());
                if let Some(outer) = outer {
                    self.variables.insert(name.to_string(), outer);
                }
            }
        }
        let name: &str = call.ident.as_ref().as_ref();
        if bounds::makes_integer(name) {
            return Some(Kind::integer());
        }
        // These answer their argument, or fewer of its items.
        matches!(name, "array" | "object" | "filter" | "slice" | "compact")
            .then_some(first)
            .flatten()
    }

    fn query(&mut self, query: &Node<Query>) -> Option<Kind> {
        let (kind, root) = match &*query.target {
            QueryTarget::External(PathPrefix::Event) => (Some(self.document.clone()), "."),
            QueryTarget::External(PathPrefix::Metadata) => (Some(self.metadata.clone()), "%"),
            QueryTarget::Internal(name) => {
                (self.variables.get(name.to_string().as_str()).cloned(), "")
            }
            QueryTarget::FunctionCall(call) => (self.call(call), ""),
            QueryTarget::Container(container) => (self.container(container), ""),
        };
        let mut kind = kind?;
        for segment in &query.path.segments {
            kind = match segment {
                OwnedSegment::Index(_) => item_kind(&kind)?,
                OwnedSegment::Field(name) => {
                    let fields = kind.as_object()?;
                    let known = fields.known().iter().find(|(known, _)| known.as_str() == &**name);
                    match known {
                        Some((_, kind)) => kind.clone(),
                        None if fields.unknown_kind().is_undefined() => {
                            let names = fields.known().keys().map(|field| field.as_str());
                            let fix = nearest(name, names);
                            let settings = root == "%" && query.path.segments.len() > 1;
                            let (code, what) = match settings {
                                true => ("TL2009", "the system has no setting"),
                                false => ("TL2002", "the document has no field"),
                            };
                            self.add(code, query.span(), &format!("{what} `{name}`"), fix);
                            return None;
                        }
                        None => fields.unknown_kind(),
                    }
                }
            };
        }
        Some(kind)
    }

    fn add(&mut self, code: &'static str, span: Span, message: &str, fix: Option<String>) {
        self.found.push((span, self.source.error(code, span, message, fix)));
    }
}

/// The type of a list's items.
fn item_kind(kind: &Kind) -> Option<Kind> {
    let items = kind.as_array()?;
    let known = items.known().values().cloned();
    let mut item = known.fold(items.unknown_kind(), |all, kind| all.union(kind));
    item.remove_undefined();
    Some(item)
}
