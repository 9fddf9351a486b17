//! The budget for records in answers.

use std::task::{Context, Waker};

use kafka_protocol::{
    messages::{TopicName, fetch_request::FetchTopic},
    protocol::StrBytes,
};
use throughline_log::faults::FaultyFiles;

use super::*;
use crate::{Broker, BrokerHandle, BrokerOptions, core::SHARE_WAIT};

/// Room for two answers and a little more.
const BUDGET: usize = 2 * ANSWER_BYTES;

/// A broker with a topic `t` whose batches have one value each.
async fn broker_with(budget: usize, values: &[usize]) -> BrokerHandle {
    let broker = Broker::start(BrokerOptions {
        files: Arc::new(FaultyFiles::new(20)),
        max_request_bytes: budget,
        in_flight_bytes: budget,
        ..BrokerOptions::new("/data")
    });
    let broker = broker.await.unwrap();
    let settings = [("max.message.bytes", "10000000")];
    broker.local().create_topic("t", 1, &settings).await.unwrap();
    for size in values {
        let value = (None, Some(Bytes::from(vec![b'x'; *size])));
        broker.local().append("t", 0, vec![value]).await.unwrap();
    }
    broker
}

fn request() -> FetchRequest {
    let partition = FetchPartition::default().with_partition_max_bytes(i32::MAX);
    let name = TopicName(StrBytes::from_static_str("t"));
    let topic = FetchTopic::default().with_topic(name).with_partitions(vec![partition]);
    FetchRequest::default().with_min_bytes(1).with_max_bytes(i32::MAX).with_topics(vec![topic])
}

fn permits(gathered: &Gathered) -> usize {
    gathered.share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
}

/// Whether the fetch is done now.
fn poll<F: Future>(fetch: Pin<&mut F>) -> Poll<F::Output> {
    fetch.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn fetches_that_wait_for_memory_have_read_nothing() {
    let broker = broker_with(BUDGET, &[200_000; 8]).await;
    let (core, request) = (Arc::clone(&broker.core), request());
    let mut waiting: Vec<_> = (0..128).map(|_| Box::pin(fetch(&core, &request))).collect();
    let mut answers = Vec::new();
    waiting.retain_mut(|fetch| match poll(fetch.as_mut()) {
        Poll::Ready(answer) => {
            answers.push(answer);
            false
        }
        Poll::Pending => true,
    });
    assert_eq!((answers.len(), waiting.len()), (2, 126));
    for answer in &answers {
        assert!((ANSWER_BYTES / 2..=ANSWER_BYTES).contains(&answer.bytes), "{}", answer.bytes);
        assert_eq!(permits(answer), answer.bytes, "the rest is given back");
    }
    // Who had read before it waited would answer with records that are gone by now.
    core.catalogue.partition("t", 0).unwrap().delete_records(8).unwrap();
    drop(answers);
    for fetch in waiting {
        let answer = fetch.await;
        let part = &answer.topics[0].1[0];
        assert_eq!(part.error, ResponseError::OffsetOutOfRange.code());
        assert_eq!((answer.bytes, permits(&answer)), (0, 0));
    }
    assert_eq!(core.responses.available_permits(), BUDGET);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_first_batch_larger_than_an_answer_waits_for_memory_of_its_size() {
    let size = 2 * ANSWER_BYTES;
    let budget = 2 * size;
    let broker = broker_with(budget, &[size]).await;
    let (core, request) = (Arc::clone(&broker.core), request());
    let others = core.response_share(budget - ANSWER_BYTES).await;
    let mut fetch = Box::pin(fetch(&core, &request));
    assert!(poll(fetch.as_mut()).is_pending());
    drop(others);
    let answer = fetch.await;
    assert!(answer.bytes > size);
    assert_eq!(permits(&answer), answer.bytes);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_fetch_that_finds_nothing_needs_no_memory() {
    let broker = broker_with(BUDGET, &[]).await;
    let _all = broker.core.response_share(BUDGET).await;
    let answer = poll(Box::pin(fetch(&broker.core, &request())).as_mut());
    assert!(matches!(answer, Poll::Ready(Gathered { bytes: 0, error: 0, .. })));
}

#[tokio::test]
async fn a_fetch_that_never_gets_memory_is_answered_without_records() {
    let broker = broker_with(BUDGET, &[1_000]).await;
    let (core, request) = (Arc::clone(&broker.core), request());
    // Answers that are written after this one would hold it like this.
    let behind = core.response_share(BUDGET).await;
    tokio::time::pause();
    let before = Instant::now();
    let answer = fetch(&core, &request).await;
    assert!(before.elapsed() >= SHARE_WAIT);
    let part = &answer.topics[0].1[0];
    assert_eq!((part.error, part.high_watermark, part.records.len()), (0, 1, 0));
    drop(behind);
    assert!(fetch(&core, &request).await.bytes > 1_000);
}
