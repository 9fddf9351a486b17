//! One request per API and version, with every field set that the version has.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        alter_configs_request,
        create_partitions_request::*,
        create_topics_request::*,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        delete_topics_request::DeleteTopicState,
        describe_configs_request::*,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_producers_request::TopicRequest,
        fetch_request::*,
        incremental_alter_configs_request,
        join_group_request::*,
        leave_group_request::MemberIdentity,
        list_offsets_request::*,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::*,
        offset_delete_request::*,
        offset_fetch_request::*,
        offset_for_leader_epoch_request::*,
        produce_request::*,
        sync_group_request::SyncGroupRequestAssignment,
        txn_offset_commit_request::*,
        *,
    },
    protocol::{Request, StrBytes},
};
use uuid::Uuid;

use crate::batch;

/// An encoded request and how to read it and its answer.
pub(super) struct Sample {
    pub(super) key: i16,
    pub(super) body: Bytes,
    pub(super) decode_request: fn(Bytes, i16),
    /// Returns how many bytes are left over.
    pub(super) decode_response: fn(Bytes, i16) -> usize,
}

fn of<R: Request>(version: i16, request: R) -> Sample {
    let mut body = BytesMut::new();
    request.encode(&mut body, version).unwrap();
    Sample {
        key: R::KEY,
        body: body.freeze(),
        decode_request: |mut bytes, version| drop(R::decode(&mut bytes, version)),
        decode_response: |mut bytes, version| {
            <R::Response as kafka_protocol::protocol::Decodable>::decode(&mut bytes, version)
                .unwrap();
            bytes.len()
        },
    }
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic(name: &'static str) -> TopicName {
    TopicName(text(name))
}

fn group() -> GroupId {
    GroupId(text("group"))
}

fn records() -> Bytes {
    let record = (Some(Bytes::from_static(b"k")), Some(Bytes::from_static(b"v")));
    batch::encode(&[record], 1_700_000_000_000, None).unwrap()
}

/// A request of `key` in `version`.
pub(super) fn sample(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::Produce | ApiKey::Fetch | ApiKey::ListOffsets | ApiKey::OffsetForLeaderEpoch => {
            data(key, v)
        }
        ApiKey::Metadata | ApiKey::ApiVersions | ApiKey::DescribeCluster => cluster(key, v),
        ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::OffsetDelete => offsets(key, v),
        ApiKey::FindCoordinator
        | ApiKey::JoinGroup
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteGroups => groups(key, v),
        ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::DescribeProducers
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions => transactions(key, v),
        ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs
        | ApiKey::IncrementalAlterConfigs
        | ApiKey::DescribeLogDirs => configs(key, v),
        _ => topics(key, v),
    }
}

fn data(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::Produce => {
            let partition =
                PartitionProduceData::default().with_index(0).with_records(Some(records()));
            let data = TopicProduceData::default()
                .with_name(topic("known"))
                .with_partition_data(vec![partition]);
            let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(1000);
            of(v, request.with_topic_data(vec![data]))
        }
        ApiKey::Fetch => {
            let mut partition = FetchPartition::default()
                .with_partition(1)
                .with_fetch_offset(0)
                .with_partition_max_bytes(1 << 20);
            if v >= 9 {
                partition.current_leader_epoch = 0;
            }
            if v >= 12 {
                partition.last_fetched_epoch = 0;
            }
            if v >= 5 {
                partition.log_start_offset = -1;
            }
            let wanted =
                FetchTopic::default().with_topic(topic("known")).with_partitions(vec![partition]);
            let mut request = FetchRequest::default()
                .with_max_wait_ms(1)
                .with_min_bytes(1)
                .with_max_bytes(1 << 20)
                .with_isolation_level(1)
                .with_topics(vec![wanted]);
            if v >= 7 {
                request.session_epoch = 0;
                let forgotten = ForgottenTopic::default()
                    .with_topic(topic("known"))
                    .with_partitions(vec![0, 1]);
                request.forgotten_topics_data = vec![forgotten];
            }
            if v >= 11 {
                request.rack_id = text("rack");
            }
            if v >= 12 {
                request.cluster_id = Some(text("cluster"));
            }
            of(v, request)
        }
        ApiKey::ListOffsets => {
            let mut partition =
                ListOffsetsPartition::default().with_partition_index(0).with_timestamp(-1);
            if v >= 4 {
                partition.current_leader_epoch = 0;
            }
            let wanted = ListOffsetsTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![partition]);
            let mut request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1));
            if v >= 2 {
                request.isolation_level = 1;
            }
            of(v, request.with_topics(vec![wanted]))
        }
        _ => {
            let partition = OffsetForLeaderPartition::default()
                .with_partition(0)
                .with_current_leader_epoch(0)
                .with_leader_epoch(0);
            let wanted = OffsetForLeaderTopic::default()
                .with_topic(topic("known"))
                .with_partitions(vec![partition]);
            let mut request = OffsetForLeaderEpochRequest::default();
            if v >= 3 {
                request.replica_id = BrokerId(-1);
            }
            of(v, request.with_topics(vec![wanted]))
        }
    }
}

