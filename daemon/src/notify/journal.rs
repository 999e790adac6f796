//! The systemd journal, by its native protocol: a datagram is an entry, a line of it a field. An alert has fields to filter by,
//! where a line of stderr would be text.

use std::{
    fmt::Write as _,
    io,
    os::{fd::AsFd, linux::fs::MetadataExt as _},
    path::Path,
    time::Duration,
};

use tokio::net::UnixDatagram;

use super::{
    deliver::{Failed, Sender},
    notice::Notice,
    origin::{Origin, rfc3339},
    outbox::{Message, Told},
};
use crate::{anomaly::Severity, model::sinks::Reason};

/// Where the journal listens.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// How long a journal that does not read may take: then its socket's queue is full.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Which kinds of entries these are, for catalogs and filters: the numbers are mmscope's own and never change.
const RAISED: &str = "8f2c7f0b6f0e4c55a3d1f7d1c2b49e61";
const CLEARED: &str = "5b0d64d3c1b84a0f9b0e2f6a7d3e8c92";

/// Whether stderr is connected to the journal; `stream` is the variable JOURNAL_STREAM, which names what it was at the start of
/// the service: somebody may have redirected it since.
pub(super) fn is_stderr(stream: Option<&str>) -> bool {
    let Some((device, inode)) = stream.and_then(|stream| stream.split_once(':')) else { return false };
    let stderr = std::io::stderr();
    let Ok(descriptor) = stderr.as_fd().try_clone_to_owned() else { return false };
    let metadata = std::fs::File::from(descriptor).metadata();
    metadata.is_ok_and(|is| is.st_dev().to_string() == device && is.st_ino().to_string() == inode)
}

/// Priorities of syslog.
fn priority(notice: &Notice) -> u8 {
    match notice.key.severity {
        _ if !notice.is_raised() => 6,
        Severity::Critical => 2,
        Severity::Warning => 4,
        Severity::Info => 6,
    }
}

/// A field. A value with a line break in it is told with its length.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend((value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend(value.as_bytes());
    entry.push(b'\n');
}

/// The entry of an alert. It has at most four events with stacks of 24 functions: some ten kilobytes, which a datagram takes.
fn entry(origin: &Origin, told: &Told) -> Vec<u8> {
    let notice = &*told.notice;
    let class = notice.key.class.name();
    let state = if notice.is_raised() { notice.key.severity.name() } else { "cleared" };
    let mut entry = Vec::new();
    let mut add = |name: &str, value: &str| field(&mut entry, name, value);
    add("MESSAGE", &format!("{state}: {class} of {}: {}", notice.comm().unwrap_or("this host"), notice.text));
    add("MESSAGE_ID", if notice.is_raised() { RAISED } else { CLEARED });
    add("PRIORITY", &priority(notice).to_string());
    add("SYSLOG_IDENTIFIER", "mmscope");
    add("MMSCOPE_CLASS", class);
    add("MMSCOPE_SEVERITY", notice.key.severity.name());
    add("MMSCOPE_STATE", notice.state());
    add("MMSCOPE_STARTS_AT", &rfc3339(notice.starts));
    let ends = notice.ends.map(rfc3339);
    let runbook = origin.runbook_of(&notice.key);
    let about = Some(notice.key.about).filter(|about| !about.is_empty());
    for (name, value) in [
        ("COMM", notice.comm()),
        ("CGROUP", notice.cgroup()),
        ("MMSCOPE_ABOUT", about),
        ("MMSCOPE_ENDS_AT", ends.as_deref()),
        ("MMSCOPE_RUNBOOK_URL", Some(&*runbook)),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if !notice.evidence.is_empty() {
        let mut text = String::new();
        for evidence in &notice.evidence {
            let _ = writeln!(text, "{}", evidence.event);
            for function in &evidence.stack {
                let _ = writeln!(text, "    {function}");
            }
        }
        add("MMSCOPE_EVIDENCE", text.trim_end());
    }
    entry
}

/// Writes to the journal.
pub(super) struct Journal {
    socket: UnixDatagram,
    origin: Origin,
}

impl Journal {
    /// # Errors
    ///
    /// When no socket can be made. Whether anybody listens is found when it is written to.
    pub(super) fn new(origin: Origin) -> io::Result<Self> {
        Ok(Self { socket: UnixDatagram::unbound()?, origin })
    }

    pub(super) async fn write(&self, path: &Path, message: &Message) -> Result<(), Failed> {
        for told in &message.told {
            let entry = entry(&self.origin, told);
            let sent = tokio::time::timeout(TIMEOUT, self.socket.send_to(&entry, path)).await;
            let sent = sent.map_err(|_| Failed::new(Reason::Timeout, "it takes nothing"))?;
            sent.map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied => {
                    Failed::new(Reason::Connect, format!("{}: {error}", path.display()))
                }
                // A message of its own kind that is too large stays too large.
                _ if error.raw_os_error() == Some(libc::EMSGSIZE) => Failed::new(Reason::Refused, error.to_string()),
                _ => Failed::new(Reason::Broken, error.to_string()),
            })?;
        }
        Ok(())
    }
}

impl Sender<Message> for Journal {
    async fn send(&self, message: &Message) -> Result<(), Failed> {
        self.write(Path::new(SOCKET), message).await
    }
}
