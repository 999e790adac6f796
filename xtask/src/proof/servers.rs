//! A Prometheus and its Alertmanager on loopback, for as long as the proof lasts; and an Alertmanager alone, that comes and goes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use super::api::{Alertmanager, Prometheus};
use super::files;
use super::stage::{Running, Stage, free_port};
use crate::prometheus::{Programs, Release};
use crate::sh;

const PATIENCE: Duration = Duration::from_secs(60);

/// Both, running.
pub(super) struct Server {
    /// Asked for alerts and series.
    pub(super) prometheus: Prometheus,
    /// Asked for what has arrived.
    pub(super) alertmanager: Alertmanager,
    /// Its beginning, in seconds since 1970.
    pub(super) since: f64,
    _processes: [Running; 2],
}

/// Seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Its programs, in the cache before anything waits for them.
pub(super) struct Prepared {
    programs: Programs,
    folder: PathBuf,
    /// Prometheus', Alertmanager's.
    ports: [u16; 2],
}

impl Prepared {
    /// Finds or unpacks the programs of a release.
    pub(super) fn new(release: Release, folder: &Path) -> Result<Self> {
        let name = match release {
            Release::Bookworm => "bookworm",
            Release::Next => "next",
        };
        Ok(Self { programs: release.programs()?, folder: folder.join(name), ports: [free_port()?, free_port()?] })
    }

    /// Starts both, and waits until they are ready.
    pub(super) fn start(self, stage: &Stage) -> Result<Server> {
        let Self { programs, folder, ports } = self;
        let mut prometheus = sh::dying_with_us(&programs.prometheus);
        prometheus
            .arg(format!("--config.file={}", files::prometheus(&folder, stage.targets_file(), ports[1])?.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("series").display()))
            .args([&format!("--web.listen-address=127.0.0.1:{}", ports[0]), "--rules.alert.resend-delay=10s"]);
        let processes = [
            start_alertmanager(&programs, &folder, ports[1])?,
            start(&mut prometheus, &folder.join("prometheus.log"))?,
        ];
        let server = Server {
            prometheus: Prometheus(format!("http://127.0.0.1:{}", ports[0])),
            alertmanager: Alertmanager(format!("http://127.0.0.1:{}", ports[1])),
            since: now(),
            _processes: processes,
        };
        wait_ready(&folder, || server.prometheus.is_ready() && server.alertmanager.is_ready())?;
        Ok(server)
    }
}

/// An Alertmanager that nobody but the daemon tells.
pub(super) struct Lone {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    /// Asked for what has arrived, while it runs.
    pub(super) api: Alertmanager,
    process: Option<Running>,
}

impl Lone {
    /// Starts one of a release.
    pub(super) fn start(release: Release, folder: &Path) -> Result<Self> {
        let port = free_port()?;
        let api = Alertmanager(format!("http://127.0.0.1:{port}"));
        let mut lone = Self { programs: release.programs()?, folder: folder.join("own"), port, api, process: None };
        lone.come_back()?;
        Ok(lone)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a crash does.
    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    /// Starts it on its old port, and waits until it is ready.
    pub(super) fn come_back(&mut self) -> Result<()> {
        self.process = Some(start_alertmanager(&self.programs, &self.folder, self.port)?);
        wait_ready(&self.folder, || self.api.is_ready())
    }
}

fn wait_ready(folder: &Path, is_ready: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_ready() {
        if begun.elapsed() > PATIENCE {
            bail!("Prometheus or Alertmanager did not become ready; their logs are in {}", folder.display());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn start_alertmanager(programs: &Programs, folder: &Path, port: u16) -> Result<Running> {
    let mut alertmanager = programs.alertmanager();
    alertmanager
        .arg(format!("--config.file={}", files::alertmanager(folder)?.display()))
        .arg(format!("--storage.path={}", folder.join("alerts").display()))
        // Alone: it looks for no others.
        .args([&format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address="]);
    start(&mut alertmanager, &folder.join("alertmanager.log"))
}

fn start(command: &mut Command, log: &Path) -> Result<Running> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let to = file.try_clone().with_context(|| format!("open {}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(to).stderr(file).spawn();
    Ok(Running(child.with_context(|| format!("start {}", sh::show(command)))?))
}
