//! The table `[flight_recorder]`: what is kept in memory to be written when something goes wrong. Off unless the table is there:
//! it takes the memory that it is given. What the keys mean is in docs/recordings.md.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer};

use super::{bounds::within, duration, size};
use crate::classes::Severity;

/// What is kept, and where it is written to.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct FlightRecorder {
    /// Folder of the files; it is made if it is not there.
    pub directory: PathBuf,
    /// How much of the past is kept.
    #[serde(default = "default_length", deserialize_with = "duration")]
    pub length: Duration,
    /// What it may take in memory, and about as much on disk for each file; beyond it the oldest is forgotten.
    #[serde(default = "default_max_bytes", deserialize_with = "bytes")]
    pub max_bytes: u64,
    /// Files that are kept: the newest.
    #[serde(default = "default_keep")]
    pub keep: u64,
    /// Least severity of an alert at which a file is written.
    #[serde(default = "default_severity")]
    pub severity: Severity,
}

fn default_length() -> Duration {
    Duration::from_secs(600)
}

fn default_max_bytes() -> u64 {
    8 << 20
}

fn default_keep() -> u64 {
    8
}

fn default_severity() -> Severity {
    Severity::Warning
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    size::bytes(&text).map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
}

impl FlightRecorder {
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.directory.is_absolute() {
            return Err(format!("flight_recorder.directory: {} does not begin with a slash", self.directory.display()));
        }
        let (least, most) = (Duration::from_secs(10), Duration::from_secs(24 * 3600));
        within("flight_recorder.length", &self.length, &least, &most)?;
        within("flight_recorder.max_bytes", &self.max_bytes, &(64 << 10), &(1 << 30))?;
        within("flight_recorder.keep", &self.keep, &1, &1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn it_is_off_unless_it_has_a_folder() {
        assert_eq!(Config::parse("").unwrap().flight_recorder, None);
        assert!(Config::parse("[flight_recorder]\n").unwrap_err().contains("directory"));
        let config =
            Config::parse("[flight_recorder]\ndirectory = \"/var/lib/flights\"\nmax_bytes = \"2M\"\n").unwrap();
        let flight = config.flight_recorder.unwrap();
        assert_eq!((flight.max_bytes, flight.keep, flight.severity), (2 << 20, 8, Severity::Warning));
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let wrong = |text: &str, parts: &[&str]| {
            let message = Config::parse(&format!("[flight_recorder]\n{text}")).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        wrong("directory = \"flights\"\n", &["flight_recorder.directory", "flights", "slash"]);
        wrong("directory = \"/f\"\nlength = \"1s\"\n", &["flight_recorder.length", "1s", "10s"]);
        wrong("directory = \"/f\"\nkeep = 0\n", &["flight_recorder.keep", "0"]);
        wrong("directory = \"/f\"\nmax_bytes = \"1K\"\n", &["line 3", "1K"]);
        wrong("directory = \"/f\"\nmin_severity = \"info\"\n", &["line 3", "min_severity"]);
    }
}
