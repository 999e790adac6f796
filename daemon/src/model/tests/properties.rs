//! Whatever comes in whatever order: totals are exact at every tick, "other" never falls, and who goes was shown once more.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::super::*;
use crate::intake::{Counts, Histogram};

/// One tick: the time since the last, and who did how much of which kind.
type Tick = (u64, Vec<(u8, u16, u8)>);

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let step = prop_oneof![4 => 1..3_u64, 1 => 3..90_u64];
    vec((step, vec((0..12_u8, 0..2_000_u16, any::<u8>()), 0..10)), 1..60)
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..6_usize, 1..100_u64, 0..60_u64, 1_200..4_000_usize, 0..2_000_usize).prop_map(
        |(subjects, quiet, shown, cap, idle)| Limits {
            subjects,
            quiet: Duration::from_secs(quiet),
            last_shown: Duration::from_secs(shown),
            series_cap: ELSEWHERE + cap,
            series_idle: idle,
        },
    )
}

fn counts(n: u16, kind: u8) -> Counts {
    let n = u64::from(n);
    let mut counts = Counts { flushes: [n, n / 2, 0], flush_pages: n, ..Counts::default() };
    counts.windows_opened = n;
    counts.windows_closed = n / 2;
    counts.wait_ns[usize::from(kind) % 10] = n;
    if n > 0 {
        counts.add_histogram(u32::from(kind) % 4, &Histogram::of_shortest(n, 3));
        counts.errors.insert((u16::from(kind) % 3, 17), n);
    }
    counts
}

fn sum<'a>(all: impl IntoIterator<Item = &'a Counts>) -> Counts {
    let mut total = Counts::default();
    all.into_iter().for_each(|counts| total += counts);
    total
}

/// None of these has fallen.
fn has_grown(before: &Counts, after: &Counts) -> bool {
    before.flushes.iter().zip(&after.flushes).all(|(before, after)| before <= after)
        && before.flush_pages <= after.flush_pages
        && before.windows_opened <= after.windows_opened
        && before.windows_closed <= after.windows_closed
        && before.wait_ns.iter().zip(&after.wait_ns).all(|(before, after)| before <= after)
        && before.errors.iter().all(|(key, before)| after.errors.get(key).is_some_and(|after| before <= after))
        && before.histograms().all(|(series, before)| {
            let after = after.histogram(series);
            before.buckets.iter().zip(after.buckets).all(|(before, after)| *before <= after)
        })
}

/// Without what is told as a gauge.
fn counters(counts: &Counts) -> Counts {
    let mut counters = counts.clone();
    let _ = counters.take_in_flight();
    counters
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn totals_are_exact_and_nothing_goes_unseen(limits in limits(), ticks in ticks()) {
        let mut model = Model::new(limits);
        let (mut now, mut total) = (Duration::ZERO, Counts::default());
        let mut last: BTreeMap<Subject, Counts> = BTreeMap::new();
        let (mut capped, mut gone) = (0, 0);
        // Since when each subject's counters are as they are.
        let mut still: BTreeMap<Subject, Duration> = BTreeMap::new();
        for (step, added) in &ticks {
            now += Duration::from_secs(*step);
            let added: Vec<(Subject, Counts)> = added
                .iter()
                .map(|&(who, n, kind)| {
                    let subject = if who == 0 {
                        Subject::other()
                    } else {
                        Subject { comm: format!("s{who}"), cgroup: String::new() }
                    };
                    (subject, counts(n, kind))
                })
                .collect();
            total += &sum(added.iter().map(|(_, counts)| counts));
            model.fold(now, added.iter().map(|(subject, counts)| (subject, counts)));
            let told = model.subjects();
            prop_assert_eq!(&sum(told.values()), &total, "nothing twice, nothing lost");

            let figures = model.figures();
            prop_assert!(figures.told as usize <= limits.subjects);
            let series: usize = told.values().map(Counts::series).sum();
            let of_other = told.get(&Subject::other()).map_or(0, Counts::series);
            prop_assert!(series <= (limits.series_cap - ELSEWHERE).max(of_other), "{} series", series);
            for (subject, before) in &last {
                // One that went and came at once begins anew, as Prometheus takes it.
                if told.get(subject).is_none_or(|after| !has_grown(before, after)) {
                    prop_assert!(!subject.is_other() && figures.moved + figures.capped > gone, "{:?} is gone", subject);
                    let shown = now - still[subject];
                    prop_assert!(shown >= limits.last_shown || figures.capped > capped, "{:?} went unseen", subject);
                }
            }
            for (subject, after) in &told {
                if last.get(subject).is_none_or(|before| counters(before) != counters(after)) {
                    still.insert(subject.clone(), now);
                }
            }
            (capped, gone) = (figures.capped, figures.moved + figures.capped);
            last = told;
        }
    }
}
