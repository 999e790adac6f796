//! How many series a scrape has: what the model's bounds take for granted.

use std::sync::Arc;

use probe_common::{
    lost::COUNT as REASONS,
    series::{BLOCKED, COUNT as SERIES},
};

use super::{Format, Scrape};
use crate::{
    anomaly::{Class, Severity},
    governor::Governed,
    identity::Subject,
    intake::{Counts, Histogram, ProgramFigures, TableFigures, TableSize},
    model::{ELSEWHERE, ELSEWHERE_IDLE, ProcessFigures, Snapshot, sinks::SinkFigures, web::WebFigures},
    plan::{HOOKS, HookState, Tier},
};

fn series(snapshot: Snapshot) -> usize {
    let text = Scrape::new(Arc::new(snapshot), Format::Prometheus).text();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

fn attached() -> Snapshot {
    Snapshot { hooks: vec![HookState::Attached(Tier::F); HOOKS.len()], ..Snapshot::default() }
}

/// Everything has happened, errors of two kinds among it.
fn all() -> Counts {
    let mut counts = Counts {
        acquisitions: [1; 4],
        flushes: [1; 3],
        flush_pages: 1,
        forced: [1; 2],
        escalated: [1; 4],
        cycles: [1; 2],
        generations: [1; 2],
        refaults: 1,
        shootdown_cpus: 1,
        downgrade_ns: 1,
        windows_opened: 1,
        faults_begun: 1,
        errors: [((0, 17), 1), ((1, 11), 1)].into(),
        ..Counts::default()
    };
    counts.wait_ns.fill(1);
    counts.hold_ns.fill(1);
    for series in 0..SERIES as u32 {
        counts.add_histogram(series, &Histogram::of_shortest(1, 1));
    }
    counts
}

#[test]
fn a_subject_has_the_series_that_are_counted_for_it() {
    let without = series(attached());
    let few = {
        let mut counts = Counts { flushes: [0, 7, 0], windows_opened: 1, ..Counts::default() };
        counts.hold_ns[3] = 1;
        counts.add_histogram(0, &Histogram::of_shortest(1, 1));
        counts
    };
    for counts in [all(), few] {
        let subject = Subject { comm: "a".to_owned(), cgroup: "/system.slice/a.service".to_owned() };
        let counted = counts.series();
        let told = series(Snapshot { subjects: [(subject, counts)].into(), ..attached() }) - without;
        assert_eq!(told, counted);
    }
    assert_eq!(Counts::default().series(), 0);
}

/// As many as there can be beside subjects and hazards: each receiver of alerts, of which there are as many as are configured, has
/// twelve more.
#[test]
fn what_has_no_subject_is_within_what_is_set_aside_for_it() {
    let size = TableSize { name: "task_states", capacity: 1, bytes: 1 };
    let everything = Snapshot {
        lost: vec![1; REASONS],
        pending_mismatches: Some(1),
        tables: vec![TableFigures { entries: Some(1), size }; 20],
        programs: HOOKS
            .iter()
            .map(|hook| (hook.name, ProgramFigures { runs: Some((1, 1)), misses: Some(1) }))
            .collect(),
        process: Some(ProcessFigures::default()),
        governed: Governed { ratio: Some(0.1), budget: Some(0.1), ..Governed::default() },
        alerts: Class::all()
            .flat_map(|class| {
                [Severity::Info, Severity::Warning, Severity::Critical].map(|severity| ((class, severity), 1))
            })
            .collect(),
        baselines_over: Some(1),
        sinks: vec![SinkFigures::default(); 2],
        web: Some(WebFigures { answers: [1; 8], reloads: Some([1, 1]), ..WebFigures::default() }),
        blocked_ns: vec![1; BLOCKED as usize],
        ..attached()
    };
    let told = series(everything);
    assert!(told <= ELSEWHERE, "{told} series");
    assert!(ELSEWHERE_IDLE < told);
}
