//! One client connection.

use std::{
    future::poll_fn,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::Poll,
};

use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
};

use crate::{
    api::{self, Call, Fatal, Handling, Outgoing, api_versions},
    core::{Client, Core},
    metrics::Refusal,
    wire::{Malformed, header::Header},
};

use super::{
    frame::{Frame, FrameError, FrameReader},
    writer::{Answer, Due, Task, WriteEnd, write_answers},
};

/// Requests of one connection that may wait for their answers; the socket is not read beyond it.
const PIPELINE: usize = 128;

/// Why a connection ended on our side.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Write(#[from] WriteEnd),
    #[error("could not read the request header")]
    Header(#[from] Malformed),
    #[error("the request of API {api_key} version {version} is malformed")]
    Body { api_key: i16, version: i16, source: Malformed },
    #[error("API key {api_key} version {version} is not served")]
    Version { api_key: i16, version: i16 },
    #[error("the answer could not be made")]
    Fatal(#[from] Fatal),
}

impl Closed {
    /// How the metrics count it; `None` when the client just went away.
    fn refusal(&self) -> Option<Refusal> {
        match self {
            Closed::Frame(FrameError::Io(_) | FrameError::Torn)
            | Closed::Write(WriteEnd::Io(_) | WriteEnd::Fatal(Fatal::ShuttingDown))
            | Closed::Fatal(Fatal::ShuttingDown) => None,
            Closed::Write(WriteEnd::Fatal(Fatal::Unacknowledged { .. })) => {
                Some(Refusal::Unacknowledged)
            }
            Closed::Frame(_) => Some(Refusal::Frame),
            Closed::Header(_) | Closed::Body { .. } => Some(Refusal::Malformed),
            Closed::Fatal(Fatal::Decode { .. } | Fatal::Malformed(_))
            | Closed::Write(WriteEnd::Fatal(Fatal::Decode { .. } | Fatal::Malformed(_))) => {
                Some(Refusal::Malformed)
            }
            Closed::Version { .. } => Some(Refusal::Version),
            Closed::Fatal(_) | Closed::Write(_) => Some(Refusal::Internal),
        }
    }
}

/// Serves one connection until either side ends it.
pub(crate) async fn serve(
    core: Arc<Core>,
    stream: TcpStream,
    address: SocketAddr,
    budget: Arc<Semaphore>,
    shutdown: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "could not switch off Nagle's algorithm");
    }
    let (read, write) = stream.into_split();
    let (queue, answers) = mpsc::channel(PIPELINE);
    let metrics = Arc::clone(&core.metrics);
    let written = move |bytes| metrics.network_out.inc_by(bytes as u64);
    let mut writer = tokio::spawn(write_answers(write, answers, written));
    let limit = core.options.max_request_bytes;
    let mut connection = Connection {
        frames: FrameReader::new(read, limit, budget),
        client: Arc::new(Client { address }),
        core,
        queue: Some(queue),
        shutdown,
    };
    let ended = tokio::select! {
        ended = connection.read_requests() => {
            connection.queue = None;
            match ended {
                Ok(()) => join(writer.await),
                // Whatever was answered before a bad frame is still sent.
                Err(closed) => { let _ = join(writer.await); Err(closed) }
            }
        }
        ended = &mut writer => join(ended),
    };
    if let Err(closed) = ended
        && let Some(refusal) = closed.refusal()
    {
        connection.core.metrics.refuse(refusal);
        let cause = std::error::Error::source(&closed).map(ToString::to_string);
        tracing::warn!(client = %address, error = %closed, cause, "closed a connection");
    }
}

fn join(ended: Result<Result<(), WriteEnd>, tokio::task::JoinError>) -> Result<(), Closed> {
    match ended {
        Ok(ended) => ended.map_err(Closed::from),
        Err(_) => Err(Closed::Write(WriteEnd::Panicked)),
    }
}

struct Connection<R> {
    frames: FrameReader<R>,
    client: Arc<Client>,
    core: Arc<Core>,
    queue: Option<mpsc::Sender<Due>>,
    shutdown: watch::Receiver<bool>,
}

