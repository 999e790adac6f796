//! One Prometheus, configured as deploy/prometheus/http-sd.yml has it, which scrapes itself too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::dashboards::rules::JOB;
use crate::paths;
use crate::prometheus::Release;
use crate::proof::api::Prometheus;
use crate::proof::stage::{Running, free_port};
use crate::sh;

/// As what histograms are scraped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A series for each bucket.
    Classic,
    /// One series each; recording rules and dashboards, which ask for buckets, have no quantiles then.
    Native,
}

/// It, running.
pub(super) struct Server {
    pub(super) prometheus: Prometheus,
    /// Its data.
    pub(super) data: PathBuf,
    form: Form,
    _process: Running,
}

impl Server {
    /// Starts it, and waits until it is ready.
    pub(super) fn start(release: Release, form: Form, fleet: u16, interval: Duration, folder: &Path) -> Result<Self> {
        let programs = release.programs()?;
        let port = free_port()?;
        let (config, data) = (folder.join("prometheus.yml"), folder.join("data"));
        fs::write(&config, configuration(fleet, port, interval))
            .with_context(|| format!("write {}", config.display()))?;
        let log = fs::File::create(folder.join("prometheus.log")).context("create the server's log")?;
        let features = match form {
            Form::Classic => "extra-scrape-metrics",
            Form::Native => "extra-scrape-metrics,native-histograms",
        };
        let mut command = sh::dying_with_us(&programs.prometheus);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--enable-feature={features}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = Running(command.spawn().context("start Prometheus")?);
        let server = Self { prometheus: Prometheus(format!("http://127.0.0.1:{port}")), data, form, _process: process };
        let begun = std::time::Instant::now();
        while !server.prometheus.is_ready() {
            if begun.elapsed() > super::PATIENCE {
                bail!("Prometheus did not become ready; its log is in {}", folder.display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }

    /// For people.
    pub(super) fn name(&self) -> Result<String> {
        let histograms = if self.form == Form::Classic { "classic" } else { "native" };
        Ok(format!("Prometheus {}, {histograms} histograms", self.prometheus.version()?))
    }

    /// The one value of an expression; none where it has none.
    pub(super) fn value(&self, expr: &str) -> Result<Option<f64>> {
        Ok(self.prometheus.now(expr)?.first().map(|(_, value)| *value))
    }

    /// Whether every host was scraped twice, and every rule evaluated since.
    pub(super) fn has_seen_all(&self, hosts: u32) -> Result<bool> {
        let scraped = format!("count(count_over_time(up{{job=\"{JOB}\"}}[10m]) >= 2 and up{{job=\"{JOB}\"}} == 1)");
        // Every host tells this, at zero too.
        let recorded = "count(instance:mmscope_lost:rate5m{reason=\"ring_full\"})";
        let all = |found: Option<f64>| found.is_some_and(|found| found >= f64::from(hosts));
        // A rate takes two scrapes; after it come the rules about it.
        Ok(all(self.value(&scraped)?) && all(self.value(recorded)?) && self.prometheus.unhealthy_rules()?.is_empty())
    }
}

fn configuration(fleet: u16, own: u16, interval: Duration) -> String {
    let rules = paths::root().join("dashboards/rules");
    let interval = interval.as_secs();
    format!(
        "global:\n  scrape_interval: {interval}s\n  scrape_timeout: {interval}s\n  evaluation_interval: {interval}s\n\
         rule_files: [\"{}/mmscope-*.yml\"]\n\
         scrape_configs:\n  \
         - job_name: {JOB}\n    sample_limit: 4000\n    http_sd_configs:\n      - url: http://127.0.0.1:{fleet}/targets\n  \
         - job_name: prometheus\n    static_configs:\n      - targets: [\"127.0.0.1:{own}\"]\n",
        rules.display()
    )
}
