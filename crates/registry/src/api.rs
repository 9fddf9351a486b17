//! Confluent's REST API.
//!
//! [`request`] reads a request and finds its [`Route`](route::Route), [`handlers`] answer it, and
//! [`ApiError`] is every refusal with its code. Everything outside the routes gets a JSON 404: the
//! clients probe newer endpoints (`/associations/...`) and fall back on exactly that.

mod error;
mod handlers;
mod request;
mod route;

pub(crate) use error::ApiError;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use crate::store::Store;
use request::Call;

/// What every answer is.
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) max_body_bytes: usize,
}

/// The HTTP service. Routing is ours rather than axum's, so that every refusal is JSON.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new().fallback(serve).with_state(api)
}

async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    let head = request.method() == Method::HEAD;
    let answer = match Call::read(request, api.max_body_bytes).await {
        Ok(call) => {
            api.store.settle().await;
            handlers::answer(&api.store, call).await
        }
        Err(error) => Err(error),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => refusal(&error),
    };
    respond(status, &body, head)
}

fn refusal(error: &ApiError) -> (StatusCode, Value) {
    if let ApiError::Log { source } = error {
        let cause = source.cause();
        tracing::error!(code = "TL0405", error = %cause, "could not write to the schemas log");
    }
    let body = serde_json::json!({"error_code": error.code(), "message": error.to_string()});
    (error.status(), body)
}

fn respond(status: StatusCode, body: &Value, head: bool) -> Response {
    let text = body.to_string();
    let length = text.len();
    let mut response = Response::new(if head { Body::empty() } else { text.into() });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert(header::CONTENT_LENGTH, length.into());
    response
}
