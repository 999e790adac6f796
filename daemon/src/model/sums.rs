//! Sums by subject, bounded by places and by series. Pure: the time is passed in, and all is decided in whole numbers, so that
//! a replay comes to the same.
//!
//! Nothing is counted twice and nothing is lost: what a tick adds goes to one sum, and a subject that is told no more leaves its
//! sums to "other", no counter of which ever falls.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{
    ELSEWHERE, ELSEWHERE_IDLE, Exemplar, Exemplars, Limits, SubjectFigures,
    candidates::{BUSY, Candidates, Score, Seen},
};
use crate::{identity::Subject, intake::Counts};

/// Series of a subject that has only just come: its next ticks bring more of them.
const TYPICAL: usize = 250;
/// As busy as this it is still told on a host that is idle otherwise: a part, so that it does not come and go.
const CALM: u64 = BUSY / 4;
/// Ticks in a row for which a newcomer has to do more than the least of those who have a place.
const STREAK: u32 = 5;
/// How much more.
const MARGIN: u64 = 2;

struct Place {
    counts: Counts,
    exemplars: Exemplars,
    score: Score,
    /// Time of the last activity.
    active: Duration,
    /// Last time it was not calm.
    busy: Duration,
    /// Series that it makes, by the last fold.
    series: usize,
    /// Since when it is shown for the last time.
    leaving: Option<Duration>,
}

/// The sums.
pub struct Model {
    limits: Limits,
    places: BTreeMap<Subject, Place>,
    candidates: Candidates,
    other: Counts,
    other_exemplars: Exemplars,
    figures: SubjectFigures,
    /// Series beside those of subjects, over what is set aside.
    beside: usize,
    now: Duration,
}

impl Model {
    /// Other bounds from now on. Who has a place keeps it for as long as it would have.
    pub fn set_limits(&mut self, limits: Limits) {
        if limits.subjects != self.limits.subjects {
            self.candidates = Candidates::new(limits.subjects);
        }
        self.limits = limits;
    }

