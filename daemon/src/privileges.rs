//! What this process may do, before the kernel has to refuse it.

use std::{fs, path::Path};

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

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
