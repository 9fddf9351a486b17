//! What the demo's workers refused, and what more they refuse while it runs.

use std::collections::{BTreeMap, BTreeSet};

use throughline_bus::Bus;
use throughline_event::{Micros, TopicName, WorkerName};
use throughline_runtime::dead_letter::{self, DeadLetter};

use crate::exit::{Exit, Fail, Failure};

const WORKERS: [&str; 3] = ["shop-exports", "shop", "lake"];

/// Dead letters that were told already.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// Where the partitions of each topic ended at the last look.
    ends: BTreeMap<TopicName, Vec<i64>>,
    /// A letter that is written again was refused again.
    told: BTreeSet<(TopicName, String, Micros)>,
}

/// Letters of one worker for one reason: how many, and one of them.
type Group<'l> = ((&'l str, &'l str), (usize, &'l DeadLetter));

impl Refused {
    /// The letters that came since the last look, and are not resolved.
    fn since(&mut self, bus: &Bus) -> Result<Vec<DeadLetter>, Failure> {
        let mut since = Vec::new();
        for worker in WORKERS {
            let topic = TopicName::dead(&WorkerName::new(worker).exit(Exit::Internal)?);
            let Ok(partitions) = bus.describe(&topic) else { continue };
            let ends: Vec<i64> = partitions.iter().map(|partition| partition.end.0).collect();
            if self.ends.get(&topic) == Some(&ends) {
                continue;
            }
            let count = i32::try_from(partitions.len()).exit(Exit::Internal)?;
            let open = dead_letter::unresolved(bus, &topic, count).exit(Exit::Unavailable)?;
            let known = |letter: &DeadLetter| (topic.clone(), letter.id.clone(), letter.failed_at);
            let now: BTreeSet<_> = open.letters.iter().map(known).collect();
            since.extend(open.letters.into_iter().filter(|l| !self.told.contains(&known(l))));
            self.told.retain(|(of, ..)| *of != topic);
            self.told.extend(now);
            self.ends.insert(topic, ends);
        }
        Ok(since)
    }

    /// All of it by reason, with one example each.
    pub(super) fn summary(&mut self, bus: &Bus) -> Result<String, Failure> {
        let letters = self.since(bus)?;
        if letters.is_empty() {
            return Ok("nothing was refused\n".to_owned());
        }
        let line = |((worker, code), (count, first)): Group<'_>| {
            let DeadLetter { place, reason, .. } = first;
            format!("refused by {worker}: {count} with {code}, the first: {place}: {reason}\n")
        };
        Ok(groups(&letters).map(line).collect())
    }

    /// One line for each reason for which more was refused.
    pub(super) fn changes(&mut self, bus: &Bus) -> Result<Vec<String>, Failure> {
        let letters = self.since(bus)?;
        Ok(groups(&letters).map(told).collect())
    }
}

fn groups(letters: &[DeadLetter]) -> impl Iterator<Item = Group<'_>> {
    let mut groups = BTreeMap::new();
    for letter in letters {
        let reason = (letter.worker.as_str(), letter.code.as_str());
        groups.entry(reason).or_insert((0, letter)).0 += 1;
    }
    groups.into_iter()
}

fn told(((worker, code), (count, first)): Group<'_>) -> String {
    let DeadLetter { place, reason, .. } = first;
    let keys = if first.parked { " (parked)" } else { "" };
    format!("refused: {worker} +{count}{keys} with {code}, the first: {place}: {reason}")
}
