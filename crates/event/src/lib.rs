//! The vocabulary that every other crate shares: names, positions, money, quantity, time, the change
//! event and its envelope, records of the log and batches of them.
//!
//! Pure data: no I/O, no async, no clock. What is written here is what travels on the log.

mod batch;
mod change;
mod decimal;
mod envelope;
mod money;
mod name;
mod position;
mod quantity;
mod role;
mod secret;
mod source;
pub mod suggest;
mod time;
mod units;
mod violation;

pub use batch::{Datum, Headers, Record, RecordBatch};
pub use change::{Change, Op};
pub use decimal::{Decimal, DecimalError, Rounding};
pub use envelope::{Envelope, EnvelopeError, EnvelopeSchema, EnvelopeView, key_schema};
pub use money::{Money, MoneyError, currency_exponent};
pub use name::{
    EntityName, NAME_PATTERN, NameError, Offset, PartitionId, SystemName, TopicName,
    TopicPartition, WorkerName,
};
pub use position::{Position, Version};
pub use quantity::Quantity;
pub use role::Role;
pub use secret::{NotAReference, Secret, SecretError, SecretRef, SecretSource};
pub use source::Source;
pub use time::Micros;
pub use units::{ByteSize, Span, UnitError};
pub use violation::{Path, Segment, Violation, Violations};
