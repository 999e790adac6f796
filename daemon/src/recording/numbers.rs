//! Numbers as a recording has them.

use std::time::Duration;

/// Nanoseconds; of longer than 584 years, that long.
pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Seconds, or a part of a whole.
pub(super) fn measured(value: f64) -> Result<f64, String> {
    if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(format!("{value} is nothing that is measured")) }
}
