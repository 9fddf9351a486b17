//! AlterConfigs (key 33), versions 0-2.
//!
//! - The legacy call, which librdkafka still makes: the settings given replace all settings chosen
//!   before. A null value means the default.
//! - Only topics can be altered; the broker's settings are chosen at start.

use std::sync::Arc;

use kafka_protocol::{
    ResponseError,
    messages::{
        AlterConfigsRequest, AlterConfigsResponse, ApiKey,
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
            let target = Target { kind: resource.resource_type, name: &resource.resource_name };
            let replace = |config: &mut TopicConfig| {
                *config = TopicConfig::default();
                resource.configs.iter().try_for_each(|setting| {
                    let set = config.set(&setting.name, setting.value.as_deref());
                    set.map_err(|error| (ResponseError::InvalidConfig, error.to_string()))
                })
            };
            let (error, message) = target.alter(&call.core, request.validate_only, replace).await;
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

/// An error code and its explanation.
pub(crate) type Refused = (ResponseError, String);

/// What a request wants to alter.
pub(crate) struct Target<'a> {
    /// The kind of resource, by the protocol's number.
    pub(crate) kind: i8,
    pub(crate) name: &'a str,
}

impl Target<'_> {
    /// Applies `edit`, durably unless it is only to be checked; code and message as a response
    /// carries them.
    pub(crate) async fn alter(
        &self,
        core: &Core,
        validate_only: bool,
        edit: impl Fn(&mut TopicConfig) -> Result<(), Refused>,
    ) -> (i16, Option<StrBytes>) {
        match self.try_alter(core, validate_only, edit).await {
            Ok(()) => (0, None),
            Err((error, message)) => (error.code(), Some(StrBytes::from_string(message))),
        }
    }

    async fn try_alter(
        &self,
        core: &Core,
        validate_only: bool,
        edit: impl Fn(&mut TopicConfig) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        // Checked against the current settings, then applied to those at the time of the change.
        edit(&mut self.find(core)?.config.clone())?;
        if validate_only {
            return Ok(());
        }
        let mut refused = Ok(());
        let stored = core.catalogue.configure(self.name, |current| {
            let mut changed = current.clone();
            refused = edit(&mut changed);
            if refused.is_ok() {
                *current = changed;
            }
        });
        stored.await.map_err(|error| (error.code(), error.to_string()))?;
        refused
    }

    fn find(&self, core: &Core) -> Result<Arc<Topic>, Refused> {
        let refused = |error, text: &str| Err((error, text.to_owned()));
        match self.kind {
            TOPIC => match core.catalogue.topic(self.name) {
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
}
