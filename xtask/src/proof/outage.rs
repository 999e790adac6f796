//! Alertmanagers that are down for five minutes of real time, while alerts are raised and cleared: what the daemon keeps for them,
//! what it gives up, and that it tells again by itself. The webhook, which is there all the time, is the witness of what there was
//! to tell; another Alertmanager's API, down at the same time, remembers by name what came afterwards.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::api;
use super::direct::Direct;
use super::figures::Figures;
use super::hears::{Alert, Event, Heard};
use super::stage::Stage;

/// The step's name.
pub(super) const NAME: &str = "outage";

/// For how long they are down.
const LASTS: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(500);
/// For an alert to come where somebody listens.
const PATIENCE: Duration = Duration::from_secs(120);
/// What docs/notify.md promises is half a minute, and a request's time.
const PROMISED: Duration = Duration::from_secs(40);
/// An alert that was cleared so long before they came back is over by any clock.
const SURELY: Duration = Duration::from_secs(5);

/// Sinks of the daemon's configuration: to the Alertmanager, to the remembering one, and to that with little room.
pub(super) const SINKS: [&str; 3] = ["own", "named", "narrow"];
const WITNESS: &str = "webhook";

const CLASS: &str = "protection_flip_flop";
const BEFORE: &str = "out-before";
const STAYS: &str = "out-stays";

/// What the guest does: one process whose alert is raised before and cleared meanwhile, six that come and go, one that stays.
pub(super) const SCRIPT: &str = r#"
flips() {
    sh -c 'renice -n 10 -p $$ >/dev/null && exec mmload --name "$1" flip --threads 2 --cycles 1000' sh "$1" >/dev/null ||
        problem "mmload flip as $1"
}
until at outage-down || at end; do flips out-before; done
for n in 1 2 3 4 5 6; do
    flips "out-$n"
    sleep 15
done
until is_over outage; do flips out-stays; done
"#;

/// What became of one sink's alerts.
pub(super) struct Row {
    pub(super) sink: &'static str,
    /// Attempts that failed.
    pub(super) failures: f64,
    /// The most that waited.
    pub(super) waited: f64,
    /// Alerts that were cleared in the step, and came.
    pub(super) came: Option<usize>,
    pub(super) dropped: f64,
    pub(super) suppressed: f64,
    /// After they were there again, until nothing waited.
    pub(super) told_after: Option<Duration>,
}

/// What was seen.
pub(crate) struct Outage {
    pub(super) lasted: Duration,
    /// Alerts raised and cleared meanwhile, as the webhook heard.
    pub(super) raised: usize,
    pub(super) cleared: usize,
    /// Alerts cleared in the whole step, before and after with it.
    pub(super) all_cleared: usize,
    /// How many of these the Alertmanager had to hear of when it was back, and counted as resolved.
    pub(super) owed: usize,
    pub(super) resolved: f64,
    pub(super) rows: Vec<Row>,
    begun: Begun,
    up: Instant,
}

/// What there was when the step began.
struct Begun {
    figures: Figures,
    /// How much had been heard.
    events: usize,
    posted: usize,
}

