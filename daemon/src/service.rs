//! The service manager, where there is one: what it hands over at the start, and what it is told. Without one nothing happens.

use std::{
    fs::File,
    io,
    net::TcpListener,
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use crate::{
    failure::Failure,
    kernel,
    model::Snapshot,
    plan::{HOOKS, HookState},
};

/// The socket that a service manager has opened; none where it has not. Before there are threads: it takes what it has read out of
/// the environment.
///
/// # Errors
///
/// When it handed over something else, or several.
pub fn listener() -> Result<Option<TcpListener>, Failure> {
    let mut handed = ListenFd::from_env();
    let failed = |error: String| Failure::Listen {
        address: "the service manager's socket".to_owned(),
        error: io::Error::other(error),
    };
    if handed.len() > 1 {
        return Err(failed(format!("there are {} of them", handed.len())));
    }
    let listener = handed.take_tcp_listener(0).map_err(|error| failed(error.to_string()))?;
    if let Some(listener) = &listener {
        listener.set_nonblocking(true).map_err(|error| failed(error.to_string()))?;
    }
    Ok(listener)
}

/// Takes standard input for the kernel's table of symbols, opened by somebody who may see addresses.
///
/// # Errors
///
/// When it is none.
pub fn take_symbols() -> Result<(), Failure> {
    let table = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    table
        .and_then(kernel::read_opened)
        .map_err(|error| Failure::System(format!("--kallsyms-on-stdin: standard input: {error}")))
}

/// How often its line of status may change while nothing important does.
const STATUS: Duration = Duration::from_secs(10);
/// Pings in the time after which the manager takes mmscope for wedged.
const PINGS: u32 = 4;
/// Ticks that may be missed before it does.
const MISSED_TICKS: u32 = 4;

/// What the service manager knows.
pub struct Manager {
    /// After this time without a ping it ends mmscope; none where it does not watch.
    watchdog: Option<Duration>,
    /// The same as it was set up.
    watchdog_set_up: Option<Duration>,
    pinged: Option<Instant>,
    status: Option<(Instant, Status)>,
    is_ready: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Status {
    hooks: usize,
    level: String,
    alerts: u64,
    subjects: usize,
}

impl Status {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            hooks: snapshot.hooks.iter().filter(|state| matches!(state, HookState::Attached(_))).count(),
            level: snapshot.governed.line(),
            alerts: snapshot.alerts.values().sum(),
            subjects: snapshot.subjects.len(),
        }
    }

    fn line(&self) -> String {
        let Self { hooks, level, alerts, subjects } = self;
        format!("{hooks} of {} hooks attached, {subjects} subjects, {alerts} alerts raised; {level}", HOOKS.len())
    }

    /// Whether it waits for its time: who comes and goes changes all the time.
    fn differs_in_subjects_alone(&self, other: &Self) -> bool {
        *self == Self { subjects: self.subjects, ..other.clone() }
    }
}

impl Manager {
    /// Asks whether it watches mmscope, and has it wait for long enough at this tick.
    #[must_use]
    pub fn new(tick: Duration) -> Self {
        let mut manager = Self::watched(sd_notify::watchdog_enabled());
        manager.set_tick(tick);
        manager
    }

    fn watched(watchdog: Option<Duration>) -> Self {
        Self { watchdog, watchdog_set_up: watchdog, pinged: None, status: None, is_ready: false }
    }

    /// Ticks come at this pace from now on.
    pub fn set_tick(&mut self, tick: Duration) {
        let wanted = self.watchdog_set_up.map(|set_up| set_up.max(tick * MISSED_TICKS));
        if let Some(time) = wanted.filter(|_| wanted != self.watchdog) {
            tell(&[NotifyState::WatchdogUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))]);
        }
        self.watchdog = wanted;
    }

    /// A tick has ended, with this.
    pub fn ticked(&mut self, now: Instant, snapshot: &Snapshot) {
        let mut states = Vec::new();
        if !std::mem::replace(&mut self.is_ready, true) {
            states.push(NotifyState::Ready);
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some(watchdog) = self.watchdog
            && self.pinged.is_none_or(|pinged| since(pinged) >= watchdog / PINGS)
        {
            self.pinged = Some(now);
            states.push(NotifyState::Watchdog);
        }
        let status = Status::of(snapshot);
        let is_due = self.status.as_ref().is_none_or(|(then, told)| {
            *told != status && (since(*then) >= STATUS || !told.differs_in_subjects_alone(&status))
        });
        let line = status.line();
        if is_due {
            self.status = Some((now, status));
            states.push(NotifyState::Status(&line));
        }
        if !states.is_empty() {
            tell(&states);
        }
    }
}

/// The configuration is read again; the end is told by [`reloaded`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "no monotonic clock"),
    }
}

/// It was read, and is in force if it was good.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

/// mmscope is leaving.
pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("detaching")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Tier;

    #[test]
    fn the_line_tells_hooks_subjects_and_level() {
        let hooks = vec![HookState::Attached(Tier::F), HookState::Absent("x".to_owned())];
        let status = Status::of(&Snapshot { hooks, ..Snapshot::default() });
        let all = HOOKS.len();
        let line = format!("1 of {all} hooks attached, 0 subjects, 0 alerts raised; level 0: everything is measured");
        assert_eq!(status.line(), line);
        let more = Status { subjects: 4, ..status.clone() };
        assert!(
            status.differs_in_subjects_alone(&more) && !status.differs_in_subjects_alone(&Status { hooks: 0, ..more })
        );
    }

    #[test]
    fn pings_follow_ticks() {
        let mut manager = Manager::watched(Some(Duration::from_secs(8)));
        let (begin, snapshot) = (Instant::now(), Snapshot::default());
        let at = |second| begin + Duration::from_secs(second);
        manager.ticked(at(0), &snapshot);
        assert!(manager.is_ready && manager.pinged == Some(at(0)));
        manager.ticked(at(1), &snapshot);
        assert_eq!(manager.pinged, Some(at(0)), "a quarter of the time has not passed");
        manager.ticked(at(2), &snapshot);
        assert_eq!(manager.pinged, Some(at(2)));
        manager.set_tick(Duration::from_secs(1));
        assert_eq!(manager.watchdog, Some(Duration::from_secs(8)));
        manager.set_tick(Duration::from_secs(60));
        assert_eq!(manager.watchdog, Some(Duration::from_secs(240)), "a tick has to come in it");
        manager.set_tick(Duration::from_secs(1));
        assert_eq!(manager.watchdog, Some(Duration::from_secs(8)));
    }
}
