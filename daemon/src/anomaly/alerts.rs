//! From findings to alerts: when one is raised, when it is cleared, and how many there may be. Knows nothing of rules.

use std::{collections::BTreeMap, time::Duration};

use probe_common::event::Record;

use super::{
    class::CLASSES,
    kinds::{Class, EVIDENCE, Finding, Raise, Raised, Severity, Transition},
};
use crate::{config, identity::Subject};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    severity: Severity,
    class: Class,
    subject: Option<Subject>,
    about: &'static str,
}

#[derive(Debug)]
struct Alert {
    /// Looks at which the rule held, as its class counts them.
    looks: u64,
    /// The last one.
    held: Duration,
    raise: Raise,
    is_active: bool,
    /// When it was raised.
    since: Duration,
    text: String,
}

/// What is raised, or about to be.
pub(super) struct Alerts {
    looks: u64,
    clear_after: Duration,
    room: usize,
    kept: BTreeMap<Key, Alert>,
    /// Findings that found no room.
    over: u64,
}

impl Alerts {
    pub(super) fn new(config: &config::Anomaly) -> Self {
        Self {
            looks: config.raise_looks,
            clear_after: config.clear_after,
            room: usize::try_from(config.alerts).unwrap_or(usize::MAX),
            kept: BTreeMap::new(),
            over: 0,
        }
    }

    /// Other bounds from now on; what is kept stays.
    pub(super) fn reconfigure(&mut self, config: &config::Anomaly) {
        let fresh = Self::new(config);
        (self.looks, self.clear_after, self.room) = (fresh.looks, fresh.clear_after, fresh.room);
    }

    /// Findings that found no room among the alerts, since the start.
    pub(super) fn over(&self) -> u64 {
        self.over
    }

    /// Alerts that are raised, of these classes: zero where there is none.
    pub(super) fn active(&self, judged: &[Class]) -> BTreeMap<(Class, Severity), u64> {
        let mut active = BTreeMap::new();
        for entry in CLASSES.iter().filter(|entry| judged.contains(&entry.class)) {
            active.extend(entry.severities.iter().map(|&severity| ((entry.class, severity), 0)));
        }
        for key in self.kept.iter().filter(|(_, alert)| alert.is_active).map(|(key, _)| key) {
            *active.entry((key.class, key.severity)).or_default() += 1;
        }
        active
    }

    /// The gravest alerts that are raised, so many at most; of the same severity the latest come first.
    pub(super) fn gravest(&self, most: usize) -> Vec<Raised> {
        let mut raised: Vec<(&Key, &Alert)> = self.kept.iter().filter(|(_, alert)| alert.is_active).collect();
        raised.sort_by_key(|(key, alert)| std::cmp::Reverse((key.severity, alert.since)));
        let told = raised.into_iter().take(most).map(|(key, alert)| Raised {
            class: key.class,
            severity: key.severity,
            subject: key.subject.clone(),
            about: key.about,
            since: alert.since,
            text: alert.text.clone(),
        });
        told.collect()
    }

    /// Takes what one look found.
    pub(super) fn step(&mut self, now: Duration, findings: Vec<Finding>) -> Vec<Transition> {
        let mut transitions = Vec::new();
        let mut found: BTreeMap<Key, Finding> = BTreeMap::new();
        for finding in findings {
            debug_assert!(finding.class.severities().contains(&finding.severity), "a severity of the table");
            let Finding { severity, class, ref subject, about, .. } = finding;
            let key = Key { severity, class, subject: subject.clone(), about };
            match found.get_mut(&key) {
                None => {
                    found.insert(key, finding);
                }
                Some(known) => {
                    // The evidence of what is told comes first.
                    let (mut told, other) =
                        if finding.weight > known.weight { (finding, known.clone()) } else { (known.clone(), finding) };
                    told.evidence.extend(other.evidence);
                    told.evidence.truncate(EVIDENCE);
                    *known = told;
                }
            }
        }
        let (known, new): (Vec<_>, Vec<_>) = found.into_iter().rev().partition(|(key, _)| self.kept.contains_key(key));
        for (key, finding) in known {
            self.hold(now, key, finding, &mut transitions);
        }
        self.clear(now, &mut transitions);
        // The gravest first: they find room before the others.
        for (key, finding) in new {
            if self.kept.len() < self.room || self.make_room(now, &key, &mut transitions) {
                self.hold(now, key, finding, &mut transitions);
            } else {
                self.over += 1;
            }
        }
        transitions
    }

    fn hold(&mut self, now: Duration, key: Key, mut finding: Finding, transitions: &mut Vec<Transition>) {
        let alert = self.kept.entry(key.clone()).or_insert(Alert {
            looks: 0,
            held: now,
            raise: finding.raise.unwrap_or(key.class.entry().raise),
            is_active: false,
            since: now,
            text: String::new(),
        });
        alert.looks += 1;
        alert.held = now;
        alert.text = std::mem::take(&mut finding.text);
        if !alert.is_active && (alert.raise == Raise::AtOnce || alert.looks >= self.looks) {
            alert.is_active = true;
            alert.since = now;
            finding.evidence.truncate(EVIDENCE);
            transitions.push(transition(&key, true, alert.text.clone(), finding.evidence));
        }
    }

