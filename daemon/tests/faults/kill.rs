//! kill -9 while others work.

use std::{
    process::{Child, Command, Stdio},
    time::Instant,
};

use nix::sys::signal::Signal;

use crate::{Stage, Told, bursts::Bursts, exact, live::*};

/// Two threads that change protections, in bursts, until this is dropped.
struct Work {
    child: Child,
    bursts: Option<Bursts>,
}

impl Work {
    fn start(load: &Load) -> Self {
        let mut command = Command::new(load.path());
        command.args(["flip", "--threads", "2", "--cycles", "100000000"]).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let bursts = Some(Bursts::of(&child));
        Self { child, bursts }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bursts.take().into_iter().for_each(Bursts::end);
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The kernel closes what the process had, and with its last descriptor each link, program and map goes. A new one begins anew.
pub(crate) fn killed(stage: &mut Stage) -> Told {
    let nothing = stage.empty();
    let load = Load::named("kill-work");
    let work = Work::start(&load);
    let mut first = Daemon::start(&[]);
    exact::is_exact(&first, "kill-before");
    let counted = exact::windows(&first.settled(), "kill-work", "mprotect");
    assert!(counted > 0.0, "the work is counted");
    let killed = Instant::now();
    first.signal(Signal::SIGKILL);
    assert_eq!(first.end().code(), None, "by a signal");
    nothing.awaited();
    let gone = killed.elapsed();
    let second = Daemon::start(&[]);
    let recovered = killed.elapsed();
    let scrape = second.settled();
    assert_eq!(exact::windows(&scrape, "kill-before", "mprotect"), 0.0, "counters of the one before");
    let older: f64 = probe_common::lost::REASONS
        .iter()
        .filter(|reason| reason.ends_with("_older_than_attach"))
        .map(|reason| exact::lost(&scrape, reason))
        .sum();
    assert_eq!(scrape.lost(), older, "{}", scrape.text);
    exact::is_exact(&second, "kill-after");
    drop(work);
    stage.daemon = Some(second);
    Told {
        happened: format!(
            "kill -9 while two threads changed protections; no program, map or link was left {:.1} s later, and a new mmscope's \
             counters began at 0",
            gone.as_secs_f64()
        ),
        lost: format!(
            "what happened until it was attached again, which no counter has; {older} events that began before and ended while it \
             was attaching (`mmscope_lost_total`, reasons `*_older_than_attach`)"
        ),
        recovered,
    }
}
