//! What `systems/sunrise/mappings/order.vrl` says, written in Rust for this one purpose.
//!
//! It knows both schemas by heart: documents are borrowed from the event, amounts are integers, and
//! every field is written at its place. It checks what the normalizer's invariants check and can
//! fail for this mapping.

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use throughline_avro::{
    Cursor, Node, put_block, put_block_end, put_boolean, put_int, put_long, put_str,
    put_union_branch,
};
use throughline_connector::{Canonical, Outputs, Produced};
use throughline_event::{
    Decimal, EnvelopeSchema, EnvelopeView, Record, Rounding, currency_exponent,
};
use throughline_processor_normalizer::canonical_entity;

use super::orders::{CURRENCY, Events, SYSTEM};

/// The mapping with what is the same for every order.
pub(super) struct Handwritten {
    envelope: EnvelopeSchema,
    output: Canonical,
    /// `meta.mapping`: what the normalizer writes there, so that whole records can be compared.
    label: String,
    scale: u32,
}

/// An order of the shop.
pub(super) struct Document<'a> {
    number: &'a str,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    customer: &'a str,
    sku: &'a str,
    price: &'a str,
    quantity: i64,
    total: &'a str,
}

/// A canonical order; amounts in the currency's minor unit.
pub(super) struct Order<'a> {
    number: &'a str,
    customer: &'a str,
    lines: Vec<Line<'a>>,
    subtotal: i64,
    total: i64,
}

struct Line<'a> {
    sku: &'a str,
    quantity: i64,
    price: i64,
    total: i64,
}

impl Handwritten {
    /// For these events, and with the label that stands in a record of the normalizer.
    pub(super) fn like(events: &Events, produced: &Produced) -> Result<Self> {
        let mut cursor = Cursor::new(produced.value.as_deref().context("a tombstone")?);
        let order = canonical_entity("order").context("there is no canonical order")?;
        let meta = order.value.record().and_then(|order| order.fields.first());
        let Some(Node::Record(meta)) = meta.map(|meta| &*meta.node) else {
            bail!("canonical orders have no meta");
        };
        let label = meta.fields.iter().position(|field| field.name == "mapping");
        for field in &meta.fields[..label.context("meta has no mapping")?] {
            cursor.skip(&field.node)?;
        }
        Ok(Self {
            envelope: events.envelope().clone(),
            output: produced.output,
            label: cursor.str()?.to_owned(),
            scale: currency_exponent(CURRENCY).context("an unknown currency")?,
        })
    }

    /// All three steps.
    pub(super) fn process(&self, record: &Record<'_>, out: &mut Outputs) -> Result<()> {
        let (change, document) = self.decode(record)?;
        self.encode(&change, &self.map(&document)?, out);
        Ok(())
    }

