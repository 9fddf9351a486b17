//! Writes answers in the order of their requests, several in one system call where they are ready.

use std::{collections::VecDeque, io, io::IoSlice};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, mpsc},
    task::JoinHandle,
};

use crate::api::{Fatal, Outgoing};

/// Bytes collected before they are written, if further answers are already there.
const COALESCE: usize = 256 * 1024;
/// Slices passed to one vectored write.
const SLICES: usize = 64;

/// A request that was taken and whose answer is due.
#[derive(Debug)]
pub(crate) struct Due {
    /// The answer or the task that makes it.
    pub(crate) answer: Answer,
    /// The request's share of the memory budget, held until it is answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// An answer, made or in the making.
#[derive(Debug)]
pub(crate) enum Answer {
    Ready(Result<Outgoing, Fatal>),
    Later(Task),
}

/// A task that makes an answer. Dropping it stops only those that do nothing but wait.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) handle: JoinHandle<Result<Outgoing, Fatal>>,
    pub(crate) abort_on_drop: bool,
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.abort_on_drop {
            self.handle.abort();
        }
    }
}

/// Why no further answers can be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteEnd {
    #[error("could not write to the socket")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Fatal(#[from] Fatal),
    #[error("the handler panicked")]
    Panicked,
}

/// Writes until the queue is closed and empty, and tells `written` how many bytes went out.
pub(crate) async fn write_answers<W: AsyncWrite + Unpin>(
    mut sink: W,
    mut queue: mpsc::Receiver<Due>,
    mut written: impl FnMut(usize),
) -> Result<(), WriteEnd> {
    let mut pending: VecDeque<Bytes> = VecDeque::new();
    let mut held = Vec::new();
    let mut size = 0;
    loop {
        let due = match queue.try_recv() {
            Ok(due) => due,
            Err(_) => {
                flush(&mut sink, &mut pending).await?;
                written(std::mem::take(&mut size));
                held.clear();
                match queue.recv().await {
                    Some(due) => due,
                    None => return Ok(()),
                }
            }
        };
        let outgoing = match due.answer {
            Answer::Ready(outgoing) => outgoing?,
            Answer::Later(mut task) => {
                if !task.handle.is_finished() {
                    flush(&mut sink, &mut pending).await?;
                    written(std::mem::take(&mut size));
                    held.clear();
                }
                (&mut task.handle).await.map_err(|_| WriteEnd::Panicked)??
            }
        };
        let (bytes, share) = outgoing.append_to(&mut pending);
        size += bytes;
        held.push(due.permit);
        held.extend(share);
        if size >= COALESCE {
            flush(&mut sink, &mut pending).await?;
            written(std::mem::take(&mut size));
            held.clear();
        }
    }
}

async fn flush<W: AsyncWrite + Unpin>(
    sink: &mut W,
    pending: &mut VecDeque<Bytes>,
) -> io::Result<()> {
    while !pending.is_empty() {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(pending.iter()) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let mut done = sink.write_vectored(slices.get(..count).unwrap_or(&[])).await?;
        if done == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = pending.front_mut() {
            if done < first.len() {
                first.advance(done);
                break;
            }
            done -= first.len();
            pending.pop_front();
        }
    }
    Ok(())
}
