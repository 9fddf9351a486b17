//! `each(items) -> |index, item| { ... }`: the results of a block for every item, without its nulls.
//!
//! VRL's own `map_values` keeps the type of the *input's* items for lists of unknown length, so
//! nothing built with it could be checked against a canonical schema. This one has the block's type,
//! and leaves out what the block answers null for, which makes it the filter too.

use vrl::compiler::Function;
use vrl::compiler::prelude::*;

#[derive(Debug, Clone, Copy)]
pub(super) struct Each;

const PARAMETERS: &[Parameter] = &[Parameter::required("items", kind::ARRAY, "The list.")];

impl Function for Each {
    fn identifier(&self) -> &'static str {
        "each"
    }

    fn usage(&self) -> &'static str {
        "The results of the block for every item of a list, in order, without nulls."
    }

    fn category(&self) -> &'static str {
        "Exact"
    }

    fn return_kind(&self) -> u16 {
        kind::ARRAY
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _state: &state::TypeState,
        _context: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let items = arguments.required("items");
        let closure = arguments.required_closure()?;
        Ok(EachFn { items, closure }.as_expr())
    }

    fn closure(&self) -> Option<closure::Definition> {
        use closure::{Definition, Input, Output, Variable, VariableKind};

        let variable = |kind| Variable { kind };
        Some(Definition {
            inputs: vec![Input {
                parameter_keyword: "items",
                kind: Kind::array(Collection::any()),
                variables: vec![
                    variable(VariableKind::TargetInnerKey),
                    variable(VariableKind::TargetInnerValue),
                ],
                output: Output::Kind(Kind::any()),
                example: example! {
                    title: "every second item",
                    source: "each([1, 2]) -> |index, item| { if index == 1 { item } }",
                    result: Ok("[2]"),
                },
            }],
            is_iterator: true,
            supports_break: false,
        })
    }
}

#[derive(Debug, Clone)]
struct EachFn {
    items: Box<dyn Expression>,
    closure: Closure,
}

impl FunctionExpression for EachFn {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let items = self.items.resolve(context)?.try_array()?;
        let Closure { variables, block, block_type_def: _ } = &self.closure;
        let runner = closure::Runner::new(variables, |context| block.resolve(context));
        let mut results = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let result = runner.run_index_value_owned(context, index, item)?;
            if !matches!(result, Value::Null) {
                results.push(result);
            }
        }
        Ok(Value::Array(results))
    }

    fn type_def(&self, state: &state::TypeState) -> TypeDef {
        let mut item = self.closure.block_type_def.kind().clone();
        item.remove_null();
        item.remove_undefined();
        let fallible = self.items.type_def(state).is_fallible();
        TypeDef::from(Kind::array(Collection::from_unknown(item))).maybe_fallible(fallible)
    }
}
