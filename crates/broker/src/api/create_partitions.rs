//! CreatePartitions (key 37), versions 0-3.
//!
//! - Durable when answered; the number can only grow. `validate_only` changes nothing.
//! - A manual assignment must name this broker for every new partition.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, CreatePartitionsRequest, CreatePartitionsResponse,
        create_partitions_request::CreatePartitionsTopic,
        create_partitions_response::CreatePartitionsTopicResult,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    catalogue::CatalogueError,
    core::{Core, NODE_ID},
    wire::shape::{BOOL, I32, Kind, Shape, TEXT, all},
};

/// The handler.
pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    const KEY: ApiKey = ApiKey::CreatePartitions;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape {
        flexible: 2,
        fields: &[
            all(Kind::Structs(&[
                all(TEXT),
                all(I32),
                all(Kind::Structs(&[all(Kind::List(&I32))])),
            ])),
            all(I32),
            all(BOOL),
        ],
    };
    type Request = CreatePartitionsRequest;

    async fn handle(call: Call, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let outcome = grow(&call.core, &topic, request.validate_only).await;
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            results.push(match outcome {
                Ok(()) => result,
                Err((error, message)) => result
                    .with_error_code(error.code())
                    .with_error_message(Some(StrBytes::from_string(message))),
            });
        }
        CreatePartitionsResponse::default().with_results(results)
    }
}

async fn grow(
    core: &Core,
    wanted: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), (ResponseError, String)> {
    let refused = |error: CatalogueError| (error.code(), error.to_string());
    let topic = core.catalogue.topic(&wanted.name).ok_or(refused(CatalogueError::Unknown))?;
    core.catalogue.check_growth(&topic, wanted.count).map_err(refused)?;
    if let Some(assignments) = &wanted.assignments {
        let added = usize::try_from(wanted.count).unwrap_or(0) - topic.partitions.len();
        let ours = assignments.iter().all(|assignment| assignment.broker_ids == [NODE_ID]);
        if assignments.len() != added || !ours {
            let text = "an assignment must name broker 1 for every new partition";
            return Err((ResponseError::InvalidReplicaAssignment, text.to_owned()));
        }
    }
    if validate_only {
        return Ok(());
    }
    core.catalogue.grow(&wanted.name, wanted.count).await.map_err(refused)
}
