//! `mmscope run`: settings, attach, serve, tick, detach.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use probe_common::event::Record;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use crate::{
    anomaly::{Severity, Transition},
    cli::{RunArgs, Shed},
    config::Config,
    failure::Failure,
    governor::{Governed, Level},
    kernel::name_stacks,
    memory,
    model::Snapshot,
    observer::{self, Observer},
    plan::{HOOKS, HookState, NOT_NEEDED},
    privileges,
    scope::{Scope, Seen, Sight},
    terminal,
    warden::{self, Request},
    web,
};

/// After a signal, how long a scrape under way may still take.
const DRAIN: Duration = Duration::from_millis(300);
/// Times after the start at which a terminal is shown a table.
const TABLES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// Runs until a signal.
///
/// # Errors
///
/// When it cannot start, with everything detached.
pub async fn run(args: &RunArgs) -> Result<ExitCode, Failure> {
    let config = match &args.config_file {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    if args.config_check {
        println!("configuration is valid");
        return Ok(ExitCode::SUCCESS);
    }
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;

    // What can fail for reasons of the user's comes first, before anything is attached.
    privileges::check(Path::new("/"))?;
    let listener = web::listen(&args.listen_address).await?;
    let address = listener.local_addr().map_or_else(|_| args.listen_address.clone(), |address| address.to_string());
    let (loaded, observer, host) = observer::start(&config, &args.probes)?;
    let settings = warden::Settings {
        least: match args.shed {
            None => Level::Full,
            Some(Shed::Stacks) => Level::Stacks,
            Some(Shed::Hazards) => Level::Hazards,
            Some(Shed::Waits) => Level::Waits,
            Some(Shed::Locks) => Level::Locks,
        },
        budget: args.overhead_budget.unwrap_or(config.overhead_budget).ratio(),
        stop_file: args.stop_file.clone().unwrap_or_else(|| config.stop_file.clone()),
    };
    let (warden, governed, requests) = warden::start(loaded, host.hooks.clone(), settings)?;

    let is_terminal = std::io::stdout().is_terminal();
    if is_terminal {
        say(&terminal::greeting(&address, &args.telemetry_path, &host.release, &host.hooks));
    } else {
        log_start(&address, &host.release, &host.hooks);
    }

    let site = web::Site {
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot { hooks: host.hooks.clone(), ..Snapshot::default() })),
        telemetry_path: args.telemetry_path.clone(),
        tick: config.tick,
        last_tick: Arc::default(),
        governed: governed.clone(),
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, site.clone(), stop.clone()));
    let scope = Scope::new(&config, host);
    for (class, reason) in scope.unjudged() {
        tracing::info!(class = class.name(), reason, "not judged");
    }
    let looker = Looker { observer, scope, site, governed, requests, is_terminal };
    let looking = tokio::spawn(look(looker, config.tick, stop.clone()));

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("detaching");
    stop.cancel();
    let _ = looking.await;
    let _ = tokio::task::spawn_blocking(move || drop(warden)).await;
    // A connection that stays open does not keep mmscope from leaving.
    let _ = tokio::time::timeout(DRAIN, server).await;
    Ok(ExitCode::SUCCESS)
}

fn on(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| Failure::System(format!("handle signals: {error}")))
}

/// The running kernel's symbols.
const SYMBOLS: &str = "/proc/kallsyms";

/// Everything that a tick needs.
struct Looker {
    observer: Observer,
    scope: Scope,
    site: web::Site,
    governed: watch::Receiver<Governed>,
    requests: mpsc::Receiver<Request>,
    is_terminal: bool,
}

async fn look(mut looker: Looker, tick: Duration, stop: CancellationToken) {
    let mut interval = tokio::time::interval(tick);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tables = TABLES.into_iter().peekable();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(request) = looker.requests.recv() => {
                looker.observer.keep(request.books);
                let _ = request.done.send(());
                continue;
            }
            _ = interval.tick() => {}
        }
        let now = Instant::now();
        let snapshot = looker.tick(now);
        let uptime = now - looker.observer.start();
        if looker.is_terminal && tables.next_if(|due| uptime >= *due).is_some() {
            say(&terminal::table(&snapshot, uptime));
        }
    }
}

