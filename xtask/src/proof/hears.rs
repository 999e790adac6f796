//! Receivers of what the daemon itself tells: its webhook, and the API of an Alertmanager that only remembers what was posted by
//! whom. Knows the bodies of docs/notify.md, and nothing of what they should say.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::api::Words;

/// What tells alerts apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alert {
    pub(super) class: String,
    pub(super) severity: String,
    /// Empty where it is about the host.
    pub(super) comm: String,
    pub(super) about: String,
}

/// What the webhook heard of an alert.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Instant,
    pub(super) alert: Alert,
    pub(super) is_raised: bool,
    /// When it was cleared, as the daemon says.
    pub(super) ends: Option<String>,
    pub(super) text: String,
    pub(super) runbook: String,
}

/// What was posted of an alert to the remembering Alertmanager.
#[derive(Clone, Debug)]
pub(super) struct Posted {
    /// The path that the sink posts to.
    pub(super) sink: String,
    pub(super) alert: Alert,
    /// When it was cleared, or until when it is true at most.
    pub(super) ends: String,
}

/// All that was heard, in order.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) events: Vec<Event>,
    pub(super) posted: Vec<Posted>,
    /// What was not understood.
    pub(super) problems: Vec<String>,
}

/// Shared by those who hear and those who look.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Heard>>);

impl Memory {
    pub(super) fn look(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn understood(&self, taken: Result<()>) -> StatusCode {
        match taken {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                self.look().problems.push(format!("a body of the daemon's was not understood: {error:#}"));
                StatusCode::BAD_REQUEST
            }
        }
    }
}

/// A receiver on loopback. It and its connections are gone when it is dropped.
pub(super) struct Receiver {
    port: u16,
    _runtime: Runtime,
}

impl Receiver {
    /// A webhook, at /webhook.
    pub(super) fn webhook(memory: &Memory) -> Result<Self> {
        Self::start(0, Router::new().route("/webhook", post(hear_webhook)).with_state(memory.clone()))
    }

    /// An Alertmanager's API below /SINK for any sink, on a port (0 for a free one).
    pub(super) fn alertmanager(port: u16, memory: &Memory) -> Result<Self> {
        Self::start(port, Router::new().route("/{sink}/api/v2/alerts", post(hear_alerts)).with_state(memory.clone()))
    }

    fn start(port: u16, router: Router) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().context("start a receiver")?;
        let listener = runtime
            .block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
            .with_context(|| format!("listen on port {port} of loopback"))?;
        let port = listener.local_addr().context("find a receiver's port")?.port();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Ok(Self { port, _runtime: runtime })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

#[derive(Deserialize)]
struct Message {
    class: String,
    runbook_url: Option<String>,
    alerts: Vec<Told>,
}

#[derive(Deserialize)]
struct Told {
    state: String,
    severity: String,
    #[serde(default)]
    comm: String,
    #[serde(default)]
    about: String,
    ends_at: Option<String>,
    text: String,
}

async fn hear_webhook(State(memory): State<Memory>, body: Bytes) -> StatusCode {
    memory.understood(events(&body).map(|events| memory.look().events.extend(events)))
}

fn events(body: &[u8]) -> Result<Vec<Event>> {
    let message: Message = serde_json::from_slice(body).context("read a webhook's message")?;
    let at = Instant::now();
    let event = |told: Told| Event {
        at,
        is_raised: told.state == "raised",
        alert: Alert { class: message.class.clone(), severity: told.severity, comm: told.comm, about: told.about },
        ends: told.ends_at,
        text: told.text,
        runbook: message.runbook_url.clone().unwrap_or_default(),
    };
    Ok(message.alerts.into_iter().map(event).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    labels: Words,
    ends_at: String,
}

async fn hear_alerts(State(memory): State<Memory>, Path(sink): Path<String>, body: Bytes) -> StatusCode {
    memory.understood(posted(&sink, &body).map(|posted| memory.look().posted.extend(posted)))
}

fn posted(sink: &str, body: &[u8]) -> Result<Vec<Posted>> {
    let alerts: Vec<Standing> = serde_json::from_slice(body).context("read an Alertmanager's alerts")?;
    let posted = |Standing { labels, ends_at }: Standing| {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let alert =
            Alert { class: label("class"), severity: label("severity"), comm: label("comm"), about: label("about") };
        Posted { sink: sink.to_owned(), alert, ends: ends_at }
    };
    Ok(alerts.into_iter().map(posted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies that docs/notify.md shows, which a test holds to the daemon's.
    #[test]
    fn the_bodies_of_the_page_are_understood() {
        let page = std::fs::read_to_string(crate::paths::root().join("docs/notify.md")).unwrap();
        let bodies: Vec<&str> =
            page.split("```json\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
        let events = events(bodies[0].as_bytes()).unwrap();
        assert_eq!(events.iter().map(|event| event.is_raised).collect::<Vec<_>>(), [true, false]);
        assert!(events[1].ends.is_some() && events.iter().all(|event| !event.runbook.is_empty()));
        let posted = posted("a", bodies[1].as_bytes()).unwrap();
        assert_eq!(posted.len(), 2);
        assert_eq!((&posted[1].alert, Some(&posted[1].ends)), (&events[1].alert, events[1].ends.as_ref()));
    }

    #[test]
    fn a_receiver_hears_and_comes_back_on_its_port() {
        let memory = Memory::default();
        let receiver = Receiver::alertmanager(0, &memory).unwrap();
        let port = receiver.port();
        let url = format!("http://127.0.0.1:{port}/one/api/v2/alerts");
        ureq::post(&url).send("[{\"labels\":{\"class\":\"blind\"},\"endsAt\":\"then\"}]").unwrap();
        drop(receiver);
        assert!(ureq::post(&url).send("[]").is_err());
        let _again = Receiver::alertmanager(port, &memory).unwrap();
        assert!(matches!(ureq::post(&url).send("?"), Err(ureq::Error::StatusCode(400))));
        let heard = memory.look();
        assert_eq!((heard.posted.len(), &*heard.posted[0].sink, heard.problems.len()), (1, "one", 1));
    }
}
