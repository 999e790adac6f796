//! Another configuration while mmscope runs: what of it can be taken up, and what has to wait for a restart. Pure.

use crate::config::{Anomaly, Config};

/// What becomes of a new configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What to run with: the new one, with what cannot change as it was.
    pub config: Config,
    /// Keys that have other values from now on.
    pub changed: Vec<String>,
    /// Keys whose new values a restart would bring.
    pub waiting: Vec<String>,
}

impl Change {
    /// From a configuration to a new one.
    ///
    /// # Errors
    ///
    /// When the new one does not go with what cannot change; the message names the key.
    pub fn between(old: &Config, new: Config) -> Result<Self, String> {
        let mut waiting = Vec::new();
        // The kernel side was loaded with the first: the verifier has taken them for constants.
        for (key, is_other) in [
            ("record.window", new.record.window != old.record.window),
            ("record.hold", new.record.hold != old.record.hold),
            ("record.wait", new.record.wait != old.record.wait),
            ("record.fault", new.record.fault != old.record.fault),
            // What has a name keeps it, and who has asked has been counted.
            ("subject_rules", new.subject_rules != old.subject_rules),
            ("containers", new.containers != old.containers),
            ("web", new.web != old.web),
            // What is kept is in its memory.
            ("flight_recorder", new.flight_recorder != old.flight_recorder),
        ] {
            if is_other {
                waiting.push(key.to_owned());
            }
        }
        let config = Config {
            record: old.record.clone(),
            subject_rules: old.subject_rules.clone(),
            containers: old.containers.clone(),
            web: old.web,
            flight_recorder: old.flight_recorder.clone(),
            ..new
        };
        config.anomaly.check(&config.record).map_err(|message| {
            format!("{message}; a new value of the table [record] takes a restart, and so does what depends on it")
        })?;
        let changed = changed(old, &config);
        Ok(Self { config, changed, waiting })
    }
}

fn changed(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    for (key, is_other) in [
        ("tick", new.tick != old.tick),
        ("subjects", new.subjects != old.subjects),
        ("subject_quiet", new.subject_quiet != old.subject_quiet),
        ("subject_last_shown", new.subject_last_shown != old.subject_last_shown),
        ("series_cap", new.series_cap != old.series_cap),
        ("series_idle", new.series_idle != old.series_idle),
        ("overhead_budget", new.overhead_budget != old.overhead_budget),
        ("stop_file", new.stop_file != old.stop_file),
        ("anomaly.disabled", new.anomaly.disabled != old.anomaly.disabled),
    ] {
        if is_other {
            changed.push(key.to_owned());
        }
    }
    changed.extend(bounds(&old.anomaly, &new.anomaly));
    if new.notify != old.notify {
        changed.push("notify".to_owned());
    }
    changed
}

fn bounds(old: &Anomaly, new: &Anomaly) -> Vec<String> {
    let pairs = old.shown().into_iter().zip(new.shown());
    pairs.filter(|((_, old), (_, new))| old != new).map(|((key, _), _)| format!("anomaly.{key}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Config {
        Config::parse(text).unwrap()
    }

    #[test]
    fn what_is_the_same_changes_nothing() {
        let change = Change::between(&parsed("tick = \"2s\""), parsed("tick = \"2s\"")).unwrap();
        assert_eq!((change.changed, change.waiting), (vec![], vec![]));
    }

    #[test]
    fn every_key_that_differs_is_named_once() {
        let new = "tick = \"2s\"\nsubjects = 7\nsubject_quiet = \"1m\"\noverhead_budget = \"off\"\nstop_file = \"/run/x\"\n\
                   [anomaly]\ndisabled = [\"blind\"]\nuffd_slow_percent = 11\n[notify]\ninstance = \"x\"\n";
        let change = Change::between(&Config::default(), parsed(new)).unwrap();
        let keys = [
            "tick",
            "subjects",
            "subject_quiet",
            "overhead_budget",
            "stop_file",
            "anomaly.disabled",
            "anomaly.uffd_slow_percent",
            "notify",
        ];
        assert_eq!(change.changed, keys);
        assert_eq!((change.config, change.waiting), (parsed(new), vec![]));
    }

    #[test]
    fn what_the_kernel_side_was_loaded_with_stays() {
        let new = parsed("subjects = 7\n[record]\nhold = \"2ms\"\nfault = \"2s\"\n");
        let change = Change::between(&Config::default(), new).unwrap();
        assert_eq!(
            (change.changed, change.waiting),
            (vec!["subjects".to_owned()], vec!["record.hold".to_owned(), "record.fault".to_owned()])
        );
        assert_eq!(change.config.record, Config::default().record);
    }

    #[test]
    fn a_bound_below_what_is_recorded_is_refused() {
        let new = parsed("[record]\nhold = \"2ms\"\n[anomaly]\nlock_convoy_hold = \"5ms\"\n");
        let error = Change::between(&Config::default(), new).unwrap_err();
        assert!(error.contains("anomaly.lock_convoy_hold") && error.contains("restart"), "{error}");
    }
}
