//! Any sight, for tests of properties.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use probe_common::{
    event::{DETAILS, Record, STACK},
    histogram::BUCKETS,
    lost, series,
};
use proptest::{collection::vec, option, prelude::*};

use super::counts::MOST;
use crate::{
    anomaly::MmLook,
    governor::{Governed, Level},
    identity::Subject,
    intake::{Counts, Histogram, ProgramFigures, TableFigures},
    model::ProcessFigures,
    plan::{HOOKS, HookState},
    scope::Sight,
};

fn subject() -> impl Strategy<Value = Subject> {
    ("[a-c \u{fffd}]{0,3}", "(/[a-z]{1,4}){0,2}").prop_map(|(comm, cgroup)| Subject { comm, cgroup })
}

fn histogram() -> impl Strategy<Value = Histogram> {
    (vec((0..BUCKETS, 1..=MOST), 1..4), 0..=MOST).prop_map(|(filled, sum_ns)| {
        let mut histogram = Histogram { sum_ns, ..Histogram::default() };
        filled.into_iter().for_each(|(bucket, count)| histogram.buckets[bucket] = count);
        histogram
    })
}

/// Every field has its turn.
fn counts() -> impl Strategy<Value = Counts> {
    let numbers = vec(0..=MOST, 17);
    let operations = vec(prop_oneof![Just(0), 0..=MOST], 2 * series::OPERATION_COUNT);
    let histograms = vec((0..series::COUNT as u32, histogram()), 0..3);
    let ioctls = 0..series::IOCTLS.len() as u16;
    let errors = proptest::collection::btree_map((ioctls, any::<u16>()), 0..=MOST, 0..3);
    (numbers, operations, histograms, errors).prop_map(|(n, operations, histograms, errors)| {
        let mut counts = Counts {
            acquisitions: [n[0], 0, n[1], 0],
            flushes: [0, n[2], 0],
            flush_pages: n[3],
            forced: [n[4], 0],
            escalated: [0, 0, 0, n[4]],
            stale_writes: [0, n[5], 0],
            cycles: [n[6], n[6]],
            generations: [0, n[7]],
            changes: n[8],
            refaults: n[9],
            shootdowns: n[10],
            shootdown_cpus: n[11],
            waits_begun: n[12],
            waits_ended: n[13],
            downgrade_ns: n[14],
            windows_opened: n[15],
            windows_closed: n[16],
            faults_begun: n[0],
            faults_ended: n[1],
            errors,
            ..Counts::default()
        };
        counts.wait_ns.copy_from_slice(&operations[..series::OPERATION_COUNT]);
        counts.hold_ns.copy_from_slice(&operations[series::OPERATION_COUNT..]);
        for (series, histogram) in histograms {
            if counts.known_histogram(series).is_none() {
                counts.add_histogram(series, &histogram);
            }
        }
        counts
    })
}

fn age() -> impl Strategy<Value = Option<Duration>> {
    option::of(any::<u64>().prop_map(Duration::from_nanos))
}

fn mm() -> impl Strategy<Value = MmLook> {
    (subject(), any::<u32>(), counts(), age(), age(), age()).prop_map(
        |(subject, tgid, counts, fault, ioctl, reclaim)| MmLook {
            subject,
            tgid,
            counts,
            fault_age: fault,
            since_ioctl: ioctl,
            reclaim_age: reclaim,
        },
    )
}

fn record() -> impl Strategy<Value = (Subject, Record)> {
    (
        subject(),
        any::<[u32; 5]>(),
        any::<[u64; 3]>(),
        any::<[u8; 16]>(),
        any::<[u64; DETAILS]>(),
        vec(any::<u64>(), 0..=STACK),
    )
        .prop_map(
            |(
                subject,
                [series, operation, tgid, tid, slot],
                [begin_ns, duration_ns, born],
                comm,
                detail,
                addresses,
            )| {
                let mut stack = [0; STACK];
                stack[..addresses.len()].copy_from_slice(&addresses);
                let stack_bytes = addresses.len() as u32 * 8;
                let slot_born_ns = born;
                let record = Record {
                    series,
                    operation,
                    tgid,
                    tid,
                    begin_ns,
                    duration_ns,
                    slot_born_ns,
                    slot,
                    stack_bytes,
                    comm,
                    detail,
                    stack,
                };
                (subject, record)
            },
        )
}

fn governed() -> impl Strategy<Value = Governed> {
    let texts = (0..Level::ALL.len(), option::of("[a-z ]{0,9}"), option::of(0.0..1.0), option::of(0.0..1.0));
    (texts, any::<[u64; Level::ALL.len()]>(), option::of(vec((0..HOOKS.len(), "[a-z]{0,4}"), 0..5))).prop_map(
        |((level, reason, budget, ratio), spent, changed)| {
            let hooks = changed.map(|changed| {
                let mut hooks = super::header().host.hooks;
                changed.into_iter().for_each(|(place, reason)| hooks[place] = HookState::Absent(reason));
                Arc::new(hooks)
            });
            let spent = spent.map(Duration::from_nanos);
            Governed { level: Level::ALL[level], reason, budget, ratio, spent, hooks }
        },
    )
}

pub(crate) fn sight() -> impl Strategy<Value = Sight> {
    let programs =
        proptest::collection::btree_map(0..HOOKS.len(), (any::<Option<(u64, u64)>>(), option::of(0..=MOST)), 0..4);
    let figures = (option::of(any::<u64>()), option::of(any::<[u64; 4]>()), [0..=MOST, 0..=MOST]);
    (0..u64::MAX / 2, vec(mm(), 0..4), vec(record(), 0..3), programs, figures, governed()).prop_map(
        |(time, mms, records, programs, (pending_mismatches, process, [lost, blocked]), governed)| Sight {
            uptime: Duration::from_nanos(time),
            wall: SystemTime::UNIX_EPOCH + Duration::from_nanos(time),
            clock_ns: pending_mismatches,
            mms,
            records,
            lost: vec![lost; lost::COUNT],
            pending_mismatches,
            tables: vec![TableFigures { entries: pending_mismatches, size: super::header().tables[1] }],
            programs: programs
                .into_iter()
                .map(|(place, (runs, misses))| (HOOKS[place].name, ProgramFigures { runs, misses }))
                .collect::<BTreeMap<_, _>>(),
            blocked_ns: (0..u64::from(series::BLOCKED)).map(|n| if n % 7 == 0 { blocked } else { 0 }).collect(),
            governed,
            process: process.map(|[a, b, c, d]| ProcessFigures {
                cpu_seconds: a as f64 / 100.0,
                resident_bytes: b,
                virtual_bytes: c,
                open_fds: d,
                max_fds: u64::MAX,
                start_seconds: d as f64 / 3.0,
            }),
        },
    )
}
