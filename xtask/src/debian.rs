//! Debian's archive beyond the host's own release: the index of the suites that guests are made from, and packages out of
//! it. Knows nothing of what any package is for.
//!
//! apt does the work, with a state folder of its own in the cache, so that the host's package index keeps what its owner
//! put there and any user can do this.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};

use crate::machine::Machine;
use crate::{apt, paths, progress, sh};

/// Names the mirror on hosts that have none of Debian's in their own apt configuration.
const MIRROR_VARIABLE: &str = "MMSCOPE_DEBIAN_MIRROR";

/// The suites that have kernels from 5.10 to the newest.
const SUITES: &[&str] = &["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports"];
const SECURITY_SUITES: &[&str] = &["bullseye-security", "bookworm-security", "trixie-security"];

/// What the host has installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// What the host is.
const OS_RELEASE: &str = "/etc/os-release";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The release to come: programs that no release has yet. Never for guests.
const NEXT: &str = "forky";

/// How long a package index and a choice made from it hold.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// Whether the file was written within the time that an index holds.
pub(crate) fn is_fresh(file: &Path) -> bool {
    let modified = fs::metadata(file).and_then(|meta| meta.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < FRESH))
}

/// The names of all suites that are looked in.
pub(crate) fn suites() -> String {
    [SUITES, SECURITY_SUITES].concat().join(", ")
}

/// apt with a state folder of its own.
pub(crate) struct Index {
    config: PathBuf,
}

impl Index {
    /// The index of packages for a PC, fetched anew when it is a day old.
    pub(crate) fn open() -> Result<Self> {
        Self::of_machine(Machine::X86_64)
    }

    /// The same for a kind of machine, whatever this host is.
    pub(crate) fn of_machine(machine: Machine) -> Result<Self> {
        match machine {
            Machine::X86_64 => Self::of("apt", machine, SUITES, SECURITY_SUITES),
            Machine::Aarch64 => Self::of("apt-arm64", machine, SUITES, SECURITY_SUITES),
        }
    }

    /// The index of the release to come, which is apart from the others: their newest package is not to be one of it.
    pub(crate) fn of_next() -> Result<Self> {
        Self::of("apt-next", Machine::X86_64, &[NEXT], &[])
    }

    /// The index of the host's own release and its backports. What the host has installed is installed for it too.
    pub(crate) fn of_host() -> Result<Self> {
        let release = host_release()?;
        let (backports, security) = (backports(&release), format!("{release}-security"));
        let index = Self::of("apt-host", Machine::HOST, &[&release, &backports], &[&security])?;
        let status = index.config.with_file_name("status");
        fs::copy(STATUS, &status).with_context(|| format!("copy {STATUS} to {}", status.display()))?;
        Ok(index)
    }

