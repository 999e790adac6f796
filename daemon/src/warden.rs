//! Looks at what the probes cost and does what the governor orders. In a thread of its own: detaching waits for the kernel.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc as std_mpsc, mpsc::RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use probe_common::control::{Control, LOCK_SAMPLING};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Interval,
};

use crate::{
    attach::{Loaded, Runs, StatisticsSwitch},
    books::Books,
    failure::Failure,
    governor::{Cost, Costs, Governed, Governor, Level, Order, percent},
    observer::{Observer, monotonic_ns},
    plan::{HOOKS, HookState},
    privileges::{self, Part},
    scope::Sight,
};

/// Something to do for whoever reads the kernel side.
#[derive(Debug)]
struct Request {
    books: Books,
    /// Told when it is done.
    done: oneshot::Sender<()>,
}

/// What a tick needs of the warden.
#[derive(Debug)]
pub struct Reins {
    governed: watch::Receiver<Governed>,
    requests: mpsc::Receiver<Request>,
}

impl Reins {
    /// How things are, as it changes.
    #[must_use]
    pub fn governed(&self) -> watch::Receiver<Governed> {
        self.governed.clone()
    }

    /// Waits for a tick, and does meanwhile what the kernel side's books need.
    pub async fn wait(&mut self, observer: &mut Observer, interval: &mut Interval) {
        loop {
            tokio::select! {
                Some(Request { books, done }) = self.requests.recv() => {
                    observer.keep(books);
                    let _ = done.send(());
                }
                _ = interval.tick() => return,
            }
        }
    }

    /// Looks once.
    pub fn look(&self, observer: &mut Observer, now: Instant) -> Sight {
        Sight { governed: self.governed.borrow().clone(), ..observer.look(now) }
    }
}

/// What the warden keeps to.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Of the host's CPU time; none: no bound.
    pub budget: Option<f64>,
    /// What is given up at least; then there is no budget.
    pub least: Level,
    /// While this file exists everything is detached.
    pub stop_file: PathBuf,
}

/// The running warden. Dropping it detaches everything.
#[derive(Debug)]
pub struct Warden {
    orders: Option<std_mpsc::Sender<Settings>>,
    thread: Option<JoinHandle<()>>,
}

impl Warden {
    /// Keeps to other settings from now on; what is given up at least stays as it was at the start.
    pub fn change(&self, settings: Settings) {
        if let Some(orders) = &self.orders {
            // It has ended only if it has failed, which is told at the end.
            let _ = orders.send(settings);
        }
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that keeps the budget has failed");
        }
    }
}

/// Time of a look at the costs: the kernel's statistics are on for so long.
const SAMPLE: Duration = Duration::from_millis(50);
/// How often the stop file is looked for.
const POLL: Duration = Duration::from_secs(1);
/// A program that was at work when it was detached has ended by then.
const IN_PROGRESS: Duration = Duration::from_millis(20);
/// What was begun before its beginning was attached ends within this time, mostly.
const SETTLING: Duration = Duration::from_millis(500);

/// Takes charge of what is attached. `hooks` are their states. Of this thread's rights its own one keeps those that attaching
/// again takes.
///
/// # Errors
///
/// When there can be no thread.
pub fn start(
    loaded: Loaded,
    hooks: Vec<HookState>,
    settings: Settings,
    statistics: StatisticsSwitch,
) -> Result<(Warden, Reins), Failure> {
    let (orders, obeyed) = std_mpsc::channel();
    let budget = settings.budget.filter(|_| settings.least == Level::Full);
    let (told, governed) = watch::channel(Governed { budget, ..Governed::default() });
    let (ask, requests) = mpsc::channel(1);
    let work = Work {
        loaded,
        statistics,
        hooks,
        governor: budget.map(Governor::new),
        settings,
        level: Level::Full,
        is_stopped: false,
        begin: Instant::now(),
        counted: Instant::now(),
        told,
        ask,
        orders: obeyed,
        ordered: None,
    };
    let run = move || match privileges::keep(Part::Attaching) {
        Ok(()) => work.run(),
        Err(error) => tracing::error!(%error, "everything is detached: its thread cannot give rights up"),
    };
    let thread = std::thread::Builder::new().name("warden".to_owned()).spawn(run);
    let thread = thread.map_err(|error| Failure::System(format!("start a thread: {error}")))?;
    Ok((Warden { orders: Some(orders), thread: Some(thread) }, Reins { governed, requests }))
}

