//! `tail`: records of a topic, decoded, as they arrive.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use throughline_bus::{Bus, Entry, Isolation, TailFrom, TailOptions, Tailed};
use throughline_event::{Offset, PartitionId, TopicName};

use crate::args::{Global, TailArgs};
use crate::exit::{Exit, Fail, Failure};
use crate::{output, running, view};

/// Transaction markers and compacted records have offsets too: so many more are read to find the
/// last records of a topic.
const SPARE: u64 = 200;

/// After so long without a record, the bus is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(2);

/// What was printed last of each partition.
type Seen = BTreeMap<PartitionId, Offset>;

pub(crate) fn run(global: &Global, args: &TailArgs) -> Result<Exit, Failure> {
    let last: Option<usize> = match args.last.as_str() {
        "all" => None,
        number => Some(number.parse().map_err(|_| {
            let text = format!("TL9005: --last {number:?} is neither a number nor `all`");
            Failure::new(Exit::Usage, text)
        })?),
    };
    let from = match last {
        None => TailFrom::Earliest,
        Some(last) => TailFrom::Last(2 * last as u64 + SPARE),
    };
    let topic = TopicName::new(&args.topic).exit(Exit::Usage)?;
    let flow = super::load(global)?;
    let bus = running::connect(&flow.config)?;
    let mut options = TailOptions {
        topic,
        partitions: Vec::new(),
        from,
        follow: false,
        isolation: Isolation::ReadCommitted,
    };
    let mut seen = Seen::new();
    let mut newest = VecDeque::new();
    read(&bus, &options, &mut seen, args.keys, |record| {
        newest.push_back(record);
        match last {
            // Everything is wanted: nothing is held back.
            None => newest.drain(..).try_for_each(|record| output::line(&record.to_string())),
            Some(last) => {
                while newest.len() > last {
                    newest.pop_front();
                }
                Ok(())
            }
        }
    })?;
    newest.iter().try_for_each(|record| output::line(&record.to_string()))?;
    if !args.exit {
        options.follow = true;
        read(&bus, &options, &mut seen, args.keys, |record| output::line(&record.to_string()))?;
    }
    Ok(Exit::Ok)
}

/// Hands records that were not seen yet to `take`, to the end or for ever.
fn read(
    bus: &Bus,
    options: &TailOptions,
    seen: &mut Seen,
    keys: bool,
    mut take: impl FnMut(Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut tail = bus.tail(options).exit(Exit::Data)?;
    loop {
        let next = tail.next(QUIET, |tailed| match tailed {
            Tailed::Entry(Entry::Record(record)) => {
                let shown = view::record(&record, keys);
                Some(Some((record.partition, record.offset, shown)))
            }
            Tailed::Entry(Entry::Undecodable(bad)) => {
                Some(Some((bad.partition.partition, bad.offset, undecodable(&bad))))
            }
            Tailed::Nothing => Some(None),
            Tailed::End => None,
        });
        match next.exit(Exit::Unavailable)? {
            Some(Some((partition, offset, record))) => {
                if seen.get(&partition).is_none_or(|last| *last < offset) {
                    seen.insert(partition, offset);
                    take(record)?;
                }
            }
            // A bus that is gone is as quiet as one without news.
            Some(None) => drop(bus.topics().exit(Exit::Unavailable)?),
            None => return Ok(()),
        }
    }
}

fn undecodable(bad: &throughline_bus::Undecodable) -> Value {
    json!({
        "topic": bad.partition.topic,
        "partition": bad.partition.partition,
        "offset": bad.offset,
        "unreadable": throughline_runtime::chain(&bad.reason),
    })
}
