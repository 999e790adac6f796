//! The tables of mms and their histogram rows: what was added since the last look, and the way of a slot from its
//! claim by the kernel side to its return to the free ones.
//!
//! Counters wrap in 32 bits; differences are taken modulo 2^32. A slot is given back only one look after its mm was
//! found dead, when nobody can still be writing to it.

use probe_common::{
    histogram::Row,
    series::{OPERATION_COUNT, VMA_UNIT_LOG2, VMAS},
    slot::{ACQUISITIONS, MmSlot, STATE_DEAD},
};

use super::{Counts, Histogram};

/// The counters of a slot, and whose it is.
macro_rules! tallies {
    ($($field:ident: $type:ty,)*) => {
        /// What is kept of a slot from one look to the next: there may be thousands.
        #[derive(Clone, Copy, Default)]
        struct Tallies {
            $($field: $type,)*
        }

        impl Tallies {
            fn of(slot: &MmSlot) -> Self {
                Self { $($field: slot.$field,)* }
            }
        }
    };
}

tallies! {
    born_ns: u64,
    flush_pages: u64,
    downgrade_ns: u64,
    wait_ns: [u64; OPERATION_COUNT],
    hold_ns: [u64; OPERATION_COUNT],
    acquisitions: [u32; ACQUISITIONS],
    flushes: [u32; 3],
    windows_opened: u32,
    windows_closed: u32,
    faults_begun: u32,
    faults_ended: u32,
    forced: [u32; 2],
    escalated: [u32; 4],
    stale_writes: [u32; 3],
    cycles: [u32; 2],
    generations: [u32; 2],
    changes: u32,
    refaults: u32,
    mprotects_of_one_vma: u32,
    shootdowns: u32,
    shootdown_cpus: u32,
    waits_begun: u32,
    waits_ended: u32,
}

/// What the last look saw of one slot.
pub(super) struct SlotBook {
    last: Tallies,
    /// Whether the last look told what it saw; not of a slot that waits for a name.
    pub(super) is_told: bool,
    /// Looks since the mm was found dead.
    pub(super) dead_looks: u32,
    /// Looks since something was counted.
    pub(super) idle_looks: u32,
    /// Looks that found the mm in the middle of an exec.
    pub(super) exec_looks: u32,
}

impl SlotBook {
    pub(super) fn new() -> Self {
        Self { last: Tallies::default(), is_told: false, dead_looks: 0, idle_looks: 0, exec_looks: 0 }
    }

    /// What was added since the last look, and the new state of the book.
    pub(super) fn look(&mut self, now: &MmSlot) -> Counts {
        if self.last.born_ns != now.born_ns {
            *self = Self { is_told: self.is_told, ..Self::new() };
        }
        let last = &self.last;
        let wrap = |now: u32, last: u32| u64::from(now.wrapping_sub(last));
        let mut counts = Counts {
            flush_pages: now.flush_pages.wrapping_sub(last.flush_pages),
            windows_opened: wrap(now.windows_opened, last.windows_opened),
            windows_closed: wrap(now.windows_closed, last.windows_closed),
            faults_begun: wrap(now.faults_begun, last.faults_begun),
            faults_ended: wrap(now.faults_ended, last.faults_ended),
            changes: wrap(now.changes, last.changes),
            refaults: wrap(now.refaults, last.refaults),
            shootdowns: wrap(now.shootdowns, last.shootdowns),
            shootdown_cpus: wrap(now.shootdown_cpus, last.shootdown_cpus),
            waits_begun: wrap(now.waits_begun, last.waits_begun),
            waits_ended: wrap(now.waits_ended, last.waits_ended),
            downgrade_ns: now.downgrade_ns.wrapping_sub(last.downgrade_ns),
            forced: wraps(now.forced, last.forced),
            escalated: wraps(now.escalated, last.escalated),
            stale_writes: wraps(now.stale_writes, last.stale_writes),
            cycles: wraps(now.cycles, last.cycles),
            generations: wraps(now.generations, last.generations),
            acquisitions: wraps(now.acquisitions, last.acquisitions),
            flushes: wraps(now.flushes, last.flushes),
            ..Counts::default()
        };
        for n in 0..counts.wait_ns.len() {
            counts.wait_ns[n] = now.wait_ns[n].wrapping_sub(last.wait_ns[n]);
            counts.hold_ns[n] = now.hold_ns[n].wrapping_sub(last.hold_ns[n]);
        }
        let of_one_vma = wrap(now.mprotects_of_one_vma, last.mprotects_of_one_vma);
        if of_one_vma != 0 {
            counts.add_histogram(VMAS, &Histogram::of_shortest(of_one_vma, 1 << VMA_UNIT_LOG2));
        }
        self.idle_looks = if counts.is_empty() { self.idle_looks + 1 } else { 0 };
        self.dead_looks = if now.state == STATE_DEAD { self.dead_looks + 1 } else { 0 };
        self.last = Tallies::of(now);
        counts
    }
}

