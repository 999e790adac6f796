//! Replays that serve the page on loopback.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::proof::stage::{Running, free_port};
use crate::{paths, sh};

/// For what takes a second on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A host that does little tells few subjects apart; the page is to have many.
const SUBJECTS: &str = "series_idle = 3000\n";

/// A replay.
pub(crate) struct Replay {
    port: u16,
    _running: Running,
}

impl Replay {
    /// Plays a recording of daemon/tests/recordings so many times as fast as it was; comes back when it serves.
    pub(crate) fn start(mmscope: &Path, recording: &str, config: Option<&str>, speed: &str) -> Result<Self> {
        let folder = paths::root().join("daemon/tests/recordings");
        let port = free_port()?;
        let mut command = sh::dying_with_us(mmscope);
        command.arg("replay").arg(folder.join(recording));
        command.args(["--speed", speed, "--web.listen-address", &format!("127.0.0.1:{port}")]);
        if let Some(config) = config {
            let text = fs::read_to_string(folder.join(config)).with_context(|| format!("read {config}"))?;
            let file = paths::target().join("page").join(config);
            fs::create_dir_all(paths::target().join("page")).context("create the page's folder")?;
            fs::write(&file, format!("{SUBJECTS}{text}")).with_context(|| format!("write {}", file.display()))?;
            command.arg("--config.file").arg(file);
        }
        // Its alerts are on the page.
        let child: Child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", sh::show(&command)))?;
        let replay = Self { port, _running: Running(child) };
        replay.wait(|head| head["ticks"].as_u64() > Some(0))?;
        Ok(replay)
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Waits until all of it was played.
    pub(crate) fn wait_for_end(&self) -> Result<()> {
        self.wait(|head| head["replay"]["has_ended"] == Value::Bool(true))
    }

    fn wait(&self, is_reached: impl Fn(&Value) -> bool) -> Result<()> {
        let started = Instant::now();
        while !head(&self.address()).is_some_and(|head| is_reached(&head)) {
            if started.elapsed() > PATIENCE {
                bail!("a replay at {} did not come so far in {} s", self.address(), PATIENCE.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

/// What the page's head at an address tells; none while nobody serves it yet.
pub(super) fn head(address: &str) -> Option<Value> {
    let mut answer = ureq::get(format!("{address}api/v1/overview")).call().ok()?;
    let told: Value = answer.body_mut().read_json().ok()?;
    Some(told["host"].clone())
}
