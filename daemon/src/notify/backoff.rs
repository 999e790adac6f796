//! How long to wait after a failure. Pure: the time and the chance are passed in.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest: what was down is told within so long after it is up again.
const LONGEST: Duration = Duration::from_secs(30);

/// Waits twice as long after each failure in a row, a random part of it: those who lost one receiver shall not all come back
/// at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Duration,
}

impl Backoff {
    /// When to try again; in the past if nothing failed.
    pub(super) fn until(&self) -> Duration {
        self.until
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// `chance` is from zero to one; `asked` what the receiver asked for, which counts up to the longest wait.
    pub(super) fn failed(&mut self, now: Duration, chance: f64, asked: Option<Duration>) {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        let wait = whole / 2 + (whole / 2).mul_f64(chance.clamp(0.0, 1.0));
        self.failures = self.failures.saturating_add(1);
        self.until = now + wait.max(asked.unwrap_or_default().min(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::default();
        let mut now = Duration::from_secs(100);
        let mut waits = Vec::new();
        for _ in 0..40 {
            backoff.failed(now, 1.0, None);
            waits.push((backoff.until() - now).as_secs());
            now = backoff.until();
        }
        assert_eq!(waits[..7], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(waits[39], 30);
        backoff.succeeded();
        backoff.failed(now, 0.0, None);
        assert_eq!(backoff.until() - now, Duration::from_millis(500), "half of it at least");
    }

    #[test]
    fn what_the_receiver_asks_for_counts_within_bounds() {
        let now = Duration::from_secs(1);
        let wait = |asked| {
            let mut backoff = Backoff::default();
            backoff.failed(now, 1.0, Some(Duration::from_secs(asked)));
            (backoff.until() - now).as_secs()
        };
        assert_eq!([wait(0), wait(7), wait(9_999)], [1, 7, 30]);
    }
}
