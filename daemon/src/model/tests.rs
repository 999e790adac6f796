//! Ticks of made-up subjects, and any sequence of them.

use std::time::SystemTime;

use super::*;
use crate::intake::Counts;

mod properties;

fn subject(comm: &str) -> Subject {
    Subject { comm: comm.to_owned(), cgroup: "/".to_owned() }
}

fn flushes(n: u64) -> Counts {
    Counts { flushes: [n, 0, 0], ..Counts::default() }
}

fn total(model: &Model) -> u64 {
    model.subjects().values().map(|counts| counts.flushes[0]).sum()
}

fn of(model: &Model, comm: &str) -> Option<u64> {
    model.subjects().iter().find(|(subject, _)| subject.comm == comm).map(|(_, counts)| counts.flushes[0])
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

const LIMITS: Limits =
    Limits { subjects: 2, quiet: seconds(60), last_shown: seconds(20), series_cap: 100_000, series_idle: 100_000 };

/// Folds what these did.
fn tick(model: &mut Model, second: u64, added: &[(&str, u64)]) {
    let added: Vec<(Subject, Counts)> = added.iter().map(|&(comm, n)| (subject(comm), flushes(n))).collect();
    model.fold(seconds(second), added.iter().map(|(subject, counts)| (subject, counts)));
}

#[test]
fn mms_of_one_subject_are_one_sum() {
    let mut model = Model::new(LIMITS);
    tick(&mut model, 0, &[("a", 1), ("a", 2)]);
    assert_eq!(of(&model, "a"), Some(3));
}

#[test]
fn who_finds_no_place_is_summed_into_other() {
    let mut model = Model::new(LIMITS);
    tick(&mut model, 0, &[("a", 1), ("b", 5), ("c", 3)]);
    assert_eq!(model.subjects().len(), 3);
    assert_eq!(of(&model, "other"), Some(1), "the least active one");
    assert_eq!(total(&model), 9);
}

#[test]
fn a_quiet_subject_is_shown_once_more_and_its_sums_stay() {
    let mut model = Model::new(LIMITS);
    tick(&mut model, 0, &[("a", 4), ("b", 5)]);
    tick(&mut model, 59, &[("b", 1), ("c", 1)]);
    assert_eq!(of(&model, "c"), None, "a was not quiet for long enough");
    tick(&mut model, 61, &[("c", 1)]);
    assert_eq!((of(&model, "c"), of(&model, "a"), of(&model, "other")), (Some(1), Some(4), Some(1)));
    assert_eq!((model.figures().told, model.figures().leaving), (2, 1));
    tick(&mut model, 80, &[("a", 7), ("c", 1)]);
    assert_eq!((of(&model, "a"), of(&model, "other")), (Some(4), Some(8)), "as it was when it lost its place");
    tick(&mut model, 81, &[]);
    assert_eq!((of(&model, "a"), of(&model, "other")), (None, Some(12)));
    assert_eq!((total(&model), model.figures().moved), (20, 1));
}

#[test]
fn a_newcomer_has_to_do_much_more_for_several_ticks() {
    let mut model = Model::new(LIMITS);
    tick(&mut model, 0, &[("a", 100), ("b", 100)]);
    for second in 1..30 {
        tick(&mut model, second, &[("a", 100), ("b", 100), ("c", 150)]);
    }
    assert_eq!(of(&model, "c"), None, "half as much again is no reason");
    let mut came = None;
    for second in 30..200 {
        tick(&mut model, second, &[("a", 100), ("b", 120), ("c", 400)]);
        came = came.or(of(&model, "c").map(|_| second));
    }
    let came = came.expect("four times as much is one");
    assert!(came > 34, "not at once: {came}");
    assert_eq!(model.figures().moved, 1, "once: {:?}", model.figures());
    assert_eq!((of(&model, "a"), of(&model, "b").is_some()), (None, true), "the least has gone");
}

#[test]
fn two_that_are_alike_do_not_take_turns() {
    let mut model = Model::new(Limits { subjects: 1, ..LIMITS });
    for second in 0..500 {
        // One of them is ahead by chance, each for ten ticks.
        let (a, b) = if second / 10 % 2 == 0 { (100, 180) } else { (180, 100) };
        tick(&mut model, second, &[("a", a), ("b", b)]);
    }
    assert_eq!((model.figures().moved, model.figures().told), (0, 1));
}

#[test]
fn who_comes_back_before_it_has_gone_goes_on() {
    let mut model = Model::new(LIMITS);
    tick(&mut model, 0, &[("a", 4), ("b", 5)]);
    tick(&mut model, 60, &[("b", 1), ("c", 1)]);
    assert_eq!(model.figures().leaving, 1);
    tick(&mut model, 61, &[("a", 7)]);
    assert_eq!(of(&model, "a"), Some(4), "its place is c's now");
    // b and c are quiet by then: one of them makes room.
    model = Model::new(Limits { last_shown: seconds(1_000), ..LIMITS });
    tick(&mut model, 0, &[("a", 4), ("b", 5)]);
    tick(&mut model, 60, &[("b", 1), ("c", 1)]);
    tick(&mut model, 121, &[("c", 1), ("a", 7)]);
    assert_eq!((of(&model, "a"), of(&model, "other")), (Some(11), None), "{:?}", model.figures());
    assert_eq!(total(&model), 19);
}

#[test]
fn what_is_in_flight_is_told_where_it_began() {
    let mut model = Model::new(LIMITS);
    let opened = Counts { windows_opened: 3, windows_closed: 2, flushes: [1, 0, 0], ..Counts::default() };
    model.fold(seconds(0), [(&subject("a"), &opened), (&subject("b"), &flushes(5))]);
    tick(&mut model, 60, &[("b", 1), ("c", 1)]);
    assert_eq!(model.figures().leaving, 1);
    let closed = Counts { windows_closed: 1, flushes: [9, 0, 0], ..Counts::default() };
    model.fold(seconds(61), [(&subject("a"), &closed)]);
    let subjects = model.subjects();
    let (a, other) = (&subjects[&subject("a")], &subjects[&Subject::other()]);
    assert_eq!((a.windows_opened, a.windows_closed, a.flushes[0]), (3, 3, 1));
    assert_eq!((other.windows_opened, other.windows_closed, other.flushes[0]), (0, 0, 9));
}

#[test]
fn what_found_no_slot_is_other_without_taking_a_place() {
    let mut model = Model::new(LIMITS);
    model.fold(Duration::ZERO, [(&Subject::other(), &flushes(7))]);
    tick(&mut model, 0, &[("a", 1), ("b", 1)]);
    assert_eq!(model.subjects().len(), 3);
}

/// With a histogram in each of so many series.
fn wide(histograms: u32, n: u64) -> Counts {
    let mut counts = flushes(n);
    for series in 0..histograms {
        counts.add_histogram(series, &crate::intake::Histogram::of_shortest(1, 1));
    }
    counts
}

#[test]
fn the_cap_on_series_holds_whatever_comes() {
    let limits = Limits { subjects: 100, series_cap: ELSEWHERE + 2_000, ..LIMITS };
    let mut model = Model::new(limits);
    let mut told = 0;
    for second in 0..50 {
        // Everybody is busy, and grows.
        let added: Vec<(Subject, Counts)> =
            (0..40).map(|n| (subject(&format!("s{n}")), wide(1 + second as u32 / 3, 10_000 + n))).collect();
        model.fold(seconds(second), added.iter().map(|(subject, counts)| (subject, counts)));
        let series: usize = model.subjects().values().map(Counts::series).sum();
        assert!(series <= 2_000, "at {second}: {series}");
        assert_eq!(model.figures().series, series as u64);
        told = told.max(model.figures().told);
    }
    assert!(told >= 5 && model.figures().capped > 0, "{:?}", model.figures());
    assert!(model.figures().series_folded > 0);
    assert_eq!(total(&model), 50 * (40 * 10_000 + 780));
}

#[test]
fn a_host_without_much_to_do_is_told_with_few_series() {
    let limits = Limits { subjects: 100, series_cap: 10_000, series_idle: ELSEWHERE_IDLE + 400, ..LIMITS };
    let mut model = Model::new(limits);
    let added: Vec<(Subject, Counts)> = (0..20).map(|n| (subject(&format!("s{n}")), wide(3, 5))).collect();
    for second in 0..100 {
        model.fold(seconds(second), added.iter().map(|(subject, counts)| (subject, counts)));
        assert!(model.figures().series <= 400, "{:?}", model.figures());
    }
    assert_eq!(model.figures().told, 1, "there is room for one");
    let busy: Vec<(Subject, Counts)> = (0..20).map(|n| (subject(&format!("s{n}")), wide(3, 5_000))).collect();
    for second in 100..110 {
        model.fold(seconds(second), busy.iter().map(|(subject, counts)| (subject, counts)));
    }
    assert_eq!(model.figures().told, 20, "who does much is told");
    for second in 110..4_000 {
        model.fold(seconds(second), added.iter().map(|(subject, counts)| (subject, counts)));
    }
    assert!(model.figures().series <= 400, "idle again: {:?}", model.figures());
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
        let of_hold = |kept: &Exemplars| kept.of(probe_common::series::HOLD).iter().map(|one| one.duration_ns).sum();
        kept.map(|(subject, kept)| (subject.comm, of_hold(&kept))).collect()
    };
    assert_eq!(told(&model), [("a".to_owned(), 300), ("other".to_owned(), 3_000)]);
    model.fold(seconds(61), [(&b, &flushes(1)), (&c, &flushes(1))]);
    model.fold(seconds(81), []);
    assert_eq!(told(&model), [("other".to_owned(), 3_300)], "a lost its place");
    model.keep(wall(400), []);
    assert_eq!(told(&model), [], "all are old");
}
