//! `mmscope run`: settings, attach, serve, tick, read the settings again, detach.

use std::{
    io::IsTerminal as _,
    path::Path,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use probe_common::event::Record;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    time::{Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use crate::{
    attach::{self, StatisticsSwitch},
    cli::RunArgs,
    config::{self, Config},
    failure::Failure,
    flight::{self, Flight},
    intake::TableSize,
    memory,
    model::{RecordId, ReloadFigures, Snapshot},
    notify::{self, Notifier, say},
    observer::{self, Observer},
    plan::{self, HookState, NOT_NEEDED},
    privileges::{self, Part},
    record::{self, Output, Recorder},
    recording::Reason,
    reload::Change,
    scope::{Scope, Seen, Sight},
    service::{self, Manager},
    terminal,
    warden::{self, Reins, Warden},
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

/// Runs until a signal; `handed` is a socket to serve on that the service manager has opened.
///
/// # Errors
///
/// When it cannot start, with everything detached.
pub async fn run(args: &RunArgs, handed: Option<std::net::TcpListener>) -> Result<ExitCode, Failure> {
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
    let mut hang_up = on(SignalKind::hangup())?;

    // What can fail for reasons of the user's comes first, before anything is attached.
    privileges::check(Path::new("/"))?;
    if args.kallsyms_on_stdin {
        service::take_symbols()?;
    }
    let listener = match handed {
        Some(listener) => TcpListener::from_std(listener)
            .map_err(|error| Failure::Listen { address: "the service manager's socket".to_owned(), error })?,
        None => web::listen(&args.listen_address).await?,
    };
    let address = listener.local_addr().map_or_else(|_| args.listen_address.clone(), |address| address.to_string());
    let url = format!("{}://{address}", front.scheme());
    let is_terminal = std::io::stdout().is_terminal();
    let notifier = Notifier::start(&config.notify, config.anomaly.alerts, &url, is_terminal)?;
    let flight = flight::Prepared::new(&config)?;
    let output = args.record.as_deref().map(|path| Output::open(path, false, args.record_max_bytes)).transpose()?;
    let (loaded, observer, host) = match observer::start(&config, &args.probes, None) {
        Ok(started) => started,
        Err(failure) => {
            output.into_iter().for_each(Output::give_up);
            return Err(failure);
        }
    };
    let flight = flight.begin(&config, &host, observer.tables());
    let recorder = output.map(|output| output.begin(&record::header(&config, &host, observer.tables()))).transpose()?;
    let statistics = StatisticsSwitch::separate()?;
    let (warden, reins) = warden::start(loaded, host.hooks.clone(), settings(args, &config), statistics)?;
    // The warden and who switches the statistics on have what they need.
    privileges::keep(Part::Reading(attach::may_read_maps))?;

    if is_terminal {
        say(&terminal::greeting(&url, &args.telemetry_path, &host.release, &host.hooks, observer.tables()));
    } else {
        log_start(&address, &host.release, &host.hooks, observer.tables());
    }

    let (pace, _) = watch::channel(config.tick);
    let site = web::Site {
        snapshot: Arc::new(ArcSwap::from_pointee(Snapshot { hooks: host.hooks.clone(), ..Snapshot::default() })),
        telemetry_path: args.telemetry_path.clone(),
        tick: pace.subscribe(),
        last_tick: Arc::default(),
        governed: reins.governed(),
        front,
        history: Arc::default(),
        origin: Arc::new(web::Origin::here(&host.release)),
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, site.clone(), stop.clone()));
    let scope = Scope::new(&config, host);
    for (class, reason) in scope.unjudged() {
        tracing::info!(class = class.name(), reason, "not judged");
    }
    let (order, orders) = mpsc::channel(1);
    let reload = args.config_file.is_some().then(|| ReloadFigures { is_good: true, good_at: SystemTime::now() });
    let looker = Looker {
        observer,
        recorder,
        flight,
        scope,
        site,
        reins,
        is_terminal,
        notifier,
        told_by: (config.notify.clone(), config.anomaly.alerts),
        address: url,
        manager: Manager::new(config.tick),
        orders,
        reload,
        pace,
    };
    let looking = tokio::spawn(look(looker, stop.clone()));

    let mut reloading = Reloading { args, config, warden: &warden, order };
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = hang_up.recv() => reloading.reload().await,
        }
    }
    tracing::info!("detaching");
    service::stopping();
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

/// What the warden keeps to: flags win over the file.
fn settings(args: &RunArgs, config: &Config) -> warden::Settings {
    warden::Settings {
        least: args.shed.unwrap_or_default(),
        budget: args.overhead_budget.unwrap_or(config.overhead_budget).ratio(),
        stop_file: args.stop_file.clone().unwrap_or_else(|| config.stop_file.clone()),
    }
}

/// What reading the configuration file again needs.
struct Reloading<'a> {
    args: &'a RunArgs,
    /// In force.
    config: Config,
    warden: &'a Warden,
    order: mpsc::Sender<Order>,
}

/// Something that whoever ticks is to do between two ticks.
enum Order {
    /// Take this configuration up. Back comes why it cannot be.
    TakeUp(Box<Config>, oneshot::Sender<Result<(), Failure>>),
    /// Tell that a configuration was bad.
    Refused,
}

