//! The alert on lost stores by the daemon's own sinks: no kernel of today loses any, so it is raised on Debian's 5.10 without the fix
//! of 6ce64428d620, if that kernel is in the cache.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::RUNBOOKS;
use super::direct::Direct;
use super::own::Own;
use super::stage::Stage;
use super::steps::Step;
use super::{guest, loads};
use crate::kernels;
use crate::setup::GuestTools;
use crate::unfixed_kernel::{self, Form};
use crate::vm::Guest;

/// The alert that it raises.
pub(super) const ALERT: &str = "MmscopeStaleWriteExposed";

const STEP: &str = "unfixed";
const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(180);

/// Boots that kernel and follows the alert; none if it is not in the cache. What was wrong besides the alert's way comes with it.
pub(super) fn run(
    direct: &Direct,
    guests: &GuestTools,
    binaries: &[PathBuf; 2],
    folder: &Path,
) -> Result<Option<(Own, Vec<String>)>> {
    let Some(image) = unfixed_kernel::cached(Form::Unfixed)? else { return Ok(None) };
    let kernel = kernels::resolve(image.to_str().context("the cache's path is no text")?)?;
    let folder = folder.join(STEP);
    let stage = Stage::start(&folder, &guests.busybox)?;
    let steps = [Step::of_loads(STEP, loads::UNFIXED)];
    let guest = guest::guest(kernel, binaries, &stage, direct.ports(), &steps, &folder)?;
    // As many processors as threads, each in its own time: it is a race.
    let guest = Guest { smp: 3, parallel: true, modules: Vec::new(), ..guest };
    eprintln!("proof: {STEP}: {ALERT}");
    let (seen, ended) = thread::scope(|scope| {
        let thread = scope.spawn(|| guest.run(guests));
        let seen = follow(direct, &stage, &|| thread.is_finished());
        let said = stage.say("end");
        let ended = thread.join().map_err(|_| anyhow::anyhow!("the guest's thread panicked"));
        (said.and(seen), ended)
    });
    let ended = ended??;
    ended.explain();
    let (own, mut problems) = seen?;
    problems.extend(ended.problem());
    problems.extend(guest::problems(&ended.output));
    Ok(Some((own, problems)))
}

fn follow(direct: &Direct, stage: &Stage, has_ended: &dyn Fn() -> bool) -> Result<(Own, Vec<String>)> {
    stage.wait_for_guest(has_ended)?;
    let comm = loads::UNFIXED.first().map(|load| load.name);
    let mut own = Own::of(ALERT, comm).context("the alert stands on no class")?;
    let runbook = format!("{RUNBOOKS}{ALERT}.md");
    let (begun, mut wrong) = (Instant::now(), None);
    let mut look = |own: &mut Own, ended| -> Result<()> {
        let arrived = direct.lone.api.received()?;
        let complaint = own.look(begun, ended, &arrived, &direct.memory.look().events, &runbook);
        wrong = wrong.take().or(complaint);
        thread::sleep(LOOK);
        Ok(())
    };
    stage.say(&format!("go-{STEP}"))?;
    while !own.is_received() && !has_ended() && begun.elapsed() < PATIENCE {
        look(&mut own, None)?;
    }
    stage.say(&format!("over-{STEP}"))?;
    let ended = Instant::now();
    while !own.is_resolved() && !has_ended() && ended.elapsed() < PATIENCE {
        look(&mut own, Some(ended))?;
    }
    let problems = own.problem().into_iter().chain(wrong.map(|wrong| format!("{ALERT} {wrong}"))).collect();
    Ok((own, problems))
}
