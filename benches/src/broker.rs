//! The embedded broker beside Apache Kafka and librdkafka's mock broker.
//!
//! Every broker is a process of its own on the same machine, and one client program talks to all.
//! In each round every broker has one run; the embedded broker has two, so that the noise of the
//! same thing against itself stands beside every comparison. The order turns with every round.
//! A run that loses, repeats or disorders a record is an error and gives no number.

mod client;
mod kafka;
mod latency;
mod results;
pub(crate) mod servers;

use std::{process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use self::{
    client::Topics,
    latency::Latency,
    results::{Arm, Idle, Results, Shape},
    servers::Server,
};
use crate::{report::progress, settings::Settings};

/// Partitions of the topics that are written and read.
pub(crate) const PARTITIONS: [i32; 2] = [1, 6];

/// Record sizes in bytes, and their share of the records of a run.
const SIZES: [(usize, f64); 2] = [(200, 1.0), (1000, 0.4)];

/// Lingers of the latency runs in milliseconds: as in the other runs, and none.
const LINGERS: [u32; 2] = [client::LINGER, 0];

/// Partitions of an idle broker.
const IDLE_PARTITIONS: i32 = 100;

/// How long a broker settles before it counts as idle.
const SETTLE: Duration = Duration::from_secs(10);

/// Records of one piece of the warm-up.
const WARM_UP_PIECE: u64 = 500_000;

/// Bytes of each log that is read again and again. The mock broker keeps 5 MiB of a partition.
const SHORT_LOG: usize = 4_500_000;

/// Bytes of a record beside its payload, at most.
const RECORD_OVERHEAD: usize = 20;

/// The topic that the mock broker is written to; it has its topics from the start.
fn mock_topic(partitions: i32) -> String {
    format!("produce-{partitions}")
}

/// The topic of short logs, which each broker has one of for each shape.
fn short_topic(size: usize, partitions: i32) -> String {
    format!("short-{size}-{partitions}")
}

/// All topics of the mock broker, with their partitions.
pub(crate) fn mock_topics() -> Vec<(String, i32)> {
    let shapes =
        PARTITIONS.into_iter().flat_map(|partitions| SIZES.map(|(size, _)| (size, partitions)));
    let short = shapes.map(|(size, partitions)| (short_topic(size, partitions), partitions));
    let produce = PARTITIONS.into_iter().map(|partitions| (mock_topic(partitions), partitions));
    short.chain(produce).collect()
}

/// Measures everything and writes `results/broker.md`.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let mut bench = Bench::start(settings)?;
    bench.idle()?;
    bench.warm_up()?;
    bench.throughput()?;
    bench.latency()?;
    bench.results.memory = bench.measure_memory()?;
    bench.results.write(settings)
}

/// The brokers and what was measured so far.
struct Bench<'s> {
    settings: &'s Settings,
    embedded: Server,
    kafka: Option<Server>,
    mock: Server,
    results: Results,
    topics: u64,
    /// Short logs that are there already, by broker.
    short: Vec<(String, String)>,
}

impl<'s> Bench<'s> {
    fn start(settings: &'s Settings) -> Result<Self> {
        let kafka = if settings.without_kafka { None } else { Some(Server::kafka()?) };
        let (embedded, mock) = (Server::embedded()?, Server::mock()?);
        Ok(Self {
            settings,
            embedded,
            kafka,
            mock,
            results: Results::start(),
            topics: 0,
            short: Vec::new(),
        })
    }

    fn server(&self, arm: Arm) -> Option<&Server> {
        match arm {
            Arm::Embedded | Arm::EmbeddedAgain => Some(&self.embedded),
            Arm::Kafka => self.kafka.as_ref(),
            Arm::Mock => Some(&self.mock),
        }
    }

    /// The arms of a round, in turn forwards and backwards.
    fn round(&self, round: u32) -> Vec<Arm> {
        let mut arms = vec![Arm::Embedded, Arm::Kafka, Arm::EmbeddedAgain, Arm::Mock];
        arms.retain(|arm| self.server(*arm).is_some());
        if round % 2 == 1 {
            arms.reverse();
        }
        arms
    }

    fn new_topic(&mut self) -> String {
        self.topics += 1;
        format!("bench-{}", self.topics)
    }

    /// Brokers with 100 partitions, a record in each, and nobody connected.
    fn idle(&mut self) -> Result<()> {
        let arms = [Arm::Embedded, Arm::Kafka];
        let topic = self.new_topic();
        let mut watched = Vec::new();
        for arm in arms {
            let Some(server) = self.server(arm) else { continue };
            Topics::of(&server.address)?.create(&topic, IDLE_PARTITIONS)?;
            let records = u64::from(IDLE_PARTITIONS.unsigned_abs());
            client::produce(&server.address, &topic, IDLE_PARTITIONS, 200, records)?;
            watched.push(arm);
        }
        progress(&format!("idle brokers settle and are watched for {} s", self.idle_seconds()));
        thread::sleep(SETTLE);
        let cpu = |bench: &Self| -> Result<Vec<f64>> {
            let servers = watched.iter().filter_map(|arm| bench.server(*arm));
            servers.map(|server| server.process.cpu()).collect()
        };
        let before = cpu(self)?;
        thread::sleep(Duration::from_secs(self.idle_seconds()));
        let after = cpu(self)?;
        let mut found = Vec::new();
        for ((arm, before), after) in watched.iter().zip(before).zip(after) {
            let Some(server) = self.server(*arm) else { continue };
            let cpu = (after - before) / self.idle_seconds() as f64;
            found.push((*arm, Idle { cpu, memory: server.process.memory()?.now }));
            Topics::of(&server.address)?.delete(&topic)?;
        }
        self.results.idle = found;
        Ok(())
    }

