//! From VRL's syntax tree to nodes.

use vrl::diagnostic::Span;
use vrl::parser::ast::{
    self, Assignment, AssignmentOp, AssignmentTarget, Container, Expr, IfStatement, Literal,
    Opcode, Predicate, Query, QueryTarget, RootExpr, Unary,
};
use vrl::path::{OwnedSegment, OwnedValuePath, PathPrefix};
use vrl::value::Value as VrlValue;

use super::{
    Call, Closure, DOCUMENT, Function, If, Node, Operator, Program, Step, Unsupported, library,
};
use crate::functions;
use crate::value::VocabularyBuilder;

type Lowered = Result<Node, Unsupported>;

pub(super) fn program(
    program: &ast::Program,
    metadata: &VrlValue,
    vocabulary: &mut VocabularyBuilder,
) -> Result<Program, Unsupported> {
    let mut lowering = Lowering { metadata, vocabulary, variables: Vec::new(), nodes: 0 };
    let mut root = Vec::new();
    for expression in &program.0 {
        if let RootExpr::Expr(expression) = &**expression {
            root.push(lowering.expression(expression)?);
        }
    }
    Ok(Program { root, variables: lowering.variables.len() + 1 })
}

#[cfg(test)]
pub(super) fn constant(value: &VrlValue, vocabulary: &mut VocabularyBuilder) -> Program {
    let metadata = &VrlValue::Null;
    let mut lowering = Lowering { metadata, vocabulary, variables: Vec::new(), nodes: 0 };
    let node = lowering.constant(value, Span::default()).unwrap();
    Program { root: vec![node], variables: 1 }
}

struct Lowering<'a> {
    metadata: &'a VrlValue,
    vocabulary: &'a mut VocabularyBuilder,
    /// Their names; they are numbered behind the document. A name is one variable in the whole
    /// program, as it is when VRL runs it.
    variables: Vec<String>,
    /// How many expressions were met so far.
    nodes: u64,
}

fn unsupported(construct: impl Into<String>, span: Span) -> Unsupported {
    Unsupported { construct: construct.into(), at: span.start() }
}

