//! A webhook: a message is a POST of JSON. docs/notify.md tells the body, and a test holds it to that page.

use serde::Serialize;

use super::{
    deliver::{Failed, Sender},
    http::Client,
    notice::Evidence,
    origin::{Origin, rfc3339},
    outbox::{Message, Told},
};
use crate::anomaly::Severity;

/// The form of the body: told with each, so that a receiver can tell a later one.
const VERSION: &str = "1";

#[derive(Serialize)]
struct Body<'a> {
    version: &'static str,
    /// For those who show one line.
    text: String,
    instance: &'a str,
    external_url: &'a str,
    class: &'static str,
    /// The gravest.
    severity: &'static str,
    raised: usize,
    cleared: usize,
    runbook_url: String,
    alerts: Vec<Alert<'a>>,
}

#[derive(Serialize)]
struct Alert<'a> {
    sequence: u64,
    state: &'static str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comm: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cgroup: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    about: &'static str,
    starts_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    text: &'a str,
    /// Times that it was raised and cleared meanwhile without being told.
    repeats: u64,
    evidence: &'a [Evidence],
}

impl<'a> Alert<'a> {
    fn of(told: &'a Told) -> Self {
        let notice = &*told.notice;
        Self {
            sequence: notice.sequence,
            state: notice.state(),
            severity: notice.key.severity.name(),
            comm: notice.comm(),
            cgroup: notice.cgroup(),
            about: notice.key.about,
            starts_at: rfc3339(notice.starts),
            ends_at: notice.ends.map(rfc3339),
            text: &notice.text,
            repeats: told.repeats,
            evidence: &notice.evidence,
        }
    }
}

/// The body of a message.
pub(super) fn body(origin: &Origin, message: &Message) -> serde_json::Result<Vec<u8>> {
    let raised = message.told.iter().filter(|told| told.notice.is_raised()).count();
    let severity = message.told.iter().map(|told| told.notice.key.severity).max().unwrap_or(Severity::Info);
    serde_json::to_vec(&Body {
        version: VERSION,
        text: summary(origin, message, raised),
        instance: &origin.instance,
        external_url: &origin.url,
        class: message.class.name(),
        severity: severity.name(),
        raised,
        cleared: message.told.len() - raised,
        runbook_url: origin.runbook(message.class, severity),
        alerts: message.told.iter().map(Alert::of).collect(),
    })
}

fn summary(origin: &Origin, message: &Message, raised: usize) -> String {
    let class = message.class.name();
    if let [Told { notice, .. }] = &message.told[..] {
        let state = if notice.is_raised() { notice.key.severity.name() } else { "cleared" };
        return format!("{state}: {class} of {}: {}", notice.whom(&origin.instance), notice.text);
    }
    format!("{class} on {}: {raised} raised, {} cleared", origin.instance, message.told.len() - raised)
}

/// Posts to one webhook.
pub(super) struct Webhook {
    pub(super) client: Client,
    pub(super) origin: Origin,
}

impl Sender<Message> for Webhook {
    async fn send(&self, message: &Message) -> Result<(), Failed> {
        let body = body(&self.origin, message).map_err(|error| Failed::unsayable(&error))?;
        self.client.post(body).await
    }
}
