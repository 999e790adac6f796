//! Packages: what `dist` has built, with all that a service needs, for Debian, for RPM, and as a tar archive. One table says what
//! is in them; each package is read again and held to it.

mod deb;
mod rpm;
mod tar;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::setup::Tools;
use crate::{dist, paths, sh};

/// The name of the program, the package, the unit and the user.
const NAME: &str = "mmscope";
const DESCRIPTION: &str = "watches how Linux processes change their page tables";
const LONG_DESCRIPTION: &str = "\
Measures, for each process and always, how long changes of page tables wait for their TLB flush, who holds mmap_lock and who waits \
for it, and how userfaultfd handlers behave; as Prometheus metrics, with alerts when these overlap in ways that have corrupted \
memory before.";
const LICENCE: &str = "MIT OR Apache-2.0";

/// A file of a package.
#[derive(Clone, Copy)]
struct Entry {
    from: From,
    /// Where it is installed, without the first slash.
    to: &'static str,
    mode: u32,
}

#[derive(Clone, Copy)]
enum From {
    /// The static binary.
    Binary,
    /// A file of this tree.
    Tree(&'static str),
    /// What the binary writes about its own command line.
    Page(&'static str),
}

impl Entry {
    /// Its owner may change it, and an upgrade leaves it alone.
    fn is_config(&self) -> bool {
        self.to.starts_with("etc/")
    }
}

const fn file(from: From, to: &'static str) -> Entry {
    Entry { from, to, mode: 0o644 }
}

/// Where packages have the binary.
const BINARY: &str = "usr/bin/mmscope";

const ENTRIES: &[Entry] = &[
    Entry { from: From::Binary, to: BINARY, mode: 0o755 },
    file(From::Tree("deploy/mmscope.toml"), "etc/mmscope/mmscope.toml"),
    file(From::Tree("deploy/default/mmscope"), "etc/default/mmscope"),
    file(From::Tree("deploy/systemd/mmscope.service"), "usr/lib/systemd/system/mmscope.service"),
    file(From::Tree("deploy/systemd/mmscope-web.socket"), "usr/lib/systemd/system/mmscope-web.socket"),
    file(From::Tree("deploy/sysusers.d/mmscope.conf"), "usr/lib/sysusers.d/mmscope.conf"),
    file(From::Page("mmscope.1"), "usr/share/man/man1/mmscope.1"),
    file(From::Page("mmscope-run.1"), "usr/share/man/man1/mmscope-run.1"),
    file(From::Page("mmscope-record.1"), "usr/share/man/man1/mmscope-record.1"),
    file(From::Page("mmscope-replay.1"), "usr/share/man/man1/mmscope-replay.1"),
    file(From::Page("mmscope-report.1"), "usr/share/man/man1/mmscope-report.1"),
    file(From::Page("mmscope-top.1"), "usr/share/man/man1/mmscope-top.1"),
    file(From::Page("mmscope-export.1"), "usr/share/man/man1/mmscope-export.1"),
    file(From::Page("mmscope-diff.1"), "usr/share/man/man1/mmscope-diff.1"),
    file(From::Page("mmscope-doctor.1"), "usr/share/man/man1/mmscope-doctor.1"),
    file(From::Page("mmscope.bash"), "usr/share/bash-completion/completions/mmscope"),
    file(From::Page("_mmscope"), "usr/share/zsh/vendor-completions/_mmscope"),
    file(From::Page("mmscope.fish"), "usr/share/fish/vendor_completions.d/mmscope.fish"),
    file(From::Tree("deploy/README.md"), "usr/share/doc/mmscope/service.md"),
    file(From::Tree("docs/anomalies.md"), "usr/share/doc/mmscope/anomalies.md"),
    file(From::Tree("docs/metrics.md"), "usr/share/doc/mmscope/metrics.md"),
    file(From::Tree("docs/notify.md"), "usr/share/doc/mmscope/notify.md"),
    file(From::Tree("docs/recordings.md"), "usr/share/doc/mmscope/recordings.md"),
    file(From::Tree("docs/subjects.md"), "usr/share/doc/mmscope/subjects.md"),
    file(From::Tree("docs/top.md"), "usr/share/doc/mmscope/top.md"),
    file(From::Tree("docs/web.md"), "usr/share/doc/mmscope/web.md"),
];

/// A kind of package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Deb,
    Rpm,
    Tar,
}

impl Kind {
    /// The name of a package's file, as those who take such packages expect it.
    fn file_name(self, machine: Machine, version: &str) -> String {
        match self {
            Self::Deb => format!("{NAME}_{version}_{}.deb", machine.debian()),
            Self::Rpm => format!("{NAME}-{version}-1.{}.rpm", machine.name()),
            Self::Tar => format!("{NAME}-{version}-{}-linux.tar.gz", machine.name()),
        }
    }
}

/// What the packages are made from.
pub(crate) struct Stage {
    folder: PathBuf,
    machine: Machine,
    /// Where packages go.
    finished: PathBuf,
    /// Seconds since the epoch of the last commit: times in the packages.
    time: String,
}

impl Stage {
    /// Lays everything out below the target folder, for a static binary that was built for this host.
    pub(crate) fn lay(mmscope: &Path) -> Result<Self> {
        Self::lay_for(Machine::HOST, mmscope, mmscope, &dist::folder())
    }

