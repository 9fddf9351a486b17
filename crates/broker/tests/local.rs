//! The log for code in the same process.

use bytes::Bytes;
use throughline_broker::LocalError;
use throughline_log::faults::FaultyFiles;

use crate::client::{Client, batch, broker};

type KeyValue = (Option<Bytes>, Option<Bytes>);

fn record(key: &'static str, value: &'static str) -> KeyValue {
    (Some(Bytes::from_static(key.as_bytes())), Some(Bytes::from_static(value.as_bytes())))
}

#[tokio::test]
async fn records_are_read_back_by_code_and_by_clients_and_survive() {
    let files = FaultyFiles::new(60);
    let broker = self::broker(&files).await;
    let log = broker.local();
    log.create_topic("_schemas", 1, &[("cleanup.policy", "compact")]).await.unwrap();
    let watch = log.watch("_schemas", 0).unwrap();
    assert_eq!(log.append("_schemas", 0, vec![record("a", "1")]).await.unwrap(), 0);
    let two = vec![record("b", "2"), (Some(Bytes::from_static(b"a")), None)];
    assert_eq!(log.append("_schemas", 0, two).await.unwrap(), 2);
    assert_eq!(watch.borrow().high_watermark, 3);
    drop(broker);
    files.power_cut();
    let broker = self::broker(&files).await;
    let log = broker.local();
    assert_eq!((log.partitions("_schemas"), log.partitions("nothing")), (Some(1), None));
    let read = log.read("_schemas", 0, 1).unwrap();
    let offsets: Vec<i64> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [1, 2]);
    assert_eq!(read[1].value, None);
    assert!(log.read("_schemas", 0, 3).unwrap().is_empty());
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.values("_schemas", true).await, ["1", "2", ""]);
    client.produce("_schemas", batch(&["from outside"], None), None).await;
    let read = log.read("_schemas", 0, 3).unwrap();
    assert_eq!(read[0].value.as_deref(), Some(&b"from outside"[..]));
    broker.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_with_the_reason() {
    let files = FaultyFiles::new(61);
    let broker = broker(&files).await;
    let log = broker.local();
    log.create_topic("t", 1, &[]).await.unwrap();
    let refused = |result: Result<(), LocalError>| result.unwrap_err();
    let exists = refused(log.create_topic("t", 1, &[]).await);
    assert!(matches!(exists, LocalError::TopicExists { .. }));
    for (name, partitions, configs) in
        [("a/b", 1, &[][..]), ("u", 0, &[]), ("u", 1, &[("nonsense", "1")])]
    {
        let error = refused(log.create_topic(name, partitions, configs).await);
        assert!(matches!(error, LocalError::TopicRefused { .. }), "{error}");
    }
    let unknown = log.append("t", 1, vec![record("a", "1")]).await.unwrap_err();
    assert!(matches!(unknown, LocalError::UnknownPartition { partition: 1, .. }));
    assert!(matches!(log.append("t", 0, Vec::new()).await, Err(LocalError::BatchSize)));
    assert!(matches!(log.read("t", 0, 5), Err(LocalError::Read { offset: 5, .. })));
    assert!(log.watch("nothing", 0).is_err());
    let large = vec![(None, Some(Bytes::from(vec![0; 2_000_000])))];
    assert!(matches!(log.append("t", 0, large).await, Err(LocalError::Append { .. })));
    files.fail_syncs(1);
    let failed = log.append("t", 0, vec![record("a", "1")]).await;
    assert!(matches!(failed, Err(LocalError::Append { .. })));
    let failed = log.create_topic("v", 1, &[]).await.unwrap_err();
    assert!(matches!(failed, LocalError::Storage { .. }), "{failed}");
    broker.shutdown().await;
    assert!(log.append("t", 0, vec![record("a", "1")]).await.is_err(), "after the shutdown");
}