    /// Forgets what does not hold any more.
    fn clear(&mut self, now: Duration, transitions: &mut Vec<Transition>) {
        let (clear_after, quiet) = (self.clear_after, humantime::format_duration(self.clear_after));
        self.kept.retain(|key, alert| {
            if !alert.is_active && alert.raise == Raise::InARow {
                return alert.held == now;
            }
            let is_kept = now.saturating_sub(alert.held) <= clear_after;
            if !is_kept && alert.is_active {
                transitions.push(transition(key, false, format!("not seen for {quiet}: {}", alert.text), Vec::new()));
            }
            is_kept
        });
    }

    /// Gives the place of one that matters less: the quietest that is not raised yet, else the quietest less grave one. What
    /// holds gives its place to a graver one only: else too many would drive each other out, and none be raised.
    fn make_room(&mut self, now: Duration, newcomer: &Key, transitions: &mut Vec<Transition>) -> bool {
        let place = self
            .kept
            .iter()
            .filter(|(key, alert)| key.severity < newcomer.severity || (!alert.is_active && alert.held < now))
            .min_by_key(|(key, alert)| (alert.is_active, key.severity, alert.held))
            .map(|(key, _)| key.clone());
        let Some((key, alert)) = place.and_then(|key| self.kept.remove_entry(&key)) else { return false };
        self.over += 1;
        if alert.is_active {
            let text = format!("gave its place to a graver alert: {}", alert.text);
            transitions.push(transition(&key, false, text, Vec::new()));
        }
        true
    }
}

