//! The routes: which API keys and versions are served, and by which file.
//!
//! Fetch and ListOffsets read segment files on the runtime's worker thread that handles the
//! request. What consumers read is mostly still in the system's page cache, where a read is a copy
//! that costs less than handing it to another thread would, and nobody can ask beforehand whether
//! it is. The price: a read from a cold disk holds up its worker thread for as long as the disk
//! takes, for at most about a mebibyte at a time unless a consumer insists on more, so a process
//! with a broker needs more than one worker thread. What syncs, creates, removes or cleans files
//! runs on threads of its own.

pub(crate) mod add_offsets_to_txn;
pub(crate) mod add_partitions_to_txn;
pub(crate) mod alter_configs;
pub(crate) mod api_versions;
pub(crate) mod create_partitions;
pub(crate) mod create_topics;
pub(crate) mod delete_groups;
pub(crate) mod delete_records;
pub(crate) mod delete_topics;
pub(crate) mod describe_cluster;
pub(crate) mod describe_configs;
pub(crate) mod describe_groups;
pub(crate) mod describe_log_dirs;
pub(crate) mod describe_producers;
pub(crate) mod describe_transactions;
pub(crate) mod end_txn;
pub(crate) mod fetch;
pub(crate) mod find_coordinator;
pub(crate) mod heartbeat;
pub(crate) mod incremental_alter_configs;
pub(crate) mod init_producer_id;
pub(crate) mod join_group;
pub(crate) mod leave_group;
pub(crate) mod list_groups;
pub(crate) mod list_offsets;
pub(crate) mod list_transactions;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_delete;
pub(crate) mod offset_fetch;
pub(crate) mod offset_for_leader_epoch;
pub(crate) mod produce;
pub(crate) mod sync_group;
pub(crate) mod txn_offset_commit;

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::ApiKey,
    protocol::{Decodable, Encodable, HeaderVersion, Request},
};

use tokio::sync::OwnedSemaphorePermit;

use crate::{
    core::{Client, Core},
    wire::{Malformed, shape::Shape},
};

/// Every API that is served, by key. ApiVersions answers from this list.
pub(crate) static ROUTES: &[Route] = &[
    produce::ROUTE,
    fetch::ROUTE,
    Route::of::<list_offsets::ListOffsets>(),
    Route::of::<metadata::Metadata>(),
    Route::of::<offset_commit::OffsetCommit>(),
    Route::of::<offset_fetch::OffsetFetch>(),
    Route::of::<find_coordinator::FindCoordinator>(),
    Route::of::<join_group::JoinGroup>(),
    Route::of::<heartbeat::Heartbeat>(),
    Route::of::<leave_group::LeaveGroup>(),
    Route::of::<sync_group::SyncGroup>(),
    Route::of::<describe_groups::DescribeGroups>(),
    Route::of::<list_groups::ListGroups>(),
    Route::of::<api_versions::ApiVersions>(),
    Route::of::<create_topics::CreateTopics>(),
    Route::of::<delete_topics::DeleteTopics>(),
    Route::of::<delete_records::DeleteRecords>(),
    Route::of::<init_producer_id::InitProducerId>(),
    Route::of::<offset_for_leader_epoch::OffsetForLeaderEpoch>(),
    Route::of::<add_partitions_to_txn::AddPartitionsToTxn>(),
    Route::of::<add_offsets_to_txn::AddOffsetsToTxn>(),
    Route::of::<end_txn::EndTxn>(),
    Route::of::<txn_offset_commit::TxnOffsetCommit>(),
    Route::of::<describe_configs::DescribeConfigs>(),
    Route::of::<alter_configs::AlterConfigs>(),
    Route::of::<describe_log_dirs::DescribeLogDirs>(),
    Route::of::<create_partitions::CreatePartitions>(),
    Route::of::<delete_groups::DeleteGroups>(),
    Route::of::<incremental_alter_configs::IncrementalAlterConfigs>(),
    Route::of::<offset_delete::OffsetDelete>(),
    Route::of::<describe_cluster::DescribeCluster>(),
    Route::of::<describe_producers::DescribeProducers>(),
    Route::of::<describe_transactions::DescribeTransactions>(),
    Route::of::<list_transactions::ListTransactions>(),
];

/// The route of an API key.
pub(crate) fn route(api_key: i16) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.key as i16 == api_key)
}

/// One API: its versions, its layout and its behavior.
pub(crate) trait Api: 'static {
    /// The API key.
    const KEY: ApiKey;
    /// First and last version served.
    const VERSIONS: (i16, i16);
    /// The layout of requests.
    const SHAPE: Shape;
    /// The request; it knows its key and its response.
    type Request: Request + Send;

    /// Answers one request. Runs on the connection's task until it first waits, so requests of one
    /// connection take effect in order.
    fn handle(
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = <Self::Request as Request>::Response> + Send;
}

