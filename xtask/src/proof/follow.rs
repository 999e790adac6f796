//! Each alert's way: firing in Prometheus, received by Alertmanager, resolved in both after its cause has ended; and beside it, by
//! the daemon's own sinks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::RUNBOOKS;
use super::api::{Arrived, Key, Words};
use super::direct::Direct;
use super::hears::Event;
use super::own::Own;
use super::servers::{self, Server};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// Over which a target must have been scraped several times before anything happens to it.
const WARM: Duration = Duration::from_secs(10);

/// How far an alert has come in one server.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Steps {
    /// From the cause's beginning.
    pub(super) fired: Option<Duration>,
    /// From the cause's beginning.
    pub(super) received: Option<Duration>,
    /// From the cause's end.
    pub(super) resolved: Option<Duration>,
}

/// An alert that is followed.
#[derive(Debug)]
pub(crate) struct Way {
    /// Name and instance.
    pub(super) key: Key,
    /// What is to raise it.
    pub(super) by: String,
    begun: Instant,
    ended: Option<Instant>,
    /// In each server.
    pub(super) steps: Vec<Steps>,
    /// By the daemon's own sinks, where the daemon tells it.
    pub(super) own: Option<Own>,
    /// What is wrong with what arrived.
    complaint: Option<String>,
}

impl Way {
    fn is_received(&self) -> bool {
        self.steps.iter().all(|steps| steps.fired.is_some() && steps.received.is_some())
            && self.own.as_ref().is_none_or(Own::is_received)
    }

    fn is_resolved(&self) -> bool {
        self.steps.iter().all(|steps| steps.resolved.is_some()) && self.own.as_ref().is_none_or(Own::is_resolved)
    }

    /// Whether it came all the way, in each server, in good order.
    pub(super) fn is_complete(&self) -> bool {
        self.is_received() && self.is_resolved() && self.complaint.is_none()
    }

    /// What is missing.
    pub(super) fn problem(&self) -> Option<String> {
        let (name, instance) = &self.key;
        let what = if let Some(complaint) = &self.complaint {
            complaint.clone()
        } else if let Some(problem) = self.own.as_ref().and_then(Own::problem) {
            return Some(format!("{name} of {instance:?}: {problem}"));
        } else if !self.is_received() {
            let fired = self.steps.iter().filter(|steps| steps.fired.is_some()).count();
            format!("fired in {fired} of {} servers, and was not received everywhere", self.steps.len())
        } else if !self.is_resolved() {
            "was not resolved".to_owned()
        } else {
            return None;
        };
        Some(format!("{name} of {instance:?} {what}"))
    }

    fn look(&mut self, server: usize, is_firing: bool, arrived: Option<&Words>) {
        let steps = &mut self.steps[server];
        if self.ended.is_none() {
            let after = self.begun.elapsed();
            if is_firing {
                steps.fired.get_or_insert(after);
            }
            if let Some(annotations) = arrived {
                steps.received.get_or_insert(after);
                self.complaint = self.complaint.take().or_else(|| complaint(annotations));
            }
        }
        if let Some(ended) = self.ended
            && !is_firing
            && arrived.is_none()
        {
            steps.resolved.get_or_insert(ended.elapsed());
        }
    }

    fn look_own(&mut self, arrived: &[Arrived], heard: &[Event]) {
        let Some(own) = &mut self.own else { return };
        let runbook = format!("{RUNBOOKS}{}.md", self.key.0);
        let wrong = own.look(self.begun, self.ended, arrived, heard, &runbook);
        self.complaint = self.complaint.take().or(wrong);
    }
}

/// What is wrong with an alert's annotations: a template that failed is text, and no error of anybody's.
fn complaint(annotations: &Words) -> Option<String> {
    for name in ["summary", "description", "runbook_url"] {
        let text = annotations.get(name).map_or("", String::as_str);
        if text.is_empty() || text.contains("<error") || text.contains("<no value>") || text.contains("{{") {
            return Some(format!("has the {name} {text:?}"));
        }
    }
    None
}

