//! ApiVersions (key 18), versions 0-3.
//!
//! - Answers from the list of routes, so it cannot promise what is not served.
//! - A version beyond 3 is answered in version 0 with UNSUPPORTED_VERSION, as Kafka does, so that
//!   newer clients can fall back.
//! - No tagged fields are ever sent: librdkafka before 2.2 misreads them.
//! - Not implemented: feature flags.

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion,
    },
};

use super::{Api, Call, Fatal, ROUTES, encode};
use crate::wire::shape::{Shape, TEXT, since};

/// The key, for the one API that answers versions it does not serve.
pub(crate) const KEY: i16 = ApiKey::ApiVersions as i16;

/// The handler.
pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    const KEY: ApiKey = ApiKey::ApiVersions;
    const VERSIONS: (i16, i16) = (0, 3);
    const SHAPE: Shape = Shape { flexible: 3, fields: &[since(3, TEXT), since(3, TEXT)] };
    type Request = ApiVersionsRequest;

    async fn handle(_: Call, _: ApiVersionsRequest) -> ApiVersionsResponse {
        ApiVersionsResponse::default().with_api_keys(served())
    }
}

pub(super) fn served() -> Vec<ApiVersion> {
    let version = |route: &super::Route| {
        ApiVersion::default()
            .with_api_key(route.key as i16)
            .with_min_version(route.first)
            .with_max_version(route.last)
    };
    ROUTES.iter().map(version).collect()
}

/// The answer to a version that is not served.
pub(crate) fn unsupported(correlation_id: i32) -> Result<Bytes, Fatal> {
    let response = ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(served());
    encode(correlation_id, 0, &response)
}
