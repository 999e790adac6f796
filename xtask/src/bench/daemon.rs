//! `cargo xtask bench daemon`: what the daemon itself costs on this host, with so many address spaces alive: memory, processor
//! time of its ticks, scrapes, its start. Needs root, and no rights beyond those of `mmscope run`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use procfs::process::Process;

use super::page;
use crate::setup::{self, Wants};
use crate::{dist, paths, sh};

/// `cargo xtask bench daemon`.
///
/// The exit code is 1 if one of the bounds that docs/performance.md names was missed.
#[derive(Args)]
pub(crate) struct DaemonArgs {
    /// Address spaces alive; may be given several times
    #[arg(long, default_values_t = [100, 1000, 10_000])]
    mms: Vec<u32>,
    /// Write the table of docs/performance.md
    #[arg(long)]
    write: bool,
}

const ADDRESS: &str = "127.0.0.1:10941";
/// Processor time is taken over so many seconds.
const SECONDS: u64 = 30;
const SCRAPES: usize = 200;
/// Ticks 5 s apart, as on a fleet.
const CONFIG: &str = "tick = \"5s\"\n";
const PATIENCE: Duration = Duration::from_secs(120);

/// What was measured with so many address spaces.
struct Row {
    mms: u32,
    /// From the start of the program to the first scrape that was answered.
    start: Duration,
    resident_mib: f64,
    cpu_percent: f64,
    bytes: usize,
    median: Duration,
    p99: Duration,
}

impl Row {
    /// Bounds for ten thousand address spaces, and for fewer.
    fn misses(&self) -> Vec<&'static str> {
        let bounds = [
            (self.resident_mib < 40.0, "resident memory below 40 MiB"),
            (self.cpu_percent < 0.5, "0.5 % of a processor"),
            (self.p99 < Duration::from_millis(50), "a scrape within 50 ms"),
            (self.start < Duration::from_secs(1), "a start within a second"),
        ];
        bounds.into_iter().filter(|(is_kept, _)| !is_kept).map(|(_, what)| what).collect()
    }
}

/// Every number of address spaces, one after the other.
pub(crate) fn main(args: &DaemonArgs) -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: false })?;
    let [mmscope, mmload] = dist::dist(&tools, false)?;
    let rows = args.mms.iter().map(|&mms| measure(&mmscope, &mmload, mms)).collect::<Result<Vec<_>>>()?;
    let table = table(&rows);
    println!("\n{table}");
    if args.write {
        page::write("daemon", &format!("Made by `cargo xtask bench daemon --write`.\n\n{table}"))?;
    }
    let mut kept = true;
    for row in &rows {
        for missed in row.misses() {
            eprintln!("bench: {} address spaces: missed: {missed}", row.mms);
            kept = false;
        }
    }
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn table(rows: &[Row]) -> String {
    let mut text =
        "| address spaces | start to first scrape | resident | of one processor | scrape | median | 99th of 100 |\n\
                    |---|---|---|---|---|---|---|\n"
            .to_owned();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for row in rows {
        text.push_str(&format!(
            "| {} | {:.0} ms | {:.1} MiB | {:.2} % | {} KiB | {:.1} ms | {:.1} ms |\n",
            row.mms,
            ms(row.start),
            row.resident_mib,
            row.cpu_percent,
            row.bytes / 1024,
            ms(row.median),
            ms(row.p99)
        ));
    }
    text
}

/// A process that does not outlive the measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = sh::run(Command::new("kill").arg(self.0.id().to_string()));
        let _ = self.0.wait();
    }
}

fn measure(mmscope: &Path, mmload: &Path, mms: u32) -> Result<Row> {
    let config = paths::target().join("bench-daemon.toml");
    fs::write(&config, CONFIG).with_context(|| format!("write {}", config.display()))?;
    let log = paths::target().join("bench-daemon.log");
    let file = fs::File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let begin = Instant::now();
    let daemon = Command::new(mmscope)
        .args(["run", "--web.listen-address", ADDRESS, "--config.file"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .spawn()
        .with_context(|| format!("start {}", mmscope.display()))?;
    let mut daemon = Running(daemon);
    let start = loop {
        if scrape().is_ok() {
            break begin.elapsed();
        }
        ensure!(daemon.0.try_wait()?.is_none(), "mmscope ended; see {}", log.display());
        ensure!(begin.elapsed() < PATIENCE, "mmscope does not answer; see {}", log.display());
        thread::sleep(Duration::from_millis(2));
    };
    let load = Command::new(mmload)
        .args(["live", "--seconds", "3600", "--processes", &mms.to_string(), "--names", "300"])
        .stdout(Stdio::null())
        .spawn()
        .with_context(|| format!("start {}", mmload.display()))?;
    let _load = Running(load);
    let begin = Instant::now();
    while slots()? < u64::from(mms) {
        ensure!(begin.elapsed() < PATIENCE, "after {PATIENCE:?} {} of {mms} address spaces are there", slots()?);
        thread::sleep(Duration::from_secs(1));
    }
    // Two ticks: what was new is not any more.
    thread::sleep(Duration::from_secs(11));
    let pid = i32::try_from(daemon.0.id())?;
    let before = cpu_seconds(pid)?;
    thread::sleep(Duration::from_secs(SECONDS));
    let cpu_percent = 100.0 * (cpu_seconds(pid)? - before) / SECONDS as f64;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        let begin = Instant::now();
        bytes = scrape()?.len();
        times.push(begin.elapsed());
        // Ticks are among them.
        thread::sleep(Duration::from_millis(60));
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok(Row { mms, start, resident_mib: resident_mib(pid)?, cpu_percent, bytes, median: at(50), p99: at(99) })
}

/// The metrics, whole. By a plain socket: the time that an HTTP client takes (ureq: 26 ms of 28) is none of the daemon's.
fn scrape() -> Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {ADDRESS}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200 "), "{}", answer.lines().next().unwrap_or_default());
    Ok(answer)
}

/// Slots in use.
fn slots() -> Result<u64> {
    let answer = scrape()?;
    let line = answer.lines().find_map(|line| line.strip_prefix("mmscope_map_entries{map=\"mm_slots\"} "));
    // Before its first tick it does not tell.
    line.map_or(Ok(0), |number| number.trim().parse().with_context(|| format!("read {number}")))
}

fn cpu_seconds(pid: i32) -> Result<f64> {
    let stat = Process::new(pid).and_then(|process| process.stat()).context("mmscope has ended")?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

fn resident_mib(pid: i32) -> Result<f64> {
    let status = Process::new(pid).and_then(|process| process.status()).context("mmscope has ended")?;
    Ok(status.vmrss.context("no VmRSS")? as f64 / 1024.0)
}
