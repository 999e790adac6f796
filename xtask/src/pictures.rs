//! The pictures of README that no test of the live page makes: `mmscope top` in a terminal, and a report, both of a recording of the
//! tests.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anstyle_svg::Term;
use anyhow::{Context, Result, bail};

use crate::page::{self, Replay};
use crate::setup::{self, Wants};
use crate::{build, paths, sh};

/// The recording, and the configuration by which it has alerts.
const RECORDING: &str = "hazards.mmrec";
const CONFIG: &str = "hazards.toml";

/// Columns and rows of the terminal: what README has room for.
const TERMINAL: (&str, &str) = ("100", "28");

/// Pixels of the report's picture: its first page.
const REPORT: &str = "1000,1250";

/// For what takes a second on a machine that does nothing else.
const PATIENCE: Duration = Duration::from_secs(120);

/// Draws both.
pub(crate) fn main() -> Result<ExitCode> {
    let tools = setup::setup(Wants { guests: true })?;
    let mmscope = build::build(&tools, false, false)?.mmscope;
    let images = paths::root().join("docs/images");
    let folder = paths::target().join("pictures");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    top(&mmscope, &folder, &images.join("top.svg"))?;
    report(&mmscope, &folder, &images.join("report.png"))?;
    Ok(ExitCode::SUCCESS)
}

/// A terminal of tmux, which ends with this.
struct Terminal<'a>(&'a Path);

impl Terminal<'_> {
    fn tmux(&self, args: &[&str]) -> Result<String> {
        let mut tmux = Command::new("tmux");
        // Colours whatever this task's own terminal is.
        tmux.env("LC_ALL", "C.UTF-8").env_remove("TMUX").env_remove("NO_COLOR");
        sh::output(tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(self.0).args(args))
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        // It is gone when it could not be started.
        let _ = self.tmux(&["kill-server"]);
    }
}

fn top(mmscope: &Path, folder: &Path, image: &Path) -> Result<()> {
    let replay = Replay::start(mmscope, RECORDING, Some(CONFIG), "100000")?;
    replay.wait_for_end()?;
    let socket = folder.join("tmux");
    let terminal = Terminal(&socket);
    let command = format!("{} top --url {}", sh::quote(&mmscope.to_string_lossy()), replay.address());
    terminal.tmux(&["new-session", "-d", "-x", TERMINAL.0, "-y", TERMINAL.1, &command])?;
    // Whatever is selected, the last line is drawn last.
    let screen = settled(&terminal, "q quit")?;
    let svg = Term::new().min_width_px(840).render_svg(screen.trim_end());
    fs::write(image, svg).with_context(|| format!("write {}", image.display()))?;
    println!("{}", image.display());
    Ok(())
}

/// The screen with its colours, when it has this text and stays as it is.
fn settled(terminal: &Terminal<'_>, text: &str) -> Result<String> {
    let started = Instant::now();
    let mut before = String::new();
    loop {
        let screen = terminal.tmux(&["capture-pane", "-p", "-e"])?;
        if screen.contains(text) && screen == before {
            return Ok(screen);
        }
        if started.elapsed() > PATIENCE {
            bail!("mmscope top did not come to rest; last it was\n{screen}");
        }
        before = screen;
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn report(mmscope: &Path, folder: &Path, image: &Path) -> Result<()> {
    let recordings = paths::root().join("daemon/tests/recordings");
    let page = folder.join("report.html");
    let mut report = Command::new(mmscope);
    report.arg("report").arg(recordings.join(RECORDING)).arg("--output").arg(&page);
    sh::run(report.arg("--config.file").arg(recordings.join(CONFIG)))?;
    let mut chromium = Command::new(page::chromium()?);
    chromium.args(["--headless", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb"]);
    chromium.arg(format!("--user-data-dir={}", folder.join("chromium").display()));
    chromium.arg(format!("--window-size={REPORT}")).arg(format!("--screenshot={}", image.display()));
    // It speaks of buses and GPUs that such a machine has not.
    chromium.arg(format!("file://{}", page.display())).stdout(Stdio::null()).stderr(Stdio::null());
    sh::run(&mut chromium)?;
    println!("{}", image.display());
    Ok(())
}