impl Lowering<'_> {
    fn expression(&mut self, expression: &ast::Node<Expr>) -> Lowered {
        self.nodes += 1;
        match &**expression {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Container(container) => self.container(container),
            Expr::IfStatement(statement) => self.condition(statement),
            Expr::Op(op) => self.operation(&op.0, *op.1.inner(), &op.2),
            Expr::Assignment(assignment) => self.assignment(assignment),
            Expr::Query(query) => self.query(query),
            Expr::FunctionCall(call) => self.call(call, call.span()),
            Expr::Variable(name) => Ok(Node::Variable(self.variable(name), Vec::new())),
            Expr::Unary(unary) => {
                let Unary::Not(not) = &**unary;
                let (_, inner) = (**not).clone().take();
                Ok(Node::Not(Box::new(self.expression(&inner)?)))
            }
            Expr::Abort(abort) => {
                let message = abort.message.as_ref();
                let message = message.map(|message| self.expression(message)).transpose()?;
                Ok(Node::Abort { at: abort.span().start(), message: message.map(Box::new) })
            }
            Expr::Return(returned) => Err(unsupported("return", returned.span())),
            Expr::Break(found) => Err(unsupported("break", found.span())),
        }
    }

    fn expressions<'n>(
        &mut self,
        expressions: impl IntoIterator<Item = &'n ast::Node<Expr>>,
    ) -> Result<Vec<Node>, Unsupported> {
        expressions.into_iter().map(|expression| self.expression(expression)).collect()
    }

    fn literal(&mut self, literal: &ast::Node<Literal>) -> Lowered {
        Ok(match &**literal {
            Literal::String(template) => match template.as_literal_string() {
                Some(text) => Node::Text(text.to_owned()),
                None => {
                    let parts = template.rewrite_to_concatenated_strings();
                    self.expression(&ast::Node::new(literal.span(), parts))?
                }
            },
            Literal::RawString(text) => Node::Text(text.clone()),
            Literal::Integer(number) => Node::Integer(*number),
            Literal::Boolean(boolean) => Node::Boolean(*boolean),
            Literal::Timestamp(text) => match text.parse() {
                Ok(time) => Node::Timestamp(time),
                Err(_) => return Err(unsupported("timestamp", literal.span())),
            },
            Literal::Null => Node::Null,
            Literal::Float(_) => return Err(unsupported("float", literal.span())),
            Literal::Regex(_) => return Err(unsupported("pattern", literal.span())),
        })
    }

    fn container(&mut self, container: &Container) -> Lowered {
        match container {
            Container::Group(group) => self.expression(&group.0),
            Container::Block(block) => self.block(block),
            Container::Array(array) => {
                let items: Vec<_> = (**array).clone().into_iter().collect();
                Ok(Node::Array(self.expressions(&items)?))
            }
            Container::Object(object) => {
                let mut entries: Vec<_> = (**object).clone().into_iter().collect();
                // VRL evaluates the entries of an object in the order of their names.
                entries.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
                let names: Vec<String> =
                    entries.iter().map(|(name, _)| name.inner().clone()).collect();
                if let Some(at) = names.windows(2).position(|pair| pair[0] == pair[1]) {
                    return Err(unsupported("a name that comes twice", entries[at].0.span()));
                }
                let values = self.expressions(entries.iter().map(|(_, value)| value))?;
                Ok(Node::Object(self.vocabulary.shape(names), values))
            }
        }
    }

    fn block(&mut self, block: &ast::Block) -> Lowered {
        let mut nodes = self.expressions(&block.0)?;
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Block(nodes) })
    }

    fn condition(&mut self, statement: &IfStatement) -> Lowered {
        let condition = match &*statement.predicate {
            Predicate::One(expression) => self.expression(expression)?,
            Predicate::Many(expressions) => Node::Block(self.expressions(expressions)?),
        };
        let then = self.block(&statement.if_node)?;
        let otherwise = match &statement.else_node {
            Some(block) => self.block(block)?,
            None => Node::Null,
        };
        Ok(Node::If(Box::new(If { condition, then, otherwise })))
    }

    fn operation(
        &mut self,
        left: &ast::Node<Expr>,
        operator: Opcode,
        right: &ast::Node<Expr>,
    ) -> Lowered {
        let sides = Box::new([self.expression(left)?, self.expression(right)?]);
        let operator = match operator {
            Opcode::And => return Ok(Node::And(sides)),
            Opcode::Or => return Ok(Node::Or(sides)),
            Opcode::Err => return Ok(Node::Coalesce(sides)),
            Opcode::Div => return Err(unsupported("division", left.span())),
            Opcode::Mul => Operator::Multiply,
            Opcode::Add => Operator::Add,
            Opcode::Sub => Operator::Subtract,
            Opcode::Merge => Operator::Merge,
            Opcode::Eq => Operator::Equal,
            Opcode::Ne => Operator::NotEqual,
            Opcode::Gt => Operator::Greater,
            Opcode::Ge => Operator::GreaterOrEqual,
            Opcode::Lt => Operator::Less,
            Opcode::Le => Operator::LessOrEqual,
        };
        Ok(Node::Operation(operator, sides))
    }

    fn assignment(&mut self, assignment: &ast::Node<Assignment>) -> Lowered {
        let Assignment::Single { target, op, expr } = &**assignment else {
            return Err(unsupported("an assignment of a value and its error", assignment.span()));
        };
        let value = self.expression(expr)?;
        match (&**target, op) {
            (AssignmentTarget::Noop, AssignmentOp::Assign) => Ok(value),
            (AssignmentTarget::Internal(name, None), AssignmentOp::Assign) => {
                Ok(Node::Assign(self.variable(name), Box::new(value)))
            }
            (AssignmentTarget::Internal(name, None), AssignmentOp::Merge) => {
                let variable = self.variable(name);
                let sides = Box::new([Node::Variable(variable, Vec::new()), value]);
                Ok(Node::Assign(variable, Box::new(Node::Operation(Operator::Merge, sides))))
            }
            _ => Err(unsupported("an assignment to a part of a variable", target.span())),
        }
    }

    fn query(&mut self, query: &Query) -> Lowered {
        let span = query.target.span();
        let value = match &*query.target {
            QueryTarget::External(PathPrefix::Event) => {
                return Ok(Node::Variable(DOCUMENT, self.path(&query.path)));
            }
            QueryTarget::External(PathPrefix::Metadata) => {
                let value = self.metadata.get(&*query.path);
                return self.constant(value.unwrap_or(&VrlValue::Null), span);
            }
            QueryTarget::Internal(name) => {
                return Ok(Node::Variable(self.variable(name), self.path(&query.path)));
            }
            QueryTarget::FunctionCall(call) => self.call(call, span)?,
            QueryTarget::Container(container) => self.container(container)?,
        };
        Ok(Node::Part(Box::new(value), self.path(&query.path)))
    }

    fn path(&mut self, path: &OwnedValuePath) -> Vec<Step> {
        let step = |segment: &OwnedSegment| match segment {
            OwnedSegment::Field(name) => Step::Field(self.vocabulary.symbol(name)),
            OwnedSegment::Index(index) => Step::Item(*index as i64),
        };
        path.segments.iter().map(step).collect()
    }

    /// A value that is the same for every document.
    fn constant(&mut self, value: &VrlValue, span: Span) -> Lowered {
        self.nodes += 1;
        Ok(match value {
            VrlValue::Null => Node::Null,
            VrlValue::Boolean(boolean) => Node::Boolean(*boolean),
            VrlValue::Integer(number) => Node::Integer(*number),
            VrlValue::Timestamp(time) => Node::Timestamp(*time),
            VrlValue::Bytes(_) | VrlValue::String(_) => match value.to_str() {
                Some(text) => Node::Text(text.to_owned()),
                None => return Err(unsupported("a setting that is not text", span)),
            },
            VrlValue::Array(items) => {
                let items = items.iter().map(|item| self.constant(item, span));
                Node::Array(items.collect::<Result<_, _>>()?)
            }
            VrlValue::Object(entries) => {
                let names = entries.keys().map(|name| name.to_string()).collect();
                let shape = self.vocabulary.shape(names);
                let values = entries.values().map(|value| self.constant(value, span));
                Node::Object(shape, values.collect::<Result<_, _>>()?)
            }
            _ => return Err(unsupported("a setting of another kind", span)),
        })
    }

    fn call(&mut self, call: &ast::FunctionCall, span: Span) -> Lowered {
        let name: &str = call.ident.as_ref().as_ref();
        let refuse = || unsupported(format!("function `{name}`"), span);
        let (parameters, function) = if let Some(exact) = functions::exact(name) {
            // The answer is Money or a Quantity at most, or a short text.
            self.nodes += 3;
            let parameters = exact.parameters.iter().map(|parameter| parameter.keyword).collect();
            (parameters, Function::Exact(exact))
        } else if name == "each" {
            (vec!["items"], Function::Each(self.closure(call).ok_or_else(refuse)??))
        } else {
            let known = library::FUNCTIONS.iter().find(|(known, ..)| *known == name);
            let (_, parameters, function) = known.ok_or_else(refuse)?;
            (parameters.to_vec(), Function::Library(*function))
        };
        let mut arguments = std::array::from_fn(|_| None);
        // As VRL counts: a parameter that is named in its own place takes up that place.
        let mut next = 0;
        for argument in &call.arguments {
            let at = match &argument.ident {
                Some(keyword) => parameters
                    .iter()
                    .position(|known| **known == **keyword.as_ref())
                    .ok_or_else(refuse)?,
                None => next,
            };
            next += usize::from(argument.ident.is_none() || at == next);
            let place = arguments.get_mut(at).filter(|_| at < parameters.len());
            *place.ok_or_else(refuse)? = Some(self.expression(&argument.expr)?);
        }
        let (start, end) = (span.start(), span.end());
        Ok(Node::Call(Box::new(Call { name: name.to_owned(), start, end, function, arguments })))
    }

    fn closure(&mut self, call: &ast::FunctionCall) -> Option<Result<Closure, Unsupported>> {
        let closure = call.closure.as_ref()?;
        let mut variable = |at: usize| {
            let name = closure.variables.get(at)?;
            let named = !name.is_empty() && &***name != "_";
            named.then(|| self.variable(name))
        };
        let (index, item) = (variable(0), variable(1));
        let before = self.nodes;
        let block = self.block(&closure.block);
        let nodes = 1 + self.nodes - before;
        Some(block.map(|block| Closure { index, item, block, nodes }))
    }

    fn variable(&mut self, name: &str) -> usize {
        let known = self.variables.iter().position(|known| known == name);
        let at = known.unwrap_or_else(|| {
            self.variables.push(name.to_owned());
            self.variables.len() - 1
        });
        at + 1
    }
}
