//! How long a connection may take for what: one deadline at a time, which moves with what the connection does. hyper's own
//! time-out of a header counts the time between two requests as well, and it has none for an answer that nobody reads.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

use crate::{config::Web, model::web::Refusal};

/// What a connection does.
struct State {
    /// When the requests that are being answered began; over HTTP/2 there may be several.
    requests: BTreeMap<u64, Instant>,
    /// Number of the next one.
    next: u64,
    /// Whether a header is on its way, or the first one not even begun.
    is_header: bool,
    /// Since when it is, or since when there is none.
    since: Instant,
}

/// The deadlines of one connection.
pub(super) struct Pace {
    limits: Web,
    state: Mutex<State>,
    changed: Notify,
}

impl Pace {
    /// Of a connection that has just begun.
    pub(super) fn new(limits: Web) -> Arc<Self> {
        let state = State { requests: BTreeMap::new(), next: 0, is_header: true, since: Instant::now() };
        Arc::new(Self { limits, state: Mutex::new(state), changed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    fn read(&self) {
        let mut state = self.state();
        if state.requests.is_empty() && !state.is_header {
            (state.is_header, state.since) = (true, Instant::now());
            self.changed.notify_one();
        }
    }

    /// A request is being answered for as long as what comes back lives.
    pub(super) fn request(self: &Arc<Self>) -> Request {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.requests.insert(number, Instant::now());
        self.changed.notify_one();
        Request { pace: self.clone(), number }
    }

    fn answered(&self, number: u64) {
        let mut state = self.state();
        state.requests.remove(&number);
        (state.is_header, state.since) = (false, Instant::now());
        self.changed.notify_one();
    }

    fn due(&self) -> (Instant, Option<Refusal>) {
        let state = self.state();
        match state.requests.values().next() {
            Some(oldest) => (*oldest + self.limits.request_timeout, Some(Refusal::RequestTimeout)),
            None if state.is_header => (state.since + self.limits.header_timeout, Some(Refusal::HeaderTimeout)),
            // Nobody was refused anything.
            None => (state.since + self.limits.idle_timeout, None),
        }
    }

    /// Waits until a deadline has passed.
    pub(super) async fn over(&self) -> Option<Refusal> {
        loop {
            let (due, refusal) = self.due();
            tokio::select! {
                () = tokio::time::sleep_until(due) => return refusal,
                () = self.changed.notified() => {}
            }
        }
    }
}

/// A request that is being answered.
pub(super) struct Request {
    pace: Arc<Pace>,
    number: u64,
}

impl Drop for Request {
    fn drop(&mut self) {
        self.pace.answered(self.number);
    }
}

/// A body that is part of its request until its end.
pub(super) struct Paced {
    body: Body,
    _request: Request,
}

impl Paced {
    pub(super) fn new(body: Body, request: Request) -> Self {
        Self { body, _request: request }
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that tells when bytes come.
pub(super) struct Watched<S> {
    stream: S,
    /// None where bytes between two requests are no header, as in HTTP/2.
    pace: Option<Arc<Pace>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, pace: Option<Arc<Pace>>) -> Self {
        Self { stream, pace }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let Some(pace) = self.pace.as_ref().filter(|_| buffer.filled().len() > before) {
            pace.read();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace() -> Arc<Pace> {
        Pace::new(Web {
            header_timeout: 10 * SECOND,
            request_timeout: 30 * SECOND,
            idle_timeout: 100 * SECOND,
            ..Web::default()
        })
    }

    /// For how long from now on it may go on like this, and what it is then; the clock is tokio's, and stands still.
    async fn left(pace: &Pace) -> (u64, Option<Refusal>) {
        let before = Instant::now();
        let refusal = pace.over().await;
        (before.elapsed().as_secs(), refusal)
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_its_time_from_the_first_byte_on() {
        let pace = pace();
        advance(3 * SECOND).await;
        pace.read();
        assert_eq!(left(&pace).await, (7, Some(Refusal::HeaderTimeout)), "bytes win no time");
        drop(pace.request());
        advance(50 * SECOND).await;
        pace.read();
        assert_eq!(left(&pace).await, (10, Some(Refusal::HeaderTimeout)));
    }

    #[tokio::test(start_paused = true)]
    async fn requests_have_theirs_and_so_has_the_time_between_them() {
        let pace = pace();
        let (one, other) = (pace.request(), pace.request());
        pace.read();
        drop(one);
        assert_eq!(left(&pace).await, (30, Some(Refusal::RequestTimeout)));
        drop(other);
        assert_eq!(left(&pace).await, (100, None));
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_learns_of_an_earlier_deadline() {
        let pace = pace();
        drop(pace.request());
        let waiting = tokio::spawn({
            let pace = pace.clone();
            async move { pace.over().await }
        });
        advance(SECOND).await;
        pace.read();
        let over = timeout(11 * SECOND, waiting).await.expect("after ten seconds").unwrap();
        assert_eq!(over, Some(Refusal::HeaderTimeout));
    }
}
