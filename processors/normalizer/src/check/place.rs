//! Where in a mapping's text a part of its result is written.

use std::collections::HashMap;

use vrl::diagnostic::Span;
use vrl::parser::ast::{Assignment, AssignmentTarget, Container, Expr, Node, Program, RootExpr};

/// One step into the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Field(String),
    Item,
}

/// A mapping's expressions, for looking places up.
pub(super) struct Places<'a> {
    variables: HashMap<String, &'a Node<Expr>>,
    last: Option<&'a Node<Expr>>,
}

/// How many variables and calls are followed from one to the next.
const MAX_STEPS: usize = 64;

impl<'a> Places<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        let mut variables = HashMap::new();
        let mut last = None;
        for expression in &program.0 {
            if let RootExpr::Expr(expression) = &**expression {
                assignments(expression, &mut variables);
                last = Some(expression);
            }
        }
        Self { variables, last }
    }

    /// The place of the deepest part of `path` that is written out; the key where it is a field.
    pub(super) fn find(&self, path: &[Segment]) -> Span {
        match self.last {
            Some(last) => self.find_in(last, path, MAX_STEPS).1,
            None => Span::new(0, 0),
        }
    }

    /// How many segments are left, and where the search ended.
    fn find_in(&self, expression: &Node<Expr>, path: &[Segment], steps: usize) -> (usize, Span) {
        let here = (path.len(), expression.span());
        let Some(steps) = steps.checked_sub(1) else { return here };
        let found = match (&**expression, path) {
            (_, []) => return here,
            (Expr::Container(container), _) => self.find_in_container(container, path, steps),
            (Expr::Variable(name), _) => {
                let assigned = self.variables.get(name.to_string().as_str());
                assigned.map(|assigned| self.find_in(assigned, path, steps))
            }
            (Expr::Assignment(assignment), _) => {
                let (Assignment::Single { expr, .. } | Assignment::Infallible { expr, .. }) =
                    &**assignment;
                Some(self.find_in(expr, path, steps))
            }
            (Expr::FunctionCall(call), _) => match (&call.closure, path) {
                (Some(closure), [Segment::Item, rest @ ..]) => {
                    closure.block.0.last().map(|last| self.find_in(last, rest, steps))
                }
                _ => call.arguments.first().map(|first| self.find_in(&first.expr, path, steps)),
            },
            (Expr::IfStatement(statement), _) => {
                let blocks = [Some(&statement.if_node), statement.else_node.as_ref()];
                let last = blocks.into_iter().flatten().filter_map(|block| block.0.last());
                last.map(|last| self.find_in(last, path, steps)).min_by_key(|found| found.0)
            }
            (Expr::Op(op), _) => [&op.0, &op.2]
                .into_iter()
                .map(|side| self.find_in(side, path, steps))
                .min_by_key(|found| found.0),
            _ => None,
        };
        found.filter(|found| found.0 < here.0).unwrap_or(here)
    }

    fn find_in_container(
        &self,
        container: &Container,
        path: &[Segment],
        steps: usize,
    ) -> Option<(usize, Span)> {
        match (container, path) {
            (Container::Group(group), _) => Some(self.find_in(&group.0, path, steps)),
            (Container::Block(block), _) => {
                block.0.last().map(|last| self.find_in(last, path, steps))
            }
            (Container::Array(array), [Segment::Item, rest @ ..]) => {
                let items = (**array).clone().into_iter();
                items.map(|item| self.find_in(&item, rest, steps)).min_by_key(|found| found.0)
            }
            (Container::Object(object), [Segment::Field(name), rest @ ..]) => {
                let mut entries = (**object).clone().into_iter();
                let (key, value) = entries.find(|(key, _)| **key == *name)?;
                match rest {
                    [] => Some((0, key.span())),
                    rest => Some(self.find_in(&value, rest, steps)),
                }
            }
            _ => None,
        }
    }
}

/// What each variable was last assigned as a whole, in this expression and the blocks inside it.
fn assignments<'a>(expression: &'a Node<Expr>, variables: &mut HashMap<String, &'a Node<Expr>>) {
    match &**expression {
        Expr::Assignment(assignment) => {
            let (Assignment::Single { target, expr, .. }
            | Assignment::Infallible { ok: target, expr, .. }) = &**assignment;
            assignments(expr, variables);
            if let AssignmentTarget::Internal(name, None) = &**target {
                variables.insert(name.to_string(), expr);
            }
        }
        Expr::IfStatement(statement) => {
            let blocks = [Some(&statement.if_node), statement.else_node.as_ref()];
            for expression in blocks.into_iter().flatten().flat_map(|block| &block.0) {
                assignments(expression, variables);
            }
        }
        Expr::FunctionCall(call) => {
            for expression in call.closure.iter().flat_map(|closure| &closure.block.0) {
                assignments(expression, variables);
            }
        }
        Expr::Container(container) => {
            if let Container::Block(block) = &**container {
                block.0.iter().for_each(|expression| assignments(expression, variables));
            }
        }
        _ => {}
    }
}
