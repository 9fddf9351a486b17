//! The topic catalogue and the admin calls.

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        AlterConfigsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
        DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
        DescribeLogDirsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
        alter_configs_request,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_configs_request::DescribeConfigsResource,
        incremental_alter_configs_request,
        metadata_request::MetadataRequestTopic,
    },
};
use throughline_broker::{Broker, BrokerOptions};
use throughline_log::faults::FaultyFiles;

use crate::client::{Client, batch, broker, options, text, topic};

async fn create(client: &mut Client, wanted: CreatableTopic) -> i16 {
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
    client.call(7, &request).await.topics[0].error_code
}

fn plain(name: &str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default()
        .with_name(topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
}

/// Error code, topic id and number of partitions, without creating anything.
async fn look(client: &mut Client, name: &str) -> (i16, u128, usize) {
    let wanted = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(false);
    let found = client.call(12, &request).await.topics.remove(0);
    (found.error_code, found.topic_id.as_u128(), found.partitions.len())
}

async fn setting(client: &mut Client, name: &str, key: &str) -> (String, i8) {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text(name))
        .with_configuration_keys(Some(vec![text(key)]));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let found = client.call(4, &request).await.results.remove(0).configs.remove(0);
    (found.value.unwrap().to_string(), found.config_source)
}

#[tokio::test]
async fn a_topic_that_one_request_names_twice_is_refused_and_the_others_are_created() {
    let broker = broker(&FaultyFiles::new(67)).await;
    let mut client = Client::connect(broker.address()).await;
    let topics = ["a", "b", "a"].map(|name| plain(name, 1)).to_vec();
    let request = CreateTopicsRequest::default().with_topics(topics);
    let answer = client.call(7, &request).await.topics;
    let codes: Vec<i16> = answer.iter().map(|topic| topic.error_code).collect();
    let twice = ResponseError::InvalidRequest.code();
    assert_eq!(codes, [twice, 0, twice]);
    let partitions = ["a", "b"].map(|name| broker.local().partitions(name));
    assert_eq!(partitions, [None, Some(1)]);
    broker.shutdown().await;
}

#[tokio::test]
async fn topics_survive_a_power_cut_with_id_partitions_and_settings() {
    let files = FaultyFiles::new(50);
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    let config = CreatableTopicConfig::default()
        .with_name(text("retention.ms"))
        .with_value(Some(text("5000")));
    assert_eq!(create(&mut client, plain("kept", 3).with_configs(vec![config])).await, 0);
    assert_eq!(create(&mut client, plain("gone", 1)).await, 0);
    client.produce("kept", batch(&["a"], None), None).await;
    client.produce("gone", batch(&["old"], None), None).await;
    let before = look(&mut client, "kept").await;
    let request = DeleteTopicsRequest::default().with_topic_names(vec![topic("gone")]);
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    let grow = CreatePartitionsTopic::default().with_name(topic("kept")).with_count(5);
    let request = CreatePartitionsRequest::default().with_topics(vec![grow.with_assignments(None)]);
    assert_eq!(client.call(3, &request).await.results[0].error_code, 0);
    drop(broker);
    files.power_cut();
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(look(&mut client, "kept").await, (0, before.1, 5));
    assert_eq!(setting(&mut client, "kept", "retention.ms").await, ("5000".to_owned(), 1));
    assert_eq!(client.values("kept", false).await, ["a"]);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(look(&mut client, "gone").await.0, unknown);
    assert_eq!(create(&mut client, plain("gone", 1)).await, 0);
    assert!(client.values("gone", false).await.is_empty(), "a new topic begins empty");
    broker.shutdown().await;
}

