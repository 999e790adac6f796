//! What an alert is, and how it becomes a rule. The alerts themselves are in `alerts/`.
//!
//! Alerts on anomaly classes stand on the daemon's own judgement (`mmscope_alerts_active`): its bounds are in its configuration,
//! and none is said again in PromQL. The few bounds on mmscope itself stand in [`bounds`].

use std::time::Duration;

use super::time::{Scale, minutes};
use super::{Annotations, JOB, Labels, Rule};

mod classes;
mod itself;

pub(crate) use classes::CLASSES;
pub(crate) use itself::ITSELF;

/// The bounds that rules have of their own.
pub(crate) mod bounds {
    use super::{Duration, minutes};

    /// For how long an exposed write stays an alert: what it has damaged does not heal when the daemon's alert is cleared.
    pub(crate) const EXPOSED_STAYS: Duration = minutes(60);
    /// Starts within a time that are too many.
    pub(crate) const RESTARTS: u32 = 3;
    pub(crate) const RESTARTS_WITHIN: Duration = minutes(30);
    /// In which time something must have happened, or must not have.
    pub(crate) const LATELY: Duration = minutes(15);
    /// Over what it is seen whether ticks go on. The longest tick is a minute.
    pub(crate) const TICKS: Duration = minutes(5);
    /// The governor's level at which everything is given up.
    pub(crate) const DETACHED: u32 = 5;
}

/// How grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Somebody should get up.
    Critical,
    /// Somebody should look on the same day.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// The `severity` label.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// What an alert stands on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// The daemon has raised an alert of this class and of the severity of ours.
    Raised {
        /// The class.
        class: &'static str,
        /// How long it counts after it was cleared.
        stays: Duration,
        /// Whether hazards of the class have a subject: then the alert names those that had most.
        has_subject: bool,
    },
    /// PromQL, with `@job@`, and `@window@` for the duration.
    Query(&'static str, Duration),
}

/// An alert.
#[derive(Debug)]
pub(crate) struct Alert {
    /// Its name; its runbook is docs/runbooks/NAME.md.
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) when: When,
    /// How long the expression has to hold.
    pub(crate) pending: Duration,
    /// What follows the instance's name.
    pub(crate) summary: &'static str,
    /// One or two sentences; a template.
    pub(crate) description: &'static str,
}

/// Raised for as long as the daemon says so.
const NOW: Duration = Duration::ZERO;

const fn raised(class: &'static str) -> When {
    When::Raised { class, stays: NOW, has_subject: true }
}

/// The subjects with most hazards of a class lately, as a template. A counter's first value counts: `increase` would not
/// see the event that made the series.
const SUBJECTS: &str = "{{ $hazards := printf \"mmscope_hazards_total{class='@class@',job='%s',instance='%s'}\" \
    $labels.job $labels.instance }}{{ with printf \"topk(3, sum by (comm, cgroup) (%[1]s - %[1]s offset @window@ > 0 or \
    (%[1]s unless %[1]s offset @window@)))\" $hazards | query }} Most hazards in the last @window@:\
    {{ range . }} {{ .Labels.comm }} in {{ or .Labels.cgroup \"/\" }} ({{ .Value | humanize }});{{ end }}{{ end }}";

impl Alert {
    /// As Prometheus has it.
    pub(super) fn rule(&self, scale: Scale, runbooks: &str) -> Rule {
        let window = match self.when {
            When::Raised { stays, .. } if stays > NOW => stays,
            When::Raised { .. } => bounds::LATELY,
            When::Query(_, window) => window,
        };
        let fill = |text: &str| {
            text.replace("@job@", JOB)
                .replace("@window@", &scale.spelt(window))
                .replace("@restarts@", &bounds::RESTARTS.to_string())
                .replace("@detached@", &bounds::DETACHED.to_string())
        };
        Rule::Alerting {
            alert: self.name,
            expr: fill(&self.expression()),
            pending: scale.spelt(self.pending),
            labels: Labels { severity: self.severity.name() },
            annotations: Annotations {
                summary: format!("{}: {}", self.where_(), self.summary),
                description: fill(&self.full_description()),
                runbook_url: format!("{runbooks}{}.md", self.name),
            },
        }
    }

    fn expression(&self) -> String {
        match self.when {
            When::Query(text, _) => text.to_owned(),
            When::Raised { class, stays, .. } => {
                let series =
                    format!("mmscope_alerts_active{{class=\"{class}\",severity=\"{}\"}}", self.severity.name());
                if stays > NOW { format!("max_over_time({series}[@window@]) > 0") } else { format!("{series} > 0") }
            }
        }
    }

    /// Of whom the summary speaks: there is no instance where there is no target.
    fn where_(&self) -> &'static str {
        if self.expression().starts_with("absent(") { "mmscope" } else { "{{ $labels.instance }}" }
    }

    fn full_description(&self) -> String {
        match self.when {
            When::Raised { class, has_subject: true, .. } => {
                format!("{}{}", self.description, SUBJECTS.replace("@class@", class))
            }
            _ => self.description.to_owned(),
        }
    }
}