    pub(super) fn decode<'r>(
        &self,
        record: &Record<'r>,
    ) -> Result<(EnvelopeView<'r>, Document<'r>)> {
        let change = self.envelope.view(record.value.context("a tombstone")?.bytes)?;
        let mut cursor = Cursor::new(change.after.context("a delete")?);
        let number = cursor.str()?;
        let mut rows = Vec::new();
        while let Some(block) = cursor.block()? {
            for _ in 0..block.items {
                let customer = cursor.str()?;
                let _number = cursor.str()?;
                let (sku, price) = (cursor.str()?, cursor.str()?);
                let (quantity, total) = (cursor.long()?, cursor.str()?);
                rows.push(Row { customer, sku, price, quantity, total });
            }
        }
        cursor.finish()?;
        Ok((change, Document { number, rows }))
    }

    pub(super) fn map<'a>(&self, document: &Document<'a>) -> Result<Order<'a>> {
        let first = document.rows.first().context("an order without rows")?;
        let money = |text| Decimal::parse_at(text, self.scale, Rounding::Exact);
        let mut lines = Vec::with_capacity(document.rows.len());
        let mut subtotal = 0_i64;
        for row in &document.rows {
            let agree = row.total == first.total && row.customer == first.customer;
            ensure!(agree, "the rows of the order do not agree about its total or its customer");
            let price = money(row.price)?.unscaled;
            let total = price.checked_mul(row.quantity).context("a line is too large")?;
            ensure!(price >= 0, "a price is negative");
            ensure!(!row.sku.trim().is_empty(), "a line has no SKU");
            subtotal = subtotal.checked_add(total).context("the order is too large")?;
            lines.push(Line { sku: row.sku, quantity: row.quantity, price, total });
        }
        let total = money(first.total)?.unscaled;
        ensure!(subtotal == total, "the lines do not sum up to the total");
        Ok(Order { number: document.number, customer: first.customer, lines, subtotal, total })
    }

    pub(super) fn encode(&self, change: &EnvelopeView<'_>, order: &Order<'_>, out: &mut Outputs) {
        let mut key = Vec::with_capacity(32);
        put_str(&mut key, SYSTEM);
        put_str(&mut key, order.number);
        let id = event_id(&key, change.version);
        let mut value = Vec::with_capacity(512);
        self.put_meta(&id, change, &mut value);
        put_str(&mut value, SYSTEM);
        put_str(&mut value, order.number);
        put_nothing(2, &mut value);
        put_customer(order.customer, &mut value);
        put_str(&mut value, CURRENCY);
        put_boolean(&mut value, true);
        for _axis in ["order", "payment", "fulfillment"] {
            put_str(&mut value, "unknown");
        }
        put_nothing(1, &mut value);
        put_block(&mut value, order.lines.len());
        for (at, line) in order.lines.iter().enumerate() {
            self.put_line(at + 1, line, &mut value);
        }
        put_block_end(&mut value);
        put_block(&mut value, 2);
        for (kind, amount) in [("subtotal", order.subtotal), ("total", order.total)] {
            put_str(&mut value, kind);
            self.put_money(amount, &mut value);
            put_nothing(1, &mut value);
        }
        put_block_end(&mut value);
        put_block_end(&mut value);
        put_block(&mut value, 1);
        for text in [SYSTEM, "order", order.number] {
            put_str(&mut value, text);
        }
        put_block_end(&mut value);
        put_block_end(&mut value);
        let headers = vec![
            ("version".to_owned(), change.version.to_string().into_bytes()),
            ("event_id".to_owned(), id.into_bytes()),
        ];
        out.records.push(Produced { output: self.output, key, value: Some(value), headers });
    }

    fn put_meta(&self, id: &str, change: &EnvelopeView<'_>, out: &mut Vec<u8>) {
        for text in [id, "upsert", SYSTEM, "order"] {
            put_str(out, text);
        }
        put_long(out, change.version);
        put_str(out, change.position);
        put_long(out, change.changed_at.0);
        put_long(out, change.captured_at.0);
        put_boolean(out, change.snapshot);
        put_optional(change.actor, out);
        put_nothing(1, out);
        put_str(out, &self.label);
        put_nothing(1, out);
    }

    fn put_line(&self, number: usize, line: &Line<'_>, out: &mut Vec<u8>) {
        put_str(out, &number.to_string());
        put_str(out, line.sku);
        put_nothing(1, out);
        put_str(out, "C62");
        put_int(out, 0);
        for quantity in [line.quantity, 0, 0, 0, line.quantity, 0] {
            put_long(out, quantity);
        }
        self.put_money(line.price, out);
        put_block_end(out);
        put_block_end(out);
        self.put_money(line.total, out);
        put_nothing(1, out);
    }

    fn put_money(&self, unscaled: i64, out: &mut Vec<u8>) {
        put_long(out, unscaled);
        put_long(out, i64::from(self.scale));
        put_str(out, CURRENCY);
    }
}

fn put_customer(customer: &str, out: &mut Vec<u8>) {
    put_union_branch(out, 1);
    put_optional(Some(SYSTEM), out);
    // The column is called customerEmail and holds a customer number.
    let is_email = customer.contains('@');
    put_optional((!is_email).then_some(customer), out);
    put_optional(is_email.then_some(customer), out);
}

fn put_optional(text: Option<&str>, out: &mut Vec<u8>) {
    put_union_branch(out, usize::from(text.is_some()));
    if let Some(text) = text {
        put_str(out, text);
    }
}

/// Some optional fields, all null.
fn put_nothing(fields: usize, out: &mut Vec<u8>) {
    for _ in 0..fields {
        put_union_branch(out, 0);
    }
}

/// The hash of system, entity, key and version that every canonical record carries.
fn event_id(key: &[u8], version: i64) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hash = Sha256::new();
    for part in [SYSTEM.as_bytes(), b"order", key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(version.to_be_bytes());
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    hash.finalize()[..16].iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