struct Work {
    loaded: Loaded,
    statistics: StatisticsSwitch,
    /// As attached at the start, or refused later.
    hooks: Vec<HookState>,
    /// None where there is no budget, or no telling what is spent.
    governor: Option<Governor>,
    settings: Settings,
    level: Level,
    is_stopped: bool,
    begin: Instant,
    /// Until when the time spent at levels is counted.
    counted: Instant,
    told: watch::Sender<Governed>,
    ask: mpsc::Sender<Request>,
    orders: std_mpsc::Receiver<Settings>,
    /// Settings that came while it waited for something else.
    ordered: Option<Settings>,
}

/// The daemon is leaving.
struct Leaving;

impl Work {
    fn run(mut self) {
        let mut next_look = self.begin + POLL;
        self.shed_the_least();
        while self.wait(POLL.min(next_look.saturating_duration_since(Instant::now()))).is_ok() {
            if let Some(settings) = self.ordered.take() {
                self.change(settings);
                next_look = Instant::now();
            }
            self.obey_stop_file();
            if !self.is_stopped && Instant::now() >= next_look {
                if self.look().is_err() {
                    return;
                }
                let pause = self.governor.as_ref().map_or(Duration::MAX, Governor::next_look);
                next_look = Instant::now().checked_add(pause).unwrap_or(next_look + Duration::from_secs(86_400));
            }
            self.count_time();
        }
    }

