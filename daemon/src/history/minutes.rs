//! Sums of the last 15 minutes, minute by minute.

use std::time::Duration;

/// Minutes that are told, the running one among them.
pub const MINUTES: usize = 15;

/// The minute of an uptime.
pub(super) fn of(uptime: Duration) -> u64 {
    uptime.as_secs() / 60
}

/// So many sums, for each of the last minutes.
pub(super) struct Minutes<const N: usize> {
    /// By minute modulo their number.
    cells: Box<[[u64; N]; MINUTES]>,
    /// The last minute in which something was added.
    newest: u64,
}

impl<const N: usize> Default for Minutes<N> {
    fn default() -> Self {
        Self { cells: Box::new([[0; N]; MINUTES]), newest: 0 }
    }
}

impl<const N: usize> Minutes<N> {
    pub(super) fn add(&mut self, minute: u64, added: &[u64; N]) {
        for past in (self.newest + 1..=minute).rev().take(MINUTES) {
            self.cells[place(past)] = [0; N];
        }
        self.newest = self.newest.max(minute);
        for (sum, added) in self.cells[place(minute)].iter_mut().zip(added) {
            *sum += added;
        }
    }

    /// Whether any of it is in the last minutes.
    pub(super) fn is_recent(&self, minute: u64) -> bool {
        self.newest + MINUTES as u64 > minute
    }

    /// Each minute, the running one last.
    pub(super) fn each(&self, minute: u64) -> [[u64; N]; MINUTES] {
        std::array::from_fn(|n| {
            // Minutes before the start have nothing in them.
            let back = (MINUTES - 1 - n) as u64;
            let is_kept = |then: &u64| *then <= self.newest && *then + MINUTES as u64 > self.newest;
            minute.checked_sub(back).filter(is_kept).map_or([0; N], |then| self.cells[place(then)])
        })
    }

    pub(super) fn sum(&self, minute: u64) -> [u64; N] {
        let mut sum = [0; N];
        for cell in self.each(minute) {
            for (sum, add) in sum.iter_mut().zip(cell) {
                *sum += add;
            }
        }
        sum
    }
}

fn place(minute: u64) -> usize {
    (minute % MINUTES as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_fifteen_minutes_is_gone() {
        let mut minutes = Minutes::<1>::default();
        for minute in 0..40 {
            minutes.add(minute, &[1]);
            minutes.add(minute, &[minute]);
            let kept = minute.saturating_sub(MINUTES as u64 - 1)..=minute;
            assert_eq!(minutes.sum(minute), [kept.clone().sum::<u64>() + kept.count() as u64], "{minute}");
        }
        assert_eq!(minutes.each(39)[14], [40]);
        assert_eq!(minutes.each(41)[12], [40], "two minutes later, without anything new");
        assert_eq!(minutes.each(41)[14], [0]);
        assert!(minutes.is_recent(53) && !minutes.is_recent(54));
        assert_eq!(minutes.sum(54), [0]);
        minutes.add(1_000, &[7]);
        assert_eq!(minutes.sum(1_000), [7], "a long pause leaves nothing of before");
    }

    #[test]
    fn the_first_minutes_have_none_before_them() {
        let mut minutes = Minutes::<2>::default();
        minutes.add(1, &[3, 4]);
        assert_eq!(minutes.each(1)[14], [3, 4]);
        assert_eq!(minutes.each(1)[..14], [[0, 0]; 14]);
    }
}
