//! What the tests of this room share: notices by name, and a clock of seconds.

mod bodies;
mod delivery;
mod queues;
mod servers;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::notice::{Key, Notice};
use crate::{
    anomaly::{Class, Severity},
    identity::Subject,
};

const SECOND: Duration = Duration::from_secs(1);

/// The beginning of a test, a moment of 2026.
fn wall(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + second)
}

fn key(class: Class, comm: &str) -> Key {
    let subject = Some(Subject { comm: comm.to_owned(), cgroup: "/a.slice".to_owned() });
    Key { severity: class.severities()[0], class, subject, about: "" }
}

fn notice(sequence: u64, key: Key, starts: u64, ends: Option<u64>) -> Arc<Notice> {
    let text = format!("text {sequence}");
    Arc::new(Notice { key, sequence, starts: wall(starts), ends: ends.map(wall), text, evidence: Vec::new() })
}

fn raised(sequence: u64, class: Class, comm: &str) -> Arc<Notice> {
    notice(sequence, key(class, comm), sequence, None)
}

fn cleared(sequence: u64, class: Class, comm: &str) -> Arc<Notice> {
    notice(sequence, key(class, comm), sequence - 1, Some(sequence))
}

/// The same, critical.
fn critical(sequence: u64, class: Class, comm: &str) -> Arc<Notice> {
    notice(sequence, Key { severity: Severity::Critical, ..key(class, comm) }, sequence, None)
}