    /// Waits for all of the time, whatever is ordered meanwhile.
    fn wait(&mut self, time: Duration) -> Result<(), Leaving> {
        let end = Instant::now() + time;
        loop {
            match self.orders.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Ok(settings) => self.ordered = Some(settings),
                Err(RecvTimeoutError::Disconnected) => return Err(Leaving),
            }
        }
    }

    fn change(&mut self, settings: Settings) {
        let settings = Settings { least: self.settings.least, ..settings };
        let budget = settings.budget.filter(|_| settings.least == Level::Full);
        if budget != self.settings.budget && settings.least == Level::Full {
            // What was given up for the old budget may fit into the new one; the next looks tell.
            if !self.is_stopped && self.level != Level::Full {
                self.restore();
            }
            self.governor = budget.map(Governor::new);
            if let Some(governor) = &mut self.governor {
                governor.set(self.level);
            }
            self.told.send_modify(|governed| (governed.budget, governed.ratio) = (budget, None));
        }
        self.settings = settings;
    }

    fn obey_stop_file(&mut self) {
        let is_there = self.settings.stop_file.exists();
        if is_there == self.is_stopped {
            return;
        }
        self.is_stopped = is_there;
        let file = self.settings.stop_file.display().to_string();
        if is_there {
            tracing::warn!(file, "stop file: everything is detached until it is removed");
            self.shed(Level::Off, format!("stop file {file}"));
        } else {
            tracing::info!(file, "stop file removed: everything is attached again");
            self.restore();
            self.shed_the_least();
        }
        let level = self.level;
        if let Some(governor) = &mut self.governor {
            governor.set(level);
        }
    }

    /// Measures, asks the governor, obeys.
    fn look(&mut self) -> Result<(), Leaving> {
        let Some(governor) = &self.governor else { return Ok(()) };
        let watched = governor.canary();
        let costs = match self.measure(watched)? {
            Ok(costs) => costs,
            Err(error) => {
                tracing::warn!(%error, "what the probes cost cannot be measured: there is no budget");
                self.governor = None;
                self.told.send_modify(|governed| (governed.budget, governed.ratio) = (None, None));
                return Ok(());
            }
        };
        // The sum of nothing is -0.
        let ratio = costs.hooks.values().map(|cost| cost.ratio).sum::<f64>() + 0.0;
        self.told.send_modify(|governed| governed.ratio = Some(ratio));
        tracing::debug!(ratio, canary = watched, canary_runs = costs.canary_runs, "cost of the probes");
        let now = self.begin.elapsed();
        let order = self.governor.as_mut().map_or(Order::Stay, |governor| governor.look(now, &costs));
        let budget = percent(self.settings.budget.unwrap_or_default());
        match order {
            Order::Stay => {}
            Order::Shed(level) => {
                let cost = percent(ratio);
                tracing::warn!(level = level.number(), cost, budget, "over the budget: {}", level.words());
                self.shed(level, format!("{cost} of the host's CPU time, budget {budget}"));
            }
            Order::Restore => {
                tracing::info!(level = 0, budget, "within the budget again: everything is measured");
                self.restore();
            }
        }
        Ok(())
    }

    fn measure(&mut self, watched: Option<&'static str>) -> Result<Result<Costs, Failure>, Leaving> {
        let canary = watched.and_then(|hook| self.loaded.canary(hook));
        let statistics = match self.statistics.start() {
            Ok(statistics) => statistics,
            Err(error) => return Ok(Err(error)),
        };
        let canary_runs = |loaded: &Loaded| canary.as_ref().and_then(|canary| loaded.canary_runs(canary));
        let (before, canary_before) = (self.loaded.runs(), canary_runs(&self.loaded));
        let begin = Instant::now();
        self.wait(SAMPLE)?;
        let (after, canary_after) = (self.loaded.runs(), canary_runs(&self.loaded));
        let seconds = begin.elapsed().as_secs_f64();
        drop(statistics);
        let cost = |(hook, runs): (&'static str, Runs)| {
            let Runs { count, ns } = before.get(hook).copied().unwrap_or_default();
            let ratio = runs.ns.saturating_sub(ns) as f64 / 1e9 / seconds / processors();
            (hook, Cost { ratio, runs: runs.count.saturating_sub(count) as f64 / seconds })
        };
        let canary =
            canary_before.zip(canary_after).map(|(before, after)| after.saturating_sub(before) as f64 / seconds);
        Ok(Ok(Costs { hooks: after.into_iter().map(cost).collect(), canary_runs: canary }))
    }

    fn shed_the_least(&mut self) {
        if self.settings.least != Level::Full {
            self.shed(self.settings.least, "--shed".to_owned());
        }
    }

    /// Gives up what a level does not keep, and settles the books of what was open.
    fn shed(&mut self, level: Level, why: String) {
        let last = self.level;
        self.count_time();
        self.control(level);
        // What begins from now on may end before the program that sees ends is given up: it is none that was missed.
        self.ask(Books::Changing);
        // Beginnings first: what has begun may still be seen to end.
        for hook in HOOKS.iter().rev().filter(|hook| !level.keeps(hook.name)) {
            self.loaded.give_up(hook.name);
        }
        std::thread::sleep(IN_PROGRESS);
        if level == Level::Off {
            self.ask(Books::Forget);
        } else {
            if last < Level::Hazards && level >= Level::Hazards {
                self.ask(Books::SettleHazards);
            }
            if last < Level::Waits && level >= Level::Waits {
                self.ask(Books::SettleWaits);
            }
            self.ask(Books::Attached(self.loaded.programs()));
        }
        self.level = level;
        self.tell(Some(why));
    }

    fn restore(&mut self) {
        self.count_time();
        self.ask(Books::Changing);
        self.control(Level::Full);
        for (hook, state) in HOOKS.iter().zip(&mut self.hooks) {
            if matches!(state, HookState::Attached(_))
                && let Err(reason) = self.loaded.take_back(hook)
            {
                tracing::warn!(hook = hook.name, reason, "cannot be attached again");
                *state = HookState::Absent(reason);
            }
        }
        self.loaded.forget_types();
        std::thread::sleep(SETTLING);
        self.ask(Books::Attached(self.loaded.programs()));
        self.level = Level::Full;
        self.tell(None);
    }

    fn control(&mut self, level: Level) {
        let control = Control {
            lock_sampling: if level >= Level::Locks { LOCK_SAMPLING } else { 0 },
            no_stacks: u32::from(level >= Level::Stacks),
            sampling_since_ns: monotonic_ns().unwrap_or_default(),
        };
        if let Err(error) = self.loaded.control(control) {
            tracing::error!(%error, "stacks and lock events stay as they are");
        }
    }

    /// Waits until it is done; not when the daemon is leaving.
    fn ask(&self, books: Books) {
        let (done, is_done) = oneshot::channel();
        if self.ask.blocking_send(Request { books, done }).is_ok() {
            let _ = is_done.blocking_recv();
        }
    }

    fn tell(&self, reason: Option<String>) {
        let hooks = Arc::new(self.level.states(&self.hooks, reason.as_deref().unwrap_or_default()));
        let level = self.level;
        self.told.send_modify(|governed| {
            governed.level = level;
            governed.reason = reason;
            governed.hooks = Some(hooks);
            // Of another level than now; the next look tells.
            governed.ratio = None;
        });
    }

    fn count_time(&mut self) {
        let now = Instant::now();
        let (level, time) = (self.level, now - self.counted);
        self.counted = now;
        self.told.send_modify(|governed| governed.spent[level as usize] += time);
    }
}

/// Processors that are online.
fn processors() -> f64 {
    let online = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    online.map_or(1.0, |count| count.max(1) as f64)
}