/// Ticks between two times that what ticks and scrapes needed for a moment is given back.
const TRIM_TICKS: u64 = 6;

impl Looker {
    /// An alert was raised or cleared.
    fn tell(&self, transition: &Transition) {
        if self.is_terminal {
            return say(&format!("{}\n", terminal::alert(transition)));
        }
        let class = transition.class.name();
        let severity = transition.severity.name();
        let (comm, cgroup) = transition.subject.as_ref().map_or(("", ""), |subject| (&*subject.comm, &*subject.cgroup));
        let state = if transition.is_active { "raised" } else { "cleared" };
        if transition.is_active && transition.severity != Severity::Info {
            tracing::warn!(class, severity, state, comm, cgroup, "{}", transition.text);
        } else {
            tracing::info!(class, severity, state, comm, cgroup, "{}", transition.text);
        }
    }

    /// What alerts were raised by, with the names of the stacks: in another thread, for these stand in a long table.
    fn tell_evidence(&self, transitions: Vec<Transition>) {
        let raised: Vec<Transition> =
            transitions.into_iter().filter(|told| told.is_active && !told.evidence.is_empty()).collect();
        if raised.is_empty() {
            return;
        }
        let is_terminal = self.is_terminal;
        tokio::task::spawn_blocking(move || {
            let stacks: Vec<&[u64]> = raised.iter().flat_map(|told| &told.evidence).map(Record::stack).collect();
            let names = name_stacks(Path::new(SYMBOLS), &stacks);
            let mut names = names.unwrap_or_else(|error| {
                tracing::warn!(%error, "stacks have no names");
                Vec::new()
            });
            names.resize(stacks.len(), Vec::new());
            let mut names = names.into_iter();
            for told in &raised {
                for (record, stack) in told.evidence.iter().zip(names.by_ref()) {
                    if is_terminal {
                        say(&terminal::evidence(told.class, record, &stack));
                    } else {
                        let (class, stack) = (told.class.name(), stack.join(" < "));
                        tracing::info!(
                            class,
                            tgid = record.tgid,
                            tid = record.tid,
                            stack,
                            "evidence: {}",
                            terminal::record(record)
                        );
                    }
                }
            }
        });
    }

    /// An event came through the ring.
    fn tell_record(&self, record: &Record) {
        if self.is_terminal {
            return say(&format!("{}\n", terminal::record(record)));
        }
        let Record { tgid, tid, duration_ns, .. } = *record;
        tracing::info!(tgid, tid, duration_ns, "{}", terminal::record(record));
    }

    fn tick(&mut self, now: Instant) -> Arc<Snapshot> {
        let sight = Sight { governed: self.governed.borrow().clone(), ..self.observer.look(now) };
        let Seen { snapshot, transitions } = self.scope.see(&sight);
        transitions.iter().for_each(|transition| self.tell(transition));
        self.tell_evidence(transitions);
        sight.records.iter().for_each(|(_, record)| self.tell_record(record));
        let snapshot = Arc::new(snapshot);
        self.site.snapshot.store(snapshot.clone());
        self.site.ticked(now);
        if snapshot.ticks.is_multiple_of(TRIM_TICKS) {
            drop(sight);
            memory::give_back();
        }
        snapshot
    }
}

/// Prints; a terminal that went away is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn log_start(address: &str, kernel: &str, hooks: &[HookState]) {
    tracing::info!(address, kernel, "serving");
    for (hook, state) in HOOKS.iter().zip(hooks) {
        match state {
            HookState::Attached(tier) => tracing::info!(hook = hook.name, tier = tier.name(), "attached"),
            HookState::Absent(reason) if reason.starts_with(NOT_NEEDED) => {
                tracing::info!(hook = hook.name, reason, "absent");
            }
            HookState::Absent(reason) => tracing::warn!(hook = hook.name, reason, "absent"),
        }
    }
}