fn transition(key: &Key, is_active: bool, text: String, evidence: Vec<Record>) -> Transition {
    Transition {
        class: key.class,
        severity: key.severity,
        subject: key.subject.clone(),
        about: key.about,
        is_active,
        text,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::fixture::{record, subject};

    const SECOND: Duration = Duration::from_secs(1);

    fn finding(class: Class, comm: &str) -> Finding {
        Finding::new(class, class.severities()[0], Some(subject(comm)), 1, comm.to_owned())
    }

    fn alerts(room: u64) -> Alerts {
        Alerts::new(&config::Anomaly {
            raise_looks: 3,
            clear_after: 10 * SECOND,
            alerts: room,
            ..config::Anomaly::default()
        })
    }

    /// Seconds at which something was raised or cleared, when the rule holds at these seconds.
    fn run(class: Class, holds: &[u32]) -> Vec<(u32, bool)> {
        let mut alerts = alerts(10);
        let mut seen = Vec::new();
        for second in 0..60 {
            let findings = if holds.contains(&second) { vec![finding(class, "a")] } else { vec![] };
            seen.extend(alerts.step(second * SECOND, findings).iter().map(|t| (second, t.is_active)));
        }
        seen
    }

    #[test]
    fn a_rate_is_raised_after_looks_in_a_row_and_cleared_after_quiet() {
        assert_eq!(run(Class::NestedWindow, &[1, 2, 4, 5, 7]), [], "never three in a row");
        assert_eq!(run(Class::NestedWindow, &[1, 2, 3]), [(3, true), (14, false)]);
        let with_a_pause = [1, 2, 3, 4, 13, 23];
        assert_eq!(run(Class::NestedWindow, &with_a_pause), [(3, true), (34, false)], "no flapping in pauses");
    }

    #[test]
    fn events_are_raised_when_they_come_again() {
        assert_eq!(run(Class::LongWindow, &[1, 11, 21]), [(21, true), (32, false)]);
        assert_eq!(run(Class::LongWindow, &[1, 11, 23, 33]), [], "a pause longer than the time after which it clears");
    }

    #[test]
    fn critical_ones_are_raised_at_once_and_again_after_they_were_cleared() {
        assert_eq!(run(Class::UffdStuck, &[1, 2]), [(1, true), (13, false)]);
        assert_eq!(run(Class::UffdStuck, &[1, 30]), [(1, true), (12, false), (30, true), (41, false)]);
    }

    #[test]
    fn of_several_about_the_same_the_heaviest_is_told_with_its_evidence_first() {
        let mut alerts = alerts(10);
        let mut light = finding(Class::UffdStuck, "a");
        light.evidence = vec![record(1); EVIDENCE];
        let mut heavy = finding(Class::UffdStuck, "a");
        (heavy.weight, heavy.text, heavy.evidence) = (2, "heavy".to_owned(), vec![record(2)]);
        let transitions = alerts.step(SECOND, vec![light, heavy]);
        let [told] = &transitions[..] else { panic!("{transitions:?}") };
        assert_eq!(told.text, "heavy");
        assert_eq!(told.evidence.iter().map(|record| record.series).collect::<Vec<_>>(), [2, 1, 1, 1]);
    }

    #[test]
    fn alerts_are_bounded_and_what_goes_over_is_counted() {
        let mut alerts = alerts(2);
        let of = |class, comms: &[&str]| comms.iter().map(|comm| finding(class, comm)).collect::<Vec<_>>();
        assert_eq!(alerts.step(SECOND, of(Class::UffdStuck, &["a", "b", "c"])).len(), 2);
        assert_eq!((alerts.kept.len(), alerts.over()), (2, 1));
        assert!(alerts.step(2 * SECOND, of(Class::LongWindow, &["d"])).is_empty());
        assert_eq!((alerts.kept.len(), alerts.over()), (2, 2), "a less grave one does not drive a critical one out");
    }

    #[test]
    fn too_many_do_not_keep_each_other_from_being_raised() {
        let mut alerts = alerts(2);
        let holds = || ["a", "b", "c", "d"].map(|comm| finding(Class::LongWindow, comm)).to_vec();
        let raised: Vec<usize> = (1..5).map(|second| alerts.step(second * SECOND, holds()).len()).collect();
        assert_eq!((raised, alerts.over()), (vec![0, 0, 2, 0], 8));
    }

    #[test]
    fn a_clear_time_below_the_tick_does_not_flap() {
        let mut alerts = alerts(2);
        alerts.clear_after = Duration::ZERO;
        let holds = || vec![finding(Class::UffdStuck, "a")];
        let told: Vec<usize> = (1..5).map(|second| alerts.step(second * SECOND, holds()).len()).collect();
        assert_eq!(told, [1, 0, 0, 0]);
        assert!(!alerts.step(5 * SECOND, vec![])[0].is_active);
    }

    #[test]
    fn a_grave_alert_drives_out_what_is_not_raised_then_what_is_less_grave() {
        let mut alerts = alerts(2);
        let exposed = finding(Class::VersionExposed, "info");
        alerts.step(SECOND, vec![exposed, finding(Class::LongWindow, "pending")]);
        assert_eq!(alerts.kept.len(), 2);
        let raised = alerts.step(2 * SECOND, vec![finding(Class::UffdStuck, "a")]);
        assert_eq!(raised.len(), 1, "nobody was told of the pending one");
        let both = alerts.step(3 * SECOND, vec![finding(Class::UffdStuck, "b")]);
        assert_eq!(
            both.iter().map(|t| (t.class, t.is_active)).collect::<Vec<_>>(),
            [(Class::VersionExposed, false), (Class::UffdStuck, true)]
        );
        assert_eq!(alerts.active(&[])[&(Class::UffdStuck, Severity::Critical)], 2);
    }

    #[test]
    fn the_gravest_are_told_with_the_time_since_which_they_are_raised() {
        let mut alerts = alerts(10);
        for second in 1..=4 {
            let mut found = vec![finding(Class::LongWindow, "long")];
            if second > 1 {
                found.push(finding(Class::UffdStuck, "stuck"));
            }
            alerts.step(second * SECOND, found);
        }
        let told = |most| {
            let raised = alerts.gravest(most).into_iter();
            raised.map(|raised| (raised.class, raised.since.as_secs(), raised.text)).collect::<Vec<_>>()
        };
        let (stuck, long) = ((Class::UffdStuck, 2, "stuck".to_owned()), (Class::LongWindow, 3, "long".to_owned()));
        assert_eq!(told(9), [stuck.clone(), long]);
        assert_eq!(told(1), [stuck]);
    }

    #[test]
    fn classes_that_are_judged_have_a_zero_and_the_others_nothing() {
        let active = alerts(1).active(&[Class::Blind]);
        assert_eq!(
            active.keys().copied().collect::<Vec<_>>(),
            [(Class::Blind, Severity::Info), (Class::Blind, Severity::Warning)]
        );
    }

    /// Whatever comes, raised and cleared alternate for each alert, the gauge is what was told, and the bound holds.
    #[test]
    fn transitions_and_gauge_agree_under_any_sequence() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        for _ in 0..200 {
            let room = 1 + next(6);
            let mut alerts = alerts(room);
            let mut told = std::collections::BTreeSet::new();
            let mut now = Duration::ZERO;
            for _ in 0..100 {
                now += Duration::from_millis(1 + next(8_000));
                let findings = (0..next(8))
                    .map(|_| {
                        let classes = [Class::UffdStuck, Class::LongWindow, Class::NestedWindow, Class::VersionExposed];
                        finding(classes[next(4) as usize], ["a", "b", "c"][next(3) as usize])
                    })
                    .collect();
                for t in alerts.step(now, findings) {
                    let key = (t.class, t.severity, t.subject);
                    assert!(if t.is_active { told.insert(key) } else { told.remove(&key) }, "twice the same");
                }
                assert_eq!(alerts.active(&[]).values().sum::<u64>(), told.len() as u64);
                assert!(alerts.kept.len() as u64 <= room);
            }
        }
    }
}
