//! `cargo xtask bench daemon`: what the daemon itself costs on this host, with so many address spaces alive: memory, processor
//! time of its ticks, scrapes, its start. Needs root, and no rights beyond those of `mmscope run`.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use procfs::process::Process;

use super::host::{self, Mmscope, PATIENCE, Running};
use super::page;
use crate::dist;
use crate::setup::{self, Wants};

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

/// Processor time is taken over so many seconds.
const SECONDS: u64 = 30;
const SCRAPES: usize = 200;
/// Ticks 5 s apart, as on a fleet.
const CONFIG: &str = "tick = \"5s\"\n";

/// What was measured with so many address spaces.
struct Row {
    mms: u32,
    /// From the start of the program to the first scrape that was answered.
    start: Duration,
    resident_mib: f64,
    /// What the kernel charges for the tables.
    table_mib: f64,
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
        "| address spaces | start to first scrape | resident | tables in the kernel | of one processor | scrape | median | 99th of 100 |\n\
                    |---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    for row in rows {
        text.push_str(&format!(
            "| {} | {:.0} ms | {:.1} MiB | {:.2} MiB | {:.2} % | {} KiB | {:.1} ms | {:.1} ms |\n",
            row.mms,
            ms(row.start),
            row.resident_mib,
            row.table_mib,
            row.cpu_percent,
            row.bytes / 1024,
            ms(row.median),
            ms(row.p99)
        ));
    }
    text
}

fn measure(mmscope: &Path, mmload: &Path, mms: u32) -> Result<Row> {
    let daemon = Mmscope::start(mmscope, CONFIG, &[])?;
    let _load = Running::start(
        Command::new(mmload)
            .args(["live", "--seconds", "3600", "--processes", &mms.to_string(), "--names", "300"])
            .stdout(Stdio::null()),
    )?;
    let begin = Instant::now();
    loop {
        // Before its first tick it does not tell.
        let slots = host::sum(&host::scrape()?, "mmscope_map_entries", &["map=\"mm_slots\""]);
        if slots >= f64::from(mms) {
            break;
        }
        ensure!(begin.elapsed() < PATIENCE, "after {PATIENCE:?} {slots} of {mms} address spaces are there");
        thread::sleep(Duration::from_secs(1));
    }
    // Two ticks: what was new is not any more.
    thread::sleep(Duration::from_secs(11));
    let pid = daemon.pid()?;
    let before = cpu_seconds(pid)?;
    thread::sleep(Duration::from_secs(SECONDS));
    let cpu_percent = 100.0 * (cpu_seconds(pid)? - before) / SECONDS as f64;
    let mut times = Vec::new();
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        let begin = Instant::now();
        let scrape = host::scrape()?;
        times.push(begin.elapsed());
        bytes = scrape.len();
        let level = host::sum(&scrape, "mmscope_governor_level", &[]);
        ensure!(level == 0.0, "with {mms} address spaces it was over its budget: what else runs on this host?");
        // Ticks are among them.
        thread::sleep(Duration::from_millis(60));
    }
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    Ok(Row {
        mms,
        start: daemon.start,
        resident_mib: resident_mib(pid)?,
        table_mib: daemon.table_bytes()? as f64 / f64::from(1 << 20),
        cpu_percent,
        bytes,
        median: at(50),
        p99: at(99),
    })
}

fn cpu_seconds(pid: i32) -> Result<f64> {
    let stat = Process::new(pid).and_then(|process| process.stat()).context("mmscope has ended")?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}

fn resident_mib(pid: i32) -> Result<f64> {
    let status = Process::new(pid).and_then(|process| process.status()).context("mmscope has ended")?;
    Ok(status.vmrss.context("no VmRSS")? as f64 / 1024.0)
}
