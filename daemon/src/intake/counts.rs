//! What can be counted of one mm or one subject: plain sums. Knows nothing of where they come from.

use std::{collections::BTreeMap, ops::AddAssign};

use probe_common::{
    histogram::{BUCKETS, FIRST_BOUND_LOG2},
    series::{COUNT as SERIES, OPERATION_COUNT},
    slot::ACQUISITIONS,
};

/// A histogram of durations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Events by bucket of `probe_common::histogram`, not cumulative.
    pub buckets: [u64; BUCKETS],
    /// Exact sum, nanoseconds.
    pub sum_ns: u64,
}

impl Histogram {
    /// So many durations of one length that is not beyond the first bound.
    #[must_use]
    pub fn of_shortest(count: u64, each_ns: u64) -> Self {
        debug_assert!(each_ns <= 1 << FIRST_BOUND_LOG2, "in the first bucket");
        let mut histogram = Self { sum_ns: count * each_ns, ..Self::default() };
        histogram.buckets[0] = count;
        histogram
    }

    /// The bucket of a duration, as the kernel side chooses it: that of the first bound which it does not exceed.
    #[must_use]
    pub fn bucket(duration_ns: u64) -> usize {
        let rest = duration_ns.saturating_sub(1) >> FIRST_BOUND_LOG2;
        ((u64::BITS - rest.leading_zeros()) as usize).min(BUCKETS - 1)
    }

    /// Events.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl AddAssign<&Self> for Histogram {
    fn add_assign(&mut self, other: &Self) {
        for (bucket, add) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += add;
        }
        self.sum_ns += other.sum_ns;
    }
}

/// Histograms in the order of their series: few in each of thousands of [`Counts`], where a tree's nodes would be too large.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histograms(Vec<(u32, Histogram)>);

/// Everything counted, as a sum over some time and some mms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// mmap_lock: read acquired, read failed, write acquired, write failed.
    pub acquisitions: [u64; ACQUISITIONS],
    /// TLB flushes by kind.
    pub flushes: [u64; 3],
    /// 4 KiB pages in range and page flushes.
    pub flush_pages: u64,
    /// Flushes that a write fault was forced to by a pending flush: unwarranted, warranted.
    pub forced: [u64; 2],
    /// Ranges flushed as the whole mm, by `probe_common::series::ESCALATIONS`.
    pub escalated: [u64; 4],
    /// Write faults inside another task's open window, by `probe_common::series::OUTCOMES`.
    pub stale_writes: [u64; 3],
    /// Cycles not-writable, writable, not-writable: without a flush between, with one.
    pub cycles: [u64; 2],
    /// Write faults that would have met a changed generation: without need, with need.
    pub generations: [u64; 2],
    /// Protection changes (calls of change_protection, or what stands in for it).
    pub changes: u64,
    /// Userfaults at a page that had the last one at its place already.
    pub refaults: u64,
    /// Flushes that asked other CPUs.
    pub shootdowns: u64,
    /// CPUs that they asked.
    pub shootdown_cpus: u64,
    /// Waits for mmap_lock begun.
    pub waits_begun: u64,
    /// Waits ended.
    pub waits_ended: u64,
    /// Reader waits that downgrades would have spared, nanoseconds.
    pub downgrade_ns: u64,
    /// Outer windows opened.
    pub windows_opened: u64,
    /// Outer windows closed.
    pub windows_closed: u64,
    /// Userfaults begun.
    pub faults_begun: u64,
    /// Userfaults ended.
    pub faults_ended: u64,
    /// Waits for mmap_lock by operation, nanoseconds.
    pub wait_ns: [u64; OPERATION_COUNT],
    /// Holds of mmap_lock by operation, nanoseconds.
    pub hold_ns: [u64; OPERATION_COUNT],
    /// Histograms by series, only those with an event.
    pub histograms: Histograms,
    /// Failed userfaultfd ioctls by request and errno.
    pub errors: BTreeMap<(u16, u16), u64>,
}

impl Counts {
    /// A number that grows with whatever happens: by it subjects are ranked.
    #[must_use]
    pub fn activity(&self) -> u64 {
        self.acquisitions.iter().sum::<u64>()
            + self.flushes.iter().sum::<u64>()
            + self.windows_opened
            + self.faults_begun
            + self.histograms.0.iter().map(|(_, histogram)| histogram.count()).sum::<u64>()
    }

