//! DeleteGroups (key 42), versions 0-2.
//!
//! - Only groups without members; their committed offsets go with them. Durable when answered.

use kafka_protocol::messages::{
    ApiKey, DeleteGroupsRequest, DeleteGroupsResponse, delete_groups_response::DeletableGroupResult,
};

use super::{Api, Call};
use crate::wire::shape::{Kind, Shape, TEXT, all};

/// The handler.
pub(crate) struct DeleteGroups;

impl Api for DeleteGroups {
    const KEY: ApiKey = ApiKey::DeleteGroups;
    const VERSIONS: (i16, i16) = (0, 2);
    const SHAPE: Shape = Shape { flexible: 2, fields: &[all(Kind::List(&TEXT))] };
    type Request = DeleteGroupsRequest;

    async fn handle(call: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for group in request.groups_names {
            let deleted = call.core.groups.delete(&group).await;
            results.push(
                DeletableGroupResult::default()
                    .with_error_code(deleted.err().map_or(0, |error| error.code()))
                    .with_group_id(group),
            );
        }
        DeleteGroupsResponse::default().with_results(results)
    }
}
