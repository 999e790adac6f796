//! The package of a kernel's source: which one fits a kernel, and the parts of it that the selftests are built from.
//! Knows nothing of the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::Index;
use crate::sh;

/// A package of kernel source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// "linux-source-6.12".
    pub(crate) package: String,
    /// Debian's version of it.
    pub(crate) version: String,
    /// Whether it is of the kernel's own major and minor version; else of the nearest older one that there is.
    pub(crate) exact: bool,
}

impl Source {
    /// The source for a kernel's release.
    pub(crate) fn of(release: &str, index: &Index) -> Result<Self> {
        let names = index.package_names(PREFIX)?;
        let Some((package, exact)) = choose(&names, release) else {
            bail!("Debian has no kernel source for {release} or older (looked in {})", crate::debian::suites());
        };
        Ok(Self { package: package.to_owned(), version: index.version(package)?, exact })
    }

    /// Downloads it and unpacks what the tests are built from. Returns the folder of the source.
    pub(crate) fn fetch(&self, index: &Index, tree: &Path) -> Result<Tree> {
        let libc = format!("linux-libc-dev={}", self.version);
        index.unpack(&[&format!("{}={}", self.package, self.version), &libc], tree)?;

        let archive = tree.join(format!("usr/src/{}.tar.xz", self.package));
        let source = tree.join("source");
        fs::create_dir_all(&source).with_context(|| format!("create {}", source.display()))?;
        let mut tar = Command::new("tar");
        tar.arg("--extract").arg("--file").arg(&archive).arg("--directory").arg(&source);
        tar.args(["--strip-components=1", "--wildcards"]);
        tar.args(MEMBERS.iter().map(|member| format!("{}/{member}", self.package)));
        sh::run(&mut tar)?;

        let tests = ["mm", "vm"].map(|name| source.join("tools/testing/selftests").join(name));
        let tests = tests.into_iter().find(|folder| folder.is_dir());
        let tests = tests.with_context(|| format!("no selftests of memory management in {}", archive.display()))?;
        // One folder for all architectures since 6.11, with links from the usual place.
        let headers = ["usr/include", "usr/include/x86_64-linux-gnu", "usr/lib/linux/uapi/x86"];
        let headers = headers.into_iter().map(|folder| tree.join(folder)).filter(|folder| folder.is_dir()).collect();
        Ok(Tree { source, tests, headers })
    }
}

/// What is unpacked of a source package.
pub(crate) struct Tree {
    /// The root of the kernel's tree.
    pub(crate) source: PathBuf,
    /// The folder of the tests of memory management: "vm" before 6.4, "mm" since.
    pub(crate) tests: PathBuf,
    /// The headers of this kernel's system calls, from the package that Debian builds from the same source: the kernel's
    /// own way of making them needs more programs on the host.
    pub(crate) headers: Vec<PathBuf>,
}

const PREFIX: &str = "linux-source-";

/// The parts of the archive. Each pattern is found in the trees of all kernels: tar fails on one that is not.
const MEMBERS: &[&str] = &["tools/testing/selftests/[vm]m", "tools/testing/selftests/*.h", "tools/include", "mm/*.h"];

/// The package for a kernel's release among those that there are, and whether it is of the same major and minor
/// version.
fn choose<'a>(names: &'a [String], release: &str) -> Option<(&'a str, bool)> {
    let wanted = two_numbers(release)?;
    names
        .iter()
        .filter_map(|name| {
            let text = name.strip_prefix(PREFIX)?;
            let version = two_numbers(text)?;
            // Not the likes of "linux-source-6.12-rt".
            (format!("{}.{}", version.0, version.1) == text && version <= wanted).then_some((version, name.as_str()))
        })
        .max()
        .map(|(version, name)| (name, version == wanted))
}

/// Major and minor version at the beginning of a release.
fn two_numbers(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn the_same_version_or_the_nearest_older() {
        let names = ["linux-source-5.10", "linux-source-6.1", "linux-source-6.12", "linux-source-6.13-rt"];
        let names = [&names[..], &["linux-source-7.2", "linux-source-7.3", "linux-source-"]].concat();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let choice = |release| choose(&names, release);
        assert_eq!(choice("5.10.0-46-cloud-amd64"), Some(("linux-source-5.10", true)));
        assert_eq!(choice("6.12.117+deb13-cloud-amd64"), Some(("linux-source-6.12", true)));
        assert_eq!(choice("6.18.15+deb13-cloud-amd64"), Some(("linux-source-6.12", false)));
        assert_eq!(choice("7.3.4+deb13-cloud-amd64"), Some(("linux-source-7.3", true)));
        assert_eq!(choice("4.19.0-1-amd64"), None);
        assert_eq!(choice("bzImage"), None);
    }
}
