//! Sums by subject. Pure: observations in, a snapshot out; the time is passed in.
//!
//! The number of subjects is bounded. One that finds no place is summed into "other"; one that was quiet for long
//! gives its place up and its sums go to "other", so that nothing is lost and no counter of "other" ever falls.

mod exemplars;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

pub use exemplars::{Exemplar, Exemplars, RecordId};

use crate::{
    anomaly::{Class, Hazard, Severity},
    governor::Governed,
    identity::Subject,
    intake::{Counts, ProgramFigures, TableFigures},
    notify::SinkFigures,
    plan::HookState,
    web::WebFigures,
};

/// Bounds of the model.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Subjects told apart.
    pub subjects: usize,
    /// A subject that was quiet for so long may lose its place to a new one.
    pub quiet: Duration,
}

/// What is told at a scrape.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Sums by subject, "other" among them.
    pub subjects: BTreeMap<Subject, Counts>,
    /// Single events of each subject's histograms; who has none is absent.
    pub exemplars: BTreeMap<Subject, Exemplars>,
    /// Each hook of the table, in its order.
    pub hooks: Vec<HookState>,
    /// Losses by reason.
    pub lost: Vec<u64>,
    /// Looks at which the kernel's count of pending flushes differed from ours; none where it cannot be read.
    pub pending_mismatches: Option<u64>,
    /// Tables of the kernel side.
    pub tables: Vec<TableFigures>,
    /// What the kernel says of each attached program.
    pub programs: BTreeMap<&'static str, ProgramFigures>,
    /// This process, as customary; none where /proc does not tell.
    pub process: Option<ProcessFigures>,
    /// What was given up, to cost less.
    pub governed: Governed,
    /// Hazards seen so far; totals that are zero are absent.
    pub hazards: Vec<Hazard>,
    /// Alerts that are raised, by class and severity; every one that is judged here is in it.
    pub alerts: BTreeMap<(Class, Severity), u64>,
    /// Findings that found no room among the alerts.
    pub alerts_over: u64,
    /// Figures that found no room among the baselines; none where there are no baselines.
    pub baselines_over: Option<u64>,
    /// Receivers of alerts.
    pub sinks: Vec<SinkFigures>,
    /// The HTTP side; none where nothing is served.
    pub web: Option<WebFigures>,
    /// Nanoseconds waited for mmap_lock, by waiter's and holder's operation.
    pub blocked_ns: Vec<u64>,
    /// Single events over their thresholds since the start.
    pub records: u64,
    /// Ticks since the start.
    pub ticks: u64,
}

/// Figures of mmscope itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessFigures {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_bytes: u64,
    /// Address space.
    pub virtual_bytes: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// Limit on them.
    pub max_fds: u64,
    /// Start, since the epoch.
    pub start_seconds: f64,
}

struct Place {
    counts: Counts,
    exemplars: Exemplars,
    /// Time of the last activity.
    active: Duration,
}

/// The sums.
pub struct Model {
    limits: Limits,
    places: BTreeMap<Subject, Place>,
    other: Counts,
    other_exemplars: Exemplars,
}

