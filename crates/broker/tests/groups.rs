//! Consumer groups over the wire: what clients see, and what survives a restart.

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, FindCoordinatorRequest,
        GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
        ListGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
        SyncGroupRequest,
        join_group_request::JoinGroupRequestProtocol,
        leave_group_request::MemberIdentity,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        sync_group_request::SyncGroupRequestAssignment,
    },
};
use throughline_log::faults::FaultyFiles;

use crate::client::{Client, broker, text, topic};

fn group(id: &str) -> GroupId {
    GroupId(text(id))
}

fn join_request(id: &str, member: &str) -> JoinGroupRequest {
    // A consumer's subscription to the topic "t".
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("range"))
        .with_metadata(Bytes::from_static(b"\0\x01\0\0\0\x01\0\x01t\xff\xff\xff\xff"));
    JoinGroupRequest::default()
        .with_group_id(group(id))
        .with_member_id(text(member))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(10_000)
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// Joins as modern clients do: refused first, then with the id that was given.
async fn join(client: &mut Client, id: &str) -> JoinGroupResponse {
    let refused = client.call(9, &join_request(id, "")).await;
    assert_eq!(refused.error_code, ResponseError::MemberIdRequired.code());
    let joined = client.call(9, &join_request(id, &refused.member_id)).await;
    assert_eq!(joined.error_code, 0);
    joined
}

/// A group with one member that has its assignment.
async fn settle(client: &mut Client, id: &str) -> JoinGroupResponse {
    let joined = join(client, id).await;
    let assignment = SyncGroupRequestAssignment::default()
        .with_member_id(joined.member_id.clone())
        .with_assignment(Bytes::from_static(b"mine"));
    let request = SyncGroupRequest::default()
        .with_group_id(group(id))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(vec![assignment]);
    let synced = client.call(5, &request).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"mine"[..]));
    joined
}

async fn heartbeat(client: &mut Client, id: &str, member: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group(id))
        .with_generation_id(member.generation_id)
        .with_member_id(member.member_id.clone());
    client.call(4, &request).await.error_code
}

async fn commit(
    client: &mut Client,
    id: &str,
    member: Option<&JoinGroupResponse>,
    offset: i64,
    metadata: &str,
) -> i16 {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(metadata)));
    let wanted =
        OffsetCommitRequestTopic::default().with_name(topic("t")).with_partitions(vec![partition]);
    let mut request = OffsetCommitRequest::default()
        .with_group_id(group(id))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![wanted]);
    if let Some(member) = member {
        request.generation_id_or_member_epoch = member.generation_id;
        request.member_id = member.member_id.clone();
    }
    client.call(8, &request).await.topics[0].partitions[0].error_code
}

/// All committed offsets of a group.
async fn committed(client: &mut Client, id: &str) -> Vec<(String, i64, String)> {
    let request = OffsetFetchRequest::default().with_group_id(group(id)).with_topics(None);
    let response = client.call(7, &request).await;
    let topics = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| {
            let metadata = partition.metadata.clone().unwrap_or_default().to_string();
            (topic.name.to_string(), partition.committed_offset, metadata)
        })
    });
    topics.collect()
}

async fn describe(client: &mut Client, id: &str) -> (String, usize) {
    let request = DescribeGroupsRequest::default().with_groups(vec![group(id)]);
    let described = client.call(5, &request).await.groups.remove(0);
    (described.group_state.to_string(), described.members.len())
}

async fn leave(client: &mut Client, id: &str, members: &[&str]) -> Vec<i16> {
    let member = |member: &&str| MemberIdentity::default().with_member_id(text(member));
    let request = LeaveGroupRequest::default()
        .with_group_id(group(id))
        .with_members(members.iter().map(member).collect());
    client.call(5, &request).await.members.iter().map(|member| member.error_code).collect()
}

#[tokio::test]
async fn a_generation_and_its_offsets_survive_a_restart_without_a_rebalance() {
    let files = FaultyFiles::new(40);
    let broker = self::broker(&files).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let member = settle(&mut client, "g").await;
    assert_eq!(commit(&mut client, "g", Some(&member), 42, "note").await, 0);
    drop(broker);
    files.power_cut();
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(heartbeat(&mut client, "g", &member).await, 0);
    assert_eq!(describe(&mut client, "g").await, ("Stable".to_owned(), 1));
    assert_eq!(committed(&mut client, "g").await, [("t".to_owned(), 42, "note".to_owned())]);
    broker.shutdown().await;
}