/// Runs it up to the moment at which all is told again.
pub(super) fn run(direct: &mut Direct, stage: &Stage, ended: &dyn Fn() -> bool) -> Result<Outage> {
    let scrape = || Figures::of(&stage.metrics()?);
    let figures = scrape()?;
    let begun = {
        let heard = direct.memory.look();
        Begun { figures, events: heard.events.len(), posted: heard.posted.len() }
    };
    let known = |comm: &str, direct: &Direct| -> Result<bool> {
        let arrived = direct.lone.api.received()?;
        let is_it = |name: &str, value: &str, words: &api::Words| words.get(name).is_some_and(|own| own == value);
        Ok(arrived.iter().any(|alert| is_it("class", CLASS, &alert.labels) && is_it("comm", comm, &alert.labels)))
    };
    wait("an alert reaches the Alertmanager before it goes", PATIENCE, ended, || {
        let heard = direct.memory.look();
        let has = |sink: &str| {
            heard.posted[begun.posted..]
                .iter()
                .any(|told| told.sink == sink && told.alert.comm == BEFORE && told.alert.class == CLASS)
        };
        Ok(known(BEFORE, direct)? && has("named") && has("narrow"))
    })?;
    direct.crash();
    let down = Instant::now();
    stage.say("outage-down")?;
    eprintln!("proof: {NAME}: the Alertmanagers are down for {} s", LASTS.as_secs());
    let mut waited = [0.0_f64; SINKS.len()];
    while down.elapsed() < LASTS {
        ensure!(!ended(), "the guest has ended");
        let now = scrape()?;
        for (most, sink) in waited.iter_mut().zip(SINKS) {
            *most = most.max(now.waiting(sink));
        }
        thread::sleep(LOOK);
    }
    let lasted = down.elapsed();
    direct.come_back()?;
    let up = Instant::now();
    let mut told_after = [None; SINKS.len()];
    wait("all is told again", PATIENCE, ended, || {
        let now = scrape()?;
        for (after, sink) in told_after.iter_mut().zip(SINKS) {
            if now.waiting(sink) == 0.0 {
                after.get_or_insert_with(|| up.elapsed());
            }
        }
        Ok(told_after.iter().all(Option::is_some) && known(STAYS, direct)?)
    })?;
    let heard = direct.memory.look();
    let meanwhile = |is_raised| {
        let events = heard.events[begun.events..].iter();
        events.filter(|event| event.is_raised == is_raised && event.at > down && event.at < up).count()
    };
    let row = |((sink, waited), told_after)| {
        let (failures, came, dropped, suppressed) = (0.0, None, 0.0, 0.0);
        Row { sink, failures, waited, came, dropped, suppressed, told_after }
    };
    Ok(Outage {
        lasted,
        raised: meanwhile(true),
        cleared: meanwhile(false),
        all_cleared: 0,
        owed: 0,
        resolved: 0.0,
        rows: SINKS.into_iter().zip(waited).zip(told_after).map(row).collect(),
        begun,
        up,
    })
}

