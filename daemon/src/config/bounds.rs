//! Bounds of a value, and how a value is shown to its writer. Knows no key.

use std::time::Duration;

/// A value that can be shown as the configuration file has it.
pub(super) trait Shown: PartialOrd + Sized {
    fn shown(&self) -> String;

    /// From what was shown; the message quotes what is no such value.
    fn read(shown: &str) -> Result<Self, String>;
}

impl Shown for Duration {
    fn shown(&self) -> String {
        humantime::format_duration(*self).to_string()
    }

    fn read(shown: &str) -> Result<Self, String> {
        humantime::parse_duration(shown).map_err(|error| format!("{shown:?} is no duration: {error}"))
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }

    fn read(shown: &str) -> Result<Self, String> {
        shown.parse().map_err(|error| format!("{shown:?} is no number: {error}"))
    }
}

/// An error that names key and bounds, unless the value is within them.
pub(super) fn within<T: Shown>(key: &str, value: &T, least: &T, most: &T) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!("{key}: {} is not between {} and {}", value.shown(), least.shown(), most.shown()))
}
