//! DescribeConfigs (key 32), versions 1-4.
//!
//! - Topics (type 2): every setting with its value, whether it was chosen or is the default, and
//!   on request synonyms and documentation (v3+). Broker (type 4): the settings chosen at start.
//! - Not implemented: broker loggers, client metrics and groups, refused with INVALID_REQUEST.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{
            DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
        },
    },
    protocol::StrBytes,
};

use super::{
    Api, Call,
    create_topics::{SOURCE_DEFAULT, SOURCE_TOPIC},
};
use crate::{
    broker_config,
    catalogue::Topic,
    core::{Core, NODE_ID},
    topic_config::DEFINITIONS,
    wire::shape::{BOOL, I8, Kind, Shape, TEXT, all, since},
};

/// Resource types of the protocol.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;
/// A broker setting chosen at start.
const SOURCE_STATIC: i8 = 4;

/// The handler.
pub(crate) struct DescribeConfigs;

impl Api for DescribeConfigs {
    const KEY: ApiKey = ApiKey::DescribeConfigs;
    const VERSIONS: (i16, i16) = (1, 4);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            all(Kind::Structs(&[all(I8), all(TEXT), all(Kind::List(&TEXT))])),
            all(BOOL),
            since(3, BOOL),
        ],
    };
    type Request = DescribeConfigsRequest;

    async fn handle(call: Call, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let view = View {
            version: call.version,
            synonyms: request.include_synonyms,
            documentation: request.include_documentation,
        };
        let describe = |resource| describe(&call.core, resource, &view);
        DescribeConfigsResponse::default()
            .with_results(request.resources.into_iter().map(describe).collect())
    }
}

struct View {
    version: i16,
    synonyms: bool,
    documentation: bool,
}

fn describe(core: &Core, resource: DescribeConfigsResource, view: &View) -> DescribeConfigsResult {
    let name = resource.resource_name.as_str();
    let found = match resource.resource_type {
        TOPIC => match core.catalogue.topic(name) {
            Some(topic) => Ok(topic_settings(&topic, view)),
            None => Err((ResponseError::UnknownTopicOrPartition, "topic does not exist")),
        },
        BROKER if name.is_empty() => Ok(Vec::new()),
        BROKER if name == NODE_ID.0.to_string() => Ok(broker_settings(core, view)),
        BROKER => Err((ResponseError::InvalidRequest, "the only broker is broker 1")),
        _ => Err((ResponseError::InvalidRequest, "only topics and brokers have settings")),
    };
    let keys = resource.configuration_keys;
    let result = DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name);
    match found {
        Ok(mut settings) => {
            if let Some(keys) = keys.filter(|keys| !keys.is_empty()) {
                settings.retain(|setting| keys.contains(&setting.name));
            }
            result.with_configs(settings)
        }
        Err((error, message)) => result
            .with_error_code(error.code())
            .with_error_message(Some(StrBytes::from_static_str(message))),
    }
}

fn topic_settings(topic: &Topic, view: &View) -> Vec<DescribeConfigsResourceResult> {
    let setting = |definition: &'static crate::topic_config::Definition| {
        let chosen = topic.config.overridden(definition.name);
        let value = topic.config.get(definition.name).to_owned();
        let source = if chosen { SOURCE_TOPIC } else { SOURCE_DEFAULT };
        let mut synonyms = vec![synonym(definition.name, definition.default, SOURCE_DEFAULT)];
        if chosen {
            synonyms.insert(0, synonym(definition.name, &value, SOURCE_TOPIC));
        }
        let described = Described { kind: definition.kind.code(), text: definition.documentation };
        view.result(definition.name, value, source, synonyms, &described).with_read_only(false)
    };
    DEFINITIONS.iter().map(setting).collect()
}

fn broker_settings(core: &Core, view: &View) -> Vec<DescribeConfigsResourceResult> {
    let setting = |(name, value, kind, text): broker_config::Setting| {
        let synonyms = vec![synonym(name, &value, SOURCE_STATIC)];
        let described = Described { kind: kind.code(), text };
        view.result(name, value, SOURCE_STATIC, synonyms, &described).with_read_only(true)
    };
    broker_config::settings(&core.options, NODE_ID.0).into_iter().map(setting).collect()
}

struct Described {
    kind: i8,
    text: &'static str,
}

fn synonym(name: &'static str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_string(value.to_owned())))
        .with_source(source)
}

impl View {
    fn result(
        &self,
        name: &'static str,
        value: String,
        source: i8,
        synonyms: Vec<DescribeConfigsSynonym>,
        described: &Described,
    ) -> DescribeConfigsResourceResult {
        let mut result = DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_config_source(source);
        if self.synonyms {
            result.synonyms = synonyms;
        }
        if self.version >= 3 {
            result.config_type = described.kind;
            if self.documentation {
                result.documentation = Some(StrBytes::from_static_str(described.text));
            }
        }
        result
    }
}
