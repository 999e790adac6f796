//! `mmscope record`: attach, write what each tick sees, detach. And the recorder that `mmscope run --record` has too.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
};

use crate::{
    anomaly::Host,
    attach::{StatisticsSwitch, Timeline},
    cli::RecordArgs,
    config::{self, Config},
    failure::Failure,
    governor::Level,
    intake::TableSize,
    kernel::{Table, name_addresses},
    memory,
    observer::{self, Observer},
    plan::HookState,
    privileges,
    recording::{Header, Reason, Writer},
    scope::Sight,
    warden::{self, Reins},
};

/// Ticks between two times at which the system is asked to write.
const SYNC_TICKS: u64 = 16;
/// Longest time between two looks of a timeline: the ring must hold what comes meanwhile.
const TIMELINE_TICK: Duration = Duration::from_millis(100);
/// Kernel addresses whose names are recorded at most.
const NAMES: usize = 64 * 1024;

/// A file for a recording, before there is anything to record.
pub struct Output {
    path: PathBuf,
    file: File,
    bound: u64,
}

impl Output {
    /// Opens it; what it holds stays until [`Output::begin`].
    ///
    /// # Errors
    ///
    /// When there is a file and it may not be overwritten, or none can be made.
    pub fn open(path: &Path, may_overwrite: bool, bound: u64) -> Result<Self, Failure> {
        let file = Writer::open(path, may_overwrite).map_err(|error| Failure::Uncreatable {
            path: path.to_owned(),
            error: match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    io::Error::new(error.kind(), "there is such a file; it is not overwritten")
                }
                _ => error,
            },
        })?;
        Ok(Self { path: path.to_owned(), file, bound })
    }

    /// Begins the recording.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin(self, header: &Header) -> Result<Recorder, Failure> {
        let writer = Writer::new(self.file, self.bound, header).map_err(|error| {
            // Nobody can read what has no whole header, and it would be in the way of the next start.
            if fs::metadata(&self.path).is_ok_and(|data| data.is_file()) {
                let _ = fs::remove_file(&self.path);
            }
            Failure::Unwritable { path: self.path.clone(), error }
        })?;
        Ok(Recorder { path: self.path, writer, met: BTreeSet::new(), unnamed: Vec::new(), naming: None })
    }

    /// Nothing comes of it: a file that was made for it goes away.
    pub fn give_up(self) {
        if self.file.metadata().is_ok_and(|data| data.is_file() && data.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Addresses with their names.
pub(crate) type Names = Vec<(u64, String)>;

/// Writes what ticks see, and the names of the kernel addresses in it.
pub struct Recorder {
    path: PathBuf,
    writer: Writer<File>,
    /// Addresses that are named, or will be.
    met: BTreeSet<u64>,
    unnamed: Vec<u64>,
    naming: Option<JoinHandle<Names>>,
}

impl Recorder {
    /// Writes what one tick saw. False if there is no room for it.
    ///
    /// # Errors
    ///
    /// When it cannot be written; what was written before can be read.
    pub async fn tick(&mut self, sight: &Sight) -> Result<bool, Failure> {
        let written = self.writer.sight(sight);
        if !self.checked(written)? {
            return Ok(false);
        }
        self.meet(sight);
        if self.naming.as_ref().is_none_or(JoinHandle::is_finished) && !self.name().await? {
            return Ok(false);
        }
        if self.writer.sights().is_multiple_of(SYNC_TICKS) {
            let synced = self.writer.sync();
            self.checked(synced)?;
        }
        Ok(true)
    }

    fn meet(&mut self, sight: &Sight) {
        for address in sight.records.iter().flat_map(|(_, record)| record.stack()) {
            if self.met.len() < NAMES && self.met.insert(*address) {
                self.unnamed.push(*address);
            }
        }
    }

    /// Writes the names that were found, and has those looked for that are not: in another thread, for the table is long.
    async fn name(&mut self) -> Result<bool, Failure> {
        let named = match self.naming.take() {
            Some(naming) => naming.await.unwrap_or_default(),
            None => Names::new(),
        };
        if !self.unnamed.is_empty() {
            let addresses = std::mem::take(&mut self.unnamed);
            self.naming = Some(tokio::task::spawn_blocking(move || names(&addresses)));
        }
        if named.is_empty() {
            return Ok(true);
        }
        let written = self.writer.names(&named);
        self.checked(written)
    }

    /// Writes what is left and the last frame.
    ///
    /// # Errors
    ///
    /// As [`Recorder::tick`].
    pub async fn end(&mut self, mut reason: Reason) -> Result<(), Failure> {
        while reason != Reason::Bound && (self.naming.is_some() || !self.unnamed.is_empty()) {
            if !self.name().await? {
                reason = Reason::Bound;
            }
        }
        let ended = self.writer.end(reason);
        self.checked(ended)
    }

    /// For people: how much was written.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{} ticks, {} bytes in {}", self.writer.sights(), self.writer.bytes(), self.path.display())
    }

    fn checked<T>(&self, result: io::Result<T>) -> Result<T, Failure> {
        result.map_err(|error| Failure::Unwritable { path: self.path.clone(), error })
    }
}

/// What is known from the start.
pub(crate) fn header(config: &Config, host: &Host, tables: &[TableSize]) -> Header {
    Header {
        build: env!("CARGO_PKG_VERSION").to_owned(),
        started: SystemTime::now(),
        node: node(),
        timeline: None,
        host: host.clone(),
        tick: config.tick,
        record: config.record.clone(),
        anomaly: Some(config.anomaly.clone()),
        tables: tables.to_vec(),
    }
}

/// Name of this machine; none where the system does not tell.
fn node() -> Option<String> {
    nix::unistd::gethostname().ok().map(|name| name.to_string_lossy().into_owned())
}

/// The names of these addresses in the running kernel; none, and a warning, where its symbols cannot be read.
pub(crate) fn names(addresses: &[u64]) -> Names {
    match Table::open().and_then(|table| name_addresses(&table.path(), addresses)) {
        Ok(names) => addresses.iter().copied().zip(names).collect(),
        Err(error) => {
            tracing::warn!(%error, "stacks have no names");
            Names::new()
        }
    }
}

/// Records until a signal, the end of its time, or the bound of its file.
///
/// # Errors
///
/// When it cannot start or cannot write, with everything detached.
pub async fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    let mut config = match &args.config_file {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    let timeline = args.timeline.then(|| Timeline { pids: args.pids.clone(), comms: args.comms.clone() });
    if timeline.is_some() {
        config.record = config::Record::ALL;
        config.tick = config.tick.min(TIMELINE_TICK);
    }
    let failed = |error: io::Error| Failure::System(format!("handle signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    privileges::check(Path::new("/"))?;
    let output = Output::open(&args.output, args.force, args.max_bytes)?;
    let (loaded, observer, host) = match observer::start(&config, &args.probes, timeline.as_ref()) {
        Ok(started) => started,
        Err(failure) => {
            output.give_up();
            return Err(failure);
        }
    };
    let mut header = header(&config, &host, observer.tables());
    header.timeline = timeline.as_ref().map(Timeline::text);
    let mut recorder = output.begin(&header)?;
    let attached = host.hooks.iter().filter(|state| matches!(state, HookState::Attached(_))).count();
    let settings = warden::Settings {
        least: Level::Full,
        // A timeline is short, and worth nothing with parts given up.
        budget: config.overhead_budget.ratio().filter(|_| timeline.is_none()),
        stop_file: config.stop_file.clone(),
    };
    let (warden, reins) = warden::start(loaded, host.hooks, settings, StatisticsSwitch::own())?;
    eprintln!(
        "mmscope: recording to {} on kernel {}, {attached} hooks attached; Ctrl-C ends it",
        args.output.display(),
        host.release
    );
    let looker = Looker { observer, reins, tick: config.tick };
    let ended = looker.ticks(&mut recorder, args.duration, &mut interrupt, &mut terminate).await;
    let _ = tokio::task::spawn_blocking(move || drop(warden)).await;
    let reason = ended?;
    recorder.end(reason).await?;
    eprintln!("mmscope: {}; {}", recorder.summary(), reason.text());
    Ok(ExitCode::SUCCESS)
}

/// Everything that a tick needs.
struct Looker {
    observer: Observer,
    reins: Reins,
    tick: Duration,
}

impl Looker {
    /// Ticks until there is a reason to end; then once more, so that nothing is missing but what found no room.
    async fn ticks(
        mut self,
        recorder: &mut Recorder,
        duration: Option<Duration>,
        interrupt: &mut Signal,
        terminate: &mut Signal,
    ) -> Result<Reason, Failure> {
        let mut interval = tokio::time::interval(self.tick);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let over = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        loop {
            let reason = tokio::select! {
                _ = interrupt.recv() => Some(Reason::Signal),
                _ = terminate.recv() => Some(Reason::Signal),
                () = &mut over => Some(Reason::Duration),
                () = self.reins.wait(&mut self.observer, &mut interval) => None,
            };
            let sight = self.reins.look(&mut self.observer, Instant::now());
            if !recorder.tick(&sight).await? {
                return Ok(Reason::Bound);
            }
            if let Some(reason) = reason {
                return Ok(reason);
            }
            if memory::is_due(recorder.writer.sights(), sight.mms.len()) {
                drop(sight);
                memory::give_back();
            }
        }
    }
}
