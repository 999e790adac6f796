//! The way of an alert by the daemon's own sinks: raised and cleared at an Alertmanager that hears of the daemon alone, and at a
//! webhook. Pure: what was seen is passed in.

use std::time::{Duration, Instant};

use super::api::{Arrived, Words};
use super::hears::{Alert, Event};
use crate::dashboards::rules::alerts::{self, CLASSES, ITSELF, When};

/// How far an alert has come with one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Passage {
    /// From the cause's beginning.
    pub(super) raised: Option<Duration>,
    /// From the cause's end.
    pub(super) cleared: Option<Duration>,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// The daemon clears it.
    Cleared,
    /// It holds for as long as mmscope runs, and mmscope clears nothing when it leaves: a webhook never hears of its end, and an
    /// Alertmanager ends it by itself.
    WithMmscope,
}

/// An alert's way by the daemon's own sinks.
#[derive(Debug)]
pub(super) struct Own {
    class: &'static str,
    severity: &'static str,
    /// Whom it must be about; nobody where it is about the host.
    comm: Option<&'static str>,
    pub(super) ends: Ends,
    pub(super) alertmanager: Passage,
    pub(super) webhook: Passage,
}

/// The class that an alert of the rules stands on.
pub(super) fn class(alert: &alerts::Alert) -> Option<&'static str> {
    match alert.when {
        When::Raised { class, .. } => Some(class),
        When::Query(query, _) if query.contains("class=\"blind\"") => Some("blind"),
        When::Query(..) => None,
    }
}

/// Alerts that end with mmscope alone: what they tell is found once, when it starts.
const END_WITH_MMSCOPE: [&str; 2] = ["MmscopeBlind", "MmscopeVersionExposed"];

impl Own {
    /// Of an alert of the rules; none if it stands on no class.
    pub(super) fn of(name: &str, comm: Option<&'static str>) -> Option<Self> {
        let alert = CLASSES.iter().chain(ITSELF).find(|alert| alert.name == name)?;
        Some(Self {
            class: class(alert)?,
            severity: alert.severity.name(),
            comm,
            ends: if END_WITH_MMSCOPE.contains(&name) { Ends::WithMmscope } else { Ends::Cleared },
            alertmanager: Passage::default(),
            webhook: Passage::default(),
        })
    }

    pub(super) fn is_received(&self) -> bool {
        self.alertmanager.raised.is_some() && self.webhook.raised.is_some()
    }

    pub(super) fn is_resolved(&self) -> bool {
        self.alertmanager.cleared.is_some() && (self.webhook.cleared.is_some() || self.ends == Ends::WithMmscope)
    }

    /// What is missing.
    pub(super) fn problem(&self) -> Option<String> {
        let who = self.comm.map_or_else(String::new, |comm| format!(" about {comm}"));
        let of = |receiver| format!("the daemon's own {} of severity {}{who} {receiver}", self.class, self.severity);
        let missing = [
            (self.alertmanager.raised.is_none(), "did not reach its Alertmanager"),
            (self.webhook.raised.is_none(), "did not reach its webhook"),
            (self.alertmanager.cleared.is_none(), "was not resolved in its Alertmanager"),
            (self.webhook.cleared.is_none() && self.ends == Ends::Cleared, "was not told as cleared to its webhook"),
        ];
        missing.into_iter().find(|(is_missing, _)| *is_missing).map(|(_, what)| of(what))
    }

    fn is_about(&self, class: &str, severity: &str, comm: &str) -> bool {
        class == self.class && severity == self.severity && self.comm.is_none_or(|own| own == comm)
    }

    fn is_event(&self, alert: &Alert) -> bool {
        self.is_about(&alert.class, &alert.severity, &alert.comm)
    }

    fn is_arrived(&self, labels: &Words) -> bool {
        let label = |name: &str| labels.get(name).map_or("", String::as_str);
        self.is_about(label("class"), label("severity"), label("comm"))
    }