/// Stops the disk after each operation of a creation in turn: afterwards the topic is wholly there
/// or not at all, it is there if that was said, and its name can be used.
#[tokio::test]
async fn a_crash_at_any_point_of_a_creation_leaves_all_of_the_topic_or_nothing() {
    for crash_after in 0..24 {
        let files = FaultyFiles::new(100 + crash_after);
        let broker = self::broker(&files).await;
        let mut client = Client::connect(broker.address()).await;
        files.crash_after(crash_after);
        let created = create(&mut client, plain("t", 2)).await == 0;
        drop(client);
        broker.shutdown().await;
        files.power_cut();
        let broker = self::broker(&files).await;
        let mut client = Client::connect(broker.address()).await;
        let (error, _, partitions) = look(&mut client, "t").await;
        if error != 0 {
            assert!(!created, "said to be created and lost, operation {crash_after}");
            assert_eq!(create(&mut client, plain("t", 2)).await, 0);
        } else {
            assert_eq!(partitions, 2, "operation {crash_after}");
        }
        assert_eq!(client.produce("t", batch(&["a"], None), None).await, (0, 0));
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn topics_that_cannot_be_are_refused_with_the_reason() {
    let broker = broker(&FaultyFiles::new(51)).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(create(&mut client, plain("a.b", 1)).await, 0);
    let setting = |name: &str, value: &str| {
        let config = CreatableTopicConfig::default().with_name(text(name));
        vec![config.with_value(Some(text(value)))]
    };
    let refused = [
        (plain("a.b", 1), ResponseError::TopicAlreadyExists),
        (plain("a_b", 1), ResponseError::InvalidTopicException),
        (plain("a/b", 1), ResponseError::InvalidTopicException),
        (plain("..", 1), ResponseError::InvalidTopicException),
        (plain(&"x".repeat(250), 1), ResponseError::InvalidTopicException),
        (plain("__consumer_offsets", 1), ResponseError::TopicAlreadyExists),
        (plain("__catalogue", 1), ResponseError::InvalidTopicException),
        (plain("t", 0), ResponseError::InvalidPartitions),
        (plain("t", 10_001), ResponseError::InvalidPartitions),
        (plain("t", 1).with_replication_factor(3), ResponseError::InvalidReplicationFactor),
        (plain("t", 1).with_configs(setting("nonsense", "1")), ResponseError::InvalidConfig),
        (plain("t", 1).with_configs(setting("retention.ms", "x")), ResponseError::InvalidConfig),
    ];
    for (wanted, error) in refused {
        let name = wanted.name.to_string();
        assert_eq!(create(&mut client, wanted).await, error.code(), "{name}: {error}");
    }
    let request =
        CreateTopicsRequest::default().with_topics(vec![plain("t", 1)]).with_validate_only(true);
    assert_eq!(client.call(7, &request).await.topics[0].error_code, 0);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(look(&mut client, "t").await.0, unknown, "only validated");
    broker.local().create_topic("_schemas", 1, &[]).await.unwrap();
    let ours = ["__consumer_offsets", "__transaction_state", "_schemas"];
    let names = ours.iter().chain(&["nothing"]).map(|name| topic(name)).collect();
    let request = DeleteTopicsRequest::default().with_topic_names(names);
    let deleted = client.call(5, &request).await.responses;
    for (name, deleted) in ours.iter().zip(&deleted) {
        assert_eq!(deleted.error_code, ResponseError::InvalidTopicException.code(), "{name}");
        assert_eq!(look(&mut client, name).await.0, 0, "{name}");
    }
    assert_eq!(deleted[3].error_code, unknown);
    broker.shutdown().await;
}

#[tokio::test]
async fn the_first_use_creates_a_topic_only_where_that_is_allowed() {
    let files = FaultyFiles::new(52);
    let strict = BrokerOptions { auto_create_topics: false, ..options(&files) };
    let broker = Broker::start(strict).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let wanted = MetadataRequestTopic::default().with_name(Some(topic("t")));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![wanted]))
        .with_allow_auto_topic_creation(true);
    let refused = client.call(9, &request).await.topics[0].error_code;
    assert_eq!(refused, ResponseError::UnknownTopicOrPartition.code());
    broker.shutdown().await;
    let generous = BrokerOptions { default_partitions: 4, ..options(&files) };
    let broker = Broker::start(generous).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let made = client.call(9, &request).await.topics.remove(0);
    assert_eq!((made.error_code, made.partitions.len()), (0, 4));
    broker.shutdown().await;
}

