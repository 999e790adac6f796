//! `mmscope replay`: a recording through the same scope that live ticks go through. Reads no clock but to play slowly.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufReader, IsTerminal as _, Write as _},
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use crate::{
    anomaly::Transition,
    cli::ReplayArgs,
    config::Config,
    export::{Format, Scrape},
    failure::Failure,
    governor::Governed,
    identity::Rules,
    kernel::from_traced,
    model::Snapshot,
    progress::Watched,
    recording::{Finish, Frame, Header, Reader},
    scope::{Scope, Seen, Sight},
    terminal, web,
};

/// Exit code of a recording that is cut or damaged.
const NOT_WHOLE: u8 = 1;

/// Names of kernel addresses.
pub(crate) type Names = BTreeMap<u64, String>;

/// A recording that is played.
pub struct Player<R> {
    reader: Reader<R>,
    rules: Rules,
    scope: Scope,
    names: Names,
    is_evident: bool,
    snapshot: Snapshot,
    /// Time of the last tick, since the start.
    uptime: Duration,
}

impl<R: std::io::Read> Player<R> {
    /// Judges by this configuration; what was recorded is the recording's.
    ///
    /// # Errors
    ///
    /// When alerts cannot be judged by it from what was recorded; the message names the key.
    pub fn new(reader: Reader<R>, config: &Config, names: Names, is_evident: bool) -> Result<Self, String> {
        let header = reader.header();
        config.anomaly.check(&header.record).map_err(|message| format!("as it was recorded, {message}"))?;
        let scope = Scope::new(config, header.host.clone());
        let snapshot = Snapshot { hooks: header.host.hooks.clone(), ..Snapshot::default() };
        let rules = Rules::new(config.subject_rules.clone());
        Ok(Self { reader, rules, scope, names, is_evident, snapshot, uptime: Duration::ZERO })
    }

    /// What was known from the start.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Reads on to what the next tick saw; subjects have the names that the configuration's rules give them.
    pub fn next_sight(&mut self) -> Option<Box<Sight>> {
        let mut sight = self.reader.by_ref().find_map(|frame| match frame {
            Frame::Sight(sight) => Some(sight),
            Frame::Names(_) => None,
        })?;
        let of_mms = sight.mms.iter_mut().map(|mm| &mut mm.subject);
        for subject in of_mms.chain(sight.records.iter_mut().map(|(subject, _)| subject)) {
            *subject = self.rules.apply(subject.clone());
        }
        Some(sight)
    }

    /// Puts it through the scope. The alerts that it raised and cleared, a line each.
    pub fn see(&mut self, sight: &Sight) -> String {
        let seen = self.scope.see(sight);
        self.tell(sight, seen)
    }

    fn tell(&mut self, sight: &Sight, seen: Seen) -> String {
        self.snapshot = seen.snapshot;
        self.uptime = sight.uptime;
        let mut text = String::new();
        for transition in &seen.transitions {
            let _ = writeln!(
                text,
                "{} +{:.3}s {}",
                humantime::format_rfc3339_millis(sight.wall),
                sight.uptime.as_secs_f64(),
                terminal::alert(transition)
            );
            if self.is_evident {
                text.push_str(&self.evidence(transition));
            }
        }
        text
    }

    fn evidence(&self, transition: &Transition) -> String {
        let name = |address: &u64| self.names.get(address).cloned().unwrap_or_else(|| format!("{address:#x}"));
        let records = transition.evidence.iter();
        records
            .map(|record| {
                let stack = from_traced(record.stack().iter().map(name).collect());
                terminal::evidence(transition.class, record, &stack)
            })
            .collect()
    }

    /// Metrics after the last tick.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// How it ended, once there is no next tick.
    pub fn finish(&self) -> Option<&Finish> {
        self.reader.finish()
    }
}

/// By what alerts are judged: a file, else what they were judged by when it was recorded, else the defaults.
pub(crate) fn judging(config_file: Option<&Path>, header: &Header) -> Result<Config, Failure> {
    match config_file {
        Some(path) => Config::read(path),
        None => Ok(Config { anomaly: header.anomaly.clone().unwrap_or_default(), ..Config::default() }),
    }
}

/// Plays a recording.
///
/// # Errors
///
/// When nothing of it can be read, or it cannot be served.
pub async fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    // Names come after the ticks that need them, so they are read first.
    let names = if args.evidence { names(open(&args.file, Some("names"))?) } else { Names::new() };
    // Alerts on the same terminal would be written into a bar.
    let has_bar = args.speed.is_none() && !std::io::stdout().is_terminal();
    let reader = open(&args.file, has_bar.then_some("ticks"))?;
    let config = judging(args.config_file.as_deref(), reader.header())?;
    let player = Player::new(reader, &config, names, args.evidence).map_err(|message| Failure::Config {
        path: args.config_file.clone().unwrap_or_else(|| args.file.clone()),
        message,
    })?;
    let Header { build, started, host, .. } = player.header();
    eprintln!(
        "mmscope: recorded by mmscope {build} on kernel {} from {} on",
        host.release,
        humantime::format_rfc3339_seconds(*started)
    );
    match args.speed {
        None => at_once(player, args),
        Some(speed) => {
            let front = web::Front::new(args.web_config_file.as_deref(), config.web)?;
            slowly(player, args, speed, front).await
        }
    }
}

