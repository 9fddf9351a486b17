//! Letters that an operator has dealt with.

use throughline_bus::{Bus, Partitions};
use throughline_event::{PartitionId, WorkerName};

use super::DeadLetter;
use crate::WorkerError;
use crate::target::Target;

/// Writes the tombstones of letters, all or none. `letters` are ids with the partition in which each
/// stands.
///
/// Not for parked letters: they hold what their key's next event is compared with, and without them
/// what was published of the key before stays in the outputs.
///
/// # Errors
/// When the bus refuses it.
pub fn resolve(
    bus: &Bus,
    worker: &WorkerName,
    letters: &[(String, PartitionId)],
) -> Result<(), WorkerError> {
    // It exists, with as many partitions as it has.
    let target = Target::dead(bus, worker, Partitions::Initially(1))?;
    // An id of its own: the worker may run, and is not to be fenced.
    let mut producer = bus.producer(&format!("throughline-dlq-{worker}"))?;
    producer.begin()?;
    for (id, partition) in letters {
        producer.send(&target.outgoing_to(*partition, &DeadLetter::key_datum(id), None))?;
    }
    producer.commit()?;
    Ok(())
}
