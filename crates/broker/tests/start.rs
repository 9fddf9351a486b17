//! Starting, refusing to start, and stopping.

use std::net::SocketAddr;

use kafka_protocol::messages::DeleteTopicsRequest;
use throughline_broker::{Broker, BrokerOptions, FlushPolicy, StartError};
use throughline_log::{FileLayer, faults::FaultyFiles};
use tokio::io::AsyncReadExt;

use crate::client::{Client, batch, fetch_request, options, topic};

async fn refused(options: BrokerOptions) -> StartError {
    match Broker::start(options).await {
        Ok(_) => panic!("the broker started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn any_address_beyond_loopback_is_refused() {
    for listen in ["0.0.0.0:0", "192.168.1.2:9092", "[::]:0", "8.8.8.8:9092"] {
        let listen: SocketAddr = listen.parse().unwrap();
        let error = refused(BrokerOptions { listen, ..options(&FaultyFiles::new(70)) }).await;
        assert!(matches!(error, StartError::NotLoopback { .. }));
        assert!(error.to_string().starts_with("TL0301: "), "{error}");
    }
}

#[tokio::test]
async fn options_out_of_range_are_refused() {
    let base = || options(&FaultyFiles::new(71));
    let error = refused(BrokerOptions { default_partitions: 0, ..base() }).await;
    assert!(matches!(error, StartError::DefaultPartitions { found: 0 }));
    let error = refused(BrokerOptions { max_request_bytes: 10, ..base() }).await;
    assert!(matches!(error, StartError::RequestLimit { found: 10 }));
    let error = refused(BrokerOptions { in_flight_bytes: 10, ..base() }).await;
    assert!(matches!(error, StartError::InFlightBudget { budget: 10, .. }));
    let never = std::time::Duration::ZERO;
    let error = refused(BrokerOptions { maintenance_interval: never, ..base() }).await;
    assert!(matches!(error, StartError::MaintenanceInterval));
}

#[tokio::test]
async fn one_folder_serves_one_broker_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start(BrokerOptions::new(folder.path())).await.unwrap();
    let error = refused(BrokerOptions::new(folder.path())).await;
    assert!(matches!(error, StartError::Open(_)));
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("TL0202"), "{cause}");
    broker.shutdown().await;
    let again = Broker::start(BrokerOptions::new(folder.path())).await.unwrap();
    again.shutdown().await;
}

#[tokio::test]
async fn a_port_in_use_and_a_used_metrics_registry_are_refused_and_free_the_folder() {
    let files = FaultyFiles::new(72);
    let broker = Broker::start(options(&FaultyFiles::new(73))).await.unwrap();
    let listen = broker.address();
    let error = refused(BrokerOptions { listen, ..options(&files) }).await;
    assert!(matches!(error, StartError::Bind { .. }));
    let metrics = prometheus::Registry::new();
    let first = BrokerOptions { metrics: metrics.clone(), ..options(&files) };
    let started = Broker::start(first).await.unwrap();
    let error = refused(BrokerOptions { metrics, ..options(&FaultyFiles::new(74)) }).await;
    assert!(matches!(error, StartError::Metrics(_)));
    started.shutdown().await;
    broker.shutdown().await;
}

#[tokio::test]
async fn a_damaged_catalogue_is_refused_by_name() {
    let files = FaultyFiles::new(75);
    let broker = Broker::start(options(&files)).await.unwrap();
    broker.shutdown().await;
    let segment = files
        .paths()
        .into_iter()
        .find(|path| path.to_string_lossy().contains("__catalogue-0") && has_extension(path, "log"))
        .unwrap();
    // A version from the future, in a batch whose checksum is right.
    files.edit(&segment, |bytes| {
        let record = bytes.windows(3).position(|window| window[..] == [b'C', 52, 0]).unwrap();
        bytes[record + 3] = 9;
        let length = i32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
        let crc = crc32c::crc32c(&bytes[21..12 + length]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    });
    let error = refused(options(&files)).await;
    assert!(matches!(error, StartError::Load { what: "the topic catalogue", .. }), "{error}");
}

/// Makes a data folder whose topic `t` has one record.
async fn with_a_record(options: BrokerOptions) {
    let broker = Broker::start(options).await.unwrap();
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.produce("t", batch(&["a"], None), None).await.0, 0);
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_catalogue_that_lost_its_records_stops_the_start_and_removes_no_partition() {
    let files = FaultyFiles::new(77);
    with_a_record(options(&files)).await;
    let folder = std::path::Path::new("/data/partitions/__catalogue-0");
    files.remove_dir_all(folder).unwrap();
    let before = files.paths();
    for _ in 0..2 {
        let error = refused(options(&files)).await;
        assert!(matches!(&error, StartError::CatalogueDamaged { count: 1, .. }), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("TL0315") && text.contains("t-0"), "{text}");
        let after = files.paths();
        assert!(before.iter().all(|path| after.contains(path)), "{before:?} {after:?}");
    }
}

#[tokio::test]
async fn a_partition_whose_folder_is_missing_stops_the_start_until_it_is_made_anew() {
    let files = FaultyFiles::new(79);
    for name in ["__consumer_offsets-0", "__transaction_state-0", "t-0"] {
        if name == "__consumer_offsets-0" {
            with_a_record(options(&files)).await;
        }
        let folder = std::path::Path::new("/data/partitions").join(name);
        files.remove_dir_all(&folder).unwrap();
        let before = files.paths();
        for _ in 0..2 {
            let error = refused(options(&files)).await;
            assert!(matches!(&error, StartError::PartitionMissing { count: 1, .. }), "{error}");
            let text = error.to_string();
            assert!(text.starts_with("TL0316") && text.contains(name), "{text}");
            let after = files.paths();
            assert!(before.iter().all(|path| after.contains(path)), "{before:?} {after:?}");
            assert!(!after.iter().any(|path| path.starts_with(&folder)), "{after:?}");
        }
        files.create_dir_all(&folder).unwrap();
    }
    let broker = Broker::start(options(&files)).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.values("t", false).await, Vec::<String>::new());
    assert_eq!(client.produce("t", batch(&["b"], None), None).await, (0, 0));
    drop(client);
    broker.shutdown().await;
}

