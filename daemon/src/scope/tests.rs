//! Ticks go in, snapshots and transitions come out.

use probe_common::series::HOLD;
use zerocopy::FromZeros as _;

use super::*;
use crate::{
    intake::Counts,
    plan::{HOOKS, Tier},
};

fn host() -> Host {
    Host { hooks: vec![HookState::Attached(Tier::F); HOOKS.len()], ..Host::default() }
}

fn sight(second: u64, comm: &str, escalated: u64) -> Sight {
    let subject = Subject { comm: comm.to_owned(), cgroup: "/".to_owned() };
    let counts = Counts { flushes: [escalated, 0, 0], escalated: [escalated, 0, 0, 0], ..Counts::default() };
    let mm = MmLook { subject, tgid: 7, counts, fault_age: None, since_ioctl: None, reclaim_age: None };
    Sight { uptime: Duration::from_secs(second), mms: vec![mm], ..Sight::default() }
}

#[test]
fn sums_grow_and_alerts_are_told_once() {
    let mut scope = Scope::new(&Config::default(), host());
    let mut told = Vec::new();
    let mut last = Snapshot::default();
    for second in 1..=5 {
        let seen = scope.see(&sight(second, "a", 2_000));
        told.extend(seen.transitions.iter().map(|transition| (second, transition.class.name(), transition.is_active)));
        last = seen.snapshot;
    }
    assert_eq!(last.ticks, 5);
    assert_eq!(last.subjects.values().map(|counts| counts.flushes[0]).sum::<u64>(), 10_000);
    assert_eq!(last.alerts.values().sum::<u64>(), told.iter().filter(|(_, _, is_active)| *is_active).count() as u64);
    assert!(told.iter().any(|&(second, _, is_active)| second == 3 && is_active), "after three looks: {told:?}");
}

#[test]
fn losses_are_totals_and_judged_by_what_was_added() {
    let mut scope = Scope::new(&Config::default(), host());
    let lost = |second, count| Sight {
        uptime: Duration::from_secs(second),
        lost: vec![count; probe_common::lost::COUNT],
        pending_mismatches: Some(count),
        ..Sight::default()
    };
    for second in 1..=9 {
        scope.see(&lost(second, 5));
    }
    let seen = scope.see(&lost(10, 5));
    assert_eq!((seen.snapshot.lost[0], seen.snapshot.pending_mismatches), (5, Some(5)));
    assert!(seen.transitions.is_empty(), "nothing was added: {:?}", seen.transitions);
    let none = scope.see(&Sight { uptime: Duration::from_secs(11), ..Sight::default() });
    assert_eq!(none.snapshot.pending_mismatches, None, "what cannot be read is absent");
}

#[test]
fn exemplars_have_the_time_at_which_their_event_ended() {
    let mut scope = Scope::new(&Config::default(), host());
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let record = Record { series: HOLD, begin_ns: 2_000_000_000, duration_ns: 500_000_000, ..Record::new_zeroed() };
    let told = |clock_ns| {
        let mut sight = Sight { wall, clock_ns, ..sight(1, "a", 1) };
        sight.records = vec![(sight.mms[0].subject.clone(), record)];
        sight
    };
    assert!(scope.see(&told(None)).snapshot.exemplars.is_empty(), "no clock, no time");
    let snapshot = scope.see(&told(Some(3_000_000_000))).snapshot;
    let (_, kept) = snapshot.exemplars.first_key_value().unwrap();
    assert_eq!(kept.of(HOLD)[0].end, wall - Duration::from_millis(500));
}
