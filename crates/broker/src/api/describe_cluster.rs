//! DescribeCluster (key 60), versions 0-1.
//!
//! - One broker, which is also the controller.
//! - Not implemented: controller endpoints (v1, endpoint type 2), authorized operations.

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, DescribeClusterRequest, DescribeClusterResponse,
        describe_cluster_response::DescribeClusterBroker,
    },
    protocol::StrBytes,
};

use super::{Api, Call};
use crate::{
    core::NODE_ID,
    wire::shape::{BOOL, I8, Shape, all, since},
};

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// The handler.
pub(crate) struct DescribeCluster;

impl Api for DescribeCluster {
    const KEY: ApiKey = ApiKey::DescribeCluster;
    const VERSIONS: (i16, i16) = (0, 1);
    const SHAPE: Shape = Shape { flexible: 0, fields: &[all(BOOL), since(1, I8)] };
    type Request = DescribeClusterRequest;

    async fn handle(call: Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
        let cluster_id = StrBytes::from_string(call.core.catalogue.cluster_id().to_owned());
        let response = DescribeClusterResponse::default().with_cluster_id(cluster_id);
        if call.version >= 1 && request.endpoint_type != BROKERS {
            let error = match request.endpoint_type {
                CONTROLLERS => ResponseError::MismatchedEndpointType,
                _ => ResponseError::UnsupportedEndpointType,
            };
            return response.with_error_code(error.code());
        }
        let broker = DescribeClusterBroker::default()
            .with_broker_id(NODE_ID)
            .with_host(StrBytes::from_string(call.core.host.clone()))
            .with_port(call.core.port());
        response.with_controller_id(NODE_ID).with_brokers(vec![broker])
    }
}
