//! The second way of raising a class: a figure of a subject is many times what it is usually, however far below the class's bound.
//! Off unless `baseline_factor` is set. Bounded; what finds no room is counted.

use std::{collections::BTreeMap, time::Duration};

use probe_common::{
    histogram::FIRST_BOUND_LOG2,
    series::{
        ESCALATED_NESTED, FAULT, FAULT_REASONS, HOLD, OUTER, PATH_EXIT, PATH_MPROTECT, PATH_OTHER, PATH_RECLAIM,
        PATH_ZAP, PATHS, SHOOTDOWN, WAIT,
    },
};

use super::{
    baseline::Baseline,
    kinds::{Class, Finding, Found, Raise, Severity},
    look::Context,
    text,
};
use crate::{
    config::Config,
    identity::Subject,
    intake::{Counts, Histogram},
};

/// How a figure is made and told.
enum Kind {
    /// Events per second.
    Rate(fn(&Counts) -> f64),
    /// Time per second.
    Time(fn(&Counts) -> Histogram),
    /// Bound of the bucket within which 99 of 100 were.
    Most(fn(&Counts) -> Histogram),
}

struct Figure {
    class: Class,
    /// Tells its alerts from those of the class's bound.
    about: &'static str,
    what: &'static str,
    kind: Kind,
}

/// Every figure that has a baseline.
const FIGURES: [Figure; 11] = [
    Figure {
        class: Class::UnwarrantedFlushStorm,
        about: "baseline",
        what: "unwarranted flushes per second",
        kind: Kind::Rate(|counts| counts.forced[0] as f64),
    },
    Figure {
        class: Class::LongWindow,
        about: "baseline",
        what: "99 of 100 windows of protection changes",
        kind: Kind::Most(|counts| {
            let unjudged = [PATH_EXIT, PATH_RECLAIM, PATH_ZAP, PATH_OTHER];
            sum(counts, (0..PATHS.len() as u32).filter(|path| !unjudged.contains(path)).map(|path| OUTER + path))
        }),
    },
    Figure {
        class: Class::NestedWindow,
        about: "baseline",
        what: "whole flushes for others' windows per second",
        kind: Kind::Rate(|counts| counts.escalated[ESCALATED_NESTED as usize] as f64),
    },
    Figure {
        class: Class::FlushEscalation,
        about: "baseline",
        what: "ranges flushed as the whole address space per second",
        kind: Kind::Rate(|counts| {
            let all: u64 = counts.escalated.iter().sum();
            (all - counts.escalated[ESCALATED_NESTED as usize]) as f64
        }),
    },
    Figure {
        class: Class::LockConvoy,
        about: "baseline_wait",
        what: "waits for mmap_lock per second",
        kind: Kind::Time(|counts| sum(counts, [WAIT, WAIT + 1])),
    },
    Figure {
        class: Class::LockConvoy,
        about: "baseline_hold",
        what: "write holds of mmap_lock per second",
        kind: Kind::Time(|counts| counts.histogram(HOLD + 1)),
    },
    Figure {
        class: Class::ProtectionFlipFlop,
        about: "baseline",
        what: "mprotect windows times their CPUs per second",
        kind: Kind::Rate(|counts| {
            let cpus = 1.0 + counts.shootdown_cpus as f64 / counts.shootdowns.max(1) as f64;
            counts.histogram(OUTER + PATH_MPROTECT).count() as f64 * cpus
        }),
    },
    Figure {
        class: Class::UffdSlow,
        about: "baseline",
        what: "99 of 100 userfaults",
        kind: Kind::Most(|counts| sum(counts, FAULT..FAULT + FAULT_REASONS.len() as u32)),
    },
    Figure {
        class: Class::UffdRefault,
        about: "baseline",
        what: "userfaults at the page of one just before per second",
        kind: Kind::Rate(|counts| counts.refaults as f64),
    },
    Figure {
        class: Class::UffdErrorStorm,
        about: "baseline",
        what: "failures of userfaultfd ioctls per second",
        kind: Kind::Rate(|counts| counts.errors.values().sum::<u64>() as f64),
    },
    Figure {
        class: Class::ShootdownStraggler,
        about: "baseline",
        what: "99 of 100 shootdowns",
        kind: Kind::Most(|counts| counts.histogram(SHOOTDOWN)),
    },
];

