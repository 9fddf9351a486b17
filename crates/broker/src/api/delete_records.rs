//! DeleteRecords (key 21), versions 0-2.
//!
//! - Moves the log start to an offset, -1 meaning the high watermark; durable when answered.
//! - Beyond the high watermark: OFFSET_OUT_OF_RANGE. On a topic that is only compacted:
//!   POLICY_VIOLATION, as in Kafka.

use std::sync::Arc;

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DeleteRecordsRequest, DeleteRecordsResponse,
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};
use throughline_log::{LogError, Partition};

use super::{Api, Call};
use crate::{
    catalogue::Topic,
    store,
    wire::shape::{I32, I64, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct DeleteRecords;

impl Api for DeleteRecords {
    const KEY: ApiKey = ApiKey::DeleteRecords;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: Shape = Shape {
        flexible: 2,
        fields: &[
            all(Kind::Structs(&[all(TEXT), all(Kind::Structs(&[all(I32), all(I64)]))])),
            all(I32),
        ],
    };
    type Request = DeleteRecordsRequest;

    async fn handle(call: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let known = call.core.catalogue.topic(&topic.name);
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for wanted in &topic.partitions {
                let index = wanted.partition_index;
                let result = DeleteRecordsPartitionResult::default().with_partition_index(index);
                partitions.push(match delete(known.as_deref(), index, wanted.offset).await {
                    Ok(low_watermark) => result.with_low_watermark(low_watermark),
                    Err(error) => result.with_low_watermark(-1).with_error_code(error.code()),
                });
            }
            topics.push(
                DeleteRecordsTopicResult::default()
                    .with_name(topic.name)
                    .with_partitions(partitions),
            );
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }
}

async fn delete(topic: Option<&Topic>, index: i32, offset: i64) -> Result<i64, ResponseError> {
    let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let partition = topic.partition(index).ok_or(ResponseError::UnknownTopicOrPartition)?;
    if topic.internal() {
        return Err(ResponseError::InvalidTopicException);
    }
    if !topic.config.partition_config().delete {
        return Err(ResponseError::PolicyViolation);
    }
    if offset < -1 {
        return Err(ResponseError::OffsetOutOfRange);
    }
    let partition: Arc<Partition> = Arc::clone(partition);
    let deleted = tokio::task::spawn_blocking(move || partition.delete_records(offset)).await;
    match deleted {
        Ok(Ok(low_watermark)) => Ok(low_watermark),
        Ok(Err(LogError::OffsetOutOfRange { .. })) => Err(ResponseError::OffsetOutOfRange),
        Ok(Err(LogError::Refused(error))) => Err(store::append_error(&error)),
        Ok(Err(error)) => {
            tracing::error!(%error, "could not delete records");
            Err(ResponseError::KafkaStorageError)
        }
        Err(_) => Err(ResponseError::UnknownServerError),
    }
}
