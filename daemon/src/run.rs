//! `mmscope run`: settings, attach, serve, tick, detach.

use std::{
    io::IsTerminal as _,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use probe_common::event::Record;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::RunArgs,
    config::Config,
    failure::Failure,
    intake::TableSize,
    memory,
    model::{RecordId, Snapshot},
    notify::{self, Notifier, say},
    observer::{self, Observer},
    plan::{HOOKS, HookState, NOT_NEEDED},
    privileges,
    record::{Output, Recorder},
    recording::Reason,
    scope::{Scope, Seen, Sight},
    terminal,
    warden::{self, Reins},
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
    let front = web::Front::new(args.web_config_file.as_deref(), config.web)?;
    if args.config_check {
        notify::check(&config.notify)?;
        println!("configuration is valid");
        return Ok(ExitCode::SUCCESS);
    }
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut terminate = on(SignalKind::terminate())?;

    // What can fail for reasons of the user's comes first, before anything is attached.
    privileges::check(Path::new("/"))?;
    let listener = web::listen(&args.listen_address).await?;
    let address = listener.local_addr().map_or_else(|_| args.listen_address.clone(), |address| address.to_string());
    let url = format!("{}://{address}", front.scheme());
    let is_terminal = std::io::stdout().is_terminal();
    let notifier = Notifier::start(&config.notify, config.anomaly.alerts, &url, is_terminal)?;
    let output = args.record.as_deref().map(|path| Output::open(path, false, args.record_max_bytes)).transpose()?;
    let (loaded, observer, host) = match observer::start(&config, &args.probes) {
        Ok(started) => started,
        Err(failure) => {
            output.into_iter().for_each(Output::give_up);
            return Err(failure);
        }
    };
    let recorder = output.map(|output| output.begin(&config, &host, observer.tables())).transpose()?;
    let settings = warden::Settings {
        least: args.shed.unwrap_or_default(),
        budget: args.overhead_budget.unwrap_or(config.overhead_budget).ratio(),
        stop_file: args.stop_file.clone().unwrap_or_else(|| config.stop_file.clone()),
    };
    let (warden, reins) = warden::start(loaded, host.hooks.clone(), settings)?;

    if is_terminal {
        say(&terminal::greeting(&url, &args.telemetry_path, &host.release, &host.hooks, observer.tables()));
    } else {
        log_start(&address, &host.release, &host.hooks, observer.tables());
    }

    let site = web::Site {
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot { hooks: host.hooks.clone(), ..Snapshot::default() })),
        telemetry_path: args.telemetry_path.clone(),
        tick: config.tick,
        last_tick: Arc::default(),
        governed: reins.governed(),
        front,
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, site.clone(), stop.clone()));
    let scope = Scope::new(&config, host);
    for (class, reason) in scope.unjudged() {
        tracing::info!(class = class.name(), reason, "not judged");
    }
    let looker = Looker { observer, recorder, scope, site, reins, is_terminal, notifier };
    let looking = tokio::spawn(look(looker, config.tick, stop.clone()));

    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("detaching");
    stop.cancel();
    let notifier = looking.await;
    // Beside the detaching, which may take longer.
    let telling = notifier.map(|notifier| tokio::spawn(notifier.stop()));
    let _ = tokio::task::spawn_blocking(move || drop(warden)).await;
    if let Ok(telling) = telling {
        let _ = telling.await;
    }
    // A connection that stays open does not keep mmscope from leaving.
    let _ = tokio::time::timeout(DRAIN, server).await;
    Ok(ExitCode::SUCCESS)
}

fn on(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Failure> {
    signal(kind).map_err(|error| Failure::System(format!("handle signals: {error}")))
}

/// Everything that a tick needs.
struct Looker {
    observer: Observer,
    recorder: Option<Recorder>,
    scope: Scope,
    site: web::Site,
    reins: Reins,
    is_terminal: bool,
    notifier: Notifier,
}

/// Ticks until the token is cancelled; back comes who still has alerts to tell.
async fn look(mut looker: Looker, tick: Duration, stop: CancellationToken) -> Notifier {
    let mut interval = tokio::time::interval(tick);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tables = TABLES.into_iter().peekable();
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                looker.end_recording(Reason::Signal).await;
                return looker.notifier;
            }
            () = looker.reins.wait(&mut looker.observer, &mut interval) => {}
        }
        let now = Instant::now();
        let snapshot = looker.tick(now).await;
        let uptime = now - looker.observer.start();
        if looker.is_terminal && tables.next_if(|due| uptime >= *due).is_some() {
            say(&terminal::table(&snapshot, uptime));
        }
    }
}

/// Ticks between two times that what ticks and scrapes needed for a moment is given back.
const TRIM_TICKS: u64 = 6;

impl Looker {
    /// An event came through the ring.
    fn tell_record(&self, record: &Record) {
        if self.is_terminal {
            return say(&format!("{}\n", terminal::record(record)));
        }
        let Record { tgid, tid, duration_ns, .. } = *record;
        let id = RecordId::from(record);
        tracing::info!(tgid, tid, duration_ns, record = %id, "{}", terminal::record(record));
    }

    /// A recording that cannot go on ends alone.
    async fn record(&mut self, sight: &Sight) {
        let Some(recorder) = &mut self.recorder else { return };
        match recorder.tick(sight).await {
            Ok(true) => {}
            Ok(false) => self.end_recording(Reason::Bound).await,
            Err(failure) => {
                tracing::error!("the recording ends here: {failure}");
                self.recorder = None;
            }
        }
    }

    async fn end_recording(&mut self, reason: Reason) {
        let Some(mut recorder) = self.recorder.take() else { return };
        match recorder.end(reason).await {
            Ok(()) => tracing::info!("the recording ends here: {}; {}", recorder.summary(), reason.text()),
            Err(failure) => tracing::error!("the recording ends here: {failure}"),
        }
    }

    async fn tick(&mut self, now: Instant) -> Arc<Snapshot> {
        let sight = self.reins.look(&mut self.observer, now);
        self.record(&sight).await;
        let Seen { mut snapshot, transitions } = self.scope.see(&sight);
        self.notifier.tell(transitions, sight.wall);
        snapshot.sinks = self.notifier.figures();
        snapshot.names = self.observer.names();
        snapshot.web = Some(self.site.front.figures());
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

fn log_start(address: &str, kernel: &str, hooks: &[HookState], tables: &[TableSize]) {
    tracing::info!(address, kernel, "serving");
    if let Some(memory) = terminal::memory(tables, 3) {
        let bytes: u64 = tables.iter().map(|table| table.bytes).sum();
        tracing::info!(bytes, "tables of the kernel side: {memory}");
    }
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