/// Whether an alert is one of these.
pub(super) fn is_about(about: &str) -> bool {
    FIGURES.iter().any(|figure| figure.about == about)
}

fn sum(counts: &Counts, series: impl IntoIterator<Item = u32>) -> Histogram {
    let mut sum = Histogram::default();
    for series in series {
        if let Some(histogram) = counts.known_histogram(series) {
            sum += histogram;
        }
    }
    sum
}

/// Bound of the bucket within which 99 of 100 were, nanoseconds.
fn most(histogram: &Histogram) -> f64 {
    let rank = histogram.count() - histogram.count() / 100;
    let mut seen = 0;
    let bucket = histogram.buckets.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    (1_u64 << (FIRST_BOUND_LOG2 as usize + bucket.unwrap_or_default())) as f64
}

impl Figure {
    /// The value of a look, and of how many events it is.
    fn value(&self, context: &Context<'_>, counts: &Counts) -> (f64, u64) {
        match self.kind {
            Kind::Rate(of) => (context.per_second(1) * of(counts), of(counts) as u64),
            Kind::Time(of) => {
                let histogram = of(counts);
                (context.per_second(1) * histogram.sum_ns as f64, histogram.count())
            }
            Kind::Most(of) => {
                let histogram = of(counts);
                (most(&histogram), histogram.count())
            }
        }
    }

    fn shown(&self, value: f32) -> String {
        match self.kind {
            Kind::Rate(_) => format!("{value:.1}").trim_end_matches(".0").to_owned(),
            Kind::Time(_) | Kind::Most(_) => text::ns(value as u64),
        }
    }
}

struct Track {
    baseline: Baseline,
    active: Duration,
}

/// What is usual for whom.
pub(super) struct Baselines {
    factor: f32,
    looks: usize,
    warm_up: usize,
    minimum: u64,
    room: usize,
    quiet: Duration,
    /// By subject, and figure of the table.
    tracks: BTreeMap<(Subject, usize), Track>,
    over: u64,
}

impl Baselines {
    /// None if they are switched off.
    pub(super) fn new(config: &Config) -> Option<Self> {
        let bounds = &config.anomaly;
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        (bounds.baseline_factor > 0).then(|| Self {
            factor: bounds.baseline_factor as f32,
            looks: size(bounds.baseline_looks),
            warm_up: size(bounds.baseline_warm_up),
            minimum: bounds.baseline_minimum,
            room: size(bounds.baseline_figures),
            quiet: config.subject_quiet,
            tracks: BTreeMap::new(),
            over: 0,
        })
    }

    /// With what was usual so far, as far as there is room for it.
    pub(super) fn continuing(mut self, old: Self) -> Self {
        self.tracks = old.tracks;
        self.over = old.over;
        while self.tracks.len() > self.room {
            let quietest = self.tracks.iter().min_by_key(|(_, track)| track.active).map(|(key, _)| key.clone());
            quietest.and_then(|key| self.tracks.remove(&key));
        }
        self
    }

    /// Figures that found no room, since the start.
    pub(super) fn over(&self) -> u64 {
        self.over
    }