fn cluster(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::Metadata => {
            let named =
                |name| MetadataRequestTopic::default().with_name(Some(TopicName(text(name))));
            let mut wanted = vec![named("known"), named("made-on-first-use"), named("not/allowed")];
            if v >= 12 {
                let id = Uuid::from_u128(5);
                wanted.push(MetadataRequestTopic::default().with_topic_id(id).with_name(None));
            }
            let mut request = MetadataRequest::default().with_topics(Some(wanted));
            if v >= 4 {
                request.allow_auto_topic_creation = true;
            }
            if v >= 8 {
                request.include_topic_authorized_operations = true;
            }
            of(v, request)
        }
        ApiKey::ApiVersions => {
            let mut request = ApiVersionsRequest::default();
            if v >= 3 {
                request.client_software_name = text("sweep");
                request.client_software_version = text("1");
            }
            of(v, request)
        }
        _ => {
            let request =
                DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
            of(v, request)
        }
    }
}

fn offsets(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::OffsetCommit => {
            let mut partition = OffsetCommitRequestPartition::default()
                .with_partition_index(0)
                .with_committed_offset(3)
                .with_committed_metadata(Some(text("note")));
            if v >= 6 {
                partition.committed_leader_epoch = 0;
            }
            let wanted = OffsetCommitRequestTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![partition]);
            let request = OffsetCommitRequest::default()
                .with_group_id(group())
                .with_generation_id_or_member_epoch(-1)
                .with_topics(vec![wanted]);
            of(v, request)
        }
        ApiKey::OffsetFetch if v < 8 => {
            let wanted = OffsetFetchRequestTopic::default()
                .with_name(topic("known"))
                .with_partition_indexes(vec![0, 1]);
            let mut request = OffsetFetchRequest::default()
                .with_group_id(group())
                .with_topics(Some(vec![wanted]));
            if v >= 7 {
                request.require_stable = true;
            }
            of(v, request)
        }
        ApiKey::OffsetFetch => {
            let wanted = OffsetFetchRequestTopics::default()
                .with_name(topic("known"))
                .with_partition_indexes(vec![0, 1]);
            let mut wanted = OffsetFetchRequestGroup::default()
                .with_group_id(group())
                .with_topics(Some(vec![wanted]));
            if v >= 9 {
                wanted.member_id = Some(text("member"));
                wanted.member_epoch = 3;
            }
            let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
            of(v, OffsetFetchRequest::default().with_groups(vec![wanted, all]))
        }
        _ => {
            let wanted = OffsetDeleteRequestTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
            let request = OffsetDeleteRequest::default().with_group_id(group());
            of(v, request.with_topics(vec![wanted]))
        }
    }
}

