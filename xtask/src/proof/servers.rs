//! A Prometheus and its Alertmanager on loopback, for as long as the proof lasts.

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

    /// Where its Alertmanager will be.
    pub(super) fn alertmanager(&self) -> u16 {
        self.ports[1]
    }

    /// Starts both, and waits until they are ready.
    pub(super) fn start(self, stage: &Stage) -> Result<Server> {
        let Self { programs, folder, ports } = self;
        let listen = ports.map(|port| format!("--web.listen-address=127.0.0.1:{port}"));
        let data = |name: &str| folder.join(name).display().to_string();
        let mut prometheus = sh::dying_with_us(&programs.prometheus);
        prometheus
            .arg(format!("--config.file={}", files::prometheus(&folder, stage.targets_file(), ports[1])?.display()))
            .arg(format!("--storage.tsdb.path={}", data("series")))
            .args([&listen[0], "--rules.alert.resend-delay=10s"]);
        let mut alertmanager = programs.alertmanager();
        alertmanager
            .arg(format!("--config.file={}", files::alertmanager(&folder)?.display()))
            .arg(format!("--storage.path={}", data("alerts")))
            // Alone: it looks for no others.
            .args([&listen[1], "--cluster.listen-address="]);
        let processes = [
            start(&mut alertmanager, &folder.join("alertmanager.log"))?,
            start(&mut prometheus, &folder.join("prometheus.log"))?,
        ];
        let server = Server {
            prometheus: Prometheus(format!("http://127.0.0.1:{}", ports[0])),
            alertmanager: Alertmanager(format!("http://127.0.0.1:{}", ports[1])),
            since: now(),
            _processes: processes,
        };
        let begun = Instant::now();
        while !(server.prometheus.is_ready() && server.alertmanager.is_ready()) {
            if begun.elapsed() > PATIENCE {
                bail!("Prometheus or Alertmanager did not become ready; their logs are in {}", folder.display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }
}

fn start(command: &mut Command, log: &Path) -> Result<Running> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let to = file.try_clone().with_context(|| format!("open {}", log.display()))?;
    let child = command.stdin(Stdio::null()).stdout(to).stderr(file).spawn();
    Ok(Running(child.with_context(|| format!("start {}", sh::show(command)))?))
}
