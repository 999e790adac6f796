//! A histogram as it is told: in seconds, or in numbers.

use probe_common::{histogram::FIRST_BOUND_LOG2, series::VMA_UNIT_LOG2};

use super::native::{Layout, NUMBERS, SECONDS};
use crate::{intake::Histogram, model::Exemplar};

/// A histogram with what tells its unit.
pub(super) struct Buckets<'a> {
    pub(super) histogram: &'a Histogram,
    /// By bucket.
    pub(super) exemplars: &'a [Exemplar],
    /// Whether it is one of VMAs, not of nanoseconds.
    pub(super) is_number: bool,
}

impl<'a> Buckets<'a> {
    /// In the unit that is told.
    pub(super) fn value(&self, inside: u64) -> f64 {
        if self.is_number { inside as f64 / f64::from(1 << VMA_UNIT_LOG2) } else { inside as f64 / 1e9 }
    }

    /// Upper bound of a bucket; the last one has none.
    pub(super) fn bound(&self, n: usize) -> f64 {
        self.value(1_u64 << (FIRST_BOUND_LOG2 as usize + n))
    }

    /// Exact sum.
    pub(super) fn sum(&self) -> f64 {
        self.value(self.histogram.sum_ns)
    }

    /// Single events, by bucket. A record may be there a tick before what it stands for is counted.
    pub(super) fn exemplars(&self) -> impl Iterator<Item = &'a Exemplar> {
        let counted = self.histogram.buckets;
        self.exemplars.iter().filter(move |exemplar| counted[exemplar.bucket()] != 0)
    }

    /// How it is told as a native histogram.
    pub(super) fn layout(&self) -> &'static Layout {
        if self.is_number { &NUMBERS } else { &SECONDS }
    }
}