    fn idle_seconds(&self) -> u64 {
        self.settings.idle_seconds
    }

    /// A JVM compiles what it runs often: its first runs say nothing. All brokers get the same.
    fn warm_up(&mut self) -> Result<()> {
        let mut left = self.settings.warm_up;
        progress(&format!("warm-up with {left} records"));
        while left > 0 {
            let records = left.min(WARM_UP_PIECE);
            left -= records;
            for arm in [Arm::Kafka, Arm::Embedded, Arm::Mock] {
                for partitions in PARTITIONS {
                    let half = (records / 2).max(1);
                    self.pass(arm, &Shape { size: 200, partitions, records: half })?;
                }
            }
        }
        Ok(())
    }

    fn throughput(&mut self) -> Result<()> {
        for (size, share) in SIZES {
            for partitions in PARTITIONS {
                let records = (self.settings.records as f64 * share) as u64;
                let shape = Shape { size, partitions, records };
                for round in 0..self.settings.runs {
                    progress(&format!("{}, round {}", shape.name(), round + 1));
                    for arm in self.round(round) {
                        self.measured_pass(arm, &shape)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn measured_pass(&mut self, arm: Arm, shape: &Shape) -> Result<()> {
        // What one broker left in the page cache is not written during the run of another.
        let synced = Command::new("sync").status().context("could not start sync")?;
        ensure!(synced.success(), "sync failed, {synced}");
        let pass = self.pass(arm, shape)?;
        self.results.add(shape, arm, pass);
        Ok(())
    }

    /// Writes a topic and reads it, which the mock broker keeps too little for; then reads a short log
    /// that every broker can hold, again and again.
    fn pass(&mut self, arm: Arm, shape: &Shape) -> Result<results::Pass> {
        let topic = if arm == Arm::Mock { mock_topic(shape.partitions) } else { self.new_topic() };
        let (short_topic, short) = self.short_log(arm, shape)?;
        let server = self.server(arm).context("the broker does not run")?;
        let Shape { size, partitions, records } = *shape;
        let measure = |records: u64, work: &dyn Fn() -> Result<f64>| -> Result<results::Run> {
            let before = server.process.cpu_times()?;
            let seconds = work()?;
            let cpu = server.process.cpu_times()?.since(&before);
            let millions = records as f64 / 1e6;
            Ok(results::Run { rate: records as f64 / seconds, cpu: cpu / millions })
        };
        let address = &server.address;
        let consume = |topic: &str, records, times| {
            measure(records * times, &|| {
                client::consume(address, topic, partitions, size, records, times)
            })
        };
        let topics = Topics::of(address)?;
        if arm != Arm::Mock {
            topics.create(&topic, partitions)?;
        }
        let produce =
            measure(records, &|| client::produce(address, &topic, partitions, size, records))?;
        let mut whole = None;
        if arm != Arm::Mock {
            whole = Some(consume(&topic, records, 1)?);
            topics.delete(&topic)?;
        }
        let again = consume(&short_topic, short, records.div_ceil(short))?;
        Ok(results::Pass { produce, consume: whole, again })
    }

    /// The topic of a broker's short logs for a shape, with its records. It is written when it is asked
    /// for the first time.
    fn short_log(&mut self, arm: Arm, shape: &Shape) -> Result<(String, u64)> {
        let Shape { size, partitions, .. } = *shape;
        let records = SHORT_LOG / (size + RECORD_OVERHEAD) * usize::try_from(partitions)?;
        let (topic, records) = (short_topic(size, partitions), u64::try_from(records)?);
        let address = self.server(arm).context("the broker does not run")?.address.clone();
        let log = (address, topic);
        if !self.short.contains(&log) {
            let (address, topic) = &log;
            if arm != Arm::Mock {
                Topics::of(address)?.create(topic, partitions)?;
            }
            client::produce(address, topic, partitions, size, records)?;
            self.short.push(log.clone());
        }
        Ok((log.1, records))
    }

    fn latency(&mut self) -> Result<()> {
        for linger in LINGERS {
            for round in 0..self.settings.runs {
                progress(&format!("latency with linger {linger} ms, round {}", round + 1));
                for arm in self.round(round).into_iter().filter(|arm| *arm != Arm::Mock) {
                    let topic = self.new_topic();
                    let server = self.server(arm).context("the broker does not run")?;
                    let topics = Topics::of(&server.address)?;
                    topics.create(&topic, 1)?;
                    let seconds = self.settings.latency_seconds;
                    let latency = Latency::measure(&server.address, &topic, linger, seconds)?;
                    topics.delete(&topic)?;
                    self.results.latencies.push((linger, arm, latency));
                }
            }
        }
        Ok(())
    }

    /// The memory of every broker after all of it.
    fn measure_memory(&self) -> Result<Vec<(Arm, crate::process::Memory)>> {
        let arms = [Arm::Embedded, Arm::Kafka, Arm::Mock].into_iter();
        let servers = arms.filter_map(|arm| Some((arm, self.server(arm)?)));
        servers.map(|(arm, server)| Ok((arm, server.process.memory()?))).collect()
    }
}
