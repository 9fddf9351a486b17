//! Metadata (key 3), versions 0-12.
//!
//! - One broker, the leader of every partition, with leader epoch 0.
//! - Null topics (v1+) or an empty list (v0) mean all topics; v10+ also looks up by topic id.
//! - A topic that does not exist is created when the broker's `auto_create_topics` and the
//!   request (v4+) allow it.
//! - Not implemented: authorized operations (reported as not known).

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, BrokerId, MetadataRequest, MetadataResponse, TopicName,
        metadata_request::MetadataRequestTopic,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    catalogue::{CatalogueError, Topic},
    core::{Core, LEADER_EPOCH, NODE_ID},
    topic_config::TopicConfig,
    wire::shape::{BOOL, Kind, Shape, TEXT, UUID, all, between, since},
};

/// The handler.
pub(crate) struct Metadata;

impl Api for Metadata {
    const KEY: ApiKey = ApiKey::Metadata;
    const VERSIONS: (i16, i16) = (0, 12);
    const SHAPE: Shape = Shape {
        flexible: 9,
        fields: &[
            all(Kind::Structs(&[since(10, UUID), all(TEXT)])),
            since(4, BOOL),
            between(8, 10, BOOL),
            since(8, BOOL),
        ],
    };
    type Request = MetadataRequest;

    async fn handle(call: Call, request: MetadataRequest) -> MetadataResponse {
        let core = &call.core;
        let create = core.options.auto_create_topics && request.allow_auto_topic_creation;
        let everything = match &request.topics {
            None => true,
            Some(topics) => call.version == 0 && topics.is_empty(),
        };
        let mut topics = Vec::new();
        if everything {
            topics.extend(core.catalogue.topics().iter().map(|topic| found(topic, call.version)));
        } else {
            for wanted in request.topics.unwrap_or_default() {
                topics.push(one(core, wanted, create, call.version).await);
            }
        }
        let broker = MetadataResponseBroker::default()
            .with_node_id(NODE_ID)
            .with_host(StrBytes::from_string(core.host.clone()))
            .with_port(core.port());
        let mut response = MetadataResponse::default()
            .with_brokers(vec![broker])
            .with_controller_id(NODE_ID)
            .with_topics(topics);
        if call.version >= 2 {
            let cluster_id = core.catalogue.cluster_id().to_owned();
            response.cluster_id = Some(StrBytes::from_string(cluster_id));
        }
        response
    }
}

async fn one(
    core: &Core,
    wanted: MetadataRequestTopic,
    create: bool,
    version: i16,
) -> MetadataResponseTopic {
    let Some(name) = wanted.name else {
        return match core.catalogue.topic_by_id(wanted.topic_id) {
            Some(topic) => found(&topic, version),
            None => {
                missing(None, ResponseError::UnknownTopicId, version).with_topic_id(wanted.topic_id)
            }
        };
    };
    if let Some(topic) = core.catalogue.topic(&name) {
        return found(&topic, version);
    }
    let partitions = core.options.default_partitions;
    if let Err(error) = core.catalogue.check_new(&name, partitions)
        && !matches!(error, CatalogueError::Exists)
    {
        return missing(Some(name), ResponseError::InvalidTopicException, version);
    }
    if !create {
        return missing(Some(name), ResponseError::UnknownTopicOrPartition, version);
    }
    match core.catalogue.create(&name, partitions, TopicConfig::default()).await {
        Ok(topic) => found(&topic, version),
        Err(CatalogueError::Exists) => match core.catalogue.topic(&name) {
            Some(topic) => found(&topic, version),
            None => missing(Some(name), ResponseError::UnknownTopicOrPartition, version),
        },
        Err(error) => {
            tracing::warn!(topic = %name.0, %error, "could not create a topic on first use");
            missing(Some(name), error.code(), version)
        }
    }
}

fn missing(name: Option<TopicName>, error: ResponseError, version: i16) -> MetadataResponseTopic {
    // Only version 12 can say null for the name of an id that is not known.
    let name = if version >= 12 { name } else { Some(name.unwrap_or_default()) };
    MetadataResponseTopic::default().with_error_code(error.code()).with_name(name)
}

fn found(topic: &Topic, version: i16) -> MetadataResponseTopic {
    let alone: Vec<BrokerId> = vec![NODE_ID];
    let partition = |(index, _)| {
        let partition = MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(NODE_ID)
            .with_replica_nodes(alone.clone())
            .with_isr_nodes(alone.clone());
        if version >= 7 { partition.with_leader_epoch(LEADER_EPOCH) } else { partition }
    };
    let described = MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_is_internal(topic.internal())
        .with_partitions(topic.numbered().map(partition).collect());
    if version >= 10 { described.with_topic_id(topic.id) } else { described }
}
