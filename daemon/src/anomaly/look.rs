//! What rules look at: the host, what one look saw, the bounds. Knows no rule.

use std::time::Duration;

use probe_common::{event::Record, histogram::FIRST_BOUND_LOG2};

use super::kinds::Class;
use crate::{
    config,
    identity::Subject,
    intake::{Counts, Histogram},
    plan::HookState,
};

/// What is known of the host from the start.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Each hook of `plan::HOOKS`, in its order.
    pub hooks: Vec<HookState>,
    /// The release, as uname tells it.
    pub release: String,
    /// The text of /proc/version, in which distributions tell which stable version it is.
    pub version: String,
    /// The kernel has PG_anon_exclusive (5.19): a page that is copied was not writable before.
    pub has_anon_exclusive: bool,
    /// The probes can read how often a task yielded and was preempted.
    pub has_task_times: bool,
    /// change_protection counts its pending flush itself (before 5.17): such windows come without those counts.
    pub has_inline_changes: bool,
}

/// What one look saw.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Since the start.
    pub now: Duration,
    /// Since the last look.
    pub interval: Duration,
    /// Each mm that was active or has something in flight.
    pub mms: &'a [MmLook],
    /// Single events that came through the ring.
    pub records: &'a [(Subject, Record)],
    /// Losses since the last look, by the reasons of `probe_common::lost`.
    pub lost: &'a [u64],
    /// Differences from the kernel's count of pending flushes since the last look; none where it cannot be read.
    pub pending_mismatches: Option<u64>,
    /// Events that programs could not see, since the last look.
    pub probe_misses: u64,
}

/// What one look saw of one mm.
#[derive(Clone, Debug)]
pub struct MmLook {
    /// Whose it is.
    pub subject: Subject,
    /// Process id.
    pub tgid: u32,
    /// What was added since the last look.
    pub counts: Counts,
    /// Age of the oldest userfault in flight.
    pub fault_age: Option<Duration>,
    /// Time since a userfaultfd of this mm was last asked for something; none if it never was.
    pub since_ioctl: Option<Duration>,
    /// Age of the oldest batched reclaim flush outstanding; none where there is none, or where that is not told.
    pub reclaim_age: Option<Duration>,
}

/// What a rule may look at.
pub(super) struct Context<'a> {
    pub(super) look: &'a Look<'a>,
    pub(super) bounds: &'a config::Anomaly,
    pub(super) host: &'a Host,
    /// Classes that are not judged, and why.
    pub(super) unjudged: &'a [(Class, String)],
}

impl Context<'_> {
    /// As a rate. A look too short to tell is taken for a tenth of a second, the shortest tick.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.look.interval.max(Duration::from_millis(100)).as_secs_f64()
    }
}

/// Events of a histogram that took longer than a bound for sure: those in the buckets that begin at it or later. With them
/// the bound that this comes to.
pub(super) fn longer(histogram: &Histogram, bound: Duration) -> (u64, Duration) {
    let begin = |bucket: usize| {
        Duration::from_nanos(if bucket == 0 { 0 } else { 1 << (FIRST_BOUND_LOG2 as usize + bucket - 1) })
    };
    let buckets = histogram.buckets.iter().enumerate().filter(|(bucket, _)| begin(*bucket) >= bound);
    let first = (0..histogram.buckets.len()).map(begin).find(|&from| from >= bound);
    (buckets.map(|(_, count)| count).sum(), first.unwrap_or(Duration::MAX))
}
