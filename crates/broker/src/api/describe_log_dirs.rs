//! DescribeLogDirs (key 35), versions 1-4.
//!
//! - One folder with every partition's size. Null topics mean all.
//! - Not implemented: size and free space of the volume (v4), reported as not known.

use kafka_protocol::{
    messages::{
        ApiKey, DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName,
        describe_log_dirs_response::{
            DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
        },
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    catalogue::Topic,
    wire::shape::{I32, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct DescribeLogDirs;

impl Api for DescribeLogDirs {
    const KEY: ApiKey = ApiKey::DescribeLogDirs;
    const VERSIONS: (i16, i16) = (1, 4);
    const SHAPE: Shape =
        Shape { flexible: 2, fields: &[all(Kind::Structs(&[all(TEXT), all(Kind::List(&I32))]))] };
    type Request = DescribeLogDirsRequest;

    async fn handle(call: Call, request: DescribeLogDirsRequest) -> DescribeLogDirsResponse {
        let catalogue = &call.core.catalogue;
        let topics = match &request.topics {
            None => catalogue.topics().iter().map(|topic| describe(topic, |_| true)).collect(),
            Some(wanted) => {
                let described = wanted.iter().filter_map(|wanted| {
                    let topic = catalogue.topic(&wanted.topic)?;
                    Some(describe(&topic, |index| wanted.partitions.contains(&index)))
                });
                described.collect()
            }
        };
        let folder = call.core.options.data_dir.display().to_string();
        let result = DescribeLogDirsResult::default()
            .with_log_dir(StrBytes::from_string(folder))
            .with_topics(topics);
        DescribeLogDirsResponse::default().with_results(vec![result])
    }
}

fn describe(topic: &Topic, wanted: impl Fn(i32) -> bool) -> DescribeLogDirsTopic {
    let partitions = topic.numbered().filter(|(index, _)| wanted(*index)).map(|(index, log)| {
        DescribeLogDirsPartition::default()
            .with_partition_index(index)
            .with_partition_size(i64::try_from(log.size_bytes()).unwrap_or(i64::MAX))
    });
    DescribeLogDirsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.name.to_string())))
        .with_partitions(partitions.collect())
}