/// Looks at all servers and at what the daemon itself told, and remembers.
pub(super) struct Follower<'a> {
    servers: &'a [Server],
    pub(super) direct: &'a mut Direct,
    ways: Vec<Way>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(servers: &'a [Server], direct: &'a mut Direct) -> Self {
        Self { servers, direct, ways: Vec::new() }
    }

    /// From now on there is a cause for this alert; with `own` the daemon shall tell it by itself too.
    pub(super) fn begin(&mut self, alert: &str, instance: &str, by: &str, own: Option<Own>) {
        self.ways.push(Way {
            key: (alert.to_owned(), instance.to_owned()),
            by: by.to_owned(),
            own,
            begun: Instant::now(),
            ended: None,
            steps: vec![Steps::default(); self.servers.len()],
            complaint: None,
        });
    }

    /// From now on there is none any more.
    pub(super) fn end(&mut self, alerts: &[&str]) {
        let now = Instant::now();
        self.ways.iter_mut().filter(|way| alerts.contains(&way.key.0.as_str())).for_each(|way| way.ended = Some(now));
    }

    /// Looks until these have been received everywhere; whether they were.
    pub(super) fn wait_received(
        &mut self,
        alerts: &[&str],
        patience: Duration,
        ended: &dyn Fn() -> bool,
    ) -> Result<bool> {
        self.wait(patience, ended, |ways, _| {
            ways.iter().filter(|way| alerts.contains(&way.key.0.as_str())).all(Way::is_received)
        })
    }

    /// Looks until all that have ended are resolved everywhere; whether they were.
    pub(super) fn wait_all_resolved(&mut self, patience: Duration, ended: &dyn Fn() -> bool) -> Result<bool> {
        self.wait(patience, ended, |ways, _| ways.iter().all(|way| way.ended.is_none() || way.is_resolved()))
    }

    /// Looks until no alert of an instance but these fires, or is known to Alertmanager; whether it came so far.
    pub(super) fn wait_quiet(
        &mut self,
        instance: &str,
        except: &[&str],
        patience: Duration,
        ended: &dyn Fn() -> bool,
    ) -> Result<bool> {
        self.wait(patience, ended, |_, seen| {
            seen.iter().all(|(alert, about)| about != instance || except.contains(&alert.as_str()))
        })
    }

    /// Waits until every server has scraped so many targets several times; whether it has.
    pub(super) fn wait_scraped(&self, targets: usize, patience: Duration, ended: &dyn Fn() -> bool) -> Result<bool> {
        let started = Instant::now();
        let expr = format!(
            "count(min_over_time(up[{}s]) == 1 and count_over_time(up[{0}s]) > 2) == {targets}",
            WARM.as_secs()
        );
        loop {
            let mut all = true;
            for server in self.servers {
                let to = servers::now();
                all &= server.prometheus.series(&expr, to, to, LOOK)? > 0;
            }
            if all || started.elapsed() > patience {
                return Ok(all);
            }
            if ended() {
                bail!("the guest has ended");
            }
            std::thread::sleep(LOOK);
        }
    }

    fn wait(
        &mut self,
        patience: Duration,
        has_ended: &dyn Fn() -> bool,
        is_so: impl Fn(&[Way], &[Key]) -> bool,
    ) -> Result<bool> {
        let started = Instant::now();
        loop {
            let seen = self.look()?;
            if is_so(&self.ways, &seen) {
                return Ok(true);
            }
            if has_ended() {
                bail!("the guest has ended");
            }
            if started.elapsed() > patience {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// One look; every alert that fires or is known to an Alertmanager.
    fn look(&mut self) -> Result<Vec<Key>> {
        let mut seen = Vec::new();
        for (n, server) in self.servers.iter().enumerate() {
            let firing = server.prometheus.firing()?;
            let received = server.alertmanager.received()?;
            let arrived: BTreeMap<Key, Words> =
                received.into_iter().map(|alert| (alert.key(), alert.annotations)).collect();
            for way in &mut self.ways {
                way.look(n, firing.contains(&way.key), arrived.get(&way.key));
            }
            seen.extend(firing);
            seen.extend(arrived.into_keys());
        }
        let arrived = self.direct.lone.api.received()?;
        let heard = self.direct.memory.look();
        self.ways.iter_mut().for_each(|way| way.look_own(&arrived, &heard.events));
        seen.extend(arrived.iter().map(Arrived::key));
        Ok(seen)
    }

    pub(super) fn into_ways(self) -> Vec<Way> {
        self.ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(description: &str) -> Words {
        let words = [("summary", "s"), ("description", description), ("runbook_url", "u")];
        words.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn a_way_is_complete_when_it_is_resolved_everywhere() {
        let mut way = Way {
            key: ("A".to_owned(), "x".to_owned()),
            by: String::new(),
            begun: Instant::now(),
            ended: None,
            steps: vec![Steps::default(); 2],
            own: None,
            complaint: None,
        };
        way.look(0, true, None);
        way.look(1, true, Some(&words("d")));
        assert!(!way.is_received() && way.problem().is_some_and(|text| text.contains("fired in 2 of 2")));
        way.look(0, true, Some(&words("d")));
        // Gone for a moment, and not yet ended.
        way.look(0, false, None);
        assert!(way.is_received() && !way.is_resolved());
        way.ended = Some(Instant::now());
        way.look(0, false, None);
        way.look(1, false, Some(&words("d")));
        assert_eq!(way.problem().as_deref(), Some("A of \"x\" was not resolved"));
        way.look(1, false, None);
        assert!(way.is_complete() && way.problem().is_none());
    }

    #[test]
    fn a_template_that_failed_is_a_complaint() {
        assert_eq!(complaint(&words("fine")), None);
        assert!(complaint(&words("<error expanding template: ..>")).is_some());
        assert!(complaint(&Words::new()).is_some());
    }
}
