//! Classes of hazards and anomalies, and severities: the words that rules, their bounds in the configuration, and whoever tells of an
//! alert have in common.

use serde::Deserialize;

/// How much an alert matters.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know; nobody has to act.
    Info,
    /// Something is slow, lost or wasted.
    Warning,
    /// Memory was corrupted, or a process hangs.
    Critical,
}

impl Severity {
    /// The `severity` label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A class of hazards or anomalies.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "docs/anomalies.md has a section on each, and is held to the table")]
pub enum Class {
    StaleWriteOverlap,
    UnwarrantedFlushStorm,
    LongWindow,
    NestedWindow,
    FlushEscalation,
    PteCycleUnflushed,
    LockConvoy,
    ProtectionFlipFlop,
    UffdSlow,
    UffdStuck,
    UffdRefault,
    UffdErrorStorm,
    ShootdownStraggler,
    ReclaimStale,
    VersionExposed,
    Blind,
}