    /// Series that it makes in a scrape where everything can be measured, one more for its cgroup's; a test of `export` holds it
    /// to that.
    #[must_use]
    pub fn series(&self) -> usize {
        fn told(counters: &[u64]) -> usize {
            counters.iter().filter(|count| **count != 0).count()
        }
        if self.is_empty() {
            return 0;
        }
        let of_one = [
            self.flush_pages,
            self.shootdown_cpus,
            self.downgrade_ns,
            self.refaults,
            self.windows_opened,
            self.faults_begun,
        ];
        let counters: [&[u64]; 9] = [
            &of_one,
            &self.acquisitions,
            &self.flushes,
            &self.forced,
            &self.escalated,
            &self.cycles,
            &self.generations,
            &self.wait_ns,
            &self.hold_ns,
        ];
        // A histogram's sum and count are series beside its buckets.
        let of_histograms = self.histograms.0.len() * (BUCKETS + 2);
        1 + of_histograms + self.errors.len() + counters.into_iter().map(told).sum::<usize>()
    }

    /// Takes what tells how much is open at the moment: it is one figure with what began before, whoever is told about.
    #[must_use]
    pub fn take_in_flight(&mut self) -> Self {
        use std::mem::take;
        Self {
            windows_opened: take(&mut self.windows_opened),
            windows_closed: take(&mut self.windows_closed),
            faults_begun: take(&mut self.faults_begun),
            faults_ended: take(&mut self.faults_ended),
            waits_begun: take(&mut self.waits_begun),
            waits_ended: take(&mut self.waits_ended),
            ..Self::default()
        }
    }

    /// Whether nothing happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The histogram of a series, if anything was counted in it.
    #[must_use]
    pub fn known_histogram(&self, series: u32) -> Option<&Histogram> {
        debug_assert!((series as usize) < SERIES, "a series of the table");
        let at = self.histograms.0.binary_search_by_key(&series, |(series, _)| *series).ok()?;
        Some(&self.histograms.0[at].1)
    }

    /// The histograms in which something was counted, in the order of their series.
    pub fn histograms(&self) -> impl Iterator<Item = (u32, &Histogram)> {
        self.histograms.0.iter().map(|(series, histogram)| (*series, histogram))
    }

    /// The histogram of a series; empty where nothing was counted.
    #[must_use]
    pub fn histogram(&self, series: u32) -> Histogram {
        self.known_histogram(series).copied().unwrap_or_default()
    }

    /// Adds to the histogram of a series.
    pub fn add_histogram(&mut self, series: u32, histogram: &Histogram) {
        match self.histograms.0.binary_search_by_key(&series, |(series, _)| *series) {
            Ok(at) => self.histograms.0[at].1 += histogram,
            Err(at) => {
                // There are thousands of these, most with one to four series.
                self.histograms.0.reserve_exact(1);
                self.histograms.0.insert(at, (series, *histogram));
            }
        }
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        fn sum<const N: usize>(to: &mut [u64; N], from: &[u64; N]) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += from;
            }
        }
        sum(&mut self.acquisitions, &other.acquisitions);
        sum(&mut self.flushes, &other.flushes);
        sum(&mut self.wait_ns, &other.wait_ns);
        sum(&mut self.hold_ns, &other.hold_ns);
        sum(&mut self.forced, &other.forced);
        sum(&mut self.escalated, &other.escalated);
        sum(&mut self.stale_writes, &other.stale_writes);
        sum(&mut self.cycles, &other.cycles);
        sum(&mut self.generations, &other.generations);
        self.changes += other.changes;
        self.refaults += other.refaults;
        self.shootdowns += other.shootdowns;
        self.shootdown_cpus += other.shootdown_cpus;
        self.waits_begun += other.waits_begun;
        self.waits_ended += other.waits_ended;
        self.downgrade_ns += other.downgrade_ns;
        self.flush_pages += other.flush_pages;
        self.windows_opened += other.windows_opened;
        self.windows_closed += other.windows_closed;
        self.faults_begun += other.faults_begun;
        self.faults_ended += other.faults_ended;
        for (series, histogram) in &other.histograms.0 {
            self.add_histogram(*series, histogram);
        }
        for (key, count) in &other.errors {
            *self.errors.entry(*key).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        for n in 0..BUCKETS - 1 {
            let bound_ns = 1 << (FIRST_BOUND_LOG2 as usize + n);
            assert_eq!((Histogram::bucket(bound_ns), Histogram::bucket(bound_ns + 1)), (n, n + 1));
        }
        assert_eq!((Histogram::bucket(0), Histogram::bucket(u64::MAX)), (0, BUCKETS - 1));
    }
}
