//! CreateTopics (key 19), versions 2-7.
//!
//! - Durable when answered. Names, sizes and settings are checked first; `validate_only` stops
//!   there.
//! - Partitions -1 (v4+) means the broker's default. The replication factor is 1 or -1.
//! - A manual assignment must name this broker once for each partition 0..n.
//! - Not implemented: more than one replica.

use std::collections::HashMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, CreateTopicsRequest, CreateTopicsResponse,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{Api, Call};
use crate::{
    catalogue::internal,
    core::{Core, NODE_ID},
    topic_config::{DEFINITIONS, TopicConfig},
    wire::shape::{BOOL, I16, I32, Kind, Shape, TEXT, all},
};

/// Where a setting in an answer comes from: chosen for the topic, or the default.
pub(crate) const SOURCE_TOPIC: i8 = 1;
pub(crate) const SOURCE_DEFAULT: i8 = 5;

/// The handler.
pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    const KEY: ApiKey = ApiKey::CreateTopics;
    const VERSIONS: (i16, i16) = (2, 7);
    const SHAPE: Shape = Shape {
        flexible: 5,
        fields: &[
            all(Kind::Structs(&[
                all(TEXT),
                all(I32),
                all(I16),
                all(Kind::Structs(&[all(I32), all(Kind::List(&I32))])),
                all(Kind::Structs(&[all(TEXT), all(TEXT)])),
            ])),
            all(I32),
            all(BOOL),
        ],
    };
    type Request = CreateTopicsRequest;

    async fn handle(call: Call, request: CreateTopicsRequest) -> CreateTopicsResponse {
        let mut named = HashMap::new();
        for topic in &request.topics {
            *named.entry(topic.name.clone()).or_insert(0usize) += 1;
        }
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let name = topic.name.clone();
            let result = if named.get(&name).is_some_and(|times| *times > 1) {
                Err((ResponseError::InvalidRequest, "the topic is named twice".to_owned()))
            } else {
                create(&call.core, &topic, request.validate_only).await
            };
            topics.push(respond(result, call.version).with_name(name));
        }
        CreateTopicsResponse::default().with_topics(topics)
    }
}

struct Created {
    id: Uuid,
    partitions: i32,
    config: TopicConfig,
}

async fn create(
    core: &Core,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<Created, (ResponseError, String)> {
    let partitions = count(core, topic)?;
    if topic.assignments.is_empty() && !matches!(topic.replication_factor, 1 | -1) {
        let text = "replication factor must be 1: there is one broker";
        return Err((ResponseError::InvalidReplicationFactor, text.to_owned()));
    }
    let mut config = TopicConfig::default();
    for setting in &topic.configs {
        let value = setting.value.as_deref();
        config
            .set(&setting.name, value)
            .map_err(|error| (ResponseError::InvalidConfig, error.to_string()))?;
    }
    let refused = |error: crate::catalogue::CatalogueError| (error.code(), error.to_string());
    if internal(&topic.name) {
        let text = "the topic belongs to the broker".to_owned();
        return Err((ResponseError::TopicAlreadyExists, text));
    }
    core.catalogue.check_new(&topic.name, partitions).map_err(refused)?;
    let id = match validate_only {
        true => Uuid::nil(),
        false => {
            let created = core.catalogue.create(&topic.name, partitions, config.clone()).await;
            created.map_err(refused)?.id
        }
    };
    Ok(Created { id, partitions, config })
}

fn count(core: &Core, topic: &CreatableTopic) -> Result<i32, (ResponseError, String)> {
    if topic.assignments.is_empty() {
        return Ok(match topic.num_partitions {
            -1 => core.options.default_partitions,
            count => count,
        });
    }
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        let text = "an assignment excludes a number of partitions and a replication factor";
        return Err((ResponseError::InvalidRequest, text.to_owned()));
    }
    let mut indexes: Vec<i32> = topic.assignments.iter().map(|a| a.partition_index).collect();
    indexes.sort_unstable();
    let complete = (0..).zip(&indexes).all(|(expected, index)| expected == *index);
    let ours = topic.assignments.iter().all(|assignment| assignment.broker_ids == [NODE_ID]);
    if complete && ours {
        Ok(i32::try_from(indexes.len()).unwrap_or(i32::MAX))
    } else {
        let text = "an assignment must name broker 1 for every partition from 0";
        Err((ResponseError::InvalidReplicaAssignment, text.to_owned()))
    }
}

fn respond(result: Result<Created, (ResponseError, String)>, version: i16) -> CreatableTopicResult {
    let response = CreatableTopicResult::default();
    match result {
        Err((error, message)) => {
            let response = response.with_error_code(error.code());
            let response = response.with_error_message(Some(StrBytes::from_string(message)));
            if version >= 5 { response.with_configs(None) } else { response }
        }
        Ok(created) if version >= 5 => {
            let response = response
                .with_num_partitions(created.partitions)
                .with_replication_factor(1)
                .with_configs(Some(settings(&created.config)));
            if version >= 7 { response.with_topic_id(created.id) } else { response }
        }
        Ok(_) => response,
    }
}

fn settings(config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    let setting = |definition: &crate::topic_config::Definition| {
        let chosen = config.overridden(definition.name);
        CreatableTopicConfigs::default()
            .with_name(StrBytes::from_static_str(definition.name))
            .with_value(Some(StrBytes::from_string(config.get(definition.name).to_owned())))
            .with_config_source(if chosen { SOURCE_TOPIC } else { SOURCE_DEFAULT })
    };
    DEFINITIONS.iter().map(setting).collect()
}
