//! IncrementalAlterConfigs (key 44), versions 0-1.
//!
//! - SET (0), DELETE (1), and for lists APPEND (2) and SUBTRACT (3); other settings stay.
//! - Only topics can be altered; the broker's settings are chosen at start.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterableConfig,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{
    Api, Call,
    alter_configs::{Refused, Target},
};
use crate::{
    topic_config::TopicConfig,
    wire::shape::{BOOL, I8, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    const KEY: ApiKey = ApiKey::IncrementalAlterConfigs;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: Shape = Shape {
        flexible: 1,
        fields: &[
            all(Kind::Structs(&[
                all(I8),
                all(TEXT),
                all(Kind::Structs(&[all(TEXT), all(I8), all(TEXT)])),
            ])),
            all(BOOL),
        ],
    };
    type Request = IncrementalAlterConfigsRequest;

    async fn handle(
        call: Call,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let target = Target { kind: resource.resource_type, name: &resource.resource_name };
            let change = |config: &mut TopicConfig| {
                resource.configs.iter().try_for_each(|change| apply(config, change))
            };
            let (error, message) = target.alter(&call.core, request.validate_only, change).await;
            responses.push(
                AlterConfigsResourceResponse::default()
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name)
                    .with_error_code(error)
                    .with_error_message(message),
            );
        }
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }
}

fn apply(config: &mut TopicConfig, change: &AlterableConfig) -> Result<(), Refused> {
    let value = change.value.as_deref();
    let missing = || (ResponseError::InvalidConfig, "a value is needed".to_owned());
    let applied = match change.config_operation {
        0 => config.set(&change.name, Some(value.ok_or_else(missing)?)),
        1 => config.set(&change.name, None),
        2 => config.edit_list(&change.name, value.ok_or_else(missing)?, true),
        3 => config.edit_list(&change.name, value.ok_or_else(missing)?, false),
        _ => return Err((ResponseError::InvalidRequest, "unknown operation".to_owned())),
    };
    applied.map_err(|error| (ResponseError::InvalidConfig, error.to_string()))
}
