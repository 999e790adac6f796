//! Debian's kernels, the cloud ones and those with PREEMPT_RT: from a version as people say it ("6.12", "7", "6.12-rt") to an
//! image and its modules on this disk.
//!
//! Exact package names change with every security update: they are looked up in the index at run time. Knows nothing of
//! mirrors and suites (debian.rs) and nothing of booting.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

use crate::debian::{self, Index, is_fresh};
use crate::machine::{self, Machine};
use crate::paths;

/// The kernels of a full run: the oldest that mmscope knows, the stable ones since, the newest.
pub(crate) const KERNELS: &[&str] = &["5.10", "6.1", "6.12", "6.18", "7"];

/// A kernel to boot.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// What `uname -r` will say, or the file's name for an image from elsewhere.
    pub(crate) release: String,
    /// What it runs on.
    pub(crate) machine: Machine,
    /// What a boot loader takes: a bzImage, or for Arm an Image.
    pub(crate) image: PathBuf,
    /// The `lib/modules/RELEASE` folder, if modules came with it.
    pub(crate) modules: Option<PathBuf>,
}

/// How many versions to try when a mirror no longer has the files that its index names.
const TRIES: usize = 8;

/// Held while a kernel is looked for and perhaps downloaded.
static LOOKING: Mutex<()> = Mutex::new(());

/// The kernel of a PC for a version prefix, or the image that a path names.
pub(crate) fn resolve(wanted: &str) -> Result<Kernel> {
    resolve_for(Machine::X86_64, wanted)
}

/// The same of a kind of machine.
pub(crate) fn resolve_for(machine: Machine, wanted: &str) -> Result<Kernel> {
    let _alone = LOOKING.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(wanted);
    if wanted.contains('/') || path.is_file() {
        return of_path(machine, path);
    }
    let (version, flavour) = flavour(wanted);
    let prefix = parse_version(version).with_context(|| {
        format!(
            "'{wanted}' is neither the beginning of a kernel version, as 6.12, 7 or 6.12-rt, nor the path of an image"
        )
    })?;

    let chosen = match machine {
        Machine::X86_64 => format!("chosen-{wanted}"),
        Machine::Aarch64 => format!("chosen-{}-{wanted}", machine.debian()),
    };
    let chosen = cache()?.join(chosen);
    if is_fresh(&chosen)
        && let Some(kernel) =
            fs::read_to_string(&chosen).ok().and_then(|release| unpacked(machine, release.trim()).ok()?)
    {
        return Ok(kernel);
    }
    let index = Index::of_machine(machine)?;
    let mut candidates = candidates(machine, &index.package_names("linux-")?, &prefix, flavour);
    if candidates.is_empty() {
        bail!("Debian has no {flavour} kernel {version} for {} (looked in {})", machine.debian(), debian::suites());
    }
    // Beyond the first few only what is here already: without a network that is all there is.
    let mut number = 0;
    candidates.retain(|candidate| {
        number += 1;
        number <= TRIES || unpacked(machine, &candidate.release).is_ok_and(|kernel| kernel.is_some())
    });
    let mut errors = Vec::new();
    for candidate in &candidates {
        match candidate.fetch(&index) {
            Ok(kernel) => {
                fs::write(&chosen, &kernel.release).with_context(|| format!("write {}", chosen.display()))?;
                return Ok(kernel);
            }
            Err(error) => {
                eprintln!("kernel {}: {error:#}", candidate.release);
                errors.push(candidate.release.as_str());
            }
        }
    }
    bail!("none of these kernels could be fetched: {}", errors.join(", "))
}

/// The image that a path names.
fn of_path(machine: Machine, path: &Path) -> Result<Kernel> {
    let image = path.canonicalize().with_context(|| format!("find the kernel image {}", path.display()))?;
    let data = fs::read(&image).with_context(|| format!("read {}", image.display()))?;
    if machine::is_packed_for_efi(&data) {
        bail!("{} unpacks itself under EFI only: give the Image that is in it", image.display());
    }
    let seen = machine::of_image(&data);
    if seen != machine {
        bail!("{} is a kernel for {} and not for {}", image.display(), seen.name(), machine.name());
    }
    let release = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Kernel { release, machine, image, modules: None })
}

/// One kernel of the index.
#[derive(Debug, PartialEq)]
struct Candidate {
    machine: Machine,
    release: String,
    /// The packages that may hold the image, the best first.
    images: Vec<String>,
    /// The packages of its modules and of the list of those built in, where they are not beside the image (7.2 and
    /// newer).
    more: Vec<String>,
}

/// A version, and which of Debian's kernels of it is meant: "6.12-rt" is the one with PREEMPT_RT.
fn flavour(wanted: &str) -> (&str, &str) {
    wanted.strip_suffix("-rt").map_or((wanted, "cloud"), |version| (version, "rt"))
}

/// The kernels of a flavour whose version begins with `prefix`, the newest first.
fn candidates(machine: Machine, names: &[String], prefix: &[u32], flavour: &str) -> Vec<Candidate> {
    let end = format!("-{flavour}-{}", machine.debian());
    let mut found: BTreeMap<(Vec<u32>, &str), Candidate> = BTreeMap::new();
    let has = |name: &str| names.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
    for name in names {
        let Some(rest) = name.strip_prefix("linux-image-").or_else(|| name.strip_prefix("linux-binary-")) else {
            continue;
        };
        let release = rest.strip_suffix("-unsigned").unwrap_or(rest);
        let Some(version) = release.strip_suffix(&end).and_then(release_version) else { continue };
        // Without a third number it is the metapackage that follows the newest.
        if version.len() < 3 || !version.starts_with(prefix) {
            continue;
        }
        // Where linux-binary exists, linux-image is a metapackage of 2 kB.
        let images = ["linux-binary-RELEASE", "linux-image-RELEASE", "linux-image-RELEASE-unsigned"]
            .map(|pattern| pattern.replace("RELEASE", release))
            .into_iter()
            .filter(|name| has(name))
            .collect();
        let more = ["linux-modules", "linux-base"].map(|kind| format!("{kind}-{release}"));
        let more = more.into_iter().filter(|name| has(name)).collect();
        found.insert((version, release), Candidate { machine, release: release.to_owned(), images, more });
    }
    found.into_values().rev().collect()
}