fn groups(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::FindCoordinator => {
            let mut request = FindCoordinatorRequest::default();
            if v >= 4 {
                request.coordinator_keys = vec![text("group"), text("other")];
            } else {
                request.key = text("group");
            }
            of(v, request)
        }
        ApiKey::JoinGroup => {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(Bytes::from_static(b"\0\0\0\0\0\0"));
            let mut request = JoinGroupRequest::default()
                .with_group_id(GroupId(StrBytes::from_string(format!("joined-{v}"))))
                .with_session_timeout_ms(10_000)
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol]);
            if v >= 1 {
                request.rebalance_timeout_ms = 10_000;
            }
            if v >= 5 {
                request.group_instance_id = Some(text("instance"));
            }
            if v >= 8 {
                request.reason = Some(text("because"));
            }
            of(v, request)
        }
        ApiKey::Heartbeat => {
            let mut request = HeartbeatRequest::default()
                .with_group_id(group())
                .with_generation_id(1)
                .with_member_id(text("member"));
            if v >= 3 {
                request.group_instance_id = Some(text("instance"));
            }
            of(v, request)
        }
        ApiKey::LeaveGroup => {
            let mut request = LeaveGroupRequest::default().with_group_id(group());
            if v < 3 {
                request.member_id = text("member");
            } else {
                let mut member = MemberIdentity::default()
                    .with_member_id(text("member"))
                    .with_group_instance_id(Some(text("instance")));
                if v >= 5 {
                    member.reason = Some(text("because"));
                }
                request.members = vec![member];
            }
            of(v, request)
        }
        ApiKey::SyncGroup => {
            let assignment = SyncGroupRequestAssignment::default()
                .with_member_id(text("member"))
                .with_assignment(Bytes::from_static(b"mine"));
            let mut request = SyncGroupRequest::default()
                .with_group_id(group())
                .with_generation_id(1)
                .with_member_id(text("member"))
                .with_assignments(vec![assignment]);
            if v >= 3 {
                request.group_instance_id = Some(text("instance"));
            }
            if v >= 5 {
                request.protocol_type = Some(text("consumer"));
                request.protocol_name = Some(text("range"));
            }
            of(v, request)
        }
        ApiKey::DescribeGroups => {
            let mut request = DescribeGroupsRequest::default()
                .with_groups(vec![group(), GroupId(text("unknown"))]);
            if v >= 3 {
                request.include_authorized_operations = true;
            }
            of(v, request)
        }
        ApiKey::ListGroups => {
            let mut request = ListGroupsRequest::default();
            if v >= 4 {
                request.states_filter = vec![text("Empty")];
            }
            of(v, request)
        }
        _ => of(v, DeleteGroupsRequest::default().with_groups_names(vec![group()])),
    }
}

fn transactions(key: ApiKey, v: i16) -> Sample {
    let id = TransactionalId(text("txn"));
    match key {
        ApiKey::InitProducerId => {
            let mut request = InitProducerIdRequest::default()
                .with_transactional_id(Some(id))
                .with_transaction_timeout_ms(1000);
            if v >= 3 {
                request.producer_id = ProducerId(-1);
                request.producer_epoch = -1;
            }
            of(v, request)
        }
        ApiKey::AddPartitionsToTxn => {
            let wanted = AddPartitionsToTxnTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![0, 1, 9]);
            let request = AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(id)
                .with_v3_and_below_producer_id(ProducerId(4))
                .with_v3_and_below_topics(vec![wanted]);
            of(v, request)
        }
        ApiKey::AddOffsetsToTxn => {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(id)
                .with_producer_id(ProducerId(4))
                .with_group_id(group());
            of(v, request)
        }
        ApiKey::EndTxn => {
            let request = EndTxnRequest::default()
                .with_transactional_id(id)
                .with_producer_id(ProducerId(4))
                .with_committed(true);
            of(v, request)
        }
        ApiKey::TxnOffsetCommit => {
            let mut partition = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(0)
                .with_committed_offset(5)
                .with_committed_metadata(Some(text("note")));
            if v >= 2 {
                partition.committed_leader_epoch = 0;
            }
            let wanted = TxnOffsetCommitRequestTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![partition]);
            let mut request = TxnOffsetCommitRequest::default()
                .with_transactional_id(id)
                .with_group_id(group())
                .with_producer_id(ProducerId(4))
                .with_topics(vec![wanted]);
            if v >= 3 {
                request.generation_id = 1;
                request.member_id = text("member");
                request.group_instance_id = Some(text("instance"));
            }
            of(v, request)
        }
        ApiKey::DescribeProducers => {
            let wanted = TopicRequest::default()
                .with_name(topic("known"))
                .with_partition_indexes(vec![0, 9]);
            of(v, DescribeProducersRequest::default().with_topics(vec![wanted]))
        }
        ApiKey::DescribeTransactions => {
            let ids = vec![id, TransactionalId(text("unknown"))];
            of(v, DescribeTransactionsRequest::default().with_transactional_ids(ids))
        }
        _ => {
            let mut request = ListTransactionsRequest::default()
                .with_state_filters(vec![text("Empty"), text("Imagined")])
                .with_producer_id_filters(vec![ProducerId(4)]);
            if v >= 1 {
                request.duration_filter = 10;
            }
            of(v, request)
        }
    }
}

