//! Takes what is due from a queue, hands it to a sender, and comes again later where that fails. Knows no kind of sink.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    figures::Deliveries,
    notice::Notice,
    queue::{Outcome, Queue},
};
use crate::model::sinks::{Reason, SinkFigures};

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    /// The answer's, if there was one.
    pub(crate) status: Option<StatusCode>,
    /// For the log: without addresses, headers or bodies, any of which may be secret.
    pub(crate) message: String,
    /// How long to wait, if the receiver said so.
    pub(super) retry_after: Option<Duration>,
}

impl Failed {
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, status: None, message: message.into(), retry_after: None }
    }

    /// A message that cannot be written: it never will.
    pub(super) fn unsayable(error: &serde_json::Error) -> Self {
        Self::new(Reason::Refused, format!("write the message: {error}"))
    }
}

/// The way to a receiver.
pub(super) trait Sender<M>: Send + 'static {
    /// Sends one message; an error if the receiver did not take it.
    fn send(&self, message: &M) -> impl Future<Output = Result<(), Failed>> + Send;
}

/// Where alerts are left for a sink, and what became of them.
pub(super) struct Desk<Q> {
    name: String,
    start: Instant,
    queue: Mutex<Q>,
    wake: Notify,
    deliveries: Deliveries,
}

/// A desk, whatever its queue.
pub(super) trait Counter: Send + Sync {
    /// Leaves an alert.
    fn leave(&self, notice: &Arc<Notice>);

    fn figures(&self) -> SinkFigures;
}

impl<Q: Queue> Desk<Q> {
    pub(super) fn new(name: &str, queue: Q) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            start: Instant::now(),
            queue: Mutex::new(queue),
            wake: Notify::new(),
            deliveries: Deliveries::default(),
        })
    }

    fn queue(&self) -> MutexGuard<'_, Q> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Delivers until the token is cancelled; then all that waits gets one more chance.
    pub(super) async fn deliver(self: Arc<Self>, sender: impl Sender<Q::Message>, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let (now, is_last) = (self.now(), stop.is_cancelled());
            let is_due = is_last || backoff.until() <= now;
            let message = if is_due { self.queue().take(now, is_last) } else { None };
            match message {
                Some(message) => {
                    let result = sender.send(&message).await;
                    let outcome = self.count(&result, &mut backoff);
                    self.queue().settle(self.now(), message, outcome);
                    if is_last && outcome == Outcome::Failed {
                        return;
                    }
                }
                None if is_last => return,
                None => self.wait(&backoff, &stop).await,
            }
        }
    }

    async fn wait(&self, backoff: &Backoff, stop: &CancellationToken) {
        let due = self.queue().due().map(|due| self.start + due.max(backoff.until()));
        let until_due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = until_due => {}
        }
    }

    /// Of failures in a row the first is told, and their end.
    fn count(&self, result: &Result<(), Failed>, backoff: &mut Backoff) -> Outcome {
        let sink = &*self.name;
        let failed = match result {
            Ok(()) => {
                self.deliveries.sent();
                if backoff.failures() > 0 {
                    tracing::info!(sink, failures = backoff.failures(), "alerts are told again");
                }
                backoff.succeeded();
                return Outcome::Accepted;
            }
            Err(failed) => failed,
        };
        self.deliveries.failed(failed.reason);
        let reason = failed.reason.name();
        if failed.reason == Reason::Refused {
            tracing::warn!(sink, reason, error = %failed, "alerts were refused, and are given up");
            backoff.succeeded();
            return Outcome::Refused;
        }
        if backoff.failures() == 0 {
            tracing::warn!(sink, reason, error = %failed, "alerts could not be told, and wait");
        } else {
            tracing::debug!(sink, reason, error = %failed, "alerts still wait");
        }
        backoff.failed(self.now(), fastrand::f64(), failed.retry_after);
        Outcome::Failed
    }
}

impl<Q: Queue> Counter for Desk<Q> {
    fn leave(&self, notice: &Arc<Notice>) {
        self.queue().offer(self.now(), notice);
        self.wake.notify_one();
    }

    fn figures(&self) -> SinkFigures {
        let queue = self.queue();
        SinkFigures {
            name: self.name.clone(),
            sent: self.deliveries.sent_total(),
            failures: self.deliveries.failures_total(),
            dropped: queue.dropped(),
            suppressed: queue.suppressed(),
            waiting: queue.waiting() as u64,
        }
    }
}