    /// Judges one look, and remembers it. A figure without an event is no look: what is usual is that of times of activity.
    pub(super) fn judge(&mut self, context: &Context<'_>, judged: &[Class], found: &mut Found) {
        let mut by_subject: BTreeMap<&Subject, Counts> = BTreeMap::new();
        for mm in context.look.mms {
            *by_subject.entry(&mm.subject).or_default() += &mm.counts;
        }
        // It is a mix of whatever found no place.
        by_subject.remove(&Subject::other());
        for (subject, counts) in by_subject {
            for (n, figure) in FIGURES.iter().enumerate().filter(|(_, figure)| judged.contains(&figure.class)) {
                let (value, events) = figure.value(context, &counts);
                if events == 0 {
                    continue;
                }
                let key = (subject.clone(), n);
                if !self.tracks.contains_key(&key)
                    && self.tracks.len() >= self.room
                    && !self.make_room(context.look.now)
                {
                    self.over += 1;
                    continue;
                }
                let value = value as f32;
                let (factor, warm_up) = (self.factor, self.warm_up);
                let fresh = || Track { baseline: Baseline::new(), active: Duration::ZERO };
                let track = self.tracks.entry(key).or_insert_with(fresh);
                let usual = track.baseline.usual(warm_up).filter(|_| events >= self.minimum);
                if let Some(usual) = usual.filter(|usual| usual.is_exceeded(value, factor)) {
                    let times = value / usual.median;
                    let text = format!(
                        "{} of {}: {}, {times:.0} times the median of the last {} ticks with any, {} (bound {factor} \
                         times). What this class means is in its alerts by bound; here something has changed",
                        figure.what,
                        text::of(subject),
                        figure.shown(value),
                        track.baseline.looks(),
                        figure.shown(usual.median),
                    );
                    let weight = (f64::from(times) * 1e3) as u64;
                    let mut finding =
                        Finding::new(figure.class, Severity::Warning, Some(subject.clone()), weight, text);
                    (finding.about, finding.raise) = (figure.about, Some(Raise::InARow));
                    found.findings.push(finding);
                }
                track.baseline.add(value, self.looks);
                track.active = context.look.now;
            }
        }
    }