impl Model {
    /// An empty model.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, places: BTreeMap::new(), other: Counts::default(), other_exemplars: Exemplars::default() }
    }

    /// Adds what one tick saw; `now` is any time that does not go back.
    pub fn fold<'a>(&mut self, now: Duration, added: impl IntoIterator<Item = (&'a Subject, &'a Counts)>) {
        // Several mms of one newcomer count as one before a place is looked for.
        let mut newcomers: BTreeMap<&Subject, Counts> = BTreeMap::new();
        for (subject, counts) in added {
            if subject.is_other() {
                self.other += counts;
            } else if let Some(place) = self.places.get_mut(subject) {
                place.counts += counts;
                place.active = now;
            } else {
                *newcomers.entry(subject).or_default() += counts;
            }
        }
        let mut newcomers: Vec<_> = newcomers.into_iter().collect();
        // Where there is not room for all, the most active come first.
        newcomers.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.activity()));
        for (subject, counts) in newcomers {
            if self.places.len() < self.limits.subjects || self.make_room(now) {
                let place = Place { counts, exemplars: Exemplars::default(), active: now };
                self.places.insert(subject.clone(), place);
            } else {
                self.other += &counts;
            }
        }
    }

    /// Keeps single events of what was folded, and forgets old ones; `now` is the wall clock.
    pub fn keep<'a>(&mut self, now: SystemTime, exemplars: impl IntoIterator<Item = (&'a Subject, Exemplar)>) {
        for (subject, exemplar) in exemplars {
            let place = self.places.get_mut(subject);
            place.map_or(&mut self.other_exemplars, |place| &mut place.exemplars).add(exemplar);
        }
        let places = self.places.values_mut().map(|place| &mut place.exemplars);
        places.chain([&mut self.other_exemplars]).for_each(|kept| kept.expire(now));
    }

    /// Takes the place of the subject that was quiet for longest, if it was quiet for long enough.
    fn make_room(&mut self, now: Duration) -> bool {
        let quietest = self.places.iter().min_by_key(|(_, place)| place.active);
        let Some((subject, place)) = quietest else { return false };
        if now.saturating_sub(place.active) < self.limits.quiet {
            return false;
        }
        let subject = subject.clone();
        if let Some(place) = self.places.remove(&subject) {
            self.other += &place.counts;
            self.other_exemplars.merge(place.exemplars);
        }
        true
    }

    /// Sums as they are now.
    #[must_use]
    pub fn subjects(&self) -> BTreeMap<Subject, Counts> {
        let mut subjects: BTreeMap<Subject, Counts> =
            self.places.iter().map(|(subject, place)| (subject.clone(), place.counts.clone())).collect();
        if !self.other.is_empty() {
            subjects.insert(Subject::other(), self.other.clone());
        }
        subjects
    }

    /// Single events as they are now.
    #[must_use]
    pub fn exemplars(&self) -> BTreeMap<Subject, Exemplars> {
        let places = self.places.iter().map(|(subject, place)| (subject.clone(), &place.exemplars));
        let all = places.chain([(Subject::other(), &self.other_exemplars)]);
        all.filter(|(_, kept)| !kept.is_empty()).map(|(subject, kept)| (subject, kept.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(comm: &str) -> Subject {
        Subject { comm: comm.to_owned(), cgroup: "/".to_owned() }
    }

    fn flushes(n: u64) -> Counts {
        Counts { flushes: [n, 0, 0], ..Counts::default() }
    }

    fn total(model: &Model) -> u64 {
        model.subjects().values().map(|counts| counts.flushes[0]).sum()
    }

    const LIMITS: Limits = Limits { subjects: 2, quiet: Duration::from_secs(60) };

    #[test]
    fn mms_of_one_subject_are_one_sum() {
        let mut model = Model::new(LIMITS);
        model.fold(Duration::ZERO, [(&subject("a"), &flushes(1)), (&subject("a"), &flushes(2))]);
        assert_eq!(model.subjects()[&subject("a")].flushes[0], 3);
    }

    #[test]
    fn who_finds_no_place_is_summed_into_other() {
        let mut model = Model::new(LIMITS);
        model.fold(
            Duration::ZERO,
            [(&subject("a"), &flushes(1)), (&subject("b"), &flushes(5)), (&subject("c"), &flushes(3))],
        );
        let subjects = model.subjects();
        assert_eq!(subjects.len(), 3);
        assert_eq!(subjects[&Subject::other()].flushes[0], 1, "the least active one");
        assert_eq!(total(&model), 9);
    }

    #[test]
    fn a_quiet_subject_gives_its_place_up_and_its_sums_stay() {
        let mut model = Model::new(LIMITS);
        model.fold(Duration::ZERO, [(&subject("a"), &flushes(4)), (&subject("b"), &flushes(5))]);
        model.fold(Duration::from_secs(59), [(&subject("b"), &flushes(1)), (&subject("c"), &flushes(1))]);
        assert!(!model.subjects().contains_key(&subject("c")), "a was not quiet for long enough");
        model.fold(Duration::from_secs(61), [(&subject("c"), &flushes(1))]);
        let subjects = model.subjects();
        assert!(subjects.contains_key(&subject("c")) && !subjects.contains_key(&subject("a")));
        assert_eq!(subjects[&Subject::other()].flushes[0], 5);
        assert_eq!(total(&model), 12);
    }

    #[test]
    fn what_found_no_slot_is_other_without_taking_a_place() {
        let mut model = Model::new(LIMITS);
        model.fold(Duration::ZERO, [(&Subject::other(), &flushes(7))]);
        model.fold(Duration::ZERO, [(&subject("a"), &flushes(1)), (&subject("b"), &flushes(1))]);
        assert_eq!(model.subjects().len(), 3);
    }
    #[test]
    fn exemplars_go_where_the_counts_go() {
        let mut model = Model::new(LIMITS);
        let (a, b, c) = (subject("a"), subject("b"), subject("c"));
        let wall = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let exemplar = |duration_ns| {
            let record = exemplars::tests::record(probe_common::series::HOLD, 1, duration_ns);
            Exemplar::of(&record, wall(1)).unwrap()
        };
        model.fold(Duration::ZERO, [(&a, &flushes(5)), (&b, &flushes(5)), (&c, &flushes(1))]);
        model.keep(wall(2), [(&a, exemplar(300)), (&c, exemplar(3_000))]);
        let told = |model: &Model| -> Vec<(String, u64)> {
            let kept = model.exemplars().into_iter();
            let of_hold =
                |kept: &Exemplars| kept.of(probe_common::series::HOLD).iter().map(|one| one.duration_ns).sum();
            kept.map(|(subject, kept)| (subject.comm, of_hold(&kept))).collect()
        };
        assert_eq!(told(&model), [("a".to_owned(), 300), ("other".to_owned(), 3_000)]);
        model.fold(Duration::from_secs(61), [(&b, &flushes(1)), (&c, &flushes(1))]);
        assert_eq!(told(&model), [("other".to_owned(), 3_300)], "a lost its place");
        model.keep(wall(400), []);
        assert_eq!(told(&model), [], "all are old");
    }
}
