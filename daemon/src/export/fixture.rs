//! Snapshots for the tests of the formats.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use probe_common::{
    event::Record,
    series::{HOLD, OUTER, VMAS},
};
use zerocopy::FromZeros as _;

use crate::{
    identity::{Subject, printable},
    intake::{Counts, Histogram},
    model::{Exemplar, Exemplars, ProcessFigures, Snapshot},
    plan::{HOOKS, HookState, Tier},
};

/// When the exemplars' events ended.
pub(super) fn end() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_042)
}

/// A name of any bytes, as the kernel may hand it over.
pub(super) const ODD: &[u8] = b"a\"b\\c\nd{e},\xff=\t";

/// A snapshot with one subject that has windows, holds with exemplars, and mprotects.
pub(super) fn snapshot(comm: &str, attached: bool) -> Arc<Snapshot> {
    let state = if attached {
        HookState::Attached(Tier::F)
    } else {
        HookState::Absent("fentry refused at load: \"no\"".to_owned())
    };
    let mut histogram = Histogram { sum_ns: 1_500, ..Histogram::default() };
    histogram.buckets[0] = 2;
    histogram.buckets[2] = 1;
    let mut counts = Counts { flushes: [3, 0, 1], ..Counts::default() };
    counts.add_histogram(OUTER, &histogram);
    counts.add_histogram(VMAS, &histogram);
    counts.wait_ns[0] = 1_234_567;
    let mut exemplars = Exemplars::default();
    let mut holds = Histogram::default();
    for duration_ns in [700_000_000, 9_000_000_000] {
        holds.buckets[Histogram::bucket(duration_ns)] += 1;
        holds.sum_ns += duration_ns;
        let record = Record { series: HOLD + 1, tgid: 7, tid: 8, begin_ns: 255, duration_ns, ..Record::new_zeroed() };
        exemplars.add(Exemplar::of(&record, end()).unwrap());
    }
    counts.add_histogram(HOLD + 1, &holds);
    let subject = Subject { comm: comm.to_owned(), cgroup: "/a".to_owned() };
    Arc::new(Snapshot {
        subjects: [(subject.clone(), counts)].into(),
        exemplars: [(subject, exemplars)].into(),
        hooks: vec![state; HOOKS.len()],
        lost: vec![0; probe_common::lost::COUNT],
        pending_mismatches: Some(0),
        process: Some(ProcessFigures { cpu_seconds: 0.25, resident_bytes: 1 << 25, ..ProcessFigures::default() }),
        ..Snapshot::default()
    })
}

/// One whose names are odd, both as the kernel's bytes become names and as they would be if nothing were replaced.
pub(super) fn odd() -> Arc<Snapshot> {
    let mut all = Snapshot::clone(&snapshot("", true));
    for comm in [printable(ODD), String::from_utf8_lossy(ODD).into_owned(), "\n".to_owned()] {
        let one = snapshot(&comm, true);
        all.subjects.extend(one.subjects.clone());
        all.exemplars.extend(one.exemplars.clone());
    }
    Arc::new(all)
}
