//! Crashes of the whole broker at every kind of moment, on a disk that loses and damages what was
//! not synced.
//!
//! `THROUGHLINE_CRASHES=10000 cargo test -p throughline-broker --test main crashes` runs more of
//! them; `THROUGHLINE_SEED` repeats one.

use std::collections::BTreeSet;

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, TransactionalId,
    add_partitions_to_txn_request::AddPartitionsToTxnTopic,
};
use rand::{Rng, SeedableRng, rngs::SmallRng};
use throughline_broker::{Broker, BrokerHandle};
use throughline_log::faults::FaultyFiles;

use crate::{
    client::{Client, Producer, batch, options, text, topic},
    transactions::{ID, committed, end, send_offset},
};

/// Topics of one partition each; every transaction writes its number to the first two.
const TOPICS: [&str; 3] = ["t", "u", "plain"];
/// Worlds that run side by side, because each mostly waits for its own tasks.
const AT_A_TIME: usize = 12;

/// One disk, its broker, and what must be true of it whatever happens.
struct World {
    files: FaultyFiles,
    random: SmallRng,
    next: i64,
    /// Transactions that readers must see, in order.
    committed: Vec<i64>,
    /// Transactions whose commit was asked for and not answered.
    undecided: BTreeSet<i64>,
    /// Records outside of transactions: those acknowledged, and all that were sent.
    acknowledged: BTreeSet<i64>,
    sent: BTreeSet<i64>,
    crashes: u64,
    /// Commits that were not answered and found done.
    completed: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            files: FaultyFiles::new(seed ^ 0x5eed),
            random: SmallRng::seed_from_u64(seed),
            next: 0,
            committed: Vec::new(),
            undecided: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            sent: BTreeSet::new(),
            crashes: 0,
            completed: 0,
        }
    }

    /// Starts the broker, through crashes while it starts.
    async fn start(&mut self) -> BrokerHandle {
        for attempt in 0..10 {
            if attempt < 3 && self.random.random_bool(0.3) {
                self.files.crash_after(self.random.random_range(0..40));
            }
            if let Ok(broker) = Broker::start(options(&self.files)).await {
                if !self.files.crashed() {
                    self.files.crash_after(u64::MAX);
                    return broker;
                }
                broker.shutdown().await;
            }
            assert!(self.files.crashed(), "the broker does not start on a disk that works");
            self.crash();
        }
        panic!("the broker does not start");
    }

    fn crash(&mut self) {
        self.crashes += 1;
        if self.random.random_bool(0.7) {
            self.files.power_cut();
        } else {
            self.files.kill();
        }
    }

    /// One life of the broker, from its start to its crash.
    async fn live(&mut self) {
        let broker = self.start().await;
        for name in TOPICS {
            if broker.local().partitions(name).is_none() {
                broker.local().create_topic(name, 1, &[]).await.unwrap();
            }
        }
        let mut client = Client::connect(broker.address()).await;
        // A new instance aborts what the last one has left open.
        let producer = client.init(ID).await;
        self.check(&mut client).await;
        self.files.crash_after(self.random.random_range(0..60));
        let mut sequence = 0;
        while !self.files.crashed() {
            if self.random.random_bool(0.3) {
                self.send_plain(&mut client).await;
            } else if self.transact(&mut client, producer, sequence).await.is_none() {
                break;
            } else {
                sequence += 1;
            }
        }
        assert!(self.files.crashed(), "a request failed on a disk that works");
        drop(client);
        broker.shutdown().await;
        self.crash();
    }

    async fn send_plain(&mut self, client: &mut Client) {
        self.next += 1;
        self.sent.insert(self.next);
        let records = batch(&[&self.next.to_string()], None);
        if client.produce("plain", records, None).await.0 == 0 {
            self.acknowledged.insert(self.next);
        }
    }

    /// One transaction over two topics and a group's offset; `None` when a part of it failed.
    async fn transact(&mut self, client: &mut Client, who: Producer, sequence: i32) -> Option<()> {
        self.next += 1;
        let number = self.next;
        let ok = |error: i16| (error == 0).then_some(());
        ok(begin(client, who).await)?;
        for name in &TOPICS[..2] {
            let records = batch(&[&number.to_string()], Some((who, sequence)));
            ok(client.produce(name, records, Some(ID)).await.0)?;
        }
        ok(send_offset(client, who, number).await)?;
        let commit = self.random.random_bool(0.7);
        if commit {
            self.undecided.insert(number);
        }
        ok(end(client, who, commit).await)?;
        if commit {
            self.undecided.remove(&number);
            self.committed.push(number);
        }
        Some(())
    }

    async fn check(&mut self, client: &mut Client) {
        let seen = numbers(client, "t").await;
        assert_eq!(seen, numbers(client, "u").await, "a transaction is there in part");
        let offset = committed(client, true).await.unwrap();
        assert_eq!(offset, seen.last().copied().unwrap_or(-1), "the offset is not as the records");
        assert!(seen.is_sorted_by(|one, other| one < other), "doubled or out of order: {seen:?}");
        assert!(seen.starts_with(&self.committed), "lost: {seen:?}, not {:?}", self.committed);
        let more = seen.iter().skip(self.committed.len());
        assert!(more.clone().all(|number| self.undecided.contains(number)), "aborted: {seen:?}");
        self.completed += more.count() as u64;
        self.committed = seen;
        self.undecided.clear();

        let plain = numbers(client, "plain").await;
        assert!(plain.is_sorted_by(|one, other| one < other), "doubled or out of order");
        let plain = BTreeSet::from_iter(plain);
        assert!(plain.is_superset(&self.acknowledged), "an acknowledged record is lost");
        assert!(plain.is_subset(&self.sent), "a record that nobody has sent");
        self.acknowledged = plain;
    }
}

/// Adds both topics to the transaction.
async fn begin(client: &mut Client, producer: Producer) -> i16 {
    let topics = TOPICS[..2].iter().map(|name| {
        AddPartitionsToTxnTopic::default().with_name(topic(name)).with_partitions(vec![0])
    });
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(ID)))
        .with_v3_and_below_producer_id(producer.id.into())
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(topics.collect());
    let response = client.call(3, &request).await;
    let results = response.results_by_topic_v3_and_below.iter();
    let mut errors = results.map(|topic| topic.results_by_partition[0].partition_error_code);
    errors.find(|error| *error != 0).unwrap_or(0)
}

async fn numbers(client: &mut Client, name: &str) -> Vec<i64> {
    let values = client.values(name, true).await;
    values.iter().map(|value| value.parse().unwrap()).collect()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// One world from one seed.
async fn run(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..6 {
        world.live().await;
    }
    world
}

#[tokio::test]
async fn transactions_stay_whole_and_acknowledged_records_stay_over_seeded_crashes() {
    if let Some(seed) = variable("THROUGHLINE_SEED") {
        println!("seed {seed}");
        run(seed).await;
        return;
    }
    let wanted = variable("THROUGHLINE_CRASHES").unwrap_or(100);
    let (mut crashes, mut completed) = (0, 0);
    for first in (0..).step_by(AT_A_TIME) {
        let worlds: Vec<_> =
            (first..).take(AT_A_TIME).map(|seed| (seed, tokio::spawn(run(seed)))).collect();
        for (seed, world) in worlds {
            let world = world.await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            crashes += world.crashes;
            completed += world.completed;
        }
        if crashes >= wanted {
            break;
        }
    }
    println!("{crashes} crashes, {completed} commits completed by a start");
    assert!(completed > 0, "no crash fell between a decision and its answer");
}
