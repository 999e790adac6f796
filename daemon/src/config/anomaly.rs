//! The table `[anomaly]`: bounds of the anomaly classes. What they mean is in docs/anomalies.md, which a test holds to this
//! file. Knows nothing of rules.

use std::time::Duration;

use serde::Deserialize;

use super::{
    Record,
    bounds::{Shown, within},
    duration,
};
use crate::classes::Class;

macro_rules! bounds {
    ($($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)+)])? $key:ident: $type:ty = $default:expr, $least:expr => $most:expr;)*) => {
        /// Bounds of the anomaly classes, and which of them are judged.
        #[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
        #[serde(deny_unknown_fields, default)]
        pub struct Anomaly {
            /// Classes that are not judged. They are absent then, never zero.
            pub disabled: Vec<Class>,
            $($(#[doc = $doc])+ $(#[serde($($serde)+)])? pub $key: $type,)*
        }

        impl Default for Anomaly {
            fn default() -> Self {
                Self { disabled: Vec::new(), $($key: $default,)* }
            }
        }

        impl Anomaly {
            /// Every key that has bounds, with its value as the file has it.
            #[must_use]
            pub fn shown(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($key), self.$key.shown()),)*]
            }

            /// From what [`Self::shown`] gave, perhaps to another build: keys that are not known are passed over, those that are
            /// missing have their defaults.
            ///
            /// # Errors
            ///
            /// When the value of a known key is none; the message names the key.
            pub fn from_shown(disabled: Vec<Class>, shown: &[(String, String)]) -> Result<Self, String> {
                let mut bounds = Self { disabled, ..Self::default() };
                for (key, value) in shown {
                    match key.as_str() {
                        $(stringify!($key) => {
                            let value = Shown::read(value);
                            bounds.$key = value.map_err(|message| format!("anomaly.{key}: {message}"))?;
                        })*
                        _ => {}
                    }
                }
                Ok(bounds)
            }

            fn check_bounds(&self) -> Result<(), String> {
                $(within(concat!("anomaly.", stringify!($key)), &self.$key, &$least, &$most)?;)*
                Ok(())
            }
        }
    };
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const HOUR: Duration = ms(3_600_000);
/// What a histogram can tell: its last finite bound is 8.59 s.
const LONGEST_IN_HISTOGRAM: Duration = ms(8_000);
const PER_SECOND: u64 = 1_000_000_000;

bounds! {
    /// Looks at which a rule has to hold before its alert is raised.
    raise_looks: u64 = 3, 1 => 1_000;
    /// For how long it must not have held before the alert is cleared.
    #[serde(deserialize_with = "duration")]
    clear_after: Duration = ms(60_000), ms(0) => ms(24 * 3_600_000);
    /// Alerts that are kept at once, raised or about to be.
    alerts: u64 = 1_000, 1 => 100_000;
    /// Times its own median from which on a subject's figure is told as unusual; none at all if zero.
    baseline_factor: u64 = 0, 0 => 1_000_000;
    /// Ticks with an event of a figure that its median is of.
    baseline_looks: u64 = 300, 10 => 3_600;
    /// Such ticks before it is judged.
    baseline_warm_up: u64 = 60, 5 => 3_600;
    /// Events of a figure in a tick, below which it is not judged.
    baseline_minimum: u64 = 100, 1 => PER_SECOND;
    /// Figures of subjects that are remembered.
    baseline_figures: u64 = 1_000, 1 => 10_000;
    /// Unwarranted forced flushes of one mm, per second.
    unwarranted_flush_storm_per_second: u64 = 1_000, 1 => PER_SECOND;
    /// Outer windows of protection changes.
    #[serde(deserialize_with = "duration")]
    long_window_duration: Duration = ms(100), ms(1) => HOUR;
    /// Outer windows in which memory is freed.
    #[serde(deserialize_with = "duration")]
    long_window_zap: Duration = ms(1_000), ms(1) => HOUR;
    /// Whole-mm flushes of one mm, per second, because of another window that met no address of its own.
    nested_window_per_second: u64 = 100, 1 => PER_SECOND;
    /// Other ranges of one mm flushed as the whole mm, per second.
    flush_escalation_per_second: u64 = 1_000, 1 => PER_SECOND;
    /// Cycles without a flush between, of one mm, per second.
    pte_cycle_unflushed_per_second: u64 = 10, 0 => PER_SECOND;
    /// Holds of mmap_lock with waiters behind them.
    #[serde(deserialize_with = "duration")]
    lock_convoy_hold: Duration = ms(100), ms(1) => HOUR;
    /// Waiters behind such a hold.
    lock_convoy_waiters: u64 = 1, 1 => 1_000_000;
    /// What the waiters behind it lost, together.
    #[serde(deserialize_with = "duration")]
    lock_convoy_lost: Duration = ms(100), ms(0) => HOUR;
    /// Mprotect windows of one mm per second, times the CPUs that each of them concerns.
    protection_flip_flop_per_second: u64 = 10_000, 1 => PER_SECOND;
    /// Latency of a userfault.
    #[serde(deserialize_with = "duration")]
    uffd_slow_latency: Duration = ms(100), ms(1) => LONGEST_IN_HISTOGRAM;
    /// Share of an mm's userfaults that may take longer than that, percent.
    uffd_slow_percent: u64 = 10, 0 => 99;
    /// Userfaults of an mm in a look, below which there is no share.
    uffd_slow_faults: u64 = 10, 1 => PER_SECOND;
    /// Age of a userfault in flight, and time for which its handler has asked for nothing.
    #[serde(deserialize_with = "duration")]
    uffd_stuck_age: Duration = ms(30_000), ms(1_000) => HOUR;
    /// Userfaults of one mm at the page of the one before, per second.
    uffd_refault_per_second: u64 = 1_000, 1 => PER_SECOND;
    /// Failures of one userfaultfd ioctl of one mm, per second.
    uffd_error_storm_per_second: u64 = 100, 1 => PER_SECOND;
    /// Wait of a flush for the other CPUs.
    #[serde(deserialize_with = "duration")]
    shootdown_straggler_duration: Duration = ms(10), ms(1) => LONGEST_IN_HISTOGRAM;
    /// Age of a batched reclaim flush that is outstanding on one mm.
    #[serde(deserialize_with = "duration")]
    reclaim_stale_duration: Duration = ms(100), ms(1) => LONGEST_IN_HISTOGRAM;
    /// Events lost or missed, per second.
    blind_lost_per_second: u64 = 0, 0 => PER_SECOND;
}

impl Anomaly {
    /// Whether the values are ones that can be judged by; what is not recorded cannot be.
    ///
    /// # Errors
    ///
    /// Names the key and its bounds.
    pub fn check(&self, record: &Record) -> Result<(), String> {
        self.check_bounds()?;
        if self.baseline_warm_up > self.baseline_looks {
            let (warm_up, looks) = (self.baseline_warm_up, self.baseline_looks);
            return Err(format!("anomaly.baseline_warm_up: {warm_up} is above anomaly.baseline_looks ({looks})"));
        }
        let recorded = |key: &str, value: Duration, by: &str, from: Duration| {
            if value >= from {
                return Ok(());
            }
            let (value, from) = (value.shown(), from.shown());
            Err(format!("anomaly.{key}: {value} is below record.{by} ({from}), and shorter ones are not recorded"))
        };
        recorded("long_window_duration", self.long_window_duration, "window", record.window)?;
        recorded("long_window_zap", self.long_window_zap, "window", record.window)?;
        recorded("lock_convoy_hold", self.lock_convoy_hold, "hold", record.hold)
    }
}