    /// An empty model.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: BTreeMap::new(),
            candidates: Candidates::new(limits.subjects),
            other: Counts::default(),
            other_exemplars: Exemplars::default(),
            figures: SubjectFigures::default(),
            beside: 0,
            now: Duration::ZERO,
        }
    }

    /// How many series there are beside: hazards have subjects too.
    pub fn leave_room_for(&mut self, series: usize) {
        self.beside = series;
    }

    /// Series that subjects may make, whatever happens.
    fn cap(&self) -> usize {
        self.limits.series_cap.saturating_sub(ELSEWHERE + self.beside)
    }

    /// Series up to which those are told apart too that do little.
    fn idle_cap(&self) -> usize {
        self.limits.series_idle.saturating_sub(ELSEWHERE_IDLE + self.beside).min(self.cap())
    }

    /// Adds what one tick saw; `now` is any time that does not go back.
    pub fn fold<'a>(&mut self, now: Duration, added: impl IntoIterator<Item = (&'a Subject, &'a Counts)>) {
        let passed = now.saturating_sub(self.now);
        self.now = now;
        self.places.values_mut().for_each(|place| place.score.decay(passed));
        self.candidates.decay(passed);
        self.let_go();
        // Several mms of one newcomer count as one before a place is looked for.
        let mut newcomers: BTreeMap<&Subject, Counts> = BTreeMap::new();
        for (subject, counts) in added {
            if subject.is_other() {
                self.other += counts;
                continue;
            }
            match self.places.get_mut(subject) {
                Some(place) if place.leaving.is_none() => {
                    place.counts += counts;
                    place.active = now;
                    place.score.add(counts.activity());
                }
                _ => *newcomers.entry(subject).or_default() += counts,
            }
        }
        self.measure();
        let mut newcomers: Vec<_> = newcomers.into_iter().collect();
        // Where there is not room for all, the most active come first.
        newcomers.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.activity()));
        let to_beat = MARGIN * self.least_score();
        for (n, (subject, counts)) in newcomers.into_iter().enumerate() {
            let is_among_the_first = n < self.candidates.bound();
            if !is_among_the_first {
                self.add_to_other(subject, counts);
                continue;
            }
            let candidate = self.candidates.saw(subject, counts.activity(), to_beat);
            if self.finds_place(subject, candidate, &counts) {
                self.settle(subject, counts, candidate.score);
            } else {
                self.add_to_other(subject, counts);
            }
        }
        self.candidates.end_tick();
        self.measure();
        self.calm_down();
        self.keep_cap();
    }

    /// What has no place is summed into "other"; what is in flight stays with who is shown for the last time, where it began.
    fn add_to_other(&mut self, subject: &Subject, mut counts: Counts) {
        if let Some(place) = self.places.get_mut(subject) {
            place.counts += &counts.take_in_flight();
        }
        self.other += &counts;
    }

    fn settle(&mut self, subject: &Subject, counts: Counts, score: Score) {
        self.candidates.forget(subject);
        let (now, series) = (self.now, counts.series().max(TYPICAL));
        match self.places.get_mut(subject) {
            // Back before it had gone: it goes on from where it was.
            Some(place) => {
                place.counts += &counts;
                place.leaving = None;
                (place.active, place.busy, place.score) = (now, now, score);
            }
            None => {
                let exemplars = Exemplars::default();
                let place = Place { counts, exemplars, score, active: now, busy: now, series, leaving: None };
                self.places.insert(subject.clone(), place);
            }
        }
    }

    /// Whether there is a place for it now. If not, one may be made that it finds at a later tick.
    fn finds_place(&mut self, subject: &Subject, candidate: Seen, counts: &Counts) -> bool {
        let limits = self.limits;
        // One that is still shown takes no more series than it has.
        let is_shown = self.places.contains_key(subject);
        let more = if is_shown { 0 } else { counts.series().max(TYPICAL) };
        let budget = if candidate.is_busy() { self.cap() } else { self.idle_cap() };
        let used = self.series();
        let fits = used + more <= budget;
        if fits && self.told() < limits.subjects {
            return true;
        }
        // Those who are about to go make room already.
        let leaving: usize = self.leaving().map(|place| place.series).sum();
        let is_full = self.told() >= limits.subjects || used - leaving + more > budget;
        is_full && self.make_room(candidate, is_shown) && fits
    }

    /// Sends the least of those who have a place away, if it is quiet for long, or the newcomer has done more for long enough.
    fn make_room(&mut self, candidate: Seen, is_shown: bool) -> bool {
        // A few at a time are shown for the last time: each takes series.
        if self.leaving().count() - usize::from(is_shown) > self.limits.subjects / 4 {
            return false;
        }
        let now = self.now;
        let live = self.places.values_mut().filter(|place| place.leaving.is_none());
        let Some(least) = live.min_by_key(|place| (place.score.events(), place.active)) else { return false };
        let is_quiet = now.saturating_sub(least.active) >= self.limits.quiet;
        let is_beaten = candidate.streak >= STREAK && candidate.score.events() >= MARGIN * least.score.events();
        if is_quiet || is_beaten {
            least.leaving = Some(now);
        }
        is_quiet || is_beaten
    }

    /// Moves those whose last time is over to "other".
    fn let_go(&mut self) {
        let over =
            |place: &Place| place.leaving.is_some_and(|since| self.now.saturating_sub(since) >= self.limits.last_shown);
        let gone: Vec<Subject> =
            self.places.iter().filter(|(_, place)| over(place)).map(|(subject, _)| subject.clone()).collect();
        self.figures.moved += gone.len() as u64;
        gone.iter().for_each(|subject| self.move_to_other(subject));
    }

    fn move_to_other(&mut self, subject: &Subject) {
        if let Some(place) = self.places.remove(subject) {
            self.other += &place.counts;
            self.other_exemplars.merge(place.exemplars);
        }
    }

    /// A host that has become idle is told with few series again.
    fn calm_down(&mut self) {
        let (now, quiet) = (self.now, self.limits.quiet);
        for place in self.places.values_mut().filter(|place| place.score.events() >= CALM) {
            place.busy = now;
        }
        let staying: usize =
            self.places.values().filter(|place| place.leaving.is_none()).map(|place| place.series).sum();
        if staying + self.other.series() <= self.idle_cap() {
            return;
        }
        let calm = self.places.values_mut().filter(|place| place.leaving.is_none());
        let calm = calm.filter(|place| now.saturating_sub(place.busy) >= quiet);
        if let Some(least) = calm.min_by_key(|place| (place.score.events(), place.active)) {
            least.leaving = Some(now);
        }
    }

    /// Whatever it takes: first those who are shown for the last time anyway, then the least.
    fn keep_cap(&mut self) {
        while self.series() > self.cap() {
            let order = |place: &Place| (place.leaving.is_none(), place.leaving, place.score.events(), place.active);
            let least = self.places.iter().min_by_key(|(_, place)| order(place));
            let Some((subject, place)) = least.map(|(subject, place)| (subject.clone(), place)) else { return };
            self.figures.capped += 1;
            self.figures.series_folded += place.series as u64;
            self.move_to_other(&subject);
        }
    }

    /// Keeps single events of what was folded, and forgets old ones; `now` is the wall clock.
    pub fn keep<'a>(&mut self, now: SystemTime, exemplars: impl IntoIterator<Item = (&'a Subject, Exemplar)>) {
        for (subject, exemplar) in exemplars {
            let place = self.places.get_mut(subject).filter(|place| place.leaving.is_none());
            place.map_or(&mut self.other_exemplars, |place| &mut place.exemplars).add(exemplar);
        }
        let places = self.places.values_mut().map(|place| &mut place.exemplars);
        places.chain([&mut self.other_exemplars]).for_each(|kept| kept.expire(now));
    }

    /// Events of the least of those who have a place.
    fn least_score(&self) -> u64 {
        let told = self.places.values().filter(|place| place.leaving.is_none());
        told.map(|place| place.score.events()).min().unwrap_or_default()
    }

    fn measure(&mut self) {
        self.places.values_mut().for_each(|place| place.series = place.counts.series());
    }

    /// Series of all subjects, "other" included.
    fn series(&self) -> usize {
        self.places.values().map(|place| place.series).sum::<usize>() + self.other.series()
    }

    fn leaving(&self) -> impl Iterator<Item = &Place> {
        self.places.values().filter(|place| place.leaving.is_some())
    }

    /// Subjects that have a place.
    fn told(&self) -> usize {
        self.places.len() - self.leaving().count()
    }

    /// How many subjects are told, and what became of others.
    #[must_use]
    pub fn figures(&self) -> SubjectFigures {
        let (told, leaving) = (self.told() as u64, self.leaving().count() as u64);
        SubjectFigures { told, leaving, series: self.series() as u64, ..self.figures }
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