    /// The same for a kind of machine, with the pages that `own`, the binary for this host, writes. Packages go to `finished`.
    pub(crate) fn lay_for(machine: Machine, mmscope: &Path, own: &Path, finished: &Path) -> Result<Self> {
        let folder = paths::target().join("package");
        paths::clear(&folder)?;
        fs::create_dir_all(finished).with_context(|| format!("create {}", finished.display()))?;
        let pages = folder.join("pages");
        sh::run(Command::new(own).arg("pages").arg(&pages))?;
        check_pages(&pages)?;
        for entry in ENTRIES {
            let from = match entry.from {
                From::Binary => mmscope.to_owned(),
                From::Tree(path) => paths::root().join(path),
                From::Page(name) => pages.join(name),
            };
            let to = folder.join(entry.to);
            let above = to.parent().unwrap_or(&folder);
            fs::create_dir_all(above).with_context(|| format!("create {}", above.display()))?;
            fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
            fs::set_permissions(&to, fs::Permissions::from_mode(entry.mode))
                .with_context(|| format!("set the mode of {}", to.display()))?;
        }
        Ok(Self { folder, machine, finished: finished.to_owned(), time: commit_time() })
    }

    /// Makes a package, reads it again, and says where it is.
    pub(crate) fn package(&self, kind: Kind, version: &str) -> Result<PathBuf> {
        let package = self.finished.join(kind.file_name(self.machine, version));
        // What is read again comes out of it.
        let unpacked = self.folder.join("unpacked");
        paths::clear(&unpacked)?;
        match kind {
            Kind::Deb => deb::make(self, &package, version).and_then(|()| deb::unpack(&package, &unpacked)),
            Kind::Rpm => rpm::make(self, &package, version).and_then(|()| rpm::unpack(&package, &unpacked)),
            Kind::Tar => tar::make(self, &package, version).and_then(|()| tar::unpack(&package, &unpacked)),
        }?;
        dist::check_static(&unpacked.join(BINARY), self.machine)
            .with_context(|| format!("the binary in {}", package.display()))?;
        Ok(package)
    }

    /// A file of the stage itself, beside what is installed.
    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        Ok(file)
    }
}

/// The version of this tree.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Without a repository it is the beginning of time: the packages are the same each time they are made.
fn commit_time() -> String {
    let mut git = Command::new("git");
    git.current_dir(paths::root()).args(["log", "-1", "--format=%ct"]);
    sh::output(&mut git).map_or_else(|_| "0".to_owned(), |time| time.trim().to_owned())
}