impl<R: tokio::io::AsyncRead + Unpin> Connection<R> {
    async fn read_requests(&mut self) -> Result<(), Closed> {
        let mut shutdown = self.shutdown.clone();
        loop {
            let frame = tokio::select! {
                frame = self.frames.next() => frame?,
                _ = shutdown.wait_for(|stop| *stop) => None,
            };
            let Some(Frame { bytes, permit }) = frame else { return Ok(()) };
            self.core.metrics.network_in.inc_by(bytes.len() as u64 + 4);
            let answer = self.begin(bytes).await?;
            let Some(queue) = &self.queue else { return Ok(()) };
            if queue.send(Due { answer, permit }).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Starts one request; it has taken effect, or stands in line for it, when this returns.
    async fn begin(&self, frame: bytes::Bytes) -> Result<Answer, Closed> {
        let known = |key, version| api::route(key).is_some_and(|route| route.serves(version));
        let header = Header::read(&frame, known)?;
        let (api_key, version) = (header.api_key, header.version);
        let Some(route) = api::route(api_key) else {
            return Err(Closed::Version { api_key, version });
        };
        self.core.metrics.request(api_key);
        if !route.serves(version) {
            if api_key == api_versions::KEY {
                let answer = api_versions::unsupported(header.correlation_id);
                return Ok(Answer::Ready(answer.map(Outgoing::One)));
            }
            return Err(Closed::Version { api_key, version });
        }
        let body = frame.slice(header.body..);
        let refused = |source| Closed::Body { api_key, version, source };
        route.shape.check(&body, version).map_err(refused)?;
        let call = Call {
            core: Arc::clone(&self.core),
            version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            client: Arc::clone(&self.client),
        };
        Ok(start((route.run)(call, body), self.shutdown.clone(), route.abort_on_close).await)
    }
}

/// Polls a request once, here; what then has to wait goes on in a task of its own.
async fn start(
    mut handling: Handling,
    mut shutdown: watch::Receiver<bool>,
    abort_on_drop: bool,
) -> Answer {
    let first = poll_fn(|cx| {
        // A panic must not take the answers to earlier requests with it.
        let polled = catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(cx)));
        Poll::Ready(match polled {
            Ok(Poll::Ready(outgoing)) => Some(outgoing),
            Ok(Poll::Pending) => None,
            Err(_) => Some(Err(Fatal::Panicked)),
        })
    });
    if let Some(outgoing) = first.await {
        return Answer::Ready(outgoing);
    }
    let handle = tokio::spawn(async move {
        tokio::select! {
            outgoing = handling => outgoing,
            _ = shutdown.wait_for(|stop| *stop) => Err(Fatal::ShuttingDown),
        }
    });
    Answer::Later(Task { handle, abort_on_drop })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn outcome(handling: Handling) -> Result<(), WriteEnd> {
        let (_stop, shutdown) = watch::channel(false);
        let (queue, answers) = mpsc::channel(1);
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let answer = start(handling, shutdown, false).await;
        queue.send(Due { answer, permit }).await.unwrap();
        drop(queue);
        write_answers(tokio::io::sink(), answers, |_| {}).await
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_ends_its_connection_and_nothing_else() {
        let at_once: Handling = Box::pin(async { panic!("on the connection's task") });
        let closed = outcome(at_once).await.unwrap_err();
        assert!(matches!(closed, WriteEnd::Fatal(Fatal::Panicked)));
        let later: Handling = Box::pin(async {
            tokio::task::yield_now().await;
            panic!("on a task of its own")
        });
        let closed = outcome(later).await.unwrap_err();
        assert!(matches!(closed, WriteEnd::Panicked));
        assert_eq!(
            Closed::from(closed).refusal().map(|r| format!("{r:?}")),
            Some("Internal".into())
        );
    }

    #[tokio::test]
    async fn a_shutdown_ends_requests_that_wait() {
        let (stop, shutdown) = watch::channel(false);
        let answer = start(Box::pin(std::future::pending()), shutdown, true).await;
        stop.send_replace(true);
        let Answer::Later(mut task) = answer else { panic!("it waits") };
        let ended = (&mut task.handle).await.unwrap();
        assert!(matches!(ended, Err(Fatal::ShuttingDown)));
    }
}
