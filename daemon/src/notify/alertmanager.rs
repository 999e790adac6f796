//! An Alertmanager, by its API v2: alerts are posted as a state. Each says how long it is true at most, and is told again before
//! that; so one whose mmscope is gone ends by itself.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::{
    deliver::{Failed, Sender},
    http::Client,
    notice::{Evidence, Notice},
    origin::{Origin, rfc3339},
    standing::{Batch, MISSED},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    labels: BTreeMap<&'a str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
}

/// How alerts of one Alertmanager are written.
pub(super) struct Form {
    pub(super) origin: Origin,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) resend: Duration,
}

impl Form {
    fn alert(&self, notice: &Notice, now: SystemTime) -> Alert<'_> {
        let key = &notice.key;
        let mut labels: BTreeMap<&str, String> =
            self.labels.iter().map(|(name, value)| (&**name, value.clone())).collect();
        labels.extend([
            ("alertname", format!("Mmscope{:?}", key.class)),
            ("class", key.class.name().to_owned()),
            ("severity", key.severity.name().to_owned()),
            ("instance", self.origin.instance.clone()),
        ]);
        let own = [("comm", notice.comm()), ("cgroup", notice.cgroup()), ("about", Some(key.about))];
        // An empty label is none, to Alertmanager.
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
        labels.extend(own.map(|(name, value)| (name, value.to_owned())));

        let summary = format!("{} of {}", key.class.name(), notice.whom(&self.origin.instance));
        let runbook = self.origin.runbook_of(key);
        let mut annotations =
            BTreeMap::from([("summary", summary), ("description", notice.text.clone()), ("runbook_url", runbook)]);
        annotations.extend(notice.evidence.first().map(|first| ("evidence", evidence(first))));
        // An alert of no length would be refused.
        let least = Duration::from_millis(1);
        let ends = match notice.ends {
            Some(ends) => ends.max(notice.starts + least),
            None => now + self.resend * MISSED,
        };
        Alert {
            labels,
            annotations,
            // So would one that was raised before the clock was set back.
            starts_at: rfc3339(notice.starts.min(ends - least)),
            ends_at: rfc3339(ends),
            generator_url: &self.origin.url,
        }
    }

    pub(super) fn body(&self, notices: &[std::sync::Arc<Notice>], now: SystemTime) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&notices.iter().map(|notice| self.alert(notice, now)).collect::<Vec<_>>())
    }
}

/// What it was raised by, with its stack.
fn evidence(evidence: &Evidence) -> String {
    if evidence.stack.is_empty() {
        return evidence.event.clone();
    }
    format!("{}: {}", evidence.event, evidence.stack.join(" < "))
}

/// Posts to one instance.
pub(super) struct Alertmanager {
    pub(super) client: Client,
    pub(super) form: Form,
}

impl Sender<Batch> for Alertmanager {
    async fn send(&self, batch: &Batch) -> Result<(), Failed> {
        // Until when it is true counts from when it is told.
        let body = self.form.body(&batch.notices, SystemTime::now()).map_err(|error| Failed::unsayable(&error))?;
        self.client.post(body).await
    }
}
