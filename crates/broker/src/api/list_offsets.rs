//! ListOffsets (key 2), versions 1-8.
//!
//! - Timestamps: -1 latest (high watermark, or last stable offset for `read_committed`, v2+),
//!   -2 earliest, -3 record with the largest time (v7+), -4 earliest on local disk (v8), else the
//!   first record at or after a time; -1 as offset when there is none.
//! - Not implemented: tiered storage (-5).

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
};
use throughline_log::Partition;

use super::{Api, Call};
use crate::{
    core::LEADER_EPOCH,
    store,
    wire::shape::{I8, I32, I64, Kind, Shape, TEXT, all, since},
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;

/// The handler.
pub(crate) struct ListOffsets;

impl Api for ListOffsets {
    const KEY: ApiKey = ApiKey::ListOffsets;
    const VERSIONS: (i16, i16) = (1, 8);
    const SHAPE: Shape = Shape {
        flexible: 6,
        fields: &[
            all(I32),
            since(2, I8),
            all(Kind::Structs(&[
                all(TEXT),
                all(Kind::Structs(&[all(I32), since(4, I32), all(I64)])),
            ])),
        ],
    };
    type Request = ListOffsetsRequest;

    async fn handle(call: Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let committed = request.isolation_level == 1;
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let known = call.core.catalogue.topic(&topic.name);
            let answer = |wanted: &ListOffsetsPartition| {
                let partition = known.as_ref().and_then(|t| t.partition(wanted.partition_index));
                let found = match partition {
                    Some(partition) => find(partition, wanted, committed),
                    None => Err(ResponseError::UnknownTopicOrPartition),
                };
                respond(wanted.partition_index, found, call.version)
            };
            let partitions = topic.partitions.iter().map(answer).collect();
            topics.push(
                ListOffsetsTopicResponse::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        ListOffsetsResponse::default().with_topics(topics)
    }
}

/// The offset and its time; either is -1 when not known.
fn find(
    partition: &Partition,
    wanted: &ListOffsetsPartition,
    committed: bool,
) -> Result<(i64, i64), ResponseError> {
    if wanted.current_leader_epoch > LEADER_EPOCH {
        return Err(ResponseError::UnknownLeaderEpoch);
    }
    let ends = partition.ends();
    let end = if committed { ends.last_stable_offset } else { ends.high_watermark };
    let timed = match wanted.timestamp {
        LATEST => return Ok((end, -1)),
        EARLIEST | EARLIEST_LOCAL => return Ok((ends.log_start, -1)),
        MAX_TIMESTAMP => partition.max_timestamp(),
        timestamp if timestamp >= 0 => partition.offset_for_time(timestamp),
        _ => return Err(ResponseError::UnsupportedVersion),
    };
    match timed.map_err(|error| store::read_error(&error))? {
        Some(found) if found.offset < end => Ok((found.offset, found.timestamp)),
        _ => Ok((-1, -1)),
    }
}

fn respond(
    index: i32,
    found: Result<(i64, i64), ResponseError>,
    version: i16,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(index);
    match found {
        Err(error) => response.with_error_code(error.code()),
        Ok((offset, timestamp)) => {
            let response = response.with_offset(offset).with_timestamp(timestamp);
            match version >= 4 {
                true => response.with_leader_epoch(LEADER_EPOCH),
                false => response,
            }
        }
    }
}
