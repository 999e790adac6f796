//! The configuration file: TOML, every key optional, an unknown one an error. Flags win over it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use anomaly::Anomaly;
pub use budget::Budget;
pub use flight_recorder::FlightRecorder;
pub use notify::{ALERTS_PATH, Alertmanager, Http, JOURNAL, Journal, Notify, Url, Webhook};
pub(crate) use size::bytes;
pub use subjects::{Containers, Pattern, SubjectRule};
pub use web::Web;

use crate::failure::Failure;

mod anomaly;
mod bounds;
mod budget;
mod flight_recorder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod notify;
mod size;
mod subjects;
mod web;

/// What the file may say.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Time between two looks at the kernel side.
    #[serde(deserialize_with = "duration")]
    pub tick: Duration,
    /// Subjects told apart; the others are summed into "other".
    pub subjects: usize,
    /// Quiet for so long, a subject may lose its place.
    #[serde(deserialize_with = "duration")]
    pub subject_quiet: Duration,
    /// For so long one that gives its place up is shown once more: longer than two scrapes are apart.
    #[serde(deserialize_with = "duration")]
    pub subject_last_shown: Duration,
    /// Series of a scrape, whatever happens; subjects beyond it are summed into "other".
    pub series_cap: usize,
    /// Series of a scrape up to which subjects that do little are told apart too.
    pub series_idle: usize,
    /// Under which names subjects are told: the first rule that fits.
    pub subject_rules: Vec<SubjectRule>,
    /// Where names of containers are read.
    pub containers: Containers,
    /// What the probes may cost; beyond it less is measured.
    pub overhead_budget: Budget,
    /// While this file exists everything is detached.
    pub stop_file: PathBuf,
    /// From which duration on single events are recorded.
    pub record: Record,
    /// What is worth an alert.
    pub anomaly: Anomaly,
    /// Whom alerts are told to.
    pub notify: Notify,
    /// What a client may cost.
    pub web: Web,
    /// What is kept in memory to be written when something goes wrong; none: nothing.
    pub flight_recorder: Option<FlightRecorder>,
}

/// Bounds of single events.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Record {
    /// Outer windows.
    #[serde(deserialize_with = "duration")]
    pub window: Duration,
    /// Holds of mmap_lock.
    #[serde(deserialize_with = "duration")]
    pub hold: Duration,
    /// Waits for mmap_lock.
    #[serde(deserialize_with = "duration")]
    pub wait: Duration,
    /// Userfaults.
    #[serde(deserialize_with = "duration")]
    pub fault: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            subjects: 200,
            subject_quiet: Duration::from_secs(300),
            subject_last_shown: Duration::from_secs(120),
            series_cap: 3_000,
            series_idle: 600,
            subject_rules: Vec::new(),
            containers: Containers::default(),
            overhead_budget: Budget::default(),
            stop_file: PathBuf::from("/run/mmscope.stop"),
            record: Record::default(),
            anomaly: Anomaly::default(),
            notify: Notify::default(),
            web: Web::default(),
            flight_recorder: None,
        }
    }
}

impl Record {
    /// Every single event is recorded.
    pub const ALL: Self =
        Self { window: Duration::ZERO, hold: Duration::ZERO, wait: Duration::ZERO, fault: Duration::ZERO };
}

impl Default for Record {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(10),
            hold: Duration::from_millis(50),
            wait: Duration::from_millis(50),
            fault: Duration::from_secs(1),
        }
    }
}

fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| serde::de::Error::custom(format!("{text:?} is no duration: {error}")))
}

