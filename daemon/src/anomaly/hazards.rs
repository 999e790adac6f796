//! Hazards counted since the start, by subject, class and outcome. Bounded as the model is: a subject that finds no place is
//! summed into "other", and one that was quiet for long gives its place and its sums to it.

use std::{collections::BTreeMap, time::Duration};

use super::kinds::Class;
use crate::{config::Config, identity::Subject};

/// One total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// Whom it is about; none for the host.
    pub subject: Option<Subject>,
    /// Class.
    pub class: Class,
    /// How it ended, or why it came to be; empty where the class does not tell.
    pub outcome: &'static str,
    /// Hazards since the start.
    pub count: u64,
}

/// A subject for so many series of the cap: each has classes and outcomes, and they are no more than a quarter of it.
const SERIES_OF_ONE: usize = 64;

type Totals = BTreeMap<(Class, &'static str), u64>;

pub(super) struct Hazards {
    subjects: usize,
    quiet: Duration,
    places: BTreeMap<Subject, (Duration, Totals)>,
    other: Totals,
    host: Totals,
}

impl Hazards {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            // A part of a scrape's series at most, even where everything that there is has happened to each.
            subjects: config.subjects.min(config.series_cap / SERIES_OF_ONE),
            quiet: config.subject_quiet,
            places: BTreeMap::new(),
            other: Totals::new(),
            host: Totals::new(),
        }
    }

    /// Other bounds from now on; totals stay.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        let fresh = Self::new(config);
        (self.subjects, self.quiet) = (fresh.subjects, fresh.quiet);
    }

    pub(super) fn add(
        &mut self,
        now: Duration,
        subject: Option<&Subject>,
        class: Class,
        outcome: &'static str,
        count: u64,
    ) {
        debug_assert!(class.outcomes().contains(&outcome), "{} has no outcome {outcome:?}", class.name());
        if count > 0 {
            *self.place(now, subject).entry((class, outcome)).or_default() += count;
        }
    }

    fn place(&mut self, now: Duration, subject: Option<&Subject>) -> &mut Totals {
        let Some(subject) = subject else { return &mut self.host };
        let has_place = self.places.contains_key(subject) || self.places.len() < self.subjects || self.make_room(now);
        if *subject == Subject::other() || !has_place {
            return &mut self.other;
        }
        let (active, totals) = self.places.entry(subject.clone()).or_default();
        *active = now;
        totals
    }

    fn make_room(&mut self, now: Duration) -> bool {
        let quietest = self.places.iter().min_by_key(|(_, (active, _))| *active);
        let Some((subject, (active, _))) = quietest else { return false };
        if now.saturating_sub(*active) < self.quiet {
            return false;
        }
        let subject = subject.clone();
        for (key, count) in self.places.remove(&subject).into_iter().flat_map(|(_, totals)| totals) {
            *self.other.entry(key).or_default() += count;
        }
        true
    }

    pub(super) fn totals(&self) -> Vec<Hazard> {
        let other = Subject::other();
        let subjects = self.places.iter().map(|(subject, (_, totals))| (Some(subject), totals));
        let rest = [(Some(&other), &self.other), (None, &self.host)];
        let mut all = Vec::new();
        for (subject, totals) in subjects.chain(rest) {
            all.extend(totals.iter().map(|(&(class, outcome), &count)| Hazard {
                subject: subject.cloned(),
                class,
                outcome,
                count,
            }));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::fixture::subject;

    #[test]
    fn places_are_bounded_and_totals_stay_exact() {
        let config = Config { subjects: 2, subject_quiet: Duration::from_secs(60), ..Config::default() };
        let mut hazards = Hazards::new(&config);
        let mut add = |second, comm: &str| {
            hazards.add(Duration::from_secs(second), Some(&subject(comm)), Class::NestedWindow, "", 1);
            let totals = hazards.totals();
            assert_eq!(totals.iter().map(|hazard| hazard.count).sum::<u64>(), second);
            totals.into_iter().map(|hazard| (hazard.subject.unwrap().comm, hazard.count)).collect::<Vec<_>>()
        };
        let is = |comm: &str, count| (comm.to_owned(), count);
        add(1, "a");
        assert_eq!(add(2, "b"), [is("a", 1), is("b", 1)]);
        assert_eq!(add(3, "c"), [is("a", 1), is("b", 1), is("other", 1)], "no place");
        for second in 4..=60 {
            add(second, "b");
        }
        assert_eq!(add(61, "c"), [is("b", 58), is("c", 1), is("other", 2)], "the place of a, and its sum is in other");
    }

    #[test]
    fn what_the_host_is_told_of_has_no_subject() {
        let mut hazards = Hazards::new(&Config::default());
        hazards.add(Duration::ZERO, None, Class::Blind, "lost", 3);
        hazards.add(Duration::ZERO, None, Class::Blind, "misses", 0);
        let totals = hazards.totals();
        assert_eq!((totals.len(), &totals[0].subject, totals[0].count), (1, &None, 3), "zero is no series");
    }
}
