//! Stable releases of Linux below which a known hole in TLB flushing is open, as data, and which release is running. A hint,
//! never a verdict: distributions carry fixes back under old numbers.

type Version = (u32, u32, u32);
type Series = (u32, u32);

/// A fix.
pub(super) struct Fix {
    /// What it mends.
    pub(super) what: &'static str,
    /// For each stable series the first release that has it.
    fixed_in: &'static [Version],
    /// Releases of no stable series that lack it: from the first one on, below the second.
    open: &'static [(Series, Series)],
}

const fn fix(what: &'static str, fixed_in: &'static [Version]) -> Fix {
    Fix { what, fixed_in, open: &[] }
}

/// As the changelogs of the stable kernels tell them. A series that is not named is not judged.
const FIXES: &[Fix] = &[
    Fix {
        // 6ce64428d620 "mm/userfaultfd: fix memory corruption due to writeprotect".
        what: "writes lost under userfaultfd write-protection (6ce64428d620)",
        fixed_in: &[(5, 10, 24)],
        open: &[((5, 7), (5, 10))],
    },
    fix("writes lost under clear_refs, soft-dirty", &[(5, 10, 20)]),
    fix("no flush after unsharing huge page tables (CVE-2021-4002)", &[(5, 10, 82)]),
    fix("munmap of PFN mappings (CVE-2022-39188)", &[(5, 10, 140)]),
    fix("device migration flushed outside of the page-table lock", &[(5, 10, 147)]),
    fix("flush of huge pages that are zapped", &[(5, 10, 236), (6, 1, 134)]),
    fix("flush skipped in a window (fea4e317f9e7)", &[(6, 1, 139), (6, 12, 29)]),
    fix("stale translations that linger", &[(6, 12, 35)]),
    fix("unsharing huge page tables against fast GUP (CVE-2025-38085)", &[(5, 10, 239), (6, 1, 142)]),
    fix("userfaultfd write-protection across mremap (CVE-2025-21696)", &[(6, 1, 191), (6, 12, 11)]),
    fix("race of huge userfaultfd write-protection markers", &[(6, 12, 101)]),
];

/// Fixes that the running kernel lacks by its number, with that number; none where it does not tell which stable release it
/// is made from.
pub(super) fn lacking(release: &str, version: &str) -> Option<(Version, Vec<&'static Fix>)> {
    let running = running(release, version)?;
    let (major, minor, patch) = running;
    let lacks = |fix: &&Fix| {
        fix.fixed_in.iter().any(|&(a, b, first)| (a, b) == (major, minor) && patch < first)
            || fix.open.iter().any(|&(from, below)| (from..below).contains(&(major, minor)))
    };
    Some((running, FIXES.iter().filter(lacks).collect()))
}

/// Which stable release is running: a distribution that puts its own number in the release (Debian: 5.10.0-46-cloud-amd64) may
/// have it in /proc/version ("... #1 SMP Debian 5.10.262-1 ..."), where its compilers have theirs too.
fn running(release: &str, version: &str) -> Option<Version> {
    let (of_release, rest) = parse(release)?;
    let of_build = version
        .match_indices("Debian ")
        .filter_map(|(at, word)| parse(&version[at + word.len()..]))
        .map(|(version, _)| version)
        .filter(|version| (version.0, version.1) == (of_release.0, of_release.1))
        .last();
    // A zero with something behind is a distribution's: it does not tell.
    let is_told = of_release.2 != 0 || rest.is_empty() || rest.starts_with("-rc");
    of_build.or(is_told.then_some(of_release))
}

/// Three numbers at the beginning of a text, the last one zero if there are two, and what follows.
fn parse(text: &str) -> Option<(Version, &str)> {
    let number = |text: &mut &str| -> Option<u32> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, rest) = text.split_at(digits);
        *text = rest;
        number.parse().ok()
    };
    let mut rest = text.trim();
    let major = number(&mut rest)?;
    rest = rest.strip_prefix('.')?;
    let minor = number(&mut rest)?;
    let patch = match rest.strip_prefix('.') {
        Some(after) => {
            rest = after;
            number(&mut rest)?
        }
        None => 0,
    };
    Some(((major, minor, patch), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "Linux version 5.10.0-46-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-10 (Debian 10.2.1-6) \
                          10.2.1 20210110, GNU ld (GNU Binutils for Debian) 2.35.2) #1 SMP Debian 5.10.262-1 (2026-11-01)";

    fn count(release: &str, version: &str) -> Option<usize> {
        lacking(release, version).map(|(_, fixes)| fixes.len())
    }

    #[test]
    fn debian_tells_in_the_version_text() {
        assert_eq!(running("5.10.0-46-cloud-amd64", DEBIAN), Some((5, 10, 262)));
        assert_eq!(count("5.10.0-46-cloud-amd64", DEBIAN), Some(0));
        let old = DEBIAN.replace("5.10.262-1", "5.10.19-1");
        assert_eq!(count("5.10.0-4-cloud-amd64", &old), Some(7));
        let compiler_only = "Linux version 10.2.0-1 (gcc-10 (Debian 10.2.1-6) 10.2.1) #1 SMP Debian 10.2.9-1";
        assert_eq!(running("10.2.0-1", compiler_only), Some((10, 2, 9)), "the kernel's own comes last");
    }

    #[test]
    fn a_distribution_that_does_not_tell_is_not_judged() {
        assert_eq!(
            running("5.10.0-46-cloud-amd64", "Linux version 5.10.0-46-cloud-amd64 (gcc (Debian 12.2.0-14))"),
            None
        );
        assert_eq!(running("6.12.0-55.el10.x86_64", ""), None);
        assert_eq!((running("", ""), running("mine", ""), running("6", "")), (None, None, None));
    }

    #[test]
    fn each_fix_is_lacking_below_its_release_only() {
        let lacks =
            |release: &str, what: &str| lacking(release, "").unwrap().1.iter().any(|fix| fix.what.contains(what));
        assert!(lacks("5.10.23", "6ce64428d620") && !lacks("5.10.24", "6ce64428d620"));
        assert!(lacks("5.7.19", "6ce64428d620") && lacks("5.9", "6ce64428d620") && !lacks("5.6.1", "6ce64428d620"));
        assert!(lacks("5.10.19", "clear_refs") && !lacks("5.10.20", "clear_refs"));
        assert!(lacks("6.1.190+", "mremap") && !lacks("6.1.191+", "mremap"));
        assert!(lacks("6.12.10", "mremap") && !lacks("6.12.11", "mremap"));
        assert!(lacks("6.12.0-rc3", "linger") && !lacks("6.12.35", "linger"));
        assert_eq!(count("6.12.117", ""), Some(0));
        assert_eq!(count("7.3.4", ""), Some(0));
    }
}
