//! What every handler shares.

use std::{net::SocketAddr, sync::Arc};

use kafka_protocol::messages::BrokerId;
use throughline_log::LogDir;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    catalogue::Catalogue, group::Groups, metrics::Metrics, options::BrokerOptions,
    transaction::Transactions,
};

/// The id of the only node.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);
/// The leader epoch of every partition: leadership never changes.
pub(crate) const LEADER_EPOCH: i32 = 0;

/// The state of the broker.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) options: BrokerOptions,
    /// Where clients are told to connect.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) log: LogDir,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) groups: Arc<Groups>,
    pub(crate) transactions: Transactions,
    pub(crate) metrics: Arc<Metrics>,
    /// Memory for records on their way to consumers.
    pub(crate) responses: Arc<Semaphore>,
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
}

impl Core {
    /// Waits for room for `bytes` of records in answers. An answer larger than the whole budget
    /// waits until it is alone.
    pub(crate) async fn response_share(&self, bytes: usize) -> OwnedSemaphorePermit {
        let responses = Arc::clone(&self.responses);
        let permits = self.response_permits(bytes);
        responses.acquire_many_owned(permits).await.expect("the budget is never closed")
    }

    /// Room for `bytes` of records in answers, if there is any now.
    pub(crate) fn try_response_share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.responses).try_acquire_many_owned(self.response_permits(bytes)).ok()
    }

    fn response_permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.options.in_flight_bytes)).unwrap_or(u32::MAX)
    }

    /// The port as the protocol writes it.
    pub(crate) fn port(&self) -> i32 {
        i32::from(self.port)
    }
}
