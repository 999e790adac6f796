//! What host and guest say to each other: a web server of busybox on the host's loopback, from which the guest learns what it is to
//! do, and from which Prometheus scrapes what is exposed in place of a daemon. Knows nothing of alerts.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::api;
use crate::sh;

/// For the guest's boot and the first start of mmscope.
const PATIENCE: Duration = Duration::from_secs(300);

/// The instance that is scraped in the guest.
pub(crate) const GUEST: &str = "guest";

/// The web server and what it serves.
pub(crate) struct Stage {
    served: PathBuf,
    targets: PathBuf,
    port: u16,
    guest_port: u16,
    _server: Running,
}

/// A process of ours, ended when nobody looks any more.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    /// Starts the web server; `folder` is empty.
    pub(crate) fn start(folder: &Path, busybox: &Path) -> Result<Self> {
        let served = folder.join("served");
        fs::create_dir_all(&served).with_context(|| format!("create {}", served.display()))?;
        let (port, guest_port) = (free_port()?, free_port()?);
        let server = sh::dying_with_us(busybox)
            .args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
            .arg(&served)
            .stdin(Stdio::null())
            .spawn()
            .context("start busybox httpd")?;
        let stage = Self { served, targets: folder.join("targets.json"), port, guest_port, _server: Running(server) };
        stage.write(&stage.targets, "[]")?;
        Ok(stage)
    }

    /// The web server's port, the guest's way to us.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The port of this host that leads to the guest's mmscope.
    pub(crate) fn guest_port(&self) -> u16 {
        self.guest_port
    }

    /// The metrics of the guest's mmscope.
    pub(super) fn metrics(&self) -> Result<String> {
        api::get(&format!("http://127.0.0.1:{}/metrics", self.guest_port))
    }

    /// The file of targets that Prometheus follows.
    pub(crate) fn targets_file(&self) -> &Path {
        &self.targets
    }

    /// Lets the guest read a word.
    pub(crate) fn say(&self, word: &str) -> Result<()> {
        self.write(&self.served.join(word), "")
    }

    /// Exposes a text in place of a daemon's metrics.
    pub(crate) fn expose(&self, instance: &str, text: &str) -> Result<()> {
        let folder = self.served.join(instance);
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        // As text/plain, which the name's end makes it.
        self.write(&folder.join("metrics.txt"), text)
    }

    /// Lets Prometheus scrape these instances and no others.
    pub(crate) fn scrape(&self, instances: &[&str]) -> Result<()> {
        let group = |instance: &&str| {
            let (port, path) = match *instance {
                GUEST => (self.guest_port, "/metrics".to_owned()),
                other => (self.port, format!("/{other}/metrics.txt")),
            };
            let labels = serde_json::json!({"instance": instance, "cluster": "proof", "__metrics_path__": path});
            serde_json::json!({"targets": [format!("127.0.0.1:{port}")], "labels": labels})
        };
        let groups: Vec<_> = instances.iter().map(group).collect();
        self.write(&self.targets, &serde_json::to_string(&groups).context("write targets")?)
    }

    /// Waits until the guest's mmscope is ready.
    pub(crate) fn wait_for_guest(&self, has_ended: &dyn Fn() -> bool) -> Result<()> {
        let ready = format!("http://127.0.0.1:{}/-/ready", self.guest_port);
        let started = Instant::now();
        while api::get(&ready).is_err() {
            if has_ended() || started.elapsed() > PATIENCE {
                bail!("mmscope in the guest did not become ready");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Complete at once: nobody reads half of it.
    fn write(&self, file: &Path, text: &str) -> Result<()> {
        let new = file.with_extension("new");
        fs::write(&new, text).and_then(|()| fs::rename(&new, file)).with_context(|| format!("write {}", file.display()))
    }
}

/// A port of loopback that nobody listens on now.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}