fn wait(
    what: &str,
    patience: Duration,
    ended: &dyn Fn() -> bool,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !is_so().with_context(|| format!("wait until {what}"))? {
        ensure!(!ended(), "the guest has ended");
        if started.elapsed() > patience {
            bail!("{NAME}: waited in vain until {what}");
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

impl Outage {
    /// When all is quiet again: compares what there was to tell with what came. What was wrong.
    pub(super) fn judge(&mut self, direct: &Direct, stage: &Stage, ended: &dyn Fn() -> bool) -> Result<Vec<String>> {
        let scrape = || Figures::of(&stage.metrics()?);
        wait("no sink has anything to tell", PATIENCE, ended, || {
            let now = scrape()?;
            Ok(SINKS.iter().chain([&WITNESS]).all(|sink| now.waiting(sink) == 0.0))
        })?;
        let now = scrape()?;
        let heard = direct.memory.look();
        let mut problems = Vec::new();
        if now.started() != self.begun.figures.started() {
            problems.push("mmscope was restarted".to_owned());
        }
        let events = &heard.events[self.begun.events..];
        let cleared = cleared(events);
        self.all_cleared = cleared.len();
        for row in &mut self.rows {
            let since = |of: fn(&Figures, &str) -> f64| of(&now, row.sink) - of(&self.begun.figures, row.sink);
            row.failures = since(Figures::failures);
            row.dropped = since(Figures::dropped);
            row.suppressed = since(Figures::suppressed);
            problems.extend(row.problem());
            if row.sink == SINKS[0] {
                continue;
            }
            let missing = missing(&cleared, &heard, self.begun.posted, row.sink);
            row.came = Some(cleared.len() - missing.len());
            if missing.len() as f64 > row.dropped + row.suppressed {
                problems.push(format!("{} ends did not come to {}, more than were counted", missing.len(), row.sink));
            }
            // With room enough, only what a later state took the place of.
            let lost = missing.iter().find(|(alert, ends)| !is_replaced(events, alert, ends));
            if let (Some((alert, _)), "named") = (lost, row.sink) {
                problems.push(format!("the end of {alert:?} did not come"));
            }
        }
        self.owed = owed(events, self.up);
        self.resolved = Figures::of(&api::get(&format!("{}/metrics", direct.lone.api.0))?)?.resolved();
        if self.owed == 0 || self.resolved < self.owed as f64 {
            problems.push(format!("the Alertmanager heard of {} ends instead of {}", self.resolved, self.owed));
        }
        Ok(problems.into_iter().map(|problem| format!("{NAME}: {problem}")).collect())
    }
}

impl Row {
    fn problem(&self) -> Option<String> {
        let Self { sink, failures, waited, dropped, told_after, .. } = self;
        let has_room = *sink != "narrow";
        let what = if *failures == 0.0 || *waited == 0.0 {
            "noticed nothing"
        } else if has_room && *dropped > 0.0 {
            "gave alerts up for which there was room"
        } else if !has_room && *dropped == 0.0 {
            "gave nothing up although there was no room"
        } else if told_after.is_none_or(|after| after > PROMISED) {
            "was told again too late"
        } else {
            return None;
        };
        Some(format!("the sink {sink} {what}"))
    }
}

/// Alerts that were cleared, each time by its end.
fn cleared(events: &[Event]) -> BTreeSet<(Alert, String)> {
    events.iter().filter_map(|event| Some((event.alert.clone(), event.ends.clone()?))).collect()
}

/// What of these was not posted by a sink.
fn missing(cleared: &BTreeSet<(Alert, String)>, heard: &Heard, from: usize, sink: &str) -> Vec<(Alert, String)> {
    let posted = heard.posted[from..].iter().filter(|told| told.sink == sink);
    let came: BTreeSet<(Alert, String)> = posted.map(|told| (told.alert.clone(), told.ends.clone())).collect();
    cleared.difference(&came).cloned().collect()
}

/// Whether an alert was raised again after it was cleared.
fn is_replaced(events: &[Event], alert: &Alert, ends: &str) -> bool {
    let at = events.iter().position(|event| event.alert == *alert && event.ends.as_deref() == Some(ends));
    at.is_some_and(|at| events[at..].iter().any(|event| event.alert == *alert && event.is_raised))
}

/// Alerts whose last word is that they were cleared, surely before the Alertmanagers came back and after they went: those that were
/// over before hold for nothing, but none was.
fn owed(events: &[Event], up: Instant) -> usize {
    let is_last = |n: usize, event: &Event| !events[n + 1..].iter().any(|other| other.alert == event.alert);
    let last = events.iter().enumerate().filter(|(n, event)| !event.is_raised && is_last(*n, event));
    last.filter(|(_, event)| event.at + SURELY < up && event.alert.comm.starts_with("out-")).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::hears::Posted;

    fn alert(comm: &str) -> Alert {
        Alert { class: "c".to_owned(), severity: "s".to_owned(), comm: comm.to_owned(), about: String::new() }
    }

    fn event(at: Instant, comm: &str, ends: Option<&str>) -> Event {
        let ends = ends.map(str::to_owned);
        Event { at, alert: alert(comm), is_raised: ends.is_none(), ends, text: String::new(), runbook: String::new() }
    }

    #[test]
    fn what_did_not_come_is_found_and_whether_a_later_state_took_its_place() {
        let at = Instant::now();
        let events = [
            event(at, "out-a", None),
            event(at, "out-a", Some("1")),
            event(at, "out-b", None),
            event(at, "out-b", Some("2")),
            event(at, "out-a", None),
        ];
        let mut heard = Heard::default();
        let told =
            |sink: &str, ends: &str| Posted { sink: sink.to_owned(), alert: alert("out-b"), ends: ends.to_owned() };
        heard.posted = vec![told("named", "2"), told("other", "2"), told("named", "3")];
        let cleared = cleared(&events);
        let missing = |from| super::missing(&cleared, &heard, from, "named");
        assert_eq!(missing(0), [(alert("out-a"), "1".to_owned())]);
        assert_eq!(missing(1).len(), 2, "what was posted before does not count");
        assert!(is_replaced(&events, &alert("out-a"), "1") && !is_replaced(&events, &alert("out-b"), "2"));
        assert_eq!((owed(&events, at + SURELY * 2), owed(&events, at)), (1, 0), "out-a is raised again");
    }
}
