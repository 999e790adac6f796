//! What the tests of rules share: a bench with one class, looks of a second, and values to look at.

use std::time::Duration;

use probe_common::{
    event::{DETAILS, Record, STACK},
    histogram::{BUCKETS, FIRST_BOUND_LOG2},
    lost,
    series::OUTER,
};

use super::{Anomalies, Class, Host, Look, MmLook, Transition};
use crate::{
    config::{self, Config},
    identity::Subject,
    intake::{Counts, Histogram},
    plan::{HOOKS, HookState, Tier},
};

pub(super) fn subject(comm: &str) -> Subject {
    Subject { comm: comm.to_owned(), cgroup: "/".to_owned() }
}

pub(super) fn mm(comm: &str, counts: Counts) -> MmLook {
    MmLook { subject: subject(comm), tgid: 7, counts, fault_age: None, since_ioctl: None, reclaim_age: None }
}

/// Counts with so many events of one duration.
pub(super) fn histogram(series: u32, duration: Duration, count: u64) -> Counts {
    let ns = duration.as_nanos() as u64;
    let bucket = (0..BUCKETS - 1).find(|&n| ns <= 1 << (FIRST_BOUND_LOG2 as usize + n)).unwrap_or(BUCKETS - 1);
    let mut histogram = Histogram { sum_ns: ns * count, ..Histogram::default() };
    histogram.buckets[bucket] = count;
    let mut counts = Counts::default();
    counts.add_histogram(series, &histogram);
    counts
}

pub(super) fn record(series: u32) -> Record {
    Record {
        series,
        operation: 0,
        tgid: 7,
        tid: 9,
        begin_ns: 500,
        duration_ns: 0,
        slot_born_ns: 100,
        slot: 3,
        stack_bytes: 0,
        comm: *b"thread\0\0\0\0\0\0\0\0\0\0",
        detail: [0; DETAILS],
        stack: [0; STACK],
    }
}

pub(super) fn window(path: u32, duration_ns: u64, detail: [u64; DETAILS]) -> Record {
    Record { duration_ns, detail, ..record(OUTER + path) }
}

/// One class, judged look after look.
pub(super) struct Bench {
    class: Class,
    pub(super) bounds: config::Anomaly,
    pub(super) host: Host,
    pub(super) interval: Duration,
    pub(super) lost: Vec<u64>,
    pub(super) pending_mismatches: Option<u64>,
    pub(super) probe_misses: u64,
    now: Duration,
    anomalies: Option<Anomalies>,
}

impl Bench {
    pub(super) fn new(class: Class) -> Self {
        Self {
            class,
            bounds: config::Anomaly::default(),
            host: Host {
                hooks: vec![HookState::Attached(Tier::F); HOOKS.len()],
                has_task_times: true,
                ..Host::default()
            },
            interval: Duration::from_secs(1),
            lost: vec![0; lost::COUNT],
            pending_mismatches: None,
            probe_misses: 0,
            now: Duration::ZERO,
            anomalies: None,
        }
    }

    /// Shows the same so many times; told is what was raised.
    pub(super) fn looks(&mut self, looks: usize, mms: &[MmLook], records: &[Record]) -> Vec<Transition> {
        let anomalies = self.anomalies.get_or_insert_with(|| {
            let config = Config { anomaly: self.bounds.clone(), ..Config::default() };
            let mut anomalies = Anomalies::new(&config, self.host.clone());
            // Whether its hooks are there is not what is tried here.
            anomalies.judged = vec![self.class];
            anomalies
        });
        // A test changes the host between looks.
        anomalies.host = self.host.clone();
        let records: Vec<(Subject, Record)> = records.iter().map(|record| (subject("a"), *record)).collect();
        let mut raised = Vec::new();
        for _ in 0..looks {
            self.now += self.interval;
            raised.extend(anomalies.look(&Look {
                now: self.now,
                interval: self.interval,
                mms,
                records: &records,
                lost: &self.lost,
                pending_mismatches: self.pending_mismatches,
                probe_misses: self.probe_misses,
            }));
        }
        raised.retain(|transition| transition.is_active);
        raised
    }

    /// Totals, by outcome.
    pub(super) fn hazards(&self) -> Vec<(&'static str, u64)> {
        let totals = self.anomalies.as_ref().map(Anomalies::hazards).unwrap_or_default();
        let mut totals: Vec<_> = totals
            .iter()
            .inspect(|hazard| assert_eq!(hazard.class, self.class))
            .map(|hazard| (hazard.outcome, hazard.count))
            .collect();
        totals.sort_unstable();
        totals
    }
}
