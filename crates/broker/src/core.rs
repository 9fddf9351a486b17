//! What every handler shares.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use kafka_protocol::messages::BrokerId;
use throughline_log::LogDir;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    catalogue::Catalogue, group::Groups, metrics::Metrics, options::BrokerOptions,
    transaction::Transactions,
};

/// The id of the only node.
pub(crate) const NODE_ID: BrokerId = BrokerId(1);
/// The leader epoch of every partition: leadership never changes.
pub(crate) const LEADER_EPOCH: i32 = 0;
/// How long an answer waits for memory before it goes without records, after which its client asks
/// again. Answers of one connection are written in order, so those behind it may hold what it waits
/// for.
pub(crate) const SHARE_WAIT: Duration = Duration::from_secs(5);

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
    /// Waits for room for `bytes` of records in answers, in turn; `None` if there is none for long.
    /// An answer larger than the whole budget waits until it is alone.
    pub(crate) async fn response_share(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let share = Arc::clone(&self.responses).acquire_many_owned(self.response_permits(bytes));
        Some(timeout(SHARE_WAIT, share).await.ok()?.expect("the budget is never closed"))
    }

    /// Gives back what `share` has beyond `bytes`.
    pub(crate) fn give_back(&self, share: &mut OwnedSemaphorePermit, bytes: usize) {
        let used = self.response_permits(bytes) as usize;
        drop(share.split(share.num_permits().saturating_sub(used)));
    }

    fn response_permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.options.in_flight_bytes)).unwrap_or(u32::MAX)
    }

    /// The port as the protocol writes it.
    pub(crate) fn port(&self) -> i32 {
        i32::from(self.port)
    }
}
