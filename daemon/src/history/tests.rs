//! Ticks go in, the last 15 minutes come out.

use super::*;
use crate::{
    anomaly::MmLook,
    intake::Histogram,
    model::Snapshot,
    plan::{HOOKS, HookState, Tier},
};

fn subject(comm: &str) -> Subject {
    Subject { comm: comm.to_owned(), cgroup: "/".to_owned() }
}

fn held(comm: &str, duration_ns: u64) -> MmLook {
    let mut histogram = Histogram { sum_ns: duration_ns, ..Histogram::default() };
    histogram.buckets[Histogram::bucket(duration_ns)] = 1;
    let mut counts = Counts { forced: [1, 0], ..Counts::default() };
    counts.add_histogram(HOLD, &histogram);
    MmLook { subject: subject(comm), tgid: 1, counts, fault_age: None, since_ioctl: None, reclaim_age: None }
}

struct Ticks {
    history: History,
    hooks: Vec<HookState>,
    blocked: u64,
    hazards: u64,
}

impl Ticks {
    fn new() -> Self {
        let hooks = vec![HookState::Attached(Tier::F); HOOKS.len()];
        Self { history: History::default(), hooks, blocked: 0, hazards: 0 }
    }

    /// A tick at which 10 ns more were waited, and a hazard more was there.
    fn tick(&mut self, millis: u64, mms: Vec<MmLook>) {
        self.blocked += 10;
        self.hazards += 1;
        let hazard = Hazard { subject: None, class: Class::Blind, outcome: "lost", count: self.hazards };
        let snapshot = Snapshot {
            hooks: self.hooks.clone(),
            blocked_ns: vec![0, self.blocked],
            hazards: vec![hazard],
            ..Snapshot::default()
        };
        let sight = Sight { uptime: Duration::from_millis(millis), mms, ..Sight::default() };
        self.history.take(&sight, &Seen { snapshot, transitions: Vec::new() });
    }
}

#[test]
fn columns_are_five_seconds_long_and_fifteen_minutes_of_them_are_kept() {
    let mut ticks = Ticks::new();
    for second in 1..=2_000 {
        ticks.tick(second * 1_000, vec![held("a", 1_000)]);
    }
    let columns: Vec<_> = ticks.history.columns_since(Duration::ZERO).collect();
    assert!((180..=182).contains(&columns.len()), "{}", columns.len());
    assert!(columns.windows(2).all(|pair| pair[0].to == pair[1].from), "one after the other");
    assert!(columns.iter().all(|column| column.to - column.from == Duration::from_secs(5)));
    let total: u64 = ticks.history.buckets(Heat::Holds).unwrap().iter().sum();
    assert!((900..=910).contains(&total), "{total}");
    assert_eq!(ticks.history.hazards()[Class::Blind as usize], total, "one a tick");
    assert_eq!(ticks.history.columns_since(Duration::from_secs(1_990)).count(), 2);
}

#[test]
fn ticks_longer_than_a_column_have_one_each() {
    let mut ticks = Ticks::new();
    for n in 1..=200 {
        ticks.tick(n * 10_000, vec![]);
    }
    assert_eq!(ticks.history.columns_since(Duration::ZERO).count(), 90);
}

#[test]
fn what_was_not_measured_is_absent_and_a_column_with_a_gap_says_so() {
    let mut ticks = Ticks::new();
    ticks.hooks.fill(HookState::Absent("given up".to_owned()));
    for second in 1..=7 {
        ticks.tick(second * 1_000, vec![]);
    }
    assert_eq!(ticks.history.buckets(Heat::Holds), None);
    ticks.hooks.fill(HookState::Attached(Tier::F));
    for second in 8..=15 {
        ticks.tick(second * 1_000, vec![held("a", 1_000)]);
    }
    let measured: Vec<bool> =
        ticks.history.columns_since(Duration::ZERO).map(|column| column.measured[Heat::Holds as usize]).collect();
    assert_eq!(measured, [false, false, true]);
    assert_eq!(ticks.history.buckets(Heat::Holds).unwrap().iter().sum::<u64>(), 5);
}

#[test]
fn subjects_and_the_blame_matrix_are_summed_over_fifteen_minutes() {
    let mut ticks = Ticks::new();
    ticks.tick(1_000, vec![held("early", 7)]);
    for minute in 1..=15 {
        ticks.tick(minute * 60_000, vec![held("a", 100), held("a", 100)]);
    }
    let told: Vec<_> = ticks.history.subjects().map(|(subject, sums)| (&*subject.comm, sums)).collect();
    assert_eq!(told, [("a", [0, 3_000, 0, 30, 0])]);
    assert_eq!(ticks.history.minutes(&subject("a")).unwrap()[14], [0, 200, 0, 2, 0]);
    assert_eq!(ticks.history.blocked()[1], 150);
    assert_eq!(ticks.history.minutes(&subject("nobody")), None);
}

#[test]
fn subjects_without_a_place_are_other() {
    let mut ticks = Ticks::new();
    let names: Vec<String> = (0..SUBJECTS + 50).map(|n| format!("p{n}")).collect();
    ticks.tick(1_000, names.iter().map(|name| held(name, 1)).collect());
    assert!(ticks.history.subjects().count() <= SUBJECTS + 1);
    let held: u64 = ticks.history.subjects().map(|(_, sums)| sums[Measure::Hold as usize]).sum();
    assert_eq!(held, names.len() as u64, "nothing is lost");
}