#[tokio::test]
async fn settings_are_altered_in_both_ways_and_take_effect() {
    let broker = broker(&FaultyFiles::new(53)).await;
    broker.local().create_topic("t", 1, &[("segment.ms", "1000")]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let change = |name: &str, operation: i8, value: Option<&str>| {
        let setting = incremental_alter_configs_request::AlterableConfig::default()
            .with_name(text(name))
            .with_config_operation(operation)
            .with_value(value.map(text));
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![setting]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    let set = client.call(1, &change("max.message.bytes", 0, Some("100"))).await;
    assert_eq!(set.responses[0].error_code, 0);
    let long = "x".repeat(200);
    let refused = client.produce("t", batch(&[&long], None), None).await.0;
    assert_eq!(refused, ResponseError::MessageTooLarge.code());
    assert_eq!(setting(&mut client, "t", "segment.ms").await, ("1000".to_owned(), 1));
    for (request, error) in [
        (change("nonsense", 0, Some("1")), ResponseError::InvalidConfig),
        (change("retention.ms", 0, None), ResponseError::InvalidConfig),
        (change("retention.ms", 2, Some("1")), ResponseError::InvalidConfig),
        (change("retention.ms", 9, Some("1")), ResponseError::InvalidRequest),
    ] {
        assert_eq!(client.call(1, &request).await.responses[0].error_code, error.code());
    }
    let resource = |kind: i8, name: &str| {
        alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
    };
    let wanted = vec![resource(2, "t"), resource(4, "1"), resource(2, "nothing")];
    let request = AlterConfigsRequest::default().with_resources(wanted);
    let codes: Vec<i16> =
        client.call(2, &request).await.responses.iter().map(|r| r.error_code).collect();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(codes, [0, ResponseError::InvalidRequest.code(), unknown]);
    assert_eq!(setting(&mut client, "t", "segment.ms").await, ("604800000".to_owned(), 5));
    assert_eq!(client.produce("t", batch(&[&long], None), None).await.0, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn records_are_deleted_up_to_an_offset_for_good() {
    let files = FaultyFiles::new(54);
    let broker = self::broker(&files).await;
    let log = broker.local();
    log.create_topic("t", 1, &[]).await.unwrap();
    log.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    for value in ["a", "b", "c"] {
        client.produce("t", batch(&[value], None), None).await;
    }
    let delete = |name: &str, offset: i64| {
        let partition = DeleteRecordsPartition::default().with_offset(offset);
        let wanted =
            DeleteRecordsTopic::default().with_name(topic(name)).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![wanted])
    };
    for (request, error) in [
        (delete("t", 9), ResponseError::OffsetOutOfRange),
        (delete("t", -2), ResponseError::OffsetOutOfRange),
        (delete("compacted", 0), ResponseError::PolicyViolation),
        (delete("nothing", 0), ResponseError::UnknownTopicOrPartition),
    ] {
        let code = client.call(2, &request).await.topics[0].partitions[0].error_code;
        assert_eq!(code, error.code(), "{error}");
    }
    let deleted = client.call(2, &delete("t", 2)).await.topics.remove(0).partitions.remove(0);
    assert_eq!((deleted.error_code, deleted.low_watermark), (0, 2));
    drop(broker);
    files.power_cut();
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(client.offset("t", -2, false).await, 2);
    let all = client.call(2, &delete("t", -1)).await.topics.remove(0).partitions.remove(0);
    assert_eq!((all.error_code, all.low_watermark), (0, 3));
    broker.shutdown().await;
}

#[tokio::test]
async fn the_cluster_keeps_its_id_and_its_folder_is_described() {
    let files = FaultyFiles::new(55);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let broker = self::broker(&files).await;
        let mut client = Client::connect(broker.address()).await;
        let described = client.call(1, &DescribeClusterRequest::default()).await;
        assert_eq!(described.brokers[0].port, i32::from(broker.address().port()));
        ids.push(described.cluster_id.to_string());
        let controllers = DescribeClusterRequest::default().with_endpoint_type(2);
        let code = client.call(1, &controllers).await.error_code;
        assert_eq!(code, ResponseError::MismatchedEndpointType.code());
        let folders = DescribeLogDirsRequest::default().with_topics(None);
        let folders = client.call(4, &folders).await.results;
        assert_eq!(folders[0].log_dir.as_str(), "/data");
        assert_eq!(folders[0].topics.len(), 2, "the two internal topics");
        broker.shutdown().await;
    }
    assert_eq!((ids[0].len(), &ids[0]), (22, &ids[1]));
}

#[tokio::test]
async fn compaction_keeps_the_newest_record_of_a_key() {
    let files = FaultyFiles::new(56);
    let options = BrokerOptions {
        maintenance_interval: std::time::Duration::from_millis(20),
        ..options(&files)
    };
    let broker = Broker::start(options).await.unwrap();
    let log = broker.local();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "16384"),
        ("min.cleanable.dirty.ratio", "0.0"),
    ];
    log.create_topic("t", 1, &configs).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let before = 400;
    for number in 0..before {
        let key = Bytes::from(format!("k{}", number % 4));
        let value = Bytes::from(vec![b'v'; 500]);
        log.append("t", 0, vec![(Some(key), Some(value))]).await.unwrap();
    }
    let mut left = before;
    while left > before / 2 {
        // Compaction runs on its own clock; nothing tells when it is done.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        left = client.values("t", false).await.len();
    }
    assert_eq!(client.offset("t", -1, false).await, before as i64, "offsets stay");
    broker.shutdown().await;
}
