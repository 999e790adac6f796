//! What this process may do, before the kernel has to refuse it; and what each of its threads may still do afterwards.
//!
//! Capabilities are a thread's own. Where mmscope runs as another user than root, what has a use for one keeps that one, and every
//! other thread has none: deploy/README.md has the list. As root nothing is dropped, for root's rights are not in capabilities
//! alone.

use std::{fs, path::Path};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

use crate::failure::Failure;

const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Whether programs of our kinds may be loaded; `root` is "/" but for tests.
///
/// # Errors
///
/// Says what is missing.
pub fn check(root: &Path) -> Result<(), Failure> {
    let status = fs::read_to_string(root.join("proc/self/status")).unwrap_or_default();
    let effective = status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let has = |capability: u32| effective >> capability & 1 != 0;
    if has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON)) {
        return Ok(());
    }
    Err(Failure::Privileges(
        "not privileged: loading probes needs root, or CAP_BPF and CAP_PERFMON (try sudo)".to_owned(),
    ))
}

/// Kernels before 5.11 charge maps to RLIMIT_MEMLOCK. Where it may not be raised, that is no reason to stop: newer
/// kernels do not ask.
pub fn raise_memlock() {
    if let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        tracing::debug!(%error, "RLIMIT_MEMLOCK stays as it is");
    }
}

/// Whether capabilities are all that this process has beyond others.
#[must_use]
pub fn are_capabilities() -> bool {
    !rustix::process::geteuid().is_root()
}

/// Whether this thread may switch the kernel's run-time statistics of programs on.
#[must_use]
pub fn may_switch_statistics() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// What a thread keeps.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// It attaches programs, again and again.
    Attaching,
    /// It switches the kernel's statistics on.
    Statistics,
    /// It reads maps at most; says whether it may do so without capabilities.
    Reading(fn() -> bool),
}

/// Gives up, for this thread and those that it starts from now on, what its part has no use for. Where capabilities are not all, as
/// for root, nothing is given up.
///
/// # Errors
///
/// When the kernel refuses.
pub fn keep(part: Part) -> Result<(), Failure> {
    if !are_capabilities() {
        return Ok(());
    }
    let wanted = match part {
        Part::Attaching => CapabilitySet::BPF | CapabilitySet::PERFMON,
        Part::Statistics => CapabilitySet::SYS_ADMIN,
        Part::Reading(_) => CapabilitySet::empty(),
    };
    let may_read_maps = match part {
        Part::Reading(may_read_maps) => may_read_maps,
        Part::Attaching | Part::Statistics => || true,
    };
    let limited = keep_only(wanted, may_read_maps);
    limited.map_err(|error| Failure::System(format!("give capabilities up: {error}")))
}

/// Before 5.19 a kernel that forbids others to load programs forbids them to read maps as well, those that they have open too:
/// there whoever ticks keeps CAP_BPF.
fn keep_only(wanted: CapabilitySet, may_read_maps: fn() -> bool) -> rustix::io::Result<()> {
    let CapabilitySets { permitted, .. } = capabilities(None)?;
    let only = |kept: CapabilitySet, permitted: CapabilitySet| {
        let sets = CapabilitySets { effective: kept, permitted, inheritable: CapabilitySet::empty() };
        set_capabilities(None, sets)
    };
    let mut kept = wanted & permitted;
    // Still permitted, so that it can be had again.
    only(kept, permitted)?;
    if !may_read_maps() {
        kept |= CapabilitySet::BPF & permitted;
    }
    only(kept, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_with(capabilities: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/self/status"), format!("Name:\tx\nCapEff:\t{capabilities}\n")).unwrap();
        root
    }

    #[test]
    fn either_set_of_capabilities_is_enough() {
        assert!(check(root_with("000001ffffffffff").path()).is_ok());
        assert!(check(root_with("0000000000200000").path()).is_ok());
        assert!(check(root_with("000000c000000000").path()).is_ok());
    }

    #[test]
    fn without_them_the_message_names_them() {
        for capabilities in ["0000000000000000", "0000008000000000"] {
            let error = check(root_with(capabilities).path()).unwrap_err().to_string();
            assert!(error.contains("CAP_BPF") && error.contains("root"), "{error}");
        }
    }
}