    /// Forgets the one that was quiet for longest, if that is long enough.
    fn make_room(&mut self, now: Duration) -> bool {
        let quietest = self.tracks.iter().min_by_key(|(_, track)| track.active);
        let Some(key) = quietest.filter(|(_, track)| now.saturating_sub(track.active) > self.quiet).map(|(key, _)| key)
        else {
            return false;
        };
        let key = key.clone();
        self.tracks.remove(&key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::{
        MmLook,
        fixture::{Bench, histogram, mm},
    };

    fn bench(class: Class, factor: u64) -> Bench {
        let mut bench = Bench::new(class);
        bench.bounds.baseline_factor = factor;
        (bench.bounds.baseline_looks, bench.bounds.baseline_warm_up) = (100, 20);
        bench
    }

    fn refaults(comm: &str, refaults: u64) -> [MmLook; 1] {
        [mm(comm, Counts { refaults, ..Counts::default() })]
    }

    #[test]
    fn a_figure_far_above_its_own_past_is_told_below_the_bound() {
        let mut bench = bench(Class::UffdRefault, 5);
        bench.looks(19, &refaults("a", 30), &[]);
        assert!(bench.looks(3, &refaults("a", 900), &[]).is_empty(), "warm after the first of these");
        assert_eq!(bench.looks(1, &refaults("a", 900), &[]).len(), 1);
        let mut bench = self::bench(Class::UffdRefault, 5);
        bench.looks(40, &refaults("a", 30), &[]);
        assert!(bench.looks(9, &refaults("a", 150), &[]).is_empty(), "five times is the bound");
        assert!(bench.looks(2, &refaults("a", 151), &[]).is_empty(), "not yet three in a row");
        let raised = bench.looks(1, &refaults("a", 151), &[]);
        assert_eq!((raised.len(), raised[0].about), (1, "baseline"));
        for part in [
            "userfaults at the page of one just before per second of a",
            ": 151, 5 times",
            "51 ticks",
            " 30 (bound 5 times)",
        ] {
            assert!(raised[0].text.contains(part), "{part}: {}", raised[0].text);
        }
    }

    #[test]
    fn off_is_the_default_and_few_events_are_no_finding() {
        let mut off = bench(Class::UffdRefault, 0);
        off.looks(40, &refaults("a", 30), &[]);
        assert!(off.looks(9, &refaults("a", 900), &[]).is_empty());
        let mut few = bench(Class::UffdRefault, 5);
        few.looks(40, &refaults("a", 2), &[]);
        assert!(few.looks(9, &refaults("a", 99), &[]).is_empty(), "below baseline_minimum");
        assert_eq!(few.looks(3, &refaults("a", 100), &[]).len(), 1);
    }

    #[test]
    fn the_bound_still_raises_and_hazards_are_counted_by_it_alone() {
        let mut bench = bench(Class::ProtectionFlipFlop, 5);
        let toggles = |count| [mm("a", histogram(OUTER + PATH_MPROTECT, Duration::from_micros(1), count))];
        bench.looks(40, &toggles(500), &[]);
        let raised = bench.looks(5, &toggles(20_000), &[]);
        let mut abouts: Vec<_> = raised.iter().map(|told| told.about).collect();
        abouts.sort_unstable();
        assert_eq!(abouts, ["", "baseline"]);
        assert_eq!(bench.hazards(), [("", 1)]);
    }

    #[test]
    fn times_and_percentiles_are_figures_too() {
        let mut waits = bench(Class::LockConvoy, 5);
        let wait = |ms| [mm("a", histogram(WAIT, Duration::from_millis(ms), 200))];
        waits.looks(40, &wait(1), &[]);
        let raised = waits.looks(3, &wait(10), &[]);
        assert_eq!((raised.len(), raised[0].about), (1, "baseline_wait"));
        assert!(raised[0].text.contains("2s, 10 times") && raised[0].text.contains("200ms"), "{}", raised[0].text);
        let mut slow = bench(Class::UffdSlow, 5);
        let fault = |us, of| {
            let mut counts = histogram(FAULT, Duration::from_micros(us), of);
            counts += &histogram(FAULT, Duration::from_micros(50), 300 - of);
            [mm("a", counts)]
        };
        slow.looks(40, &fault(50, 0), &[]);
        assert!(slow.looks(9, &fault(9_000, 3), &[]).is_empty(), "one of a hundred");
        let raised = slow.looks(3, &fault(9_000, 4), &[]);
        assert_eq!(raised.len(), 1);
        assert!(raised[0].text.contains("99 of 100 userfaults of a"), "{}", raised[0].text);
    }

    #[test]
    fn room_is_bounded_and_what_finds_none_is_counted() {
        let mut baselines = Baselines::new(&Config {
            anomaly: crate::config::Anomaly { baseline_factor: 5, baseline_figures: 2, ..Default::default() },
            ..Config::default()
        })
        .unwrap();
        let bounds = crate::config::Anomaly::default();
        let host = crate::anomaly::Host::default();
        let mut step = |second: u64, comms: &[&str]| {
            let mms: Vec<MmLook> = comms.iter().flat_map(|comm| refaults(comm, 1)).collect();
            let look = crate::anomaly::Look {
                now: Duration::from_secs(second),
                interval: Duration::from_secs(1),
                mms: &mms,
                records: &[],
                lost: &[],
                pending_mismatches: None,
                probe_misses: 0,
            };
            let context = Context { look: &look, bounds: &bounds, host: &host, unjudged: &[] };
            baselines.judge(&context, &[Class::UffdRefault], &mut Found::default());
            (baselines.tracks.len(), baselines.over())
        };
        assert_eq!(step(1, &["a", "b", "c", "other"]), (2, 2));
        assert_eq!(step(2, &["a"]), (2, 2));
        assert_eq!(step(302, &["c"]), (2, 2), "in place of b, which was quiet for longer than subject_quiet");
        assert_eq!(step(303, &["b"]), (2, 2), "in place of a");
        assert_eq!(step(304, &["a"]), (2, 3));
    }

    #[test]
    fn every_figure_is_one_of_a_class_that_warns_and_abouts_do_not_meet() {
        for (n, figure) in FIGURES.iter().enumerate() {
            assert!(figure.class.severities().contains(&Severity::Warning), "{}", figure.what);
            let twice = FIGURES[..n].iter().any(|other| (other.class, other.about) == (figure.class, figure.about));
            assert!(!twice, "{}", figure.what);
            assert!(!figure.class.outcomes().contains(&figure.about));
        }
        let mut histogram = Histogram::default();
        histogram.buckets[3] = 100;
        assert_eq!(most(&histogram), 2_048.0);
        histogram.buckets[26] = 2;
        assert_eq!(most(&histogram), (1_u64 << 34) as f64);
    }
}