#[tokio::test]
async fn two_members_rebalance_and_share() {
    let broker = broker(&FaultyFiles::new(41)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut one = Client::connect(broker.address()).await;
    let mut two = Client::connect(broker.address()).await;
    let first = settle(&mut one, "g").await;
    let refused = two.call(9, &join_request("g", "")).await;
    two.send(9, &join_request("g", &refused.member_id)).await;
    let mut seen = heartbeat(&mut one, "g", &first).await;
    while seen == 0 {
        // The second join is on its way on another connection.
        seen = heartbeat(&mut one, "g", &first).await;
    }
    assert_eq!(seen, ResponseError::RebalanceInProgress.code());
    let again = one.call(9, &join_request("g", &first.member_id)).await;
    assert_eq!((again.generation_id, again.members.len()), (2, 2));
    let stale = commit(&mut one, "g", Some(&first), 1, "").await;
    assert_eq!(stale, ResponseError::IllegalGeneration.code());
    let early = commit(&mut one, "g", Some(&again), 1, "").await;
    assert_eq!(early, ResponseError::RebalanceInProgress.code(), "nothing is assigned yet");
    broker.shutdown().await;
}

#[tokio::test]
async fn leaving_members_get_a_result_each_and_the_empty_group_can_be_deleted() {
    let files = FaultyFiles::new(42);
    let broker = self::broker(&files).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let member = settle(&mut client, "g").await;
    assert_eq!(commit(&mut client, "g", Some(&member), 7, "").await, 0);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group("g"), group("x")]);
    let refused = client.call(2, &delete).await.results;
    assert_eq!(refused[0].error_code, ResponseError::NonEmptyGroup.code());
    assert_eq!(refused[1].error_code, ResponseError::GroupIdNotFound.code());
    let left = leave(&mut client, "g", &["stranger", &member.member_id]).await;
    assert_eq!(left, [ResponseError::UnknownMemberId.code(), 0]);
    assert_eq!(describe(&mut client, "g").await, ("Empty".to_owned(), 0));
    let listed = client.call(4, &ListGroupsRequest::default()).await.groups;
    assert_eq!(listed.len(), 1);
    assert_eq!(client.call(2, &delete).await.results[0].error_code, 0);
    assert_eq!(describe(&mut client, "g").await, ("Dead".to_owned(), 0));
    broker.shutdown().await;
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert!(client.call(4, &ListGroupsRequest::default()).await.groups.is_empty());
    assert!(committed(&mut client, "g").await.is_empty());
    broker.shutdown().await;
}

