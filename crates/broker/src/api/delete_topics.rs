//! DeleteTopics (key 20), versions 1-6.
//!
//! - Durable when answered. v6+ also deletes by topic id.
//! - Committed offsets of the topic go with it. The topics of the broker and of its schema registry
//!   cannot be deleted.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
        delete_topics_request::DeleteTopicState, delete_topics_response::DeletableTopicResult,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    core::Core,
    wire::shape::{I32, Kind, Shape, TEXT, UUID, all, since, until},
};

/// The handler.
pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    const KEY: ApiKey = ApiKey::DeleteTopics;
    const VERSIONS: (i16, i16) = (1, 6);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            since(6, Kind::Structs(&[all(TEXT), all(UUID)])),
            until(5, Kind::List(&TEXT)),
            all(I32),
        ],
    };
    type Request = DeleteTopicsRequest;

    async fn handle(call: Call, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        let named = |name| DeleteTopicState::default().with_name(Some(name));
        let wanted = request.topics.into_iter().chain(request.topic_names.into_iter().map(named));
        let mut responses = Vec::new();
        for topic in wanted {
            responses.push(delete(&call.core, topic, call.version).await);
        }
        DeleteTopicsResponse::default().with_responses(responses)
    }
}

async fn delete(core: &Core, wanted: DeleteTopicState, version: i16) -> DeletableTopicResult {
    let by_id = wanted.name.is_none();
    let known = match &wanted.name {
        Some(name) => core.catalogue.topic(name),
        None => core.catalogue.topic_by_id(wanted.topic_id),
    };
    let mut response = DeletableTopicResult::default().with_name(wanted.name);
    if version >= 6 {
        response.topic_id = wanted.topic_id;
    }
    let Some(topic) = known else {
        let error = match by_id {
            true => ResponseError::UnknownTopicId,
            false => ResponseError::UnknownTopicOrPartition,
        };
        return response.with_error_code(error.code());
    };
    response.name = Some(TopicName(StrBytes::from_string(topic.name.to_string())));
    if version >= 6 {
        response.topic_id = topic.id;
    }
    match core.catalogue.delete(&topic.name).await {
        Ok(()) => {
            core.groups.forget_topic(&topic.name).await;
            response
        }
        Err(error) => {
            if version >= 5 {
                response.error_message = Some(StrBytes::from_string(error.to_string()));
            }
            response.with_error_code(error.code().code())
        }
    }
}
