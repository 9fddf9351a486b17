//! What the differ knows about the documents of an entity.

use throughline_avro::{Cursor, DecodeError, Schema};
use throughline_event::{EntityName, TopicName};

use crate::error::StoreError;

/// The documents of one entity.
#[derive(Debug, Clone)]
pub struct EntityShape {
    /// The entity.
    pub entity: EntityName,
    /// The topic that the store is a cache of.
    pub topic: TopicName,
    /// The record of a whole document.
    pub document: Schema,
    /// Top-level fields that do not count as a change.
    pub ignore: Vec<String>,
}

/// A shape, ready to compare.
#[derive(Debug)]
pub(crate) struct Comparer {
    pub(crate) entity: EntityName,
    document: Schema,
    /// For each top-level field whether it counts; empty when all do.
    counts: Vec<bool>,
}

impl Comparer {
    pub(crate) fn new(shape: &EntityShape) -> Result<Self, StoreError> {
        let entity = shape.entity.clone();
        let fields = shape.document.record().map(|record| &record.fields[..]).unwrap_or_default();
        let mut counts = vec![true; if shape.ignore.is_empty() { 0 } else { fields.len() }];
        for field in &shape.ignore {
            match fields.iter().position(|known| known.name == *field) {
                Some(index) => counts[index] = false,
                None => return Err(StoreError::UnknownField { entity, field: field.clone() }),
            }
        }
        Ok(Self { entity, document: shape.document.clone(), counts })
    }

    /// Whether `after` says the same as `before`, which was published.
    pub(crate) fn same(&self, before: &[u8], after: &[u8]) -> Result<bool, StoreError> {
        if before == after {
            return Ok(true);
        }
        if self.counts.is_empty() {
            return Ok(false);
        }
        self.same_fields(before, after)
            .map_err(|source| StoreError::Document { entity: self.entity.clone(), source })
    }

    fn same_fields(&self, before: &[u8], after: &[u8]) -> Result<bool, DecodeError> {
        let (mut before, mut after) = (Cursor::new(before), Cursor::new(after));
        let fields = self.document.record().map(|record| &record.fields[..]).unwrap_or_default();
        for (field, counts) in fields.iter().zip(&self.counts) {
            let old = before.value(&field.node)?;
            let new = after.value(&field.node)?;
            if *counts && old != new {
                return Ok(false);
            }
        }
        before.finish()?;
        after.finish()?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparer(ignore: &[&str]) -> Result<Comparer, StoreError> {
        Comparer::new(&EntityShape {
            entity: EntityName::new("price").unwrap(),
            topic: TopicName::new("cdc.shop.price").unwrap(),
            document: Schema::parse(
                r#"{"type":"record","name":"P","fields":[{"name":"sku","type":"string"},
                    {"name":"updated_at","type":"long"},
                    {"name":"tags","type":{"type":"array","items":"string"}}]}"#,
            )
            .unwrap(),
            ignore: ignore.iter().map(|&field| field.to_owned()).collect(),
        })
    }

    #[test]
    fn fields_that_are_ignored_are_no_change() {
        let all = comparer(&[]).unwrap();
        let some = comparer(&["updated_at"]).unwrap();
        let (old, later, other) = (b"\x02a\x02\x00", b"\x02a\x04\x00", b"\x02b\x02\x00");
        assert!(all.same(old, old).unwrap());
        assert!(!all.same(old, later).unwrap());
        assert!(some.same(old, later).unwrap());
        assert!(!some.same(old, other).unwrap());
        assert!(!some.same(old, b"\x02a\x80\x01\x02\x02t\x00").unwrap(), "the last field counts");
    }

    #[test]
    fn ignored_field_must_exist() {
        let error = comparer(&["updated"]).unwrap_err();
        assert!(matches!(error, StoreError::UnknownField { field, .. } if field == "updated"));
    }

    #[test]
    fn document_that_does_not_fit_its_schema_is_an_error() {
        let some = comparer(&["updated_at"]).unwrap();
        let error = some.same(b"\x02a\x02\x00", b"\x02a").unwrap_err();
        assert!(matches!(error, StoreError::Document { .. }), "{error}");
        assert!(some.same(b"\x02a\x02\x00\x00", b"\x02a\x02\x00").is_err(), "bytes left over");
    }
}