#[tokio::test]
async fn commits_are_refused_where_kafka_refuses_them() {
    let broker = broker(&FaultyFiles::new(43)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(commit(&mut client, "simple", None, 3, "").await, 0, "without membership");
    let long = "x".repeat(4097);
    let code = commit(&mut client, "simple", None, 3, &long).await;
    assert_eq!(code, ResponseError::OffsetMetadataTooLarge.code());
    let member = settle(&mut client, "g").await;
    let code = commit(&mut client, "g", None, 3, "").await;
    assert_eq!(code, ResponseError::UnknownMemberId.code());
    let code = commit(&mut client, "elsewhere", Some(&member), 3, "").await;
    assert_eq!(code, ResponseError::IllegalGeneration.code());
    let unknown = OffsetCommitRequestTopic::default()
        .with_name(topic("nothing"))
        .with_partitions(vec![OffsetCommitRequestPartition::default()]);
    let request = OffsetCommitRequest::default()
        .with_group_id(group("simple"))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![unknown]);
    let code = client.call(8, &request).await.topics[0].partitions[0].error_code;
    assert_eq!(code, ResponseError::UnknownTopicOrPartition.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn names_that_would_be_kept_for_days_are_bounded() {
    let broker = broker(&FaultyFiles::new(49)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let (longest, longer) = ("n".repeat(1_000), "n".repeat(1_001));
    let (group, request) = (ResponseError::InvalidGroupId, ResponseError::InvalidRequest);
    let required = ResponseError::MemberIdRequired;
    for (name, joined, committed) in [(&longest, required, 0), (&longer, group, group.code())] {
        let join = join_request(name, "");
        assert_eq!(client.call(9, &join).await.error_code, joined.code());
        assert_eq!(commit(&mut client, name, None, 3, "").await, committed);
    }
    let instance = join_request("g", "").with_group_instance_id(Some(text(&longer)));
    assert_eq!(client.call(9, &instance).await.error_code, request.code());
    let kind = join_request("g", "").with_protocol_type(text(&longer));
    assert_eq!(client.call(9, &kind).await.error_code, request.code());
    client.init(&longest).await;
    assert_eq!(client.try_init(&longer, 60_000, None).await.unwrap_err(), request.code());
    let listed = client.call(4, &ListGroupsRequest::default()).await.groups;
    let names: Vec<_> = listed.iter().map(|listed| listed.group_id.to_string()).collect();
    assert_eq!(names, [longest]);
    broker.shutdown().await;
}

#[tokio::test]
async fn joins_that_cannot_be_are_refused() {
    let broker = broker(&FaultyFiles::new(44)).await;
    let mut client = Client::connect(broker.address()).await;
    let code = client.call(9, &join_request("", "")).await.error_code;
    assert_eq!(code, ResponseError::InvalidGroupId.code());
    let hasty = join_request("g", "").with_session_timeout_ms(1);
    let code = client.call(9, &hasty).await.error_code;
    assert_eq!(code, ResponseError::InvalidSessionTimeout.code());
    let code = client.call(9, &join_request("g", "made-up")).await.error_code;
    assert_eq!(code, ResponseError::UnknownMemberId.code());
    let share = FindCoordinatorRequest::default().with_key(text("g")).with_key_type(2);
    let code = client.call(3, &share).await.error_code;
    assert_eq!(code, ResponseError::InvalidRequest.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_are_deleted_for_topics_that_nobody_consumes() {
    let broker = broker(&FaultyFiles::new(45)).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let member = settle(&mut client, "g").await;
    commit(&mut client, "g", Some(&member), 5, "").await;
    let wanted = OffsetDeleteRequestTopic::default()
        .with_name(topic("t"))
        .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
    let request =
        OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![wanted]);
    let code = client.call(0, &request).await.topics[0].partitions[0].error_code;
    assert_eq!(code, ResponseError::GroupSubscribedToTopic.code());
    leave(&mut client, "g", &[&member.member_id]).await;
    let code = client.call(0, &request).await.topics[0].partitions[0].error_code;
    assert_eq!(code, 0);
    assert!(committed(&mut client, "g").await.is_empty());
    let unknown = OffsetDeleteRequest::default().with_group_id(group("unknown"));
    let code = client.call(0, &unknown).await.error_code;
    assert_eq!(code, ResponseError::GroupIdNotFound.code());
    broker.shutdown().await;
}

#[tokio::test]
async fn deleting_a_topic_forgets_its_offsets_for_good() {
    let files = FaultyFiles::new(46);
    let broker = self::broker(&files).await;
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    assert_eq!(commit(&mut client, "g", None, 9, "").await, 0);
    let request = DeleteTopicsRequest::default().with_topic_names(vec![topic("t")]);
    assert_eq!(client.call(5, &request).await.responses[0].error_code, 0);
    assert!(committed(&mut client, "g").await.is_empty());
    broker.shutdown().await;
    let broker = self::broker(&files).await;
    let mut client = Client::connect(broker.address()).await;
    assert!(committed(&mut client, "g").await.is_empty());
    broker.shutdown().await;
}

#[tokio::test]
async fn offsets_of_an_abandoned_group_expire() {
    let files = FaultyFiles::new(47);
    let options = throughline_broker::BrokerOptions {
        offsets_retention: std::time::Duration::ZERO,
        maintenance_interval: std::time::Duration::from_millis(20),
        ..crate::client::options(&files)
    };
    let broker = throughline_broker::Broker::start(options).await.unwrap();
    broker.local().create_topic("t", 1, &[]).await.unwrap();
    let mut client = Client::connect(broker.address()).await;
    let mut log = broker.local().watch("__consumer_offsets", 0).unwrap();
    assert_eq!(commit(&mut client, "g", None, 9, "").await, 0);
    // The commit is one record, its tombstone the next.
    log.wait_for(|ends| ends.high_watermark >= 2).await.unwrap();
    assert!(committed(&mut client, "g").await.is_empty());
    broker.shutdown().await;
}