    fn of(name: &str, machine: Machine, suites: &[&str], security_suites: &[&str]) -> Result<Self> {
        let root = paths::cache()?.join(name);
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        }
        let index = Self { config: root.join("apt.conf") };
        let stamp = root.join("updated");
        if is_fresh(&stamp) {
            return Ok(index);
        }
        eprintln!("debian: fetching Debian's package index for {}", machine.debian());
        let write = |name: &str, text: &str| {
            let file = root.join(name);
            fs::write(&file, text).with_context(|| format!("write {}", file.display()))
        };
        write("status", "")?;
        write("sources.list", &sources(suites, security_suites)?)?;
        write("apt.conf", &config(&root, machine)?)?;
        // One suite that has left the mirror fails the update and takes nothing from the others; without a network the
        // update succeeds and fetches nothing. What counts is that there is an index.
        if let Err(error) = sh::run(index.apt("apt-get", &["update", "--quiet"]).stdout(std::io::stderr())) {
            eprintln!("debian: {error:#} (going on with what there is)");
        }
        if index.package_names("linux-")?.is_empty() {
            bail!("Debian's package index for {} could not be fetched", machine.debian());
        }
        fs::write(&stamp, "").with_context(|| format!("write {}", stamp.display()))?;
        Ok(index)
    }

    /// All package names that begin with `prefix`, sorted.
    pub(crate) fn package_names(&self, prefix: &str) -> Result<Vec<String>> {
        let text = sh::output(&mut self.apt("apt-cache", &["pkgnames", prefix]))?;
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// The version of a package that apt would take: the newest, those of backports only where there is no other.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        apt::shown_version(&mut self.apt("apt-cache", &["show", "--no-all-versions", package]))
    }

    /// Name and version of each package that installing this one on an empty machine would bring, itself included.
    pub(crate) fn would_install(&self, package: &str) -> Result<Vec<(String, String)>> {
        self.simulate(&[package])
    }

    /// The same where those of the host's backports are preferred; of an index [`Self::of_host`].
    pub(crate) fn would_backport(&self, package: &str) -> Result<Vec<(String, String)>> {
        self.simulate(&["--target-release", &backports(&host_release()?), package])
    }

    fn simulate(&self, args: &[&str]) -> Result<Vec<(String, String)>> {
        let args = [&["install", "--simulate", "--no-install-recommends"], args].concat();
        let text = sh::output(&mut self.apt("apt-get", &args))?;
        Ok(text.lines().filter_map(simulated).collect())
    }

    /// Name and version of each package that an installation of these takes on an empty machine, by one release and its security
    /// updates alone; sorted.
    pub(crate) fn versions(&self, suite: &str, packages: &[&str]) -> Result<Vec<(String, String)>> {
        let sources = self.config.with_file_name(format!("sources-{suite}.list"));
        let lines: String = self.sources(suite)?.into_iter().map(|line| line + "\n").collect();
        fs::write(&sources, lines).with_context(|| format!("write {}", sources.display()))?;
        let source = format!("Dir::Etc::sourcelist={}", sources.display());
        // The cache of another list of sources would be made anew each time.
        let options = ["-o", &source, "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="];
        let args = ["install", "--simulate", "--no-install-recommends"];
        let args: Vec<&str> = options.iter().chain(&args).chain(packages).copied().collect();
        let text = sh::output(&mut self.apt("apt-get", &args))?;
        let mut versions: Vec<_> = text.lines().filter_map(simulated).collect();
        versions.sort();
        Ok(versions)
    }

    /// Downloads packages, each named as NAME, NAME=VERSION or NAME/SUITE, and unpacks them below `to`.
    pub(crate) fn unpack(&self, packages: &[&str], to: &Path) -> Result<()> {
        let folder = to.join("download");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        match packages {
            [.., last] if packages.len() > 3 => eprintln!("debian: downloading {last} and all that it needs"),
            _ => eprintln!("debian: downloading {}", packages.join(" ")),
        }
        let download = |option| {
            let args: Vec<&str> = ["download", option].iter().chain(packages).copied().collect();
            sh::output(self.apt("apt-get", &args).current_dir(&folder))
        };
        let bytes = progress::announced(&download("--print-uris")?);
        let line = progress::filling("debian: downloading".to_owned(), folder.clone(), bytes);
        download("--quiet")?;
        drop(line);
        let _line = progress::ticking("debian: unpacking".to_owned());
        for deb in apt::debs(&folder)? {
            apt::unpack(&deb, to)?;
        }
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))
    }

    /// The lines of sources.list for one suite and its security updates.
    pub(crate) fn sources(&self, suite: &str) -> Result<Vec<String>> {
        let file = self.config.with_file_name("sources.list");
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let security = format!("{suite}-security");
        let of_suite = |line: &&str| line.split(' ').any(|word| word == suite || word == security);
        Ok(text.lines().filter(of_suite).map(str::to_owned).collect())
    }

    /// The host's way to the network, as options of apt.
    pub(crate) fn network(&self) -> Result<Vec<String>> {
        network()
    }

    fn apt(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &self.config).args(args);
        command
    }
}

/// The name of this host's release of Debian.
fn host_release() -> Result<String> {
    let text = fs::read_to_string(OS_RELEASE).with_context(|| format!("read {OS_RELEASE}"))?;
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    match (value("ID"), value("VERSION_CODENAME")) {
        (Some("debian"), Some(release)) => Ok(release.trim_matches('"').to_owned()),
        _ => bail!("this host is no release of Debian ({OS_RELEASE})"),
    }
}

fn backports(release: &str) -> String {
    format!("{release}-backports")
}

/// Name and version of a line of apt's simulation: "Inst libmd0 (1.1.0-2+b1 Debian:13.8/stable [amd64])".
fn simulated(line: &str) -> Option<(String, String)> {
    let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
    let version = rest.split_whitespace().next()?;
    // An upgrade has the installed version in brackets first.
    Some((name.split(' ').next()?.to_owned(), version.to_owned()))
}

