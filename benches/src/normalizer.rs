//! The normalizer on the sample shop's orders, beside a hand-written mapping of the same.
//!
//! Both get the same change events, one thread each, and their records must be equal byte for byte
//! before anything is timed. Both use the same Avro reader and writer: the difference is the price
//! of a mapping that is data.

mod handwritten;
mod orders;
mod results;
#[path = "../../processors/normalizer/tests/shipped.rs"]
mod shipped;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use throughline_connector::{Outputs, Processor, Produced};
use throughline_processor_normalizer::{Arena, Normalizer};

use self::{
    handwritten::Handwritten,
    orders::Events,
    results::{Facts, Results},
};
use crate::{process::thread_cpu, report::progress, settings::Settings};

/// How long one run takes.
const RUN: Duration = Duration::from_secs(1);

/// What is timed before anything counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Nanoseconds of one record in each step.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps {
    pub(crate) decode: f64,
    pub(crate) map: f64,
    pub(crate) encode: f64,
}

/// Whose runs they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arm {
    Normalizer,
    /// The normalizer once more: the noise.
    NormalizerAgain,
    Handwritten,
}

/// One run: records in a second of CPU time, and its steps on their own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) arm: Arm,
    pub(crate) rate: f64,
    pub(crate) steps: Steps,
}

/// Measures everything and writes `results/normalizer.md`.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let bench = Bench::load()?;
    let mut results = Results::start(bench.facts()?);
    let arms = [Arm::Handwritten, Arm::Normalizer, Arm::NormalizerAgain];
    for arm in arms {
        bench.whole(arm, WARM_UP)?;
        bench.steps(arm, WARM_UP)?;
    }
    for round in 0..settings.runs {
        progress(&format!("normalizer, round {}", round + 1));
        let mut order = arms;
        if round % 2 == 1 {
            order.reverse();
        }
        for arm in order {
            let (rate, steps) = (bench.whole(arm, RUN)?, bench.steps(arm, RUN)?);
            results.runs.push(Run { arm, rate, steps });
        }
    }
    results.write(settings)
}

/// The events and both ways to map them.
struct Bench {
    events: Events,
    normalizer: Normalizer,
    handwritten: Handwritten,
    refused: usize,
}

impl Bench {
    fn load() -> Result<Self> {
        let normalizer = match Normalizer::load(orders::spec()?) {
            Ok(normalizer) => normalizer,
            Err(errors) => bail!("the pack does not load:\n{errors}"),
        };
        let events = Events::read()?;
        let mut out = Outputs::default();
        for record in events.records() {
            // Refused orders are looked at below.
            let _ = normalizer.process(&record, None, &mut out);
        }
        let first = out.records.first().context("no order gives a record")?;
        let handwritten = Handwritten::like(&events, first)?;
        let mut bench = Self { events, normalizer, handwritten, refused: 0 };
        bench.keep_what_is_mapped()?;
        Ok(bench)
    }

    /// Both must give the same records, to the byte, and refuse the same orders; those are left
    /// out of what is timed.
    fn keep_what_is_mapped(&mut self) -> Result<()> {
        let mut kept = Vec::new();
        for (at, record) in self.events.records().enumerate() {
            let (mut theirs, mut ours) = (Outputs::default(), Outputs::default());
            let mapped = self.normalizer.process(&record, None, &mut theirs);
            let by_hand = self.handwritten.process(&record, &mut ours);
            let same = mapped.is_ok() == by_hand.is_ok() && theirs.records == ours.records;
            ensure!(same, "order {} is mapped differently: {mapped:?}, {by_hand:?}", at + 1);
            kept.push(mapped.is_ok());
        }
        self.refused = kept.iter().filter(|kept| !**kept).count();
        self.events.keep(&kept);
        Ok(())
    }

