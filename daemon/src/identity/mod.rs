//! Whom a figure is told about: the command's name and its cgroup's path.
//!
//! The kernel side hands over the name and the cgroup's id at first sight of an mm, so that a process may be gone by
//! now. Paths come from the cgroup file systems, never from anything that takes a process's mmap_lock.

mod cache;
mod cgroup;
mod containers;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod parts;
mod rules;

use std::{path::PathBuf, sync::Arc, time::Instant};

pub use containers::{ContainerName, ContainerNames};
pub use parts::Parts;
pub(crate) use rules::Rules;

use crate::{config::Config, intake::Owner};
use cache::Cache;
use cgroup::Hierarchies;
use containers::Containers;

/// Whom a figure is told about.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    rules: Rules,
    containers: Containers,
    /// Cgroup path of an mm, from its first sight on; empty where nothing told it then.
    known: Cache<(u32, u64), String>,
}

/// What is known beside the subjects themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// What was forgotten for want of room, by [`MEMORIES`].
    pub forgotten: [u64; MEMORIES.len()],
    /// How containers are called, by id.
    pub containers: Arc<ContainerNames>,
}

/// What identity remembers.
pub const MEMORIES: [&str; 4] = ["mm", "cgroup", "rule", "container"];

const OTHER: &str = "other";
/// Name of mms that no process owns.
const KERNEL: &str = "[kernel]";

/// Remembered mms; one entry is about a hundred bytes.
const KNOWN: usize = 32 * 1024;
/// Characters of a name or path that are told.
const LONGEST: usize = 256;

impl Identity {
    /// Reads which cgroup hierarchies are mounted; `root` is "/" but for tests. Ids of cgroups are those of a v1 controller's, or of
    /// v2.
    #[must_use]
    pub fn new(root: PathBuf, config: &Config, controller: Option<&str>) -> Self {
        Self {
            hierarchies: Hierarchies::read(root, controller),
            rules: Rules::new(config.subject_rules.clone()),
            containers: Containers::new(config.containers.clone()),
            known: Cache::new(KNOWN),
        }
    }

    /// A new tick.
    pub fn begin_tick(&mut self, now: Instant) {
        self.hierarchies.begin_tick();
        self.containers.refresh(now);
    }

    /// What is known beside the subjects.
    #[must_use]
    pub fn names(&self) -> Names {
        let forgotten =
            [self.known.forgotten(), self.hierarchies.forgotten(), self.rules.forgotten(), self.containers.over()];
        Names { forgotten, containers: self.containers.names() }
    }

    /// The subject of an mm's owner; none is what found no slot.
    pub fn subject(&mut self, owner: Option<&Owner>) -> Subject {
        let Some(owner) = owner else { return Subject::other() };
        let key = (owner.tgid, owner.born_ns);
        let cgroup = match self.known.get(&key) {
            Some(path) => path,
            None => {
                let path = shown(&self.hierarchies.path(owner.cgroup_id, owner.tgid));
                self.known.insert(key, path.clone());
                path
            }
        };
        // An mm that no process owns is the kernel's own, such as the one through which it patches its text.
        let comm = if owner.comm[0] == 0 && owner.tgid == 0 { KERNEL.to_owned() } else { printable(&owner.comm) };
        self.rules.apply(Subject { comm, cgroup })
    }
}

/// A command name as text: what is no UTF-8 and what is no graphic character or space is replaced.
#[must_use]
pub fn printable(comm: &[u8]) -> String {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    shown(&String::from_utf8_lossy(&comm[..end]))
}

/// A text as labels have it: bounded, and without what moves, hides or splits what stands around it.
fn shown(text: &str) -> String {
    let is_seen = |c: char| {
        !(c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                    | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
            ))
    };
    let mut shown: String =
        text.chars().take(LONGEST).map(|c| if is_seen(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.pop();
        shown.push('\u{2026}');
    }
    shown
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
        assert_eq!(printable("a\u{202e}b\u{200b}c".as_bytes()), "a\u{fffd}b\u{fffd}c", "bidi and zero width");
        assert_eq!(printable("r\u{e9}\u{65e5}".as_bytes()), "r\u{e9}\u{65e5}", "what people read stays");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let (fits, long) = ("x".repeat(LONGEST), "\u{e9}".repeat(LONGEST + 1));
        assert_eq!(shown(&fits), fits);
        assert_eq!(shown(&long), format!("{}\u{2026}", "\u{e9}".repeat(LONGEST - 1)));
    }

    #[test]
    fn what_found_no_slot_is_other() {
        let mut identity = Identity::new(PathBuf::from("/nonexistent"), &Config::default(), None);
        assert_eq!(identity.subject(None), Subject::other());
        assert!(Subject::other().is_other());
        assert!(!Subject { comm: OTHER.to_owned(), cgroup: "/".to_owned() }.is_other());
    }
}