/// Shortest and longest tick: below, reading costs more than the probes; above, 32-bit counters could wrap.
const TICK: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
/// Series of a scrape; below, there is no room for a subject beside "other".
const SERIES: std::ops::RangeInclusive<usize> = 2_500..=1_000_000;
/// Most subjects; each is some 250 series of a scrape, most of them buckets.
const SUBJECTS: std::ops::RangeInclusive<usize> = 1..=10_000;

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is no TOML, or says what it cannot; the message names line and key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| Failure::Unreadable { path: path.to_owned(), error })?;
        Self::parse(&text).map_err(|message| Failure::Config { path: path.to_owned(), message })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let message = error.message().replace('\n', " ");
            match line {
                Some(line) => format!("line {line}: {message}"),
                None => message,
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Whether the values are ones that mmscope can run with.
    ///
    /// # Errors
    ///
    /// Names the key and its bounds.
    pub fn check(&self) -> Result<(), String> {
        if !TICK.contains(&self.tick) {
            return Err(format!(
                "tick: {} is not between {} and {}",
                humantime::format_duration(self.tick),
                humantime::format_duration(*TICK.start()),
                humantime::format_duration(*TICK.end())
            ));
        }
        if !SUBJECTS.contains(&self.subjects) {
            return Err(format!(
                "subjects: {} is not between {} and {}",
                self.subjects,
                SUBJECTS.start(),
                SUBJECTS.end()
            ));
        }
        if !SERIES.contains(&self.series_cap) {
            let (cap, least, most) = (self.series_cap, SERIES.start(), SERIES.end());
            return Err(format!("series_cap: {cap} is not between {least} and {most}"));
        }
        if self.series_idle > self.series_cap {
            return Err(format!("series_idle: {} is above series_cap ({})", self.series_idle, self.series_cap));
        }
        subjects::check(&self.subject_rules)?;
        self.anomaly.check(&self.record)?;
        self.notify.check()?;
        if let Some(flight_recorder) = &self.flight_recorder {
            flight_recorder.check()?;
        }
        self.web.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Config::parse("").unwrap(), Config::default());
    }

    #[test]
    fn values_are_read() {
        let config = Config::parse("tick = \"5s\"\nsubjects = 10\n[record]\nhold = \"2ms\"\n").unwrap();
        assert_eq!(config.tick, Duration::from_secs(5));
        assert_eq!(config.subjects, 10);
        assert_eq!(config.record.hold, Duration::from_millis(2));
        assert_eq!(config.record.wait, Record::default().wait);
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let unknown = Config::parse("subjects = 5\ntik = \"1s\"\n").unwrap_err();
        assert!(unknown.contains("line 2") && unknown.contains("tik"), "{unknown}");
        let no_duration = Config::parse("\n\ntick = \"soon\"\n").unwrap_err();
        assert!(no_duration.contains("line 3") && no_duration.contains("soon"), "{no_duration}");
        let out_of_bounds = Config::parse("tick = \"1ms\"").unwrap_err();
        assert!(out_of_bounds.contains("tick") && out_of_bounds.contains("100ms"), "{out_of_bounds}");
        assert!(Config::parse("tick = ").unwrap_err().contains("line 1"));
        let no_share = Config::parse("tick = \"1s\"\noverhead_budget = \"2\"\n").unwrap_err();
        assert!(no_share.contains("line 2") && no_share.contains("\"2\" is no share"), "{no_share}");
    }
    #[test]
    fn bounds_of_anomalies_are_read_and_checked() {
        let text = "[anomaly]\ndisabled = [\"blind\"]\nlong_window_duration = \"20ms\"\nalerts = 5\n";
        let config = Config::parse(text).unwrap().anomaly;
        assert_eq!(config.disabled, [crate::anomaly::Class::Blind]);
        assert_eq!((config.long_window_duration, config.alerts), (Duration::from_millis(20), 5));
        assert_eq!(config.clear_after, Anomaly::default().clear_after);

        let wrong = |text: &str, parts: &[&str]| {
            let message = Config::parse(text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        };
        wrong("[anomaly]\n\nlong_windows = 1\n", &["line 3", "long_windows"]);
        wrong("[anomaly]\ndisabled = [\"blond\"]\n", &["line 2", "blond"]);
        wrong("[anomaly]\nuffd_slow_percent = 100\n", &["anomaly.uffd_slow_percent", "100", "between 0 and 99"]);
        wrong("[anomaly]\nuffd_stuck_age = \"5ms\"\n", &["anomaly.uffd_stuck_age", "5ms", "1s"]);
        wrong("[anomaly]\nlock_convoy_hold = \"49ms\"\n", &["anomaly.lock_convoy_hold", "record.hold (50ms)"]);
        wrong("[anomaly]\nbaseline_looks = 20\n", &["anomaly.baseline_warm_up", "60", "baseline_looks (20)"]);
        wrong("[record]\nwindow = \"1m\"\n", &["anomaly.long_window_duration", "record.window"]);
    }
}