/// The way to the network in the host's configuration (proxies, time-outs).
fn network() -> Result<Vec<String>> {
    let host = sh::output(Command::new("apt-config").arg("dump"))?;
    let lines = host.lines().filter(|line| {
        line.starts_with("Acquire::")
            && !line.starts_with("Acquire::IndexTargets")
            && !line.starts_with("Acquire::Languages")
    });
    Ok(lines.map(str::to_owned).collect())
}

/// A configuration that stands alone. Of the host's only the way to the network is kept: its hooks run after each update,
/// clean its own caches and need root.
fn config(root: &Path, machine: Machine) -> Result<String> {
    let network = network()?;
    let architecture = machine.debian();
    let root = root.display();
    let own = [
        r#"Dir::Etc::main "/dev/null";"#.to_owned(),
        r#"Dir::Etc::parts "/dev/null";"#.to_owned(),
        r#"Dir::Etc::sourceparts "/dev/null";"#.to_owned(),
        r#"Dir::Etc::preferences "/dev/null";"#.to_owned(),
        r#"Dir::Etc::preferencesparts "/dev/null";"#.to_owned(),
        format!(r#"Dir::Etc::sourcelist "{root}/sources.list";"#),
        format!(r#"Dir::State "{root}/state";"#),
        format!(r#"Dir::State::status "{root}/status";"#),
        format!(r#"Dir::Cache "{root}/cache";"#),
        // The cache may lie where apt's own user cannot look.
        r#"APT::Sandbox::User "root";"#.to_owned(),
        format!(r#"APT::Architecture "{architecture}";"#),
        format!(r#"APT::Architectures {{ "{architecture}"; }};"#),
        r#"Acquire::Languages "none";"#.to_owned(),
        // An archived suite's index is past its date and still signed.
        r#"Acquire::Check-Valid-Until "false";"#.to_owned(),
    ];
    Ok(network.into_iter().chain(own).map(|line| line + "\n").collect())
}

/// The suites, from the mirrors that the host itself uses.
fn sources(suites: &[&str], security_suites: &[&str]) -> Result<String> {
    let mut sites = host_sites()?;
    if sites.is_empty() && std::env::var_os(MIRROR_VARIABLE).is_none() && sh::is_root() {
        // A fresh machine has sources and no index yet; apt knows whose they are after it has read one.
        apt::update()?;
        sites = host_sites()?;
    }
    let set = std::env::var(MIRROR_VARIABLE).ok();
    let site = |security: bool| sites.iter().find(|(suite, _)| suite.ends_with("-security") == security);
    let main = set.or_else(|| site(false).map(|(_, site)| site.clone())).with_context(|| {
        format!("this host's apt knows no Debian mirror: set {MIRROR_VARIABLE} to the address of one (.../debian)")
    })?;
    let main = main.trim_end_matches('/');
    let security = match site(true) {
        Some((_, site)) => site.clone(),
        None => match main.strip_suffix("debian") {
            Some(start) => format!("{start}debian-security"),
            None => bail!("cannot tell the address of the security archive from {main}"),
        },
    };
    let line = |site: &str, suite: &&str| format!("deb [signed-by={KEYRING}] {site} {suite} main\n");
    let main = suites.iter().map(|suite| line(main, suite));
    Ok(main.chain(security_suites.iter().map(|suite| line(&security, suite))).collect())
}

/// Suite and address of each source of Debian that the host's apt has.
fn host_sites() -> Result<Vec<(String, String)>> {
    let format = "$(ORIGIN)|$(CODENAME)|$(SITE)";
    let text = sh::output(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let mut sites: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Debian|")?.split_once('|'))
        .map(|(suite, site)| (suite.to_owned(), site.to_owned()))
        .collect();
    sites.dedup();
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use super::simulated;

    #[test]
    fn a_simulated_installation_names_version_and_package() {
        let line = "Inst libexpat1 (2.9.0-1~deb13u1 Debian:13.8/stable, Debian-Security:13/stable-security [amd64])";
        assert_eq!(simulated(line), Some(("libexpat1".to_owned(), "2.9.0-1~deb13u1".to_owned())));
        let upgrade = "Inst seabios [1.16.2-1] (1.16.3-2~bpo12+1 Debian Backports:12/stable-backports [all])";
        assert_eq!(simulated(upgrade), Some(("seabios".to_owned(), "1.16.3-2~bpo12+1".to_owned())));
        assert_eq!(simulated("Conf libmd0 (1.1.0-2+b1 Debian:13.8/stable [amd64])"), None);
    }
}
