//! The names and shapes that one mapping deals with, numbered when it is loaded.

use std::borrow::Cow;
use std::collections::HashMap;

use super::Shape;

/// A name that is looked for, with its number in the vocabulary.
#[derive(Debug, Clone)]
pub(crate) struct Symbol {
    number: u16,
    name: Cow<'static, str>,
}

impl Symbol {
    #[inline]
    pub(crate) fn number(&self) -> usize {
        usize::from(self.number)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Names that rules and functions look for: the first symbols of every vocabulary.
pub(crate) mod known {
    use std::borrow::Cow;

    use super::Symbol;

    macro_rules! symbols {
        ($($symbol:ident $name:literal)*) => {
            #[expect(
                non_camel_case_types,
                clippy::upper_case_acronyms,
                reason = "they only count the symbols, by whose names they go"
            )]
            enum Number { $($symbol),* }
            $(pub(crate) const $symbol: Symbol =
                Symbol { number: Number::$symbol as u16, name: Cow::Borrowed($name) };)*
            /// Their names, by number.
            pub(super) const NAMES: &[&str] = &[$($name),*];
        };
    }

    symbols! {
        ADDED "added"
        AMOUNT "amount"
        AVAILABLE "available"
        BARCODES "barcodes"
        CANCELED "canceled"
        COMMITTED "committed"
        COST "cost"
        CURRENCY "currency"
        DAMAGED "damaged"
        DISCOUNTS "discounts"
        FULFILLED "fulfilled"
        FULFILLMENT "fulfillment"
        GLN "gln"
        LINES "lines"
        LINE_ID "line_id"
        LIST "list"
        ON_HAND "on_hand"
        ORDER "order"
        ORIGINAL "original"
        PAYMENT "payment"
        QUALITY_CONTROL "quality_control"
        QUANTITY "quantity"
        RESERVED "reserved"
        RETURNED "returned"
        SAFETY_STOCK "safety_stock"
        SALE "sale"
        SCALE "scale"
        SKU "sku"
        STATUS "status"
        STEPS "steps"
        TAXES "taxes"
        TAX_INCLUDED "tax_included"
        TOTAL "total"
        TOTALS "totals"
        TYPE "type"
        UNIT_PRICE "unit_price"
        UNSCALED "unscaled"
        VALUE "value"
    }
}

/// The shape of Money, with its names in their order.
pub(crate) const MONEY: usize = 0;
const MONEY_NAMES: [&str; 3] = ["currency", "scale", "unscaled"];

/// The shape of a Quantity that was read from text.
pub(crate) const QUANTITY: usize = 1;
const QUANTITY_NAMES: [&str; 3] = ["scale", "steps", "unit"];

/// The shapes of one mapping.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    shapes: Vec<Shape<'static>>,
    by_names: HashMap<Vec<String>, usize>,
}

/// A vocabulary that names are still added to.
#[derive(Debug)]
pub(crate) struct VocabularyBuilder {
    numbers: HashMap<String, u16>,
    shapes: Vec<Vec<String>>,
    by_names: HashMap<Vec<String>, usize>,
}

impl Vocabulary {
    #[inline]
    pub(crate) fn shape(&self, at: usize) -> &Shape<'static> {
        &self.shapes[at]
    }

    /// All shapes, by number.
    pub(crate) fn shapes(&self) -> &[Shape<'static>] {
        &self.shapes
    }

    /// The shape of exactly these names, which are sorted.
    pub(crate) fn shape_of(&self, names: &[String]) -> Option<usize> {
        self.by_names.get(names).copied()
    }
}

impl VocabularyBuilder {
    /// With the symbols and shapes that every vocabulary has.
    pub(crate) fn new() -> Self {
        let (numbers, shapes, by_names) = Default::default();
        let mut new = Self { numbers, shapes, by_names };
        for name in known::NAMES {
            new.symbol(name);
        }
        for names in [MONEY_NAMES, QUANTITY_NAMES] {
            new.shape(names.map(str::to_owned).to_vec());
        }
        new
    }

    /// A name that will be looked for.
    pub(crate) fn symbol(&mut self, name: &str) -> Symbol {
        // Names beyond the last number share one that no shape has: they are found by their text.
        let next = u16::try_from(self.numbers.len()).unwrap_or(u16::MAX);
        let number = *self.numbers.entry(name.to_owned()).or_insert(next);
        Symbol { number, name: name.to_owned().into() }
    }

    /// A shape of these names, sorted and each only once.
    pub(crate) fn shape(&mut self, names: Vec<String>) -> usize {
        debug_assert!(names.is_sorted());
        *self.by_names.entry(names).or_insert_with_key(|names| {
            self.shapes.push(names.clone());
            self.shapes.len() - 1
        })
    }

    pub(crate) fn build(self) -> Vocabulary {
        let symbols = self.numbers.len().min(usize::from(u16::MAX));
        let number = |name: &str| self.numbers.get(name).map(|number| usize::from(*number));
        let shapes = self.shapes.iter().enumerate();
        let shapes = shapes.map(|(at, names)| Shape::known(at, names, symbols, number));
        Vocabulary { shapes: shapes.collect(), by_names: self.by_names }
    }
}
