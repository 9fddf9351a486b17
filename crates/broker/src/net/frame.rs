//! Reads length-prefixed frames without trusting the length.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// A frame that has begun must be complete within this time; otherwise a stalled client would
/// keep its part of the memory budget for ever.
const FRAME_TIMEOUT: Duration = Duration::from_secs(60);
/// Memory is reserved in steps of this size, as bytes arrive, never by the claimed length.
const STEP: usize = 1024 * 1024;
/// Buffer of a connection between requests.
const IDLE_BUFFER: usize = 4 * 1024;

/// Why reading frames ended other than by the client closing the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("could not read from the socket")]
    Io(#[from] io::Error),
    #[error("frame of {length} bytes, allowed are 8 to {limit}")]
    Length { length: i32, limit: usize },
    #[error("a frame was begun and not finished in {} s", FRAME_TIMEOUT.as_secs())]
    Stalled,
    #[error("the connection ended inside a frame")]
    Torn,
}

/// One request as it came, and its share of the memory budget.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Header and body, without the length prefix.
    pub(crate) bytes: Bytes,
    /// Given back when the answer is written.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Reads the frames of one connection.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    source: R,
    buffer: BytesMut,
    limit: usize,
    budget: Arc<Semaphore>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames of at most `limit` bytes, in memory only as far as `budget` has room.
    pub(crate) fn new(source: R, limit: usize, budget: Arc<Semaphore>) -> Self {
        Self { source, buffer: BytesMut::new(), limit, budget }
    }

    /// The next frame, or `None` when the client closed the connection between two frames.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        while self.buffer.len() < 4 {
            self.buffer.reserve(IDLE_BUFFER);
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(FrameError::Torn) };
            }
        }
        let length = self.buffer.get_i32();
        let wanted = usize::try_from(length)
            .ok()
            .filter(|wanted| (8..=self.limit).contains(wanted))
            .ok_or(FrameError::Length { length, limit: self.limit })?;
        timeout(FRAME_TIMEOUT, self.body(wanted)).await.map_err(|_| FrameError::Stalled)?.map(Some)
    }

    async fn body(&mut self, wanted: usize) -> Result<Frame, FrameError> {
        let mut permit = self.share(wanted.min(STEP)).await;
        let mut covered = wanted.min(STEP);
        self.buffer.reserve(covered.saturating_sub(self.buffer.len()));
        while self.buffer.len() < wanted {
            if self.buffer.len() >= covered {
                let step = (wanted - covered).min(STEP);
                permit.merge(self.share(step).await);
                covered += step;
                self.buffer.reserve(step);
            }
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Err(FrameError::Torn);
            }
        }
        if covered < wanted {
            permit.merge(self.share(wanted - covered).await);
        }
        Ok(Frame { bytes: self.buffer.split_to(wanted).freeze(), permit })
    }

    async fn share(&self, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = u32::try_from(bytes).expect("a step fits in 32 bits");
        let budget = Arc::clone(&self.budget);
        budget.acquire_many_owned(bytes).await.expect("the budget is never closed")
    }
}

#[cfg(test)]
mod tests;
