//! From the intended time of sending to the consumer's hands, at 1,000 records a second.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::{Message, consumer::BaseConsumer, producer::Producer};

use super::client;
use crate::statistics::percentile;

/// Records a second.
const RATE: u64 = 1000;

/// The first records pay for connections and are left out.
const LEFT_OUT: u64 = RATE;

/// Bytes of a record.
const SIZE: usize = 200;

/// One run, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Latency {
    /// Sends for `seconds` to a new topic of one partition and reads at the same time.
    pub(crate) fn measure(address: &str, topic: &str, linger: u32, seconds: u64) -> Result<Self> {
        let producer = client::producer(address, linger)?;
        let consumer = client::consumer(address, topic, 1, client::WAIT)?;
        let records = LEFT_OUT + RATE * seconds;
        let start = Instant::now() + Duration::from_millis(200);
        let reader = thread::spawn(move || read(&consumer, start, records));
        let mut payload = client::noise(SIZE);
        for number in 0..records {
            // A late record is measured from when it should have been sent, not from when it was.
            let wait = intended(start, number).saturating_duration_since(Instant::now());
            thread::sleep(wait);
            payload[..8].copy_from_slice(&number.to_le_bytes());
            client::send(&producer, topic, 0, &payload)?;
        }
        producer.context().wait(records)?;
        let mut latencies = reader.join().map_err(|_| anyhow!("the reader panicked"))??;
        latencies.sort_by(f64::total_cmp);
        let at = |share| percentile(&latencies, share);
        Ok(Self { p50: at(0.5), p99: at(0.99), max: at(1.0) })
    }
}

fn intended(start: Instant, number: u64) -> Instant {
    start + Duration::from_micros(number * (1_000_000 / RATE))
}

/// The milliseconds that each record took, but for the first.
fn read(consumer: &BaseConsumer, start: Instant, records: u64) -> Result<Vec<f64>> {
    let mut latencies = Vec::new();
    for expected in 0..records {
        let message = consumer.poll(client::TIMEOUT).context("no record came in time")??;
        let number = message.payload().and_then(client::number);
        ensure!(number == Some(expected), "found record {number:?} in place of {expected}");
        if expected >= LEFT_OUT {
            let took = Instant::now().saturating_duration_since(intended(start, expected));
            latencies.push(took.as_secs_f64() * 1000.0);
        }
    }
    Ok(latencies)
}
