//! Durations of rules, as Prometheus spells them, and the time scale that they are written in: the real one, or a shorter
//! one for a proof that cannot wait for half an hour.

use std::time::Duration;

/// By how much all durations of the rules are shortened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(u32);

impl Scale {
    /// As they are meant.
    pub(crate) const REAL: Self = Self(1);

    /// So many times as fast.
    pub(crate) const fn faster(times: u32) -> Self {
        Self(times)
    }

    /// A duration in this scale, in whole seconds.
    pub(crate) fn of(self, time: Duration) -> Duration {
        Duration::from_secs(time.as_secs().div_ceil(u64::from(self.0)))
    }

    /// The same, as Prometheus spells it.
    pub(crate) fn spelt(self, time: Duration) -> String {
        let seconds = self.of(time).as_secs();
        match seconds {
            s if s != 0 && s % 3600 == 0 => format!("{}h", s / 3600),
            s if s != 0 && s % 60 == 0 => format!("{}m", s / 60),
            s => format!("{s}s"),
        }
    }
}

/// Minutes.
pub(crate) const fn minutes(n: u64) -> Duration {
    Duration::from_secs(60 * n)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Scale, minutes};

    #[test]
    fn durations_are_spelt_in_the_largest_unit_that_fits() {
        let spelt = |seconds| Scale::REAL.spelt(Duration::from_secs(seconds));
        assert_eq!([spelt(0), spelt(90), spelt(300), spelt(7200)], ["0s", "90s", "5m", "2h"]);
        assert_eq!(Scale::faster(30).spelt(minutes(5)), "10s");
        assert_eq!(Scale::faster(7).spelt(minutes(1)), "9s", "never shorter than asked for");
    }
}