    fn facts(&self) -> Result<Facts> {
        let mut out = Outputs::default();
        let mut bytes_in = 0;
        for record in self.events.records() {
            bytes_in += record.value.map_or(0, |value| value.bytes.len());
            self.normalizer.process(&record, None, &mut out)?;
        }
        let size =
            |produced: &Produced| produced.value.as_ref().map_or(0, Vec::len) + produced.key.len();
        Ok(Facts {
            orders: self.events.records().count(),
            lines: self.events.lines(),
            refused: self.refused,
            bytes_in,
            bytes_out: out.records.iter().map(size).sum(),
        })
    }

    /// Records in a second of CPU time from event to canonical record.
    fn whole(&self, arm: Arm, at_least: Duration) -> Result<f64> {
        let mut out = Outputs::default();
        let (start, mut done) = (Instant::now(), 0_u64);
        let cpu = thread_cpu()?;
        while start.elapsed() < at_least {
            for record in self.events.records() {
                out.records.clear();
                if arm == Arm::Handwritten {
                    self.handwritten.process(&record, &mut out)?;
                } else {
                    self.normalizer.process(&record, None, &mut out)?;
                }
                black_box(&out);
                done += 1;
            }
        }
        Ok(done as f64 / (thread_cpu()? - cpu))
    }

    /// Each step over all events, again and again.
    fn steps(&self, arm: Arm, at_least: Duration) -> Result<Steps> {
        let (start, mut done, mut sum) = (Instant::now(), 0_u64, Steps::default());
        while start.elapsed() < at_least {
            let pass = if arm == Arm::Handwritten {
                self.handwritten_pass()?
            } else {
                self.normalizer_pass()?
            };
            sum.decode += pass.decode;
            sum.map += pass.map;
            sum.encode += pass.encode;
            done += self.events.records().count() as u64;
        }
        let each = |nanoseconds: f64| nanoseconds / done as f64;
        Ok(Steps { decode: each(sum.decode), map: each(sum.map), encode: each(sum.encode) })
    }

    fn normalizer_pass(&self) -> Result<Steps> {
        let arena = Arena::default();
        let start = Instant::now();
        let mut stages = Vec::new();
        for record in self.events.records() {
            stages.push(self.normalizer.stages(&record)?.context("the topic is not read")?);
        }
        let mut documents = Vec::with_capacity(stages.len());
        for stages in &stages {
            documents.push(stages.decode(&arena)?.context("an event has no document")?);
        }
        let decoded = Instant::now();
        let mut mapped = Vec::with_capacity(documents.len());
        for (stages, document) in stages.iter().zip(documents) {
            mapped.push(stages.map(document, &arena)?);
        }
        let was_mapped = Instant::now();
        let mut out = Outputs::default();
        for (stages, records) in stages.iter().zip(mapped) {
            out.records.clear();
            stages.encode(records, &mut out)?;
            black_box(&out);
        }
        Ok(steps(start, decoded, was_mapped))
    }

    fn handwritten_pass(&self) -> Result<Steps> {
        let start = Instant::now();
        let mut documents = Vec::new();
        for record in self.events.records() {
            documents.push(self.handwritten.decode(&record)?);
        }
        let decoded = Instant::now();
        let mut mapped = Vec::with_capacity(documents.len());
        for (change, document) in documents {
            mapped.push((change, self.handwritten.map(&document)?));
        }
        let was_mapped = Instant::now();
        let mut out = Outputs::default();
        for (change, order) in mapped {
            out.records.clear();
            self.handwritten.encode(&change, &order, &mut out);
            black_box(&out);
        }
        Ok(steps(start, decoded, was_mapped))
    }
}

fn steps(start: Instant, decoded: Instant, mapped: Instant) -> Steps {
    let nanoseconds = |from: Instant, to: Instant| (to - from).as_secs_f64() * 1e9;
    Steps {
        decode: nanoseconds(start, decoded),
        map: nanoseconds(decoded, mapped),
        encode: nanoseconds(mapped, Instant::now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handwritten_mapping_gives_the_same_bytes() {
        let bench = Bench::load().unwrap();
        let facts = bench.facts().unwrap();
        assert!(facts.orders > 100 && facts.lines > facts.orders);
        assert!(facts.refused > 0, "the export has orders whose lines are not their total");
        assert!(facts.bytes_out > facts.bytes_in);
    }
}
