//! AlterConfigs (key 33), versions 0-2.
//!
//! - The legacy call, which librdkafka still makes: the settings given replace all settings chosen
//!   before. A null value means the default.
//! - Only topics can be altered; the broker's settings are chosen at start.

use kafka_protocol::{
    ResponseError,
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, ApiKey,
        alter_configs_request::AlterConfigsResource,
        alter_configs_response::AlterConfigsResourceResponse,
    },
    protocol::StrBytes,
};

use super::{
    Api, Call,
    describe_configs::{BROKER, TOPIC},
};
use crate::{
    catalogue::Topic,
    core::Core,
    topic_config::TopicConfig,
    wire::shape::{BOOL, I8, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct AlterConfigs;

impl Api for AlterConfigs {
    const KEY: ApiKey = ApiKey::AlterConfigs;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: Shape = Shape {
        flexible: 2,
        fields: &[
            all(Kind::Structs(&[all(I8), all(TEXT), all(Kind::Structs(&[all(TEXT), all(TEXT)]))])),
            all(BOOL),
        ],
    };
    type Request = AlterConfigsRequest;

    async fn handle(call: Call, request: AlterConfigsRequest) -> AlterConfigsResponse {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let outcome = alter(&call.core, &resource, request.validate_only).await;
            let (error, message) = split(outcome);
            responses.push(
                AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name)
                    .with_error_code(error)
                    .with_error_message(message),
            );
        }
        AlterConfigsResponse::default().with_responses(responses)
    }
}

async fn alter(
    core: &Core,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refused> {
    find(core, resource.resource_type, &resource.resource_name)?;
    let mut config = TopicConfig::default();
    for setting in &resource.configs {
        config
            .set(&setting.name, setting.value.as_deref())
            .map_err(|error| (ResponseError::InvalidConfig, error.to_string()))?;
    }
    if validate_only {
        return Ok(());
    }
    store(core, &resource.resource_name, |current| *current = config).await
}

/// An error code and its explanation.
pub(crate) type Refused = (ResponseError, String);

/// Code and message as a response carries them.
pub(crate) fn split(outcome: Result<(), Refused>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(()) => (0, None),
        Err((error, message)) => (error.code(), Some(StrBytes::from_string(message))),
    }
}

/// The topic to alter.
pub(crate) fn find(core: &Core, kind: i8, name: &str) -> Result<std::sync::Arc<Topic>, Refused> {
    let refused = |error, text: &str| Err((error, text.to_owned()));
    match kind {
        TOPIC => match core.catalogue.topic(name) {
            Some(topic) => Ok(topic),
            None => refused(ResponseError::UnknownTopicOrPartition, "topic does not exist"),
        },
        BROKER => refused(
            ResponseError::InvalidRequest,
            "the broker's settings are chosen when it starts and cannot be altered",
        ),
        _ => refused(ResponseError::InvalidRequest, "only topics have settings to alter"),
    }
}

/// Makes a checked change durable.
pub(crate) async fn store(
    core: &Core,
    topic: &str,
    edit: impl FnOnce(&mut TopicConfig),
) -> Result<(), Refused> {
    let stored = core.catalogue.configure(topic, edit).await;
    stored.map_err(|error| (error.code(), error.to_string()))
}