/// A recording's file.
pub(crate) type Recorded = BufReader<Watched>;

/// Opens a recording; with a word on what it is read for, a bar shows how far that is.
pub(crate) fn open(path: &Path, what: Option<&str>) -> Result<Reader<Recorded>, Failure> {
    let file = what.map_or_else(|| Watched::quietly(path), |what| Watched::open(path, what));
    let file = file.map_err(|error| Failure::Unreadable { path: path.to_owned(), error })?;
    Reader::new(BufReader::new(file)).map_err(|error| Failure::Recording { path: path.to_owned(), error: error.into() })
}

/// The names of all kernel addresses in a recording.
pub(crate) fn names<R: std::io::Read>(reader: Reader<R>) -> Names {
    let frames = reader.filter_map(|frame| match frame {
        Frame::Names(names) => Some(names),
        Frame::Sight(_) => None,
    });
    frames.flatten().collect()
}

fn at_once(mut player: Player<Recorded>, args: &ReplayArgs) -> Result<ExitCode, Failure> {
    while let Some(sight) = player.next_sight() {
        let told = player.see(&sight);
        if args.metrics {
            told.lines().for_each(|line| say(&format!("# {line}\n")));
        } else {
            say(&told);
        }
    }
    if args.metrics {
        say(&Scrape::new(Arc::new(player.snapshot().clone()), Format::Prometheus).text());
    }
    Ok(ended(&player, &args.file))
}

/// Serves meanwhile, and after the end until a signal.
async fn slowly(
    mut player: Player<Recorded>,
    args: &ReplayArgs,
    speed: f64,
    front: web::Front,
) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| Failure::System(format!("handle signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let listener = web::listen(&args.listen_address).await?;
    let address = listener.local_addr().map_or_else(|_| args.listen_address.clone(), |address| address.to_string());
    let scheme = front.scheme();
    eprintln!("mmscope: metrics at {scheme}://{address}{}, {speed} times as fast as it was", args.telemetry_path);
    let (told, governed) = watch::channel(Governed::default());
    let has_ended = Arc::new(AtomicBool::new(false));
    let origin = web::Origin {
        host: String::new(),
        kernel: player.header().host.release.clone(),
        replay: Some(web::Replay {
            file: args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            speed,
            has_ended: has_ended.clone(),
        }),
    };
    let site = web::Site {
        snapshot: Arc::new(ArcSwap::from_pointee(player.snapshot().clone())),
        telemetry_path: args.telemetry_path.clone(),
        tick: watch::channel(STILL).1,
        last_tick: Arc::default(),
        governed,
        front,
        history: Arc::default(),
        origin: Arc::new(origin),
    };
    let stop = CancellationToken::new();
    let server = tokio::spawn(web::serve(listener, site.clone(), stop.clone()));
    let show = |snapshot: &Snapshot| {
        let web = Some(site.front.figures());
        site.snapshot.store(Arc::new(Snapshot { web, ..snapshot.clone() }));
    };
    let mut code = ExitCode::SUCCESS;
    let play = async {
        let start = Instant::now();
        while let Some(sight) = player.next_sight() {
            tokio::time::sleep_until((start + sight.uptime.div_f64(speed)).into()).await;
            let seen = player.scope.see(&sight);
            site.remember(&sight, &seen);
            say(&player.tell(&sight, seen));
            told.send_replace(player.snapshot().governed.clone());
            show(player.snapshot());
            site.ticked(Instant::now());
        }
        code = ended(&player, &args.file);
        has_ended.store(true, Ordering::Relaxed);
        eprintln!("mmscope: the end; Ctrl-C leaves");
        // Nothing changes any more but what is counted of those who look.
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            show(player.snapshot());
        }
    };
    tokio::select! {
        () = play => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    server.abort();
    Ok(code)
}

/// A replay is healthy however long its next tick takes.
const STILL: Duration = Duration::from_secs(u32::MAX as u64);

/// Says how the recording ended.
fn ended(player: &Player<Recorded>, path: &Path) -> ExitCode {
    let ticks = player.snapshot().ticks;
    let length = humantime::format_duration(Duration::from_millis(player.uptime.as_millis() as u64));
    let path = path.display();
    match player.finish() {
        Some(finish @ Finish::Ended(_)) => {
            eprintln!("mmscope: {path}: {ticks} ticks, {length}, {finish}");
            ExitCode::SUCCESS
        }
        Some(finish) => {
            eprintln!("mmscope: {path}: {ticks} ticks, {length}; not whole: {finish}");
            ExitCode::from(NOT_WHOLE)
        }
        None => ExitCode::SUCCESS,
    }
}

/// Prints; who does not read any more is no reason to stop.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
