//! Times of single operations, and times on the command line. Allocates nothing.

use std::io;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

/// How many operations of one kind ran and how long they took, by CLOCK_MONOTONIC around each call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct OpTimes {
    /// Operations.
    pub(crate) ops: u64,
    /// Shortest; 0 if there was none.
    pub(crate) op_ns_min: u64,
    /// Longest.
    pub(crate) op_ns_max: u64,
    /// All together.
    pub(crate) op_ns_sum: u64,
}

impl OpTimes {
    pub(crate) fn record(&mut self, time: Duration) {
        let ns = nanos(time);
        *self = self.merge(Self { ops: 1, op_ns_min: ns, op_ns_max: ns, op_ns_sum: ns });
    }

    pub(crate) fn merge(self, other: Self) -> Self {
        let op_ns_min = match (self.ops, other.ops) {
            (0, _) => other.op_ns_min,
            (_, 0) => self.op_ns_min,
            _ => self.op_ns_min.min(other.op_ns_min),
        };
        Self {
            ops: self.ops + other.ops,
            op_ns_min,
            op_ns_max: self.op_ns_max.max(other.op_ns_max),
            op_ns_sum: self.op_ns_sum + other.op_ns_sum,
        }
    }
}

/// Processor time of this process so far, all threads together.
///
/// # Errors
///
/// If the kernel has no such clock.
pub(crate) fn cpu_time() -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills one timespec that lives across the call.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    ensure!(done == 0, "read the processor time: {}", io::Error::last_os_error());
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

/// Whole nanoseconds.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds, with a fraction if need be.
pub(crate) fn parse_seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_the_neutral_element() {
        let mut one = OpTimes::default();
        one.record(Duration::from_nanos(7));
        assert_eq!(one.merge(OpTimes::default()), one);
        assert_eq!(OpTimes::default().merge(one), one);
        one.record(Duration::from_nanos(3));
        assert_eq!(one, OpTimes { ops: 2, op_ns_min: 3, op_ns_max: 7, op_ns_sum: 10 });
    }

    #[test]
    fn seconds_have_fractions_and_no_sign() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert!(parse_seconds("-1").is_err());
        assert!(parse_seconds("soon").is_err());
    }
}
