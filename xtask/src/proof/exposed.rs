//! What is exposed in place of a daemon: for alerts that no guest of today can raise. A recording is what mmscope told on the kernel
//! that loses stores (record.rs makes it); the rest is written here, and is called made.

/// A recording of that kernel.
pub(super) const RECORDED: &str = "recorded";
/// Written here.
pub(super) const MADE: &str = "made";

/// An alert that an exposition is to raise.
pub(super) struct Exposure {
    pub(super) alert: &'static str,
    pub(super) instance: &'static str,
    pub(super) by: &'static str,
}

const fn exposure(alert: &'static str, instance: &'static str, by: &'static str) -> Exposure {
    Exposure { alert, instance, by }
}

const OF_RECORDING: &[Exposure] = &[
    exposure(
        "MmscopeStaleWriteExposed",
        RECORDED,
        "a recording: `mmload uffd-race` on Debian's 5.10 without the fix of 6ce64428d620",
    ),
    exposure("MmscopeStale", RECORDED, "a recording, whose ticks stand still"),
];

const OF_MADE: &[Exposure] = &[
    exposure("MmscopeStaleWriteSoftDirty", MADE, "a made exposition: the daemon's alert of severity warning"),
    exposure("MmscopeKernelMismatch", MADE, "a made exposition: the count goes from 0 to 1"),
];

/// All of them, or those of the short form.
pub(super) fn all(short: bool) -> Vec<&'static Exposure> {
    let all = OF_RECORDING.iter().chain(OF_MADE);
    if short { all.take(1).collect() } else { all.collect() }
}

const RECORDED_BEFORE: &str = include_str!("recorded/before.txt");
const RECORDED_DURING: &str = include_str!("recorded/during.txt");

const MADE_BEFORE: &str = "\
# TYPE mmscope_alerts_active gauge
mmscope_alerts_active{class=\"stale_write_overlap\",severity=\"warning\"} 0
# TYPE mmscope_kernel_pending_mismatch_total counter
mmscope_kernel_pending_mismatch_total 0
";

const MADE_DURING: &str = "\
# TYPE mmscope_alerts_active gauge
mmscope_alerts_active{class=\"stale_write_overlap\",severity=\"warning\"} 1
# TYPE mmscope_kernel_pending_mismatch_total counter
mmscope_kernel_pending_mismatch_total 1
";

/// After it has been 1 it stays.
const MADE_AFTER: &str = "\
# TYPE mmscope_alerts_active gauge
mmscope_alerts_active{class=\"stale_write_overlap\",severity=\"warning\"} 0
# TYPE mmscope_kernel_pending_mismatch_total counter
mmscope_kernel_pending_mismatch_total 1
";

/// What an instance tells while nothing is wrong.
pub(super) fn before(instance: &str) -> &'static str {
    match instance {
        RECORDED => RECORDED_BEFORE,
        _ => MADE_BEFORE,
    }
}

/// What it tells while something is.
pub(super) fn during(instance: &str) -> &'static str {
    match instance {
        RECORDED => RECORDED_DURING,
        _ => MADE_DURING,
    }
}

/// What it tells when that is over.
pub(super) fn after(instance: &str) -> &'static str {
    match instance {
        RECORDED => RECORDED_BEFORE,
        _ => MADE_AFTER,
    }
}
