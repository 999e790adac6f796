//! A rate limit, as the toolkit has it: a bucket of so many requests, and one more each interval. The time is passed in.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

pub(super) struct Rate {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full: Mutex<Instant>,
}

impl Rate {
    /// None without an interval.
    pub(super) fn of(interval: Duration, burst: u32, now: Instant) -> Option<Self> {
        (interval > Duration::ZERO).then(|| Self { interval, burst, full: Mutex::new(now) })
    }

    /// Takes one, if there is one.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*full).max(now) + self.interval;
        let has_room = next - now <= self.interval * self.burst;
        if has_room {
            *full = next;
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_at_once_and_one_more_each_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let rate = Rate::of(Duration::from_millis(100), 3, start).unwrap();
        let taken: Vec<bool> =
            [0, 0, 0, 0, 50, 100, 100, 1_000, 1_000, 1_000, 1_000].map(|ms| rate.take(at(ms))).into();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, true, false]);
        assert!(Rate::of(Duration::ZERO, 3, start).is_none());
    }
}
