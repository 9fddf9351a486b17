//! Objects: names, in their order, and a value for each.

use bumpalo::Bump;

use super::{Symbol, Value};

/// Names of an object's fields, sorted.
#[derive(Debug)]
pub(crate) struct Shape<'a> {
    names: Names<'a>,
    /// The place of each symbol of the vocabulary; empty when the shape is not one of it.
    places: Box<[u8]>,
    /// Its number in the vocabulary.
    number: Option<usize>,
}

#[derive(Debug)]
enum Names<'a> {
    Owned(Box<[Box<str>]>),
    Borrowed(&'a [&'a str]),
}

/// In place of a place: the shape does not have the name.
const ABSENT: u8 = u8::MAX;

/// An object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a>(&'a Fields<'a>);

#[derive(Debug)]
struct Fields<'a> {
    shape: &'a Shape<'a>,
    values: &'a [Value<'a>],
}

impl Shape<'static> {
    /// Shape `at` of a vocabulary of so many symbols; `number` is the number of a name.
    pub(super) fn known(
        at: usize,
        names: &[String],
        symbols: usize,
        number: impl Fn(&str) -> Option<usize>,
    ) -> Self {
        let mut places = Vec::new();
        // A place is a byte. An object with more fields is searched by name.
        if names.len() < usize::from(ABSENT) {
            places = vec![ABSENT; symbols];
            for (place, name) in (0..).zip(names) {
                if let Some(known) = number(name).and_then(|number| places.get_mut(number)) {
                    *known = place;
                }
            }
        }
        let names = names.iter().map(|name| name.as_str().into()).collect();
        Self { names: Names::Owned(names), places: places.into(), number: Some(at) }
    }
}

impl<'a> Shape<'a> {
    /// The shape of entries that were not known before: sorted, each only once.
    pub(super) fn of_entries(names: &'a [&'a str]) -> Self {
        Self { names: Names::Borrowed(names), places: Box::default(), number: None }
    }

    fn len(&self) -> usize {
        match &self.names {
            Names::Owned(names) => names.len(),
            Names::Borrowed(names) => names.len(),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|place| self.name(place))
    }

    fn name(&self, place: usize) -> &str {
        match &self.names {
            Names::Owned(names) => &names[place],
            Names::Borrowed(names) => names[place],
        }
    }

    fn find(&self, wanted: &str) -> Option<usize> {
        match &self.names {
            Names::Owned(names) => names.binary_search_by(|name| (**name).cmp(wanted)).ok(),
            Names::Borrowed(names) => names.binary_search_by(|name| (**name).cmp(wanted)).ok(),
        }
    }
}

impl<'a> Object<'a> {
    /// One value for each name of the shape.
    #[inline]
    pub(super) fn new(shape: &'a Shape<'a>, values: &'a [Value<'a>], arena: &'a Bump) -> Self {
        debug_assert_eq!(shape.len(), values.len());
        Self(arena.alloc(Fields { shape, values }))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.values.len()
    }

    /// The value of a name.
    #[inline]
    pub(crate) fn get(&self, symbol: &Symbol) -> Option<Value<'a>> {
        match self.0.shape.places.get(symbol.number()) {
            // No object has so many values that the place of an absent name is one.
            Some(place) => self.0.values.get(usize::from(*place)).copied(),
            None => self.find(symbol.name()),
        }
    }

    /// The number of its shape in the vocabulary, when it is one of it.
    #[inline]
    pub(crate) fn shape(&self) -> Option<usize> {
        self.0.shape.number
    }

    /// The value of a name that is not known before.
    pub(crate) fn find(&self, name: &str) -> Option<Value<'a>> {
        self.0.shape.find(name).map(|place| self.0.values[place])
    }

    pub(crate) fn values(&self) -> &'a [Value<'a>] {
        self.0.values
    }

    /// Names and values, in the order of the names.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let shape = self.0.shape;
        self.0.values.iter().enumerate().map(|(place, value)| (shape.name(place), *value))
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.entries().eq(other.entries())
    }
}
