//! Whom a figure is told about: the command's name and its cgroup's path.
//!
//! The kernel side hands over the name and the cgroup's id at first sight of an mm, so that a process may be gone by
//! now. Paths come from the cgroup file systems, never from anything that takes a process's mmap_lock.

mod cgroup;

use std::{collections::HashMap, path::PathBuf};

use crate::intake::Owner;
use cgroup::Hierarchies;

/// Whom a figure is told about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Command name, printable.
    pub comm: String,
    /// Cgroup path; "/" for the root, empty when unknown.
    pub cgroup: String,
}

impl Subject {
    /// What is not told apart.
    #[must_use]
    pub fn other() -> Self {
        Self { comm: OTHER.to_owned(), cgroup: String::new() }
    }

    /// Whether this is [`Subject::other`].
    #[must_use]
    pub fn is_other(&self) -> bool {
        self.comm == OTHER && self.cgroup.is_empty()
    }
}

/// Names subjects and remembers cgroups.
pub struct Identity {
    hierarchies: Hierarchies,
    /// Cgroup path of an mm, from its first sight on.
    known: HashMap<(u32, u64), String>,
}

const OTHER: &str = "other";
/// Name of mms that no process owns.
const KERNEL: &str = "[kernel]";

/// Remembered mms before the memory is cleared; one entry is about a hundred bytes.
const KNOWN: usize = 32 * 1024;

impl Identity {
    /// Reads which cgroup hierarchies are mounted; `root` is "/" but for tests.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { hierarchies: Hierarchies::read(root), known: HashMap::new() }
    }

    /// The subject of an mm's owner; none is what found no slot.
    pub fn subject(&mut self, owner: Option<&Owner>) -> Subject {
        let Some(owner) = owner else { return Subject::other() };
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        let key = (owner.tgid, owner.born_ns);
        let cgroup = match self.known.get(&key) {
            Some(path) => path.clone(),
            None => {
                let path = self.hierarchies.path(owner.cgroup_id, owner.tgid);
                self.known.insert(key, path.clone());
                path
            }
        };
        // An mm that no process owns is the kernel's own, such as the one through which it patches its text.
        let comm = if owner.comm[0] == 0 && owner.tgid == 0 { KERNEL.to_owned() } else { printable(&owner.comm) };
        Subject { comm, cgroup }
    }
}

/// A command name as text: what is no UTF-8 and what is no graphic character or space is replaced.
#[must_use]
pub fn printable(comm: &[u8]) -> String {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..end])
        .chars()
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_make_a_printable_name() {
        assert_eq!(printable(b"mmload\0garbage\0\0"), "mmload");
        assert_eq!(printable(b"a\nb\x1b[1m"), "a\u{fffd}b\u{fffd}[1m");
        assert_eq!(printable(&[0xff; 16]).chars().count(), 16);
        assert_eq!(printable(b""), "");
    }

    #[test]
    fn what_found_no_slot_is_other() {
        let mut identity = Identity::new(PathBuf::from("/nonexistent"));
        assert_eq!(identity.subject(None), Subject::other());
        assert!(Subject::other().is_other());
        assert!(!Subject { comm: OTHER.to_owned(), cgroup: "/".to_owned() }.is_other());
    }
}
