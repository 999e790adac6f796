//! mmscope on this host from its start to its end, and what it answers. Knows nothing of what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{paths, sh};

const ADDRESS: &str = "127.0.0.1:10941";
/// Longest wait for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A process that does not outlive the measurement.
pub(super) struct Running(Child);

impl Running {
    /// Starts it.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        command.spawn().map(Self).with_context(|| format!("start {}", sh::show(command)))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = sh::run(Command::new("kill").arg(self.0.id().to_string()));
        let _ = self.0.wait();
    }
}

/// A running mmscope.
pub(super) struct Mmscope {
    running: Running,
    /// From its start to the first answer.
    pub(super) start: Duration,
}

impl Mmscope {
    /// Starts it, with more options, and waits for its first answer.
    pub(super) fn start(program: &Path, config: &str, options: &[&str]) -> Result<Self> {
        let file = paths::target().join("bench-daemon.toml");
        fs::write(&file, config).with_context(|| format!("write {}", file.display()))?;
        let path = paths::target().join("bench-daemon.log");
        let log = fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
        let begin = Instant::now();
        let mut command = Command::new(program);
        command.args(["run", "--web.listen-address", ADDRESS, "--config.file"]).arg(&file).args(options);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut running = Running::start(&mut command)?;
        while scrape().is_err() {
            ensure!(running.0.try_wait()?.is_none(), "mmscope ended; see {}", path.display());
            ensure!(begin.elapsed() < PATIENCE, "mmscope does not answer; see {}", path.display());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(Self { running, start: begin.elapsed() })
    }

    /// Its process.
    pub(super) fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.running.0.id())?)
    }

    /// What the kernel charges for its maps, each counted once: bytes.
    pub(super) fn table_bytes(&self) -> Result<u64> {
        let folder = format!("/proc/{}/fdinfo", self.running.0.id());
        let mut maps = BTreeMap::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {folder}"))? {
            // A connection may be closed by now.
            let Ok(fdinfo) = fs::read_to_string(entry?.path()) else { continue };
            let field = |name: &str| -> Option<u64> {
                fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")?.trim().parse().ok())
            };
            maps.extend(field("map_id").zip(field("memlock")));
        }
        ensure!(!maps.is_empty(), "no maps in {folder}");
        Ok(maps.values().sum())
    }
}

/// The metrics, whole. By a plain socket: the time that an HTTP client takes (ureq: 26 ms of 28) is none of the daemon's.
pub(super) fn scrape() -> Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {ADDRESS}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{}", answer.lines().next().unwrap_or_default());
    Ok(answer)
}

/// The sum of the series of a metric whose labels have all of these, `name="value"`; zero where there is none.
pub(super) fn sum(scrape: &str, metric: &str, labels: &[&str]) -> f64 {
    let value = |line: &str| -> Option<f64> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, rest) = series.split_once('{').unwrap_or((series, ""));
        (name == metric && labels.iter().all(|label| rest.contains(label))).then(|| value.trim().parse().ok())?
    };
    scrape.lines().filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn series_are_added_by_their_labels() {
        let text =
            "a_total{comm=\"x\",mode=\"read\"} 3\na_total{comm=\"x\",mode=\"write\"} 4\na_total{comm=\"y\"} 8\nb 1\n";
        assert_eq!(sum(text, "a_total", &["comm=\"x\""]), 7.0);
        assert_eq!(sum(text, "a_total", &["comm=\"x\"", "mode=\"write\""]), 4.0);
        assert_eq!(sum(text, "b", &[]), 1.0);
        assert_eq!(sum(text, "a", &[]), 0.0);
    }
}
