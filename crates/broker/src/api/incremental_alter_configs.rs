//! IncrementalAlterConfigs (key 44), versions 0-1.
//!
//! - SET (0), DELETE (1), and for lists APPEND (2) and SUBTRACT (3); other settings stay.
//! - Only topics can be altered; the broker's settings are chosen at start.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{
    Api, Call,
    alter_configs::{Refused, find, split, store},
};
use crate::{
    core::Core,
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
        IncrementalAlterConfigsResponse::default().with_responses(responses)
    }
}

async fn alter(
    core: &Core,
    resource: &AlterConfigsResource,
    validate_only: bool,
) -> Result<(), Refused> {
    let topic = find(core, resource.resource_type, &resource.resource_name)?;
    // Checked against the current settings, then applied to those at the time of the change.
    let mut config = topic.config.clone();
    for change in &resource.configs {
        apply(&mut config, change)?;
    }
    if validate_only {
        return Ok(());
    }
    store(core, &resource.resource_name, |current| {
        for change in &resource.configs {
            if let Err((_, message)) = apply(current, change) {
                tracing::warn!(message, "a setting changed meanwhile, a list edit was left out");
            }
        }
    })
    .await
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