/// The catalogue is synced under every policy: a lost record of a creation or deletion would look
/// like damage.
#[tokio::test]
async fn a_power_cut_with_the_page_cache_alone_leaves_a_catalogue_that_fits_its_folders() {
    for seed in 0..40 {
        let files = FaultyFiles::new(seed);
        let options = || BrokerOptions { flush: FlushPolicy::PageCache, ..options(&files) };
        with_a_record(options()).await;
        let broker = Broker::start(options()).await.unwrap();
        let mut client = Client::connect(broker.address()).await;
        broker.local().create_topic("u", 2, &[]).await.unwrap();
        assert_eq!(client.produce("u", batch(&["a"], None), None).await.0, 0);
        let request = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
        assert_eq!(client.call(1, &request).await.responses[0].error_code, 0);
        files.power_cut();
        drop(client);
        broker.shutdown().await;
        let broker = Broker::start(options()).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let local = broker.local();
        assert_eq!((local.partitions("t"), local.partitions("u")), (None, Some(2)), "seed {seed}");
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn a_full_disk_does_not_stop_the_start_and_writing_goes_on_with_room() {
    let files = FaultyFiles::new(80);
    with_a_record(options(&files)).await;
    // Less than what the log keeps in reserve.
    files.set_capacity(Some(64 << 20));
    let broker = Broker::start(options(&files)).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.values("t", false).await, ["a"]);
    let refused = client.produce("t", batch(&["b"], None), None).await.0;
    assert_eq!(refused, kafka_protocol::ResponseError::KafkaStorageError.code());
    files.set_capacity(None);
    assert_eq!(client.produce("t", batch(&["b"], None), None).await, (0, 1));
    drop(client);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_file_named_as_a_partition_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("partitions/evil-99");
    with_a_record(BrokerOptions::new(folder.path())).await;
    std::fs::write(&file, "x").unwrap();
    let broker = Broker::start(BrokerOptions::new(folder.path())).await.unwrap();
    assert_eq!(broker.local().partitions("t"), Some(1));
    broker.shutdown().await;
    assert_eq!(std::fs::read(&file).unwrap(), b"x");
}

#[tokio::test]
async fn what_is_left_of_a_deleted_topic_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let options = || BrokerOptions::new(folder.path());
    with_a_record(options()).await;
    let partition = folder.path().join("partitions/t-0");
    let log = std::fs::read(partition.join("00000000000000000000.log")).unwrap();
    assert!(!log.is_empty());
    let broker = Broker::start(options()).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    let deleted = client.call(1, &request).await;
    assert_eq!(deleted.responses[0].error_code, 0);
    drop(client);
    broker.shutdown().await;
    assert!(!partition.exists());
    // As if the process had died between the record of the deletion and the removal.
    std::fs::create_dir(&partition).unwrap();
    std::fs::write(partition.join("00000000000000000000.log"), log).unwrap();
    let broker = Broker::start(options()).await.unwrap();
    assert_eq!(broker.local().partitions("t"), None);
    assert!(!partition.exists());
    broker.shutdown().await;
}

fn has_extension(path: &std::path::Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

#[tokio::test]
async fn a_shutdown_ends_connections_and_parked_requests() {
    let broker = Broker::start(options(&FaultyFiles::new(76))).await.unwrap();
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    client.send(12, &fetch_request("t", 0, false, i32::MAX)).await;
    broker.shutdown().await;
    let mut rest = Vec::new();
    let _ = client.stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}

#[test]
fn a_runtime_that_ends_before_the_broker_has_started_is_an_error_with_a_code() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let handle = runtime.handle().clone();
    drop(runtime);
    let error = handle.block_on(Broker::start(options(&FaultyFiles::new(30)))).unwrap_err();
    assert!(matches!(error, StartError::Stopped), "{error}");
    assert!(error.to_string().starts_with("TL0314"), "{error}");
}
