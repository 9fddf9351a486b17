//! The sample shop's orders as change events, and its pack.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Map, Value, json};
use throughline_avro::{Schema, json_to_datum};
use throughline_event::{
    Datum, Envelope, EnvelopeSchema, Headers, Micros, Offset, Op, PartitionId, Record, Source,
    SystemName, TopicName, Version,
};
use throughline_processor_normalizer::Spec;

use super::shipped::{self, folder};

/// The instance of the shop.
pub(super) const SYSTEM: &str = "shop";

/// The setting that the pack cannot guess.
pub(super) const CURRENCY: &str = "EUR";

/// The moment at which the files were seen; it only has to be the same in every run.
const CAPTURED_AT: Micros = Micros(1_795_428_000_000_000);

/// One change event for each order.
pub(super) struct Events {
    topic: TopicName,
    schema: Arc<Schema>,
    envelope: EnvelopeSchema,
    /// The lines of each order, and its event.
    orders: Vec<(usize, Vec<u8>)>,
    headers: Headers,
}

impl Events {
    /// Reads `orders.csv` and groups its lines by order number, as the files producer does.
    pub(super) fn read() -> Result<Self> {
        let path = folder("sunrise").join("data/orders.csv");
        let text = read(&path)?;
        let documents = group(&text).with_context(|| format!("{}", path.display()))?;
        let document = Schema::parse(&read(&folder("sunrise").join("schemas/order.avsc"))?)?;
        let topic = TopicName::new(format!("cdc.{SYSTEM}.order"))?;
        let envelope = EnvelopeSchema::for_topic(&topic, &document)?;
        let mut orders = Vec::new();
        for (at, value) in documents.iter().enumerate() {
            let mut after = Vec::new();
            json_to_datum(document.root(), value, &mut after)?;
            let source = Source {
                connector: "files".to_owned(),
                system: SystemName::new(SYSTEM)?,
                changed_at: CAPTURED_AT,
                snapshot: true,
                entity: "order".to_owned(),
                position: format!("orders.csv order {}", at + 1),
                version: Version(i64::try_from(at)? + 1),
                actor: None,
            };
            let mut datum = Vec::new();
            let captured_at = CAPTURED_AT;
            Envelope {
                before: None,
                after: Some(&after),
                source: &source,
                op: Op::Create,
                captured_at,
            }
            .write(&mut datum);
            orders.push((value["rows"].as_array().map_or(0, Vec::len), datum));
        }
        let schema = Arc::new(envelope.schema().clone());
        Ok(Self { topic, schema, envelope, orders, headers: Headers::new() })
    }

    /// Forgets the events for which `kept` says no.
    pub(super) fn keep(&mut self, kept: &[bool]) {
        let mut kept = kept.iter();
        self.orders.retain(|_| kept.next().is_some_and(|kept| *kept));
    }

    /// Lines of the file, all orders together.
    pub(super) fn lines(&self) -> usize {
        self.orders.iter().map(|(lines, _)| lines).sum()
    }

    /// How their envelopes are read.
    pub(super) fn envelope(&self) -> &EnvelopeSchema {
        &self.envelope
    }

    /// The events as the runtime hands them over.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0_i64..).zip(&self.orders).map(|(offset, (_, bytes))| Record {
            topic: &self.topic,
            partition: PartitionId(0),
            offset: Offset(offset),
            timestamp: CAPTURED_AT,
            key: None,
            value: Some(Datum { schema: &self.schema, bytes }),
            headers: &self.headers,
        })
    }
}

/// The documents of a file without quoted values, in the order in which their orders begin.
fn group(csv: &str) -> Result<Vec<Value>> {
    ensure!(!csv.contains('"'), "a quoted value: this is no CSV reader");
    let mut documents: Vec<Value> = Vec::new();
    for line in csv.lines().skip(1) {
        let values: Vec<&str> = line.split(',').collect();
        let &[customer, number, sku, price, quantity, total] = values.as_slice() else {
            return Err(anyhow!("{} values in place of 6", values.len()));
        };
        let quantity: i64 = quantity.parse()?;
        let row = json!({
            "customerEmail": customer, "orderNumber": number, "sku": sku, "price": price,
            "quantity": quantity, "totalPrice": total,
        });
        let known = documents.iter_mut().find(|order| order["orderNumber"] == number);
        match known.and_then(|order| order["rows"].as_array_mut()) {
            Some(rows) => rows.push(row),
            None => documents.push(json!({ "orderNumber": number, "rows": [row] })),
        }
    }
    Ok(documents)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

/// The pack as the configuration loads it, for a system that owns everything.
pub(super) fn spec() -> Result<Spec> {
    let settings = Map::from_iter([("currency".to_owned(), json!(CURRENCY))]);
    shipped::spec("sunrise", SYSTEM, settings).map_err(|error| anyhow!(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_grouped_by_order_number() {
        let csv = "header\n7,1,A,1.5,2,3\n8,2,B,1,1,1\n7,1,C,0,1,3\n";
        let orders = group(csv).unwrap();
        assert_eq!(orders.len(), 2);
        assert_eq!(orders[0]["rows"][1]["sku"], "C");
        assert_eq!(orders[1]["orderNumber"], "2");
        assert!(group("header\n\"a\",b\n").is_err());
        assert!(group("header\na,b\n").is_err());
    }
}
