//! Connections: accept, read frames within a memory budget, handle requests concurrently, answer
//! in the order of the requests.
//!
//! Each request is first polled on its connection's own task, so that requests take effect in the
//! order in which they were sent (an idempotent producer pipelines five batches); whatever then
//! has to wait (a disk, a rebalance, new data) goes on in a task of its own.

pub(crate) mod connection;
pub(crate) mod frame;
pub(crate) mod listener;
pub(crate) mod writer;
