//! Native histograms from ours. Pure; knows nothing of how they are written.
//!
//! Our bounds are powers of two of nanoseconds, those of native histograms roots of two of a second: no bound of the one is a
//! bound of the other. Each of our bounds is told as the native one next to it, 1.6 % above, so that as many events are not
//! above the one as are not above the other. The events of a bucket are told in parts, in the eight native buckets between two
//! such bounds: as many as lie there if they are spread evenly over ours, which is what `histogram_quantile` takes for granted
//! when it reads classic buckets. So quantiles of both agree (`tests` has the bounds), and nothing is said that the classic
//! buckets do not say. The parts are multiples of 1/4096: their sums are the exact counts, and no part ever falls.

use std::sync::LazyLock;

use probe_common::{
    histogram::{BUCKETS, FINITE, FIRST_BOUND_LOG2},
    series::VMA_UNIT_LOG2,
};

use crate::intake::Histogram;

/// Native buckets of an octave, as a power of two: each is 9 % wide, which is what clients commonly send.
pub(super) const SCHEMA: i32 = 3;
const PER_OCTAVE: i32 = 1 << SCHEMA;
/// Parts of an event.
const PARTS: f64 = 4096.0;

/// Histograms of durations, in seconds.
pub(super) static SECONDS: LazyLock<Layout> = LazyLock::new(|| Layout::new(f64::from(1 << FIRST_BOUND_LOG2) / 1e9));
/// Histograms of numbers.
pub(super) static NUMBERS: LazyLock<Layout> =
    LazyLock::new(|| Layout::new(f64::from(1 << (FIRST_BOUND_LOG2 - VMA_UNIT_LOG2))));

/// Where our buckets lie among the native ones.
pub(super) struct Layout {
    /// What is not above it is in the zero bucket.
    pub(super) zero_threshold: f64,
    /// Part of the first bucket that is not above the zero threshold.
    zero_share: f64,
    /// Index of the first native bucket: that above the zero threshold.
    first: i32,
    /// For each of our buckets the first native one in which it is told, counted from `first`, and the parts in that and the next.
    shares: [(usize, Vec<f64>); BUCKETS],
    /// Native buckets.
    len: usize,
}

/// A native histogram: what is in the zero bucket, and runs of buckets.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Native {
    /// Events in the zero bucket.
    pub(super) zero_count: f64,
    /// Distance from the end of the run before it (from index zero for the first one), and length of each run.
    pub(super) spans: Vec<(i32, u32)>,
    /// Events in the buckets of all runs.
    pub(super) counts: Vec<f64>,
}

/// Upper bound of a native bucket.
fn bound(index: i32) -> f64 {
    (f64::from(index) / f64::from(PER_OCTAVE)).exp2()
}

impl Layout {
    fn new(first_bound: f64) -> Self {
        let ours = |n: usize| first_bound * (n as f64).exp2();
        let nearest = |bound: f64| (bound.log2() * f64::from(PER_OCTAVE)).round() as i32;
        // A power of two, so that it stays a bound when somebody merges buckets.
        let zero = (first_bound.log2() - 1.0).floor() as i32 * PER_OCTAVE;
        let share_of_zero = parts(bound(zero) / first_bound);
        let shares = std::array::from_fn(|n| {
            // What is longer than the last bound is told right above it.
            let (lower, from) = if n == 0 { (0.0, zero) } else { (ours(n - 1), nearest(ours(n - 1))) };
            let to = if n == FINITE { from + 1 } else { nearest(ours(n)) };
            let below = |index| match index {
                index if index == to => 1.0,
                index if index == from => {
                    if n == 0 {
                        share_of_zero
                    } else {
                        0.0
                    }
                }
                index => parts((bound(index) - lower) / (ours(n) - lower)),
            };
            ((from - zero) as usize, (from + 1..=to).map(|index| below(index) - below(index - 1)).collect())
        });
        let len = shares.iter().map(|(from, shares): &(usize, Vec<f64>)| from + shares.len()).max().unwrap_or_default();
        Self { zero_threshold: bound(zero), zero_share: share_of_zero, first: zero + 1, shares, len }
    }

    /// Our histogram as a native one.
    pub(super) fn native(&self, histogram: &Histogram) -> Native {
        let mut dense = vec![0.0; self.len];
        for (count, (from, shares)) in histogram.buckets.iter().zip(&self.shares).filter(|(count, _)| **count != 0) {
            for (place, share) in dense[*from..].iter_mut().zip(shares) {
                *place += *count as f64 * share;
            }
        }
        let mut native = Native { zero_count: histogram.buckets[0] as f64 * self.zero_share, ..Native::default() };
        let mut gap = self.first;
        let mut is_run = false;
        for count in dense {
            if count == 0.0 {
                gap += 1;
                is_run = false;
                continue;
            }
            match native.spans.last_mut() {
                Some((_, length)) if is_run => *length += 1,
                _ => native.spans.push((std::mem::take(&mut gap), 1)),
            }
            is_run = true;
            native.counts.push(count);
        }
        native
    }
}

/// A share, in whole parts.
fn parts(share: f64) -> f64 {
    (share.clamp(0.0, 1.0) * PARTS).round() / PARTS
}

#[cfg(test)]
mod tests;
