//! Totals since the start, and what they have grown by since the last look. Pure.

/// What only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Losses, by the reasons of `probe_common::lost`.
    pub lost: Vec<u64>,
    /// Looks at which the kernel's count of pending flushes differed from ours.
    pub pending_mismatches: u64,
    /// Events that programs could not see.
    pub probe_misses: u64,
}

impl Totals {
    /// What was added since these were taken; they are `now`'s from here on.
    pub fn grow(&mut self, now: Self) -> Self {
        let old = std::mem::replace(self, now);
        let lost = self.lost.iter().enumerate();
        Self {
            lost: lost
                .map(|(reason, total)| total.saturating_sub(old.lost.get(reason).copied().unwrap_or_default()))
                .collect(),
            pending_mismatches: self.pending_mismatches.saturating_sub(old.pending_mismatches),
            probe_misses: self.probe_misses.saturating_sub(old.probe_misses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    fn totals(lost: &[u64], pending_mismatches: u64, probe_misses: u64) -> Totals {
        Totals { lost: lost.to_vec(), pending_mismatches, probe_misses }
    }

    #[test]
    fn each_look_is_told_what_was_added() {
        let mut last = Totals::default();
        assert_eq!(last.grow(totals(&[1, 0], 2, 5)), totals(&[1, 0], 2, 5));
        // A program that is gone takes its misses with it.
        assert_eq!(last.grow(totals(&[1, 3], 2, 4)), totals(&[0, 3], 0, 0));
        assert_eq!(last, totals(&[1, 3], 2, 4));
    }
}
