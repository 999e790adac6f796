//! When a file is due: at a grave alert, and not again before what it would tell is new. Pure.

use std::time::Duration;

use crate::anomaly::{Severity, Transition};

pub(super) struct Policy {
    least: Severity,
    /// As much as is kept: so files do not tell the same twice.
    pause: Duration,
    /// When one was due last, and how grave that was.
    last: Option<(Duration, Severity)>,
}

impl Policy {
    pub(super) fn new(least: Severity, pause: Duration) -> Self {
        Self { least, pause, last: None }
    }

    /// The class of the gravest alert that was raised, if a file is due for it: within a pause only for a graver one.
    pub(super) fn due(&mut self, now: Duration, transitions: &[Transition]) -> Option<&'static str> {
        let raised = transitions.iter().filter(|told| told.is_active && told.severity >= self.least);
        let gravest = raised.max_by_key(|told| told.severity)?;
        if let Some((then, severity)) = self.last
            && now.saturating_sub(then) < self.pause
            && gravest.severity <= severity
        {
            return None;
        }
        self.last = Some((now, gravest.severity));
        Some(gravest.class.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anomaly::Class;

    #[test]
    fn a_file_is_due_at_a_grave_alert_and_within_a_pause_at_a_graver_one() {
        let told = |class, severity, is_active| {
            [Transition {
                class,
                severity,
                subject: None,
                about: "",
                is_active,
                text: String::new(),
                evidence: Vec::new(),
            }]
        };
        let (info, warning) =
            (told(Class::Blind, Severity::Info, true), told(Class::LongWindow, Severity::Warning, true));
        let critical = told(Class::UffdStuck, Severity::Critical, true);
        let cleared = told(Class::UffdStuck, Severity::Critical, false);
        let mut policy = Policy::new(Severity::Warning, Duration::from_secs(600));
        let mut due = |second: u64, transitions: &[Transition]| policy.due(Duration::from_secs(second), transitions);
        assert_eq!((due(1, &info), due(2, &cleared)), (None, None));
        assert_eq!(due(3, &warning), Some("long_window"));
        assert_eq!((due(4, &warning), due(5, &critical)), (None, Some("uffd_stuck")));
        assert_eq!((due(6, &critical), due(604, &critical)), (None, None));
        assert_eq!(due(605, &warning), Some("long_window"));
    }
}