impl Reloading<'_> {
    /// Reads the configuration file again. A bad one changes nothing, and is told of.
    async fn reload(&mut self) {
        let Some(path) = &self.args.config_file else {
            tracing::warn!("SIGHUP: there is no configuration file to read again (--config.file)");
            return;
        };
        service::reloading();
        match self.take_up(path).await {
            Ok(Change { changed, waiting, .. }) => {
                tracing::info!(file = %path.display(), changed = changed.join(","), "configuration read again");
                if !waiting.is_empty() {
                    let keys = waiting.join(",");
                    tracing::warn!(keys, "these keep their values until mmscope is started again");
                }
            }
            Err(error) => {
                tracing::error!(%error, "configuration not read again: the one before stays in force");
                // Nobody hears it only when mmscope is leaving.
                let _ = self.order.send(Order::Refused).await;
            }
        }
        service::reloaded();
    }

    async fn take_up(&mut self, path: &Path) -> Result<Change, Failure> {
        let bad = |message| Failure::Config { path: path.to_owned(), message };
        let change = Change::between(&self.config, Config::read(path)?).map_err(bad)?;
        let (done, is_done) = oneshot::channel();
        let leaving = || Failure::System("mmscope is leaving".to_owned());
        let order = Order::TakeUp(Box::new(change.config.clone()), done);
        self.order.send(order).await.map_err(|_| leaving())?;
        is_done.await.map_err(|_| leaving())??;
        self.warden.change(settings(self.args, &change.config));
        self.config = change.config.clone();
        Ok(change)
    }
}

/// Everything that a tick needs.
struct Looker {
    observer: Observer,
    recorder: Option<Recorder>,
    flight: Flight,
    scope: Scope,
    site: web::Site,
    reins: Reins,
    is_terminal: bool,
    notifier: Notifier,
    /// What the notifier was started by.
    told_by: (config::Notify, u64),
    /// What is served on.
    address: String,
    manager: Manager,
    orders: mpsc::Receiver<Order>,
    reload: Option<ReloadFigures>,
    /// Time between two ticks.
    pace: watch::Sender<Duration>,
}

/// Ticks until the token is cancelled; back comes who still has alerts to tell.
async fn look(mut looker: Looker, stop: CancellationToken) -> Notifier {
    let mut interval = every(*looker.pace.borrow());
    let mut tables = TABLES.into_iter().peekable();
    loop {
        tokio::select! {
            () = stop.cancelled() => {
                looker.end_recording(Reason::Signal).await;
                looker.flight.end().await;
                return looker.notifier;
            }
            Some(order) = looker.orders.recv() => {
                looker.obey(order, &mut interval);
                continue;
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

fn every(tick: Duration) -> Interval {
    let mut interval = tokio::time::interval(tick);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

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

    fn obey(&mut self, order: Order, interval: &mut Interval) {
        match order {
            Order::TakeUp(config, done) => {
                let taken = self.take_up(&config, interval);
                let is_good = taken.is_ok();
                self.note_reload(is_good);
                // Whoever asked may be leaving.
                let _ = done.send(taken);
            }
            Order::Refused => self.note_reload(false),
        }
    }

    fn note_reload(&mut self, is_good: bool) {
        if let Some(reload) = &mut self.reload {
            reload.is_good = is_good;
            if is_good {
                reload.good_at = SystemTime::now();
            }
        }
    }

    /// All of it or, when a receiver of alerts cannot be told as it says, nothing.
    fn take_up(&mut self, config: &Config, interval: &mut Interval) -> Result<(), Failure> {
        let told = (&config.notify, config.anomaly.alerts);
        if self.told_by != (told.0.clone(), told.1) {
            self.notifier.restart(told.0, told.1, &self.address, self.is_terminal)?;
            self.told_by = (told.0.clone(), told.1);
        }
        self.scope.reconfigure(config);
        self.flight.reconfigure(config);
        if *self.pace.borrow() != config.tick {
            self.pace.send_replace(config.tick);
            self.manager.set_tick(config.tick);
            *interval = every(config.tick);
        }
        Ok(())
    }

    async fn tick(&mut self, now: Instant) -> Arc<Snapshot> {
        let sight = self.reins.look(&mut self.observer, now);
        self.record(&sight).await;
        let seen = self.scope.see(&sight);
        self.site.remember(&sight, &seen);
        let Seen { mut snapshot, transitions } = seen;
        self.flight.tick(&sight, &transitions);
        self.notifier.tell(transitions, sight.wall);
        snapshot.sinks = self.notifier.figures();
        snapshot.names = self.observer.names();
        snapshot.web = Some(self.site.front.figures());
        snapshot.reload = self.reload;
        sight.records.iter().for_each(|(_, record)| self.tell_record(record));
        let snapshot = Arc::new(snapshot);
        self.site.snapshot.store(snapshot.clone());
        self.site.ticked(now);
        self.manager.ticked(now, &snapshot);
        if memory::is_due(snapshot.ticks, sight.mms.len()) {
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
    for (hook, state) in plan::of_host(hooks) {
        match state {
            HookState::Attached(tier) => tracing::info!(hook = hook.name, tier = tier.name(), "attached"),
            HookState::Absent(reason) if reason.starts_with(NOT_NEEDED) => {
                tracing::info!(hook = hook.name, reason, "absent");
            }
            HookState::Absent(reason) => tracing::warn!(hook = hook.name, reason, "absent"),
        }
    }
}