fn wraps<const N: usize>(now: [u32; N], last: [u32; N]) -> [u64; N] {
    std::array::from_fn(|n| u64::from(now[n].wrapping_sub(last[n])))
}

/// What was added to a row since the last look at it.
pub(super) fn row_difference(now: &Row, last: &Row) -> Histogram {
    let mut histogram = Histogram { sum_ns: now.sum_ns.wrapping_sub(last.sum_ns), ..Histogram::default() };
    for (n, bucket) in histogram.buckets.iter_mut().enumerate() {
        *bucket = u64::from(now.buckets[n].wrapping_sub(last.buckets[n]));
    }
    histogram
}

#[cfg(test)]
mod tests {
    use probe_common::slot::STATE_NAMED;
    use zerocopy::FromZeros as _;

    use super::*;

    fn slot(born_ns: u64, acquired: u32) -> MmSlot {
        let mut slot = MmSlot::new_zeroed();
        slot.born_ns = born_ns;
        slot.state = STATE_NAMED;
        slot.acquisitions[0] = acquired;
        slot
    }

    #[test]
    fn a_look_gives_what_was_added_since_the_last() {
        let mut book = SlotBook::new();
        assert_eq!(book.look(&slot(1, 5)).acquisitions[0], 5);
        assert_eq!(book.look(&slot(1, 7)).acquisitions[0], 2);
        assert_eq!(book.look(&slot(1, 7)).acquisitions[0], 0);
        assert_eq!(book.idle_looks, 1);
    }

    #[test]
    fn a_counter_that_wrapped_is_read_right() {
        let mut book = SlotBook::new();
        book.look(&slot(1, u32::MAX - 1));
        assert_eq!(book.look(&slot(1, 3)).acquisitions[0], 5);
    }

    #[test]
    fn a_slot_claimed_anew_starts_from_zero() {
        let mut book = SlotBook::new();
        book.look(&slot(1, 100));
        assert_eq!(book.look(&slot(2, 4)).acquisitions[0], 4);
    }

    #[test]
    fn mprotects_of_one_vma_are_in_the_first_bucket() {
        let mut slot = slot(1, 0);
        slot.mprotects_of_one_vma = 3;
        let histogram = SlotBook::new().look(&slot).histogram(VMAS);
        assert_eq!((histogram.buckets[0], histogram.count(), histogram.sum_ns), (3, 3, 3 * 256));
    }

    #[test]
    fn rows_wrap_too() {
        let mut last = Row::new_zeroed();
        let mut now = last;
        last.buckets[3] = u32::MAX;
        now.buckets[3] = 0;
        now.sum_ns = 600;
        let difference = row_difference(&now, &last);
        assert_eq!((difference.buckets[3], difference.sum_ns, difference.count()), (1, 600, 1));
    }
}
