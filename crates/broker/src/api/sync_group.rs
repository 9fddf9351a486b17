//! SyncGroup (key 14), versions 0-5.
//!
//! - Followers wait for the leader's assignment, which is stored with its generation before
//!   anybody is answered.
//! - v5: protocol type and name must be those of the group.

use bytes::Bytes;
use kafka_protocol::{
    messages::{ApiKey, SyncGroupRequest, SyncGroupResponse},
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    group::member::SyncRequest,
    wire::shape::{BLOB, I32, Kind, Shape, TEXT, all, since},
};

/// The handler.
pub(crate) struct SyncGroup;

impl Api for SyncGroup {
    const KEY: ApiKey = ApiKey::SyncGroup;
    const VERSIONS: (i16, i16) = (0, 5);
    const SHAPE: Shape = Shape {
        flexible: 4,
        fields: &[
            all(TEXT),
            all(I32),
            all(TEXT),
            since(3, TEXT),
            since(5, TEXT),
            since(5, TEXT),
            all(Kind::Structs(&[all(TEXT), all(BLOB)])),
        ],
    };
    type Request = SyncGroupRequest;

    async fn handle(call: Call, request: SyncGroupRequest) -> SyncGroupResponse {
        let owned = |text: &Option<StrBytes>| text.as_ref().map(ToString::to_string);
        let assignments = request.assignments.iter().map(|assignment| {
            (assignment.member_id.to_string(), Bytes::copy_from_slice(&assignment.assignment))
        });
        let sync = SyncRequest {
            member_id: request.member_id.to_string(),
            instance_id: owned(&request.group_instance_id),
            generation: request.generation_id,
            protocol_type: owned(&request.protocol_type),
            protocol: owned(&request.protocol_name),
            assignments: assignments.collect(),
        };
        let response = SyncGroupResponse::default();
        match call.core.groups.sync(&request.group_id, sync).await {
            Err(error) => response.with_error_code(error.code()),
            Ok(synced) => {
                let response = response.with_assignment(synced.assignment);
                if call.version < 5 {
                    return response;
                }
                response
                    .with_protocol_type(Some(StrBytes::from_string(synced.protocol_type)))
                    .with_protocol_name(Some(StrBytes::from_string(synced.protocol)))
            }
        }
    }
}