    /// One look: what the Alertmanager has, and all that the webhook has heard so far. Returns what is wrong with what arrived.
    pub(super) fn look(
        &mut self,
        begun: Instant,
        ended: Option<Instant>,
        arrived: &[Arrived],
        heard: &[Event],
        runbook: &str,
    ) -> Option<String> {
        let standing: Vec<&Arrived> = arrived.iter().filter(|arrived| self.is_arrived(&arrived.labels)).collect();
        // A daemon that left before may have left some raised.
        let events = || heard.iter().filter(|event| event.at >= begun && self.is_event(&event.alert));
        let first = events().find(|event| event.is_raised);
        // Of each of them, what it is now.
        let is_raised = |event: &Event| {
            let last = events().rfind(|other| other.alert == event.alert);
            last.is_some_and(|last| last.is_raised)
        };
        let still = events().any(is_raised);
        let (raised, last) = (first.map(|event| event.at - begun), events().next_back().map(|event| event.at));
        let wrong = wrong(&standing, first, runbook);
        if let Some(ended) = ended {
            if standing.is_empty() {
                self.alertmanager.cleared.get_or_insert_with(|| ended.elapsed());
            }
            if !still && let Some(last) = last {
                self.webhook.cleared.get_or_insert(last.saturating_duration_since(ended));
            }
        } else if !standing.is_empty() {
            self.alertmanager.raised.get_or_insert_with(|| begun.elapsed());
        }
        // It was raised while there was a cause, even if it was told of a moment later.
        self.webhook.raised = self.webhook.raised.or(raised);
        wrong
    }
}

/// What is wrong with what was told: words that are missing, or a runbook that is not the one of the rules.
fn wrong(standing: &[&Arrived], event: Option<&Event>, runbook: &str) -> Option<String> {
    let empty = |words: &Words, name: &str| words.get(name).is_none_or(String::is_empty);
    for Arrived { annotations, .. } in standing {
        if let Some(name) = ["summary", "description"].into_iter().find(|name| empty(annotations, name)) {
            return Some(format!("came to the daemon's own Alertmanager without {name}"));
        }
        if annotations.get("runbook_url").is_none_or(|url| url != runbook) {
            return Some(format!(
                "has the runbook {:?} in the daemon's own Alertmanager",
                annotations.get("runbook_url")
            ));
        }
    }
    let event = event?;
    if event.text.is_empty() {
        return Some("came to the webhook without text".to_owned());
    }
    (event.runbook != runbook).then(|| format!("has the runbook {:?} at the webhook", event.runbook))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNBOOK: &str = "http://x/MmscopeLockConvoy.md";

    fn arrived(comm: &str) -> Arrived {
        let words = |words: &[(&str, &str)]| -> Words {
            words.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
        };
        Arrived {
            labels: words(&[("class", "lock_convoy"), ("severity", "warning"), ("comm", comm)]),
            annotations: words(&[("summary", "s"), ("description", "d"), ("runbook_url", RUNBOOK)]),
        }
    }

    fn event(comm: &str, is_raised: bool) -> Event {
        let alert = Alert {
            class: "lock_convoy".to_owned(),
            severity: "warning".to_owned(),
            comm: comm.to_owned(),
            about: String::new(),
        };
        let ends = if is_raised { None } else { Some("then".to_owned()) };
        Event { at: Instant::now(), alert, is_raised, ends, text: "t".to_owned(), runbook: RUNBOOK.to_owned() }
    }

    #[test]
    fn both_receivers_hear_of_beginning_and_end() {
        let mut own = Own::of("MmscopeLockConvoy", Some("a")).unwrap();
        let begun = Instant::now();
        let others = [event("b", true)];
        assert_eq!(own.look(begun, None, &[arrived("b")], &others, RUNBOOK), None);
        assert!(!own.is_received() && own.problem().unwrap().contains("did not reach its Alertmanager"));
        let mut heard = vec![event("a", true)];
        own.look(begun, None, &[arrived("a")], &heard, RUNBOOK);
        assert!(own.is_received() && !own.is_resolved());
        let ended = Some(Instant::now());
        own.look(begun, ended, &[], &heard, RUNBOOK);
        assert!(!own.is_resolved() && own.problem().unwrap().contains("not told as cleared"));
        heard.push(event("a", false));
        own.look(begun, ended, &[], &heard, RUNBOOK);
        assert!(own.is_resolved() && own.problem().is_none());
    }

    #[test]
    fn another_runbook_is_a_complaint_and_what_stands_on_no_class_is_not_sought() {
        let mut own = Own::of("MmscopeLockConvoy", None).unwrap();
        let wrong = own.look(Instant::now(), None, &[arrived("a")], &[], "http://y/MmscopeLockConvoy.md");
        assert!(wrong.unwrap().contains("runbook"));
        assert!(Own::of("MmscopeDown", None).is_none());
        assert_eq!(Own::of("MmscopeBlind", None).unwrap().ends, Ends::WithMmscope);
        assert_eq!(Own::of("MmscopeLosing", None).unwrap().class, "blind");
    }
}