/// "6.12.117+deb13" and "6.1.0-50" as numbers to compare; none for release candidates.
fn release_version(text: &str) -> Option<Vec<u32>> {
    let numbers = text.split('+').next()?;
    numbers.split(['.', '-']).map(|number| number.parse().ok()).collect()
}

fn parse_version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|number| number.parse().ok()).collect()
}

impl Candidate {
    fn fetch(&self, index: &Index) -> Result<Kernel> {
        if let Some(kernel) = unpacked(self.machine, &self.release)? {
            return Ok(kernel);
        }
        let to = cache()?.join(&self.release);
        let new = cache()?.join(format!("{}.new", self.release));
        if new.exists() {
            fs::remove_dir_all(&new).with_context(|| format!("clear {}", new.display()))?;
        }
        fs::create_dir_all(&new).with_context(|| format!("create {}", new.display()))?;
        let mut image = Err(anyhow::anyhow!("no package holds its image"));
        for package in &self.images {
            image = index.unpack(&[package], &new);
            if image.is_ok() {
                break;
            }
        }
        image?;
        for package in &self.more {
            index.unpack(&[package], &new)?;
        }
        // Under its final name only when complete: an interrupted download is then no kernel.
        if to.exists() {
            fs::remove_dir_all(&to).with_context(|| format!("clear {}", to.display()))?;
        }
        fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
        unpacked(self.machine, &self.release)?.with_context(|| format!("no vmlinuz in {}", self.images.join(", ")))
    }
}

/// The kernel as it lies in the cache, if it does.
fn unpacked(machine: Machine, release: &str) -> Result<Option<Kernel>> {
    let tree = cache()?.join(release);
    let modules = ["usr/lib/modules", "lib/modules"].map(|folder| tree.join(folder).join(release));
    let image = [tree.join(format!("boot/vmlinuz-{release}")), modules[0].join("vmlinuz"), modules[1].join("vmlinuz")]
        .into_iter()
        .find(|file| file.is_file());
    let modules = modules.into_iter().find(|folder| folder.join("kernel").is_dir());
    Ok(image.map(|image| Kernel { release: release.to_owned(), machine, image, modules }))
}

fn cache() -> Result<PathBuf> {
    let dir = paths::cache()?.join("kernels");
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::{Candidate, candidates, flavour, release_version};
    use crate::machine::Machine::{Aarch64, X86_64};

    fn names() -> Vec<String> {
        let mut names = [
            "linux-image-6.1.0-9-cloud-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-50-cloud-amd64-dbg",
            "linux-image-6.1-cloud-amd64",
            "linux-image-6.12.90+deb12-cloud-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64-unsigned",
            "linux-image-6.12.117+deb13-rt-amd64",
            "linux-image-7.3.4+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
            "linux-modules-7.3.4+deb13-cloud-amd64",
            "linux-image-7.4-rc1-cloud-amd64",
            "linux-image-6.12.118+deb13-cloud-arm64",
        ]
        .map(str::to_owned);
        names.sort();
        names.into()
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let releases: Vec<String> =
            candidates(X86_64, &names(), &[6, 12], "cloud").into_iter().map(|found| found.release).collect();
        assert_eq!(releases, ["6.12.117+deb13-cloud-amd64", "6.12.90+deb12-cloud-amd64"]);
        let releases: Vec<String> =
            candidates(X86_64, &names(), &[6, 1], "cloud").into_iter().map(|found| found.release).collect();
        assert_eq!(releases, ["6.1.0-50-cloud-amd64", "6.1.0-9-cloud-amd64"]);
    }

    #[test]
    fn a_kernel_of_another_machine_is_none() {
        let found = candidates(Aarch64, &names(), &[6], "cloud");
        let releases: Vec<_> = found.iter().map(|found| (found.machine, found.release.as_str())).collect();
        assert_eq!(releases, [(Aarch64, "6.12.118+deb13-cloud-arm64")]);
    }

    #[test]
    fn a_flavour_is_asked_for_by_its_name() {
        assert_eq!([flavour("6.12"), flavour("6.12-rt")], [("6.12", "cloud"), ("6.12", "rt")]);
        let releases = candidates(X86_64, &names(), &[6, 12], "rt").into_iter().map(|found| found.release);
        assert_eq!(releases.collect::<Vec<_>>(), ["6.12.117+deb13-rt-amd64"]);
    }

    #[test]
    fn the_package_with_the_image_comes_first() {
        let expected = Candidate {
            machine: X86_64,
            release: "7.3.4+deb13-cloud-amd64".to_owned(),
            images: vec![
                "linux-binary-7.3.4+deb13-cloud-amd64".to_owned(),
                "linux-image-7.3.4+deb13-cloud-amd64".to_owned(),
            ],
            more: vec!["linux-modules-7.3.4+deb13-cloud-amd64".to_owned()],
        };
        assert_eq!(candidates(X86_64, &names(), &[7], "cloud"), [expected]);
    }

    #[test]
    fn release_candidates_are_no_versions() {
        assert_eq!(release_version("7.4-rc1"), None);
        assert_eq!(release_version("6.1.0-50"), Some(vec![6, 1, 0, 50]));
    }
}