/// An error unless all that the binary has written about itself is in the table.
fn check_pages(pages: &Path) -> Result<()> {
    let known = |name: &str| ENTRIES.iter().any(|entry| matches!(entry.from, From::Page(page) if page == name));
    for entry in fs::read_dir(pages).with_context(|| format!("read {}", pages.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !known(&name) {
            bail!("mmscope has the page {name}, and no package has a place for it (xtask/src/package.rs)");
        }
    }
    Ok(())
}

/// A file as a package lists it: path without the first slash, permissions, owner.
type Listed = (String, u32, String);

/// An error unless a package has what the table says, `more`, and nothing else, all of it root's; what it compresses has ".gz" at the
/// end.
fn check(package: &Path, listed: &[Listed], more: &[&str]) -> Result<()> {
    let plain = |path: &str| path.strip_suffix(".gz").unwrap_or(path).to_owned();
    let seen: BTreeSet<(String, u32)> = listed.iter().map(|(path, mode, _)| (plain(path), *mode)).collect();
    let wanted = ENTRIES.iter().map(|entry| (entry.to.to_owned(), entry.mode));
    let wanted: BTreeSet<(String, u32)> = wanted.chain(more.iter().map(|path| ((*path).to_owned(), 0o644))).collect();
    let mut problems: Vec<String> = Vec::new();
    problems.extend(wanted.difference(&seen).map(|(path, mode)| format!("no {path} of mode {mode:o}")));
    problems.extend(seen.difference(&wanted).map(|(path, mode)| format!("{path} of mode {mode:o} too much")));
    let others = listed.iter().filter(|(_, _, owner)| owner != "root/root" && owner != "0/0");
    problems.extend(others.map(|(path, _, owner)| format!("{path} is {owner}'s")));
    if !problems.is_empty() {
        bail!("{}: {}", package.display(), problems.join("; "));
    }
    Ok(())
}

/// Files of a listing as tar prints it: "-rwxr-xr-x root/root 14000 2026-11-27 13:31 ./usr/bin/mmscope".
fn tar_listing(text: &str) -> Vec<Listed> {
    let files = text.lines().filter(|line| line.starts_with('-')).filter_map(|line| {
        let mut words = line.split_whitespace();
        let (mode, owner, path) = (words.next()?, words.next()?, words.last()?);
        Some((path.trim_start_matches("./").to_owned(), permissions(mode), owner.to_owned()))
    });
    files.collect()
}

/// 0o755 of "-rwxr-xr-x".
fn permissions(text: &str) -> u32 {
    text.chars().skip(1).take(9).fold(0, |mode, letter| mode << 1 | u32::from(letter != '-'))
}

/// Makes the packages that were asked for, and prints where they are.
pub(crate) fn main(machine: Machine, tools: &Tools, mmscope: &Path, kinds: &[Kind]) -> Result<()> {
    let own = if machine == Machine::HOST {
        mmscope.to_owned()
    } else {
        dist::dist_for(Machine::HOST, tools, false)?[0].clone()
    };
    let stage = Stage::lay_for(machine, mmscope, &own, &dist::folder())?;
    for &kind in kinds {
        println!("{}", stage.package(kind, VERSION)?.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{ENTRIES, From, Kind, check, permissions, tar_listing};
    use crate::machine::Machine::{Aarch64, X86_64};
    use crate::paths;

    #[test]
    fn each_kind_of_package_has_its_own_name_for_a_machine() {
        assert_eq!(Kind::Deb.file_name(X86_64, "1.2"), "mmscope_1.2_amd64.deb");
        assert_eq!(Kind::Deb.file_name(Aarch64, "1.2"), "mmscope_1.2_arm64.deb");
        assert_eq!(Kind::Rpm.file_name(Aarch64, "1.2"), "mmscope-1.2-1.aarch64.rpm");
        assert_eq!(Kind::Tar.file_name(X86_64, "1.2"), "mmscope-1.2-x86_64-linux.tar.gz");
    }

    #[test]
    fn what_is_packaged_of_this_tree_is_there() {
        for entry in ENTRIES {
            if let From::Tree(path) = entry.from {
                assert!(paths::root().join(path).is_file(), "{path}");
            }
        }
    }

    #[test]
    fn the_unit_starts_what_is_installed() {
        let unit = std::fs::read_to_string(paths::root().join("deploy/systemd/mmscope.service")).unwrap_or_default();
        for path in ["/usr/bin/mmscope run", "/etc/mmscope/mmscope.toml", "/etc/default/mmscope"] {
            assert!(unit.contains(path), "{path}");
            let path = path.trim_start_matches('/').trim_end_matches(" run");
            assert!(ENTRIES.iter().any(|entry| entry.to == path), "{path}");
        }
    }

    #[test]
    fn a_package_that_lacks_a_file_or_has_another_is_told() {
        let mut listed: Vec<_> =
            ENTRIES.iter().map(|entry| (entry.to.to_owned(), entry.mode, "root/root".to_owned())).collect();
        let checked = |listed: &[_]| check(Path::new("x.deb"), listed, &[]).map_err(|error| error.to_string());
        assert_eq!(checked(&listed), Ok(()));
        listed[0].1 = 0o4755;
        listed[1].2 = "mmscope/root".to_owned();
        let last = listed.pop().unwrap_or_default().0;
        let error = checked(&listed).err().unwrap_or_default();
        for part in
            [&*last, "no usr/bin/mmscope of mode 755", "usr/bin/mmscope of mode 4755 too much", "is mmscope/root's"]
        {
            assert!(error.contains(part), "{part} in {error}");
        }
    }

    #[test]
    fn a_listing_has_files_with_their_modes() {
        let text =
            "drwxr-xr-x root/root 0 2026-11-27 13:31 ./usr/\n-rwxr-xr-x root/root 9 2026-11-27 13:31 ./usr/bin/x\n";
        assert_eq!(tar_listing(text), [("usr/bin/x".to_owned(), 0o755, "root/root".to_owned())]);
        assert_eq!((permissions("-rw-r-----"), permissions("-rw-r--r--")), (0o640, 0o644));
    }
}
