//! Alerts of a whole recording: what is about the same is told once, with how often and when. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    anomaly::{Class, Severity, Transition},
    identity::Subject,
};

/// Alerts told apart at most: the gravest, and of these the first.
const EPISODES: usize = 200;

/// What alerts have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    severity: std::cmp::Reverse<Severity>,
    class: Class,
    subject: Option<Subject>,
    about: &'static str,
}

/// An alert that was raised, once or several times.
#[derive(Clone, Debug)]
pub struct Episode {
    /// The first time it was raised, with its text and events.
    pub first: Transition,
    /// When that was, since the start.
    pub from: Duration,
    /// When it was raised or cleared last.
    pub to: Duration,
    /// How often it was raised.
    pub raised: u64,
    /// It was still raised at the end.
    pub is_active: bool,
}

/// Alerts, the gravest first.
#[derive(Clone, Debug, Default)]
pub struct Episodes {
    known: BTreeMap<Key, Episode>,
    over: u64,
}

impl Episodes {
    /// Takes what one tick raised and cleared.
    pub fn take(&mut self, now: Duration, transitions: &[Transition]) {
        for transition in transitions {
            let key = Key {
                severity: std::cmp::Reverse(transition.severity),
                class: transition.class,
                subject: transition.subject.clone(),
                about: transition.about,
            };
            if let Some(episode) = self.known.get_mut(&key) {
                episode.raised += u64::from(transition.is_active);
                (episode.is_active, episode.to) = (transition.is_active, now);
                // Events that tell what happened are worth more than the first text without any.
                if transition.is_active && transition.evidence.len() > episode.first.evidence.len() {
                    episode.first = transition.clone();
                }
            } else if transition.is_active {
                let episode = Episode { first: transition.clone(), from: now, to: now, raised: 1, is_active: true };
                self.known.insert(key, episode);
                if self.known.len() > EPISODES && self.known.pop_last().is_some() {
                    self.over += 1;
                }
            }
        }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &Episode> {
        self.known.values()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Alerts that found no room.
    #[must_use]
    pub fn over(&self) -> u64 {
        self.over
    }
}

impl Episode {
    /// Whom it is about.
    #[must_use]
    pub fn whom(&self) -> String {
        self.first.subject.as_ref().map_or_else(|| "this host".to_owned(), super::names::subject)
    }

    /// When, and how often.
    #[must_use]
    pub fn when(&self) -> String {
        let seconds = |time: Duration| format!("+{:.1}s", time.as_secs_f64());
        let times = match self.raised {
            1 => String::new(),
            n => format!(", raised {n} times"),
        };
        let end = if self.is_active { "the end".to_owned() } else { seconds(self.to) };
        format!("from {} to {end}{times}", seconds(self.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(class: Class, severity: Severity, is_active: bool) -> Transition {
        let subject = Some(Subject { comm: "a".to_owned(), cgroup: "/".to_owned() });
        Transition { class, severity, subject, about: "", is_active, text: "text".to_owned(), evidence: Vec::new() }
    }

    #[test]
    fn what_comes_again_is_told_once_and_the_gravest_first() {
        let mut episodes = Episodes::default();
        let second = Duration::from_secs;
        episodes.take(second(1), &[transition(Class::LongWindow, Severity::Warning, true)]);
        episodes.take(second(5), &[transition(Class::LongWindow, Severity::Warning, false)]);
        episodes.take(second(9), &[transition(Class::LongWindow, Severity::Warning, true)]);
        episodes.take(second(9), &[transition(Class::UffdStuck, Severity::Critical, true)]);
        episodes.take(second(10), &[transition(Class::LongWindow, Severity::Warning, false)]);
        let told: Vec<_> = episodes.iter().map(|episode| (episode.first.class, episode.when())).collect();
        assert_eq!(
            told,
            [
                (Class::UffdStuck, "from +9.0s to the end".to_owned()),
                (Class::LongWindow, "from +1.0s to +10.0s, raised 2 times".to_owned())
            ]
        );
    }
}
