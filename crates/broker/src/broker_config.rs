//! The broker's own settings as DescribeConfigs shows them. They are chosen at start and read-only.

use crate::{options::BrokerOptions, topic_config::Kind};

/// One setting: name, value, type and explanation.
pub(crate) type Setting = (&'static str, String, Kind, &'static str);

/// Every setting, by name.
pub(crate) fn settings(options: &BrokerOptions, node_id: i32) -> Vec<Setting> {
    let minutes = options.offsets_retention.as_secs() / 60;
    let delay = options.initial_rebalance_delay.as_millis();
    let partitions = options.default_partitions;
    vec![
        (
            "auto.create.topics.enable",
            options.auto_create_topics.to_string(),
            Kind::Boolean,
            "whether the first use of a topic creates it",
        ),
        ("broker.id", node_id.to_string(), Kind::Int, "the id of the only broker"),
        ("default.replication.factor", "1".to_owned(), Kind::Int, "there is one broker"),
        (
            "group.initial.rebalance.delay.ms",
            delay.to_string(),
            Kind::Int,
            "how long the first join of an empty group waits for others",
        ),
        (
            "max.connections",
            options.max_connections.to_string(),
            Kind::Int,
            "connections at a time",
        ),
        ("num.partitions", partitions.to_string(), Kind::Int, "partitions of a new topic"),
        (
            "offsets.retention.minutes",
            minutes.to_string(),
            Kind::Int,
            "how long offsets outlive the last member of their group",
        ),
        (
            "queued.max.request.bytes",
            options.in_flight_bytes.to_string(),
            Kind::Long,
            "bytes of requests in memory over all connections",
        ),
        (
            "socket.request.max.bytes",
            options.max_request_bytes.to_string(),
            Kind::Int,
            "the largest request",
        ),
    ]
}
