//! How a report calls whom it tells of.

use crate::identity::Subject;

/// A subject in one cell: its command, and its cgroup where that tells something.
pub(super) fn subject(subject: &Subject) -> String {
    match subject.cgroup.as_str() {
        "" | "/" => subject.comm.clone(),
        cgroup => format!("{} ({cgroup})", subject.comm),
    }
}
