//! What is told: the data of the live page, as far as they are shown. What a daemon of another version does not tell is absent.

use std::collections::BTreeMap;

use probe_common::histogram::BUCKETS;
use serde::Deserialize;

use crate::{identity::Subject, intake::Histogram};

/// All of the front page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Overview {
    pub(super) host: Head,
    pub(super) wrong: Wrong,
    pub(super) subjects: Subjects,
    pub(super) durations: Vec<Durations>,
    pub(super) blame: Blame,
    pub(super) hooks: Vec<Hook>,
    pub(super) cost: Cost,
    pub(super) losses: Losses,
}

/// Whose figures, and of when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    pub(super) host: String,
    pub(super) kernel: String,
    /// Another one, another run.
    pub(super) run: Option<f64>,
    pub(super) uptime_ms: u64,
    pub(super) ticks: u64,
    pub(super) replay: Option<Replay>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Replay {
    pub(super) file: String,
    pub(super) speed: f64,
    pub(super) has_ended: bool,
}

/// What is wrong.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wrong {
    /// The gravest first.
    pub(super) alerts: Vec<Alert>,
    /// By severity.
    pub(super) raised: BTreeMap<String, u64>,
    pub(super) hazards: Vec<Hazards>,
    /// The latest first.
    pub(super) told: Vec<Told>,
    pub(super) unjudged: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Alert {
    pub(super) class: String,
    pub(super) severity: String,
    pub(super) comm: Option<String>,
    pub(super) cgroup: Option<String>,
    pub(super) since_ms: u64,
    pub(super) text: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hazards {
    pub(super) class: String,
    /// In the last 15 minutes.
    pub(super) recent: u64,
    /// Since the start.
    pub(super) total: u64,
    pub(super) outcomes: BTreeMap<String, u64>,
}

/// Raised or cleared.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Told {
    pub(super) class: String,
    pub(super) severity: String,
    pub(super) comm: Option<String>,
    pub(super) is_active: bool,
    pub(super) at: String,
    pub(super) text: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subjects {
    pub(super) rows: Vec<Active>,
    /// All that are told apart since the start.
    pub(super) count: u64,
    /// Why a measure is absent, by its name.
    pub(super) not_measured: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Active {
    #[serde(flatten)]
    pub(super) subject: Subject,
    pub(super) recent: Sums,
    /// None for who is part of "other" since the start.
    pub(super) total: Option<Sums>,
    pub(super) hazards: u64,
}

/// Nanoseconds, and a number of flushes. None: the daemon does not tell it.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Sums {
    pub(super) windows_ns: Option<u64>,
    pub(super) hold_ns: Option<u64>,
    pub(super) wait_ns: Option<u64>,
    pub(super) forced_flushes: Option<u64>,
    pub(super) userfaults_ns: Option<u64>,
}

/// Of the last 15 minutes.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Durations {
    pub(super) name: String,
    pub(super) buckets: Option<Vec<u64>>,
    pub(super) missing: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Blame {
    pub(super) recent: Matrix,
    pub(super) total: Matrix,
    pub(super) missing: Option<String>,
}

/// The largest waiters and holders first.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Matrix {
    pub(super) waiters: Vec<String>,
    pub(super) holders: Vec<String>,
    pub(super) blocked_ns: Vec<Vec<u64>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hook {
    pub(super) hook: String,
    /// None where it is absent.
    pub(super) tier: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) tells: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cost {
    pub(super) ratio: Option<f64>,
    pub(super) budget: Option<f64>,
    /// 0: nothing is given up.
    pub(super) level: u64,
    pub(super) line: String,
    pub(super) shed_ms: BTreeMap<String, u64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) cpu_seconds: Option<f64>,
    pub(super) table_bytes: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Losses {
    pub(super) lost: BTreeMap<String, u64>,
    pub(super) missed: Option<u64>,
    pub(super) pending_mismatches: Option<u64>,
    pub(super) alerts_over: u64,
}

/// All of a subject's page.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct About {
    pub(super) host: Head,
    #[serde(flatten)]
    pub(super) subject: Subject,
    pub(super) wrong: Wrong,
    pub(super) recent: Sums,
    pub(super) total: Option<Sums>,
    pub(super) not_measured: BTreeMap<String, String>,
    /// The running one last.
    pub(super) minutes: Vec<Sums>,
    pub(super) tables: Vec<Table>,
    pub(super) operations: Vec<Operation>,
    pub(super) flushes: BTreeMap<String, u64>,
    pub(super) forced: BTreeMap<String, u64>,
    pub(super) windows_open: u64,
    pub(super) userfaults_in_flight: u64,
    pub(super) errors: Vec<(String, u64)>,
    pub(super) events: Vec<Event>,
}

/// Durations of one kind.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Table {
    pub(super) title: String,
    pub(super) rows: Vec<Spread>,
    pub(super) missing: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Spread {
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) sum_ns: u64,
    pub(super) buckets: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) operation: String,
    pub(super) hold_ns: u64,
    pub(super) wait_ns: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) what: String,
    pub(super) duration_ns: u64,
    pub(super) operation: String,
    pub(super) tgid: u32,
    pub(super) tid: u32,
    pub(super) at: String,
}

/// Events by bucket, with no sum.
pub(super) fn histogram(buckets: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for (to, from) in histogram.buckets.iter_mut().zip(buckets.iter().take(BUCKETS)) {
        *to = *from;
    }
    histogram
}