fn configs(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::DescribeConfigs => {
            let resource = |kind, name| {
                DescribeConfigsResource::default()
                    .with_resource_type(kind)
                    .with_resource_name(text(name))
            };
            let keys = Some(vec![text("retention.ms")]);
            let wanted = vec![
                resource(2, "known").with_configuration_keys(keys),
                resource(2, "known").with_configuration_keys(None),
                resource(4, "1").with_configuration_keys(None),
                resource(2, "unknown").with_configuration_keys(None),
            ];
            let mut request = DescribeConfigsRequest::default()
                .with_resources(wanted)
                .with_include_synonyms(true);
            if v >= 3 {
                request.include_documentation = true;
            }
            of(v, request)
        }
        ApiKey::AlterConfigs => {
            let setting = alter_configs_request::AlterableConfig::default()
                .with_name(text("retention.ms"))
                .with_value(Some(text("1000")));
            let resource = alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("known"))
                .with_configs(vec![setting]);
            of(v, AlterConfigsRequest::default().with_resources(vec![resource]))
        }
        ApiKey::IncrementalAlterConfigs => {
            let setting = incremental_alter_configs_request::AlterableConfig::default()
                .with_name(text("retention.ms"))
                .with_config_operation(1);
            let resource = incremental_alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("known"))
                .with_configs(vec![setting]);
            of(v, IncrementalAlterConfigsRequest::default().with_resources(vec![resource]))
        }
        _ => {
            let wanted = DescribableLogDirTopic::default()
                .with_topic(topic("known"))
                .with_partitions(vec![0]);
            of(v, DescribeLogDirsRequest::default().with_topics(Some(vec![wanted])))
        }
    }
}

fn topics(key: ApiKey, v: i16) -> Sample {
    match key {
        ApiKey::CreateTopics => {
            let setting = CreatableTopicConfig::default()
                .with_name(text("cleanup.policy"))
                .with_value(Some(text("compact")));
            let name = TopicName(StrBytes::from_string(format!("created-{v}")));
            let plain = CreatableTopic::default()
                .with_name(name)
                .with_num_partitions(1)
                .with_replication_factor(1)
                .with_configs(vec![setting]);
            let assignment =
                CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(1)]);
            let assigned = CreatableTopic::default()
                .with_name(TopicName(StrBytes::from_string(format!("assigned-{v}"))))
                .with_num_partitions(-1)
                .with_replication_factor(-1)
                .with_assignments(vec![assignment]);
            let known = CreatableTopic::default().with_name(topic("known")).with_num_partitions(1);
            let request = CreateTopicsRequest::default().with_topics(vec![plain, assigned, known]);
            of(v, request.with_timeout_ms(1000))
        }
        ApiKey::DeleteTopics => {
            let mut request = DeleteTopicsRequest::default().with_timeout_ms(1000);
            if v >= 6 {
                request.topics = vec![
                    DeleteTopicState::default().with_name(Some(topic("unknown"))),
                    DeleteTopicState::default().with_topic_id(Uuid::from_u128(9)),
                ];
            } else {
                request.topic_names = vec![topic("unknown"), topic("created-2")];
            }
            of(v, request)
        }
        ApiKey::DeleteRecords => {
            let partition =
                DeleteRecordsPartition::default().with_partition_index(0).with_offset(0);
            let wanted = DeleteRecordsTopic::default()
                .with_name(topic("known"))
                .with_partitions(vec![partition]);
            let request = DeleteRecordsRequest::default().with_topics(vec![wanted]);
            of(v, request.with_timeout_ms(1000))
        }
        ApiKey::CreatePartitions => {
            let assignment =
                CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(1)]);
            let wanted = CreatePartitionsTopic::default()
                .with_name(topic("known"))
                .with_count(3 + i32::from(v))
                .with_assignments(Some(vec![assignment]));
            let request = CreatePartitionsRequest::default().with_topics(vec![wanted]);
            of(v, request.with_timeout_ms(1000))
        }
        other => panic!("{other:?} has no sample"),
    }
}
