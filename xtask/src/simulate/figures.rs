//! What a fleet costs a server, as the server itself tells it, and what follows for a host.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::server::Server;
use super::{CAP, IDLE};
use crate::dashboards::rules::JOB;

/// Of one server.
pub(super) struct Figures {
    name: String,
    /// Hosts that are scraped.
    pub(super) up: f64,
    /// Series of a scrape: at most on idle, working and busy hosts, and the mean of all.
    idle: f64,
    working: f64,
    busy: f64,
    mean: f64,
    /// Bytes and seconds of a scrape, means; none where the server does not tell.
    bytes: Option<f64>,
    seconds: f64,
    /// Series in the head, and those of them that rules record.
    head: f64,
    recorded: f64,
    /// Memory of the whole process, and what its heap holds.
    resident: f64,
    heap: f64,
    /// Samples a second, in the last minutes.
    samples: f64,
    /// Bytes of the write-ahead log, and samples that were ever appended.
    wal: u64,
    appended: f64,
    /// Seconds of the last evaluation, by group.
    rules: Vec<(String, f64)>,
    unhealthy: Vec<String>,
}

impl Figures {
    /// Asks the server.
    pub(super) fn read(server: &Server) -> Result<Self> {
        let value = |expr: &str| server.value(expr).map(Option::unwrap_or_default);
        let of_job = |expr: &str| value(&expr.replace("JOB", &format!("job=\"{JOB}\"")));
        let of_self = |name: &str| value(&format!("{name}{{job=\"prometheus\"}}"));
        let groups = server.prometheus.now("prometheus_rule_group_last_duration_seconds")?;
        let group = |labels: &std::collections::BTreeMap<String, String>| {
            labels.get("rule_group").and_then(|name| name.rsplit(';').next()).unwrap_or_default().to_owned()
        };
        Ok(Self {
            name: server.name()?,
            up: of_job("sum(up{JOB})")?,
            idle: of_job("max(scrape_samples_scraped{JOB,load=\"idle\"})")?,
            working: of_job("max(scrape_samples_scraped{JOB,load=\"working\"})")?,
            busy: of_job("max(scrape_samples_scraped{JOB,load=\"busy\"})")?,
            mean: of_job("avg(scrape_samples_scraped{JOB})")?,
            bytes: server.value(&format!("avg(scrape_body_size_bytes{{job=\"{JOB}\"}})"))?,
            seconds: of_job("avg(scrape_duration_seconds{JOB})")?,
            head: of_self("prometheus_tsdb_head_series")?,
            recorded: value("count({__name__=~\".+:.+\"})")?,
            resident: of_self("process_resident_memory_bytes")?,
            heap: of_self("go_memstats_heap_inuse_bytes")?,
            samples: value("sum(rate(prometheus_tsdb_head_samples_appended_total[3m]))")?,
            wal: size(&server.data.join("wal"))?,
            appended: value("sum(prometheus_tsdb_head_samples_appended_total)")?,
            rules: groups.iter().map(|(labels, seconds)| (group(labels), *seconds)).collect(),
            unhealthy: server.prometheus.unhealthy_rules()?,
        })
    }

    /// What is not as docs/fleet.md says.
    pub(super) fn problems(&self, hosts: u32) -> Vec<String> {
        let mut problems: Vec<String> = self.unhealthy.clone();
        if self.up < f64::from(hosts) {
            problems.push(format!("{} of {hosts} hosts are scraped", self.up));
        }
        if self.idle > IDLE {
            problems.push(format!("an idle host has {} series, more than {IDLE}", self.idle));
        }
        let most = self.working.max(self.busy);
        if most > CAP {
            problems.push(format!("a host has {most} series, more than {CAP}"));
        }
        problems.iter().map(|problem| format!("{}: {problem}", self.name)).collect()
    }
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("read {}", folder.display()))?;
        let meta = entry.metadata().with_context(|| format!("read {}", entry.path().display()))?;
        sum += if meta.is_dir() { size(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}

const MIB: f64 = 1024.0 * 1024.0;

/// A table with a column for each server, and what a host costs by it.
pub(super) fn report(all: &[Figures], hosts: u32, interval: Duration) -> String {
    let mut text = format!("| {hosts} hosts, scraped every {} s |", interval.as_secs());
    all.iter().for_each(|figures| text.push_str(&format!(" {} |", figures.name)));
    text.push_str("\n|---|");
    all.iter().for_each(|_| text.push_str("---|"));
    text.push('\n');
    type Row = (&'static str, fn(&Figures) -> String);
    let rows: [Row; 14] = [
        ("hosts scraped", |of| format!("{}", of.up)),
        ("series of a scrape, idle host, at most", |of| format!("{}", of.idle)),
        ("series of a scrape, working host, at most", |of| format!("{}", of.working)),
        ("series of a scrape, busy host, at most", |of| format!("{}", of.busy)),
        ("series of a scrape, mean", |of| format!("{:.0}", of.mean)),
        ("bytes of a scrape, mean", |of| of.bytes.map_or("-".to_owned(), |bytes| format!("{:.0} KiB", bytes / 1024.0))),
        ("seconds of a scrape, mean", |of| format!("{:.3}", of.seconds)),
        ("series in the head", |of| format!("{}", of.head)),
        ("of these recorded by rules", |of| format!("{}", of.recorded)),
        ("samples a second", |of| format!("{:.0}", of.samples)),
        ("resident memory", |of| format!("{:.0} MiB", of.resident / MIB)),
        ("heap in use", |of| format!("{:.0} MiB", of.heap / MIB)),
        ("write-ahead log, bytes of a sample", |of| format!("{:.1}", of.wal as f64 / of.appended.max(1.0))),
        ("rules, seconds of an evaluation", |of| {
            let groups: Vec<String> = of.rules.iter().map(|(name, time)| format!("{name} {time:.2}")).collect();
            groups.join(", ")
        }),
    ];
    for (name, of) in rows {
        let _ = write!(text, "| {name} |");
        all.iter().for_each(|figures| text.push_str(&format!(" {} |", of(figures))));
        text.push('\n');
    }
    text.push_str("\nA host costs, by this:\n\n");
    for figures in all {
        let hosts = f64::from(hosts);
        let (series, bytes) = (figures.head / hosts, figures.resident / figures.head.max(1.0));
        let _ = writeln!(
            text,
            "- {}: {series:.0} series in the head ({:.0} scraped at a time), {bytes:.0} bytes of memory each: {:.1} MiB; \
             {:.0} samples a second, {:.1} MiB of log an hour",
            figures.name,
            figures.mean,
            series * bytes / MIB,
            figures.samples / hosts,
            figures.samples / hosts * 3600.0 * figures.wal as f64 / figures.appended.max(1.0) / MIB,
        );
    }
    text
}