/// What surrounds a request.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) core: Arc<Core>,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    pub(crate) client: Arc<Client>,
}

/// A request in the making of its answer.
pub(crate) type Handling = Pin<Box<dyn Future<Output = Result<Outgoing, Fatal>> + Send>>;

/// An API in the list of routes.
pub(crate) struct Route {
    pub(crate) key: ApiKey,
    pub(crate) first: i16,
    pub(crate) last: i16,
    pub(crate) shape: Shape,
    /// The handler only reads and waits, so it is stopped when its client is gone.
    pub(crate) abort_on_close: bool,
    pub(crate) run: fn(Call, Bytes) -> Handling,
}

impl Route {
    const fn of<A: Api>() -> Self {
        Self {
            key: A::KEY,
            first: A::VERSIONS.0,
            last: A::VERSIONS.1,
            shape: A::SHAPE,
            abort_on_close: false,
            run: run::<A>,
        }
    }

    /// Whether `version` is served.
    pub(crate) fn serves(&self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// The API's name in metrics and logs.
    pub(crate) fn name(&self) -> String {
        format!("{:?}", self.key)
    }
}

fn run<A: Api>(call: Call, body: Bytes) -> Handling {
    Box::pin(async move {
        let (version, correlation_id) = (call.version, call.correlation_id);
        let request: A::Request = decode(body, version)?;
        let response = A::handle(call, request).await;
        encode(correlation_id, version, &response).map(Outgoing::One)
    })
}

/// Decodes a body whose layout was checked.
pub(crate) fn decode<R: Decodable>(mut body: Bytes, version: i16) -> Result<R, Fatal> {
    R::decode(&mut body, version).map_err(|error| Fatal::Decode { reason: error.to_string() })
}

/// A whole response frame.
pub(crate) fn encode<R: Encodable + HeaderVersion>(
    correlation_id: i32,
    version: i16,
    response: &R,
) -> Result<Bytes, Fatal> {
    let size = response
        .compute_size(version)
        .map_err(|error| Fatal::Encode { reason: error.to_string() })?;
    let mut out = BytesMut::with_capacity(size + 9);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&correlation_id.to_be_bytes());
    if R::header_version(version) >= 1 {
        out.extend_from_slice(&[0]);
    }
    response
        .encode(&mut out, version)
        .map_err(|error| Fatal::Encode { reason: error.to_string() })?;
    frame(out)
}

/// Fills in the length prefix, for which `out` begins with four bytes.
pub(crate) fn frame(mut out: BytesMut) -> Result<Bytes, Fatal> {
    let length = i32::try_from(out.len() - 4)
        .map_err(|_| Fatal::Encode { reason: "the response is larger than 2 GiB".to_owned() })?;
    if let Some(prefix) = out.first_chunk_mut::<4>() {
        *prefix = length.to_be_bytes();
    }
    Ok(out.freeze())
}

/// An answer as it is written to the socket.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// `acks=0`: the client expects nothing.
    Nothing,
    /// One whole frame.
    One(Bytes),
    /// A frame in parts, so that records are not copied once more.
    Parts {
        parts: Vec<Bytes>,
        /// The answer's part of the budget for answers, held until it is written.
        share: Option<OwnedSemaphorePermit>,
    },
}

impl Outgoing {
    /// Queues the bytes; returns how many there are, and what to hold until they are written.
    pub(crate) fn append_to(
        self,
        queue: &mut VecDeque<Bytes>,
    ) -> (usize, Option<OwnedSemaphorePermit>) {
        let before = queue.len();
        let share = match self {
            Outgoing::Nothing => None,
            Outgoing::One(bytes) => {
                queue.push_back(bytes);
                None
            }
            Outgoing::Parts { parts, share } => {
                queue.extend(parts.into_iter().filter(|part| !part.is_empty()));
                share
            }
        };
        (queue.iter().skip(before).map(Bytes::len).sum(), share)
    }
}

/// Why a connection is closed instead of answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fatal {
    #[error("the request is malformed")]
    Malformed(#[from] Malformed),
    #[error("the request could not be decoded: {reason}")]
    Decode { reason: String },
    #[error("the response could not be encoded: {reason}")]
    Encode { reason: String },
    #[error("an unacknowledged produce request failed with error code {code}")]
    Unacknowledged { code: i16 },
    #[error("the handler panicked")]
    Panicked,
    #[error("the broker is shutting down")]
    ShuttingDown,
}

#[cfg(test)]
mod tests;
