//! Tells of alerts: the log, the systemd journal, webhooks, Alertmanagers. docs/notify.md says what each promises.
//!
//! What is to be told when is decided by pure queues (`outbox` for those who are told of changes, `standing` for Alertmanager, which
//! is told of a state); `deliver` runs one with a sender; `http` and `journal` know the sockets. Nothing here holds up a tick.

mod alertmanager;
mod backoff;
mod deliver;
mod figures;
pub(crate) mod http;
mod journal;
mod log;
mod notice;
mod origin;
mod outbox;
mod queue;
mod secrets;
mod standing;
#[cfg(test)]
mod tests;
mod webhook;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use deliver::Failed;
pub(crate) use log::say;

use crate::{
    anomaly::{Severity, Transition},
    config::{self, JOURNAL},
    failure::Failure,
    model::sinks::SinkFigures,
};
use deliver::{Counter, Desk, Sender};
use http::{Client, Target};
use log::Log;
use notice::{Key, Ledger, Notice};
use origin::Origin;
use outbox::Outbox;
use queue::Queue;
use standing::Standing;

/// At the end, how long what still waits may take to be told.
const FLUSH: Duration = Duration::from_millis(300);
/// Ticks whose alerts wait for the names of their stacks. Reading these takes less than a tick; nobody has seen a tenth of it.
const TICKS: usize = 256;

/// A receiver, and what it wants to hear.
struct Sink {
    name: String,
    severity: Severity,
    /// One for each instance.
    desks: Vec<Arc<dyn Counter>>,
    /// Alerts that never reached a desk.
    missed: AtomicU64,
    /// It is told of a state, not of changes: from one that knows nothing of an alert it would take it for cleared.
    hears_states: bool,
}

impl Sink {
    fn new(name: &str, severity: Severity, desks: Vec<Arc<dyn Counter>>) -> Self {
        Self { name: name.to_owned(), severity, desks, missed: AtomicU64::new(0), hears_states: false }
    }

    fn leave(&self, notice: &Arc<Notice>) {
        if notice.key.severity >= self.severity {
            self.desks.iter().for_each(|desk| desk.leave(notice));
        }
    }

    fn figures(&self) -> SinkFigures {
        let dropped = self.missed.load(Relaxed);
        let mut sum = SinkFigures { name: self.name.clone(), dropped, ..SinkFigures::default() };
        self.desks.iter().for_each(|desk| sum.add(&desk.figures()));
        sum
    }
}

/// What one tick told.
type Told = (Vec<Transition>, SystemTime);

/// An alert that is raised, and since when.
type Raised = BTreeMap<Key, (Transition, SystemTime)>;

/// Tells of alerts.
pub struct Notifier {
    log: Log,
    sinks: Arc<[Sink]>,
    told: mpsc::Sender<Told>,
    tasks: TaskTracker,
    /// `anomaly.alerts` at most.
    raised: Raised,
}

/// Whether what the configuration says of sinks can be used: files that it names are read.
///
/// # Errors
///
/// When one cannot; the message names it.
pub fn check(config: &config::Notify) -> Result<(), Failure> {
    for webhook in &config.webhook {
        webhook_client(webhook)?;
    }
    for alertmanager in &config.alertmanager {
        for url in &alertmanager.urls {
            alertmanager_client(alertmanager, url)?;
        }
    }
    Ok(())
}

fn webhook_client(webhook: &config::Webhook) -> Result<Client, Failure> {
    let url = webhook.url.clone().map(Target::Url);
    let target = url.or_else(|| webhook.url_file.clone().map(Target::File)).ok_or("it has no address".to_owned());
    target.and_then(|target| Client::new(target, &webhook.http)).map_err(|error| unusable(&webhook.name, &error))
}

fn alertmanager_client(alertmanager: &config::Alertmanager, url: &config::Url) -> Result<Client, Failure> {
    url.join(config::ALERTS_PATH)
        .and_then(|url| Client::new(Target::Url(url), &alertmanager.http))
        .map_err(|error| unusable(&alertmanager.name, &error))
}

fn unusable(sink: &str, error: &str) -> Failure {
    Failure::Notify { sink: sink.to_owned(), message: error.to_owned() }
}

impl Notifier {
    /// Begins to deliver. `alerts` is how many may be raised at once, `address` what is served on.
    ///
    /// # Errors
    ///
    /// As [`check`], and when there is no socket for the journal.
    pub fn start(config: &config::Notify, alerts: u64, address: &str, is_terminal: bool) -> Result<Self, Failure> {
        Self::go_on(config, alerts, address, is_terminal, Raised::new())
    }

    /// Delivers by another configuration from now on. Who is told of states hears of what is raised; others heard of it when it
    /// was. What the sinks of before have not told yet has a moment to be told; their counts end with them.
    ///
    /// # Errors
    ///
    /// As [`Self::start`]; then everything stays as it was.
    pub fn restart(
        &mut self,
        config: &config::Notify,
        alerts: u64,
        address: &str,
        is_terminal: bool,
    ) -> Result<(), Failure> {
        let new = Self::go_on(config, alerts, address, is_terminal, self.raised.clone())?;
        tokio::spawn(std::mem::replace(self, new).stop());
        Ok(())
    }

    fn go_on(
        config: &config::Notify,
        alerts: u64,
        address: &str,
        is_terminal: bool,
        raised: Raised,
    ) -> Result<Self, Failure> {
        let host = nix::unistd::gethostname()
            .map_err(|error| Failure::System(format!("read the host's name: {error}")))?
            .to_string_lossy()
            .into_owned();
        let origin = Origin::new(config, &host, address);
        let stderr_is_journal = journal::is_stderr(std::env::var("JOURNAL_STREAM").ok().as_deref());
        let mut start = Starting { stop: CancellationToken::new(), tasks: TaskTracker::new(), sinks: Vec::new() };
        let has_journal = config.journal.enabled.unwrap_or(stderr_is_journal);
        if has_journal {
            start.journal(&config.journal, &origin)?;
        }
        for webhook in &config.webhook {
            start.webhook(webhook, &origin)?;
        }
        for alertmanager in &config.alertmanager {
            start.alertmanager(alertmanager, &origin, alerts)?;
        }
        let log = match (is_terminal, has_journal && stderr_is_journal) {
            (true, _) => Log::Terminal,
            (false, true) => Log::Silent,
            (false, false) => Log::Lines,
        };
        let Starting { stop, tasks, sinks } = start;
        let sinks: Arc<[Sink]> = sinks.into();
        let (told, hear) = mpsc::channel(TICKS);
        let mut ledger = Ledger::default();
        for (transition, at) in raised.values() {
            let notice = Arc::new(ledger.enter(transition.clone(), Vec::new(), *at));
            sinks.iter().filter(|sink| sink.hears_states).for_each(|sink| sink.leave(&notice));
        }
        tasks.spawn(pass_on(log, hear, sinks.clone(), stop, ledger));
        Ok(Self { log, sinks, told, tasks, raised })
    }

    /// Tells what was raised and cleared at a tick. Returns at once.
    pub fn tell(&mut self, transitions: Vec<Transition>, at: SystemTime) {
        if transitions.is_empty() {
            return;
        }
        for transition in &transitions {
            self.log.tell(transition);
            match transition.is_active {
                // Its evidence was told by now.
                true => _ = self.raised.insert(Key::of(transition), (transition.without_evidence(), at)),
                false => _ = self.raised.remove(&Key::of(transition)),
            }
        }
        if let Err(error) = self.told.try_send((transitions, at)) {
            let (transitions, _) = error.into_inner();
            for sink in &*self.sinks {
                sink.missed.fetch_add(transitions.len() as u64, Relaxed);
            }
        }
    }

    /// Figures of each sink, in the order of the configuration.
    #[must_use]
    pub fn figures(&self) -> Vec<SinkFigures> {
        self.sinks.iter().map(Sink::figures).collect()
    }

    /// Tells what still waits, as far as that goes within a fraction of a second.
    pub async fn stop(self) {
        let Self { sinks, told, tasks, .. } = self;
        drop(told);
        tasks.close();
        let _ = tokio::time::timeout(FLUSH, tasks.wait()).await;
        for figures in sinks.iter().map(Sink::figures).filter(|figures| figures.waiting > 0) {
            tracing::warn!(sink = figures.name, alerts = figures.waiting, "alerts were never told");
        }
    }
}

/// What is being started.
struct Starting {
    stop: CancellationToken,
    tasks: TaskTracker,
    sinks: Vec<Sink>,
}

impl Starting {
    fn desk<Q: Queue>(&self, name: &str, queue: Q, sender: impl Sender<Q::Message>) -> Arc<dyn Counter> {
        let desk = Desk::new(name, queue);
        self.tasks.spawn(desk.clone().deliver(sender, self.stop.clone()));
        desk
    }

    fn journal(&mut self, config: &config::Journal, origin: &Origin) -> Result<(), Failure> {
        let journal = journal::Journal::new(origin.clone())
            .map_err(|error| Failure::System(format!("make a socket for the journal: {error}")))?;
        // Each alert is an entry, at once: the journal is where nothing is left out.
        let limits =
            outbox::Limits { group_wait: Duration::ZERO, cool_down: Duration::ZERO, room: config.queue, most: 1 };
        let desk = self.desk(JOURNAL, Outbox::new(limits), journal);
        self.sinks.push(Sink::new(JOURNAL, config.severity, vec![desk]));
        Ok(())
    }

    fn webhook(&mut self, config: &config::Webhook, origin: &Origin) -> Result<(), Failure> {
        let limits = outbox::Limits {
            group_wait: config.group_wait,
            cool_down: config.cool_down,
            room: config.queue,
            most: config.queue,
        };
        let sender = webhook::Webhook { client: webhook_client(config)?, origin: origin.clone() };
        let desk = self.desk(&config.name, Outbox::new(limits), sender);
        self.sinks.push(Sink::new(&config.name, config.severity, vec![desk]));
        Ok(())
    }

    fn alertmanager(&mut self, config: &config::Alertmanager, origin: &Origin, alerts: u64) -> Result<(), Failure> {
        let raised = usize::try_from(alerts).unwrap_or(usize::MAX);
        let limits = standing::Limits { resend: config.resend, raised, cleared: config.queue };
        let mut desks = Vec::new();
        for url in &config.urls {
            let form =
                alertmanager::Form { origin: origin.clone(), labels: config.labels.clone(), resend: config.resend };
            let sender = alertmanager::Alertmanager { client: alertmanager_client(config, url)?, form };
            desks.push(self.desk(&config.name, Standing::new(limits), sender));
        }
        self.sinks.push(Sink { hears_states: true, ..Sink::new(&config.name, config.severity, desks) });
        Ok(())
    }
}

/// Names stacks and leaves alerts at each desk, in the order in which they were told. When no more come, lets the desks end.
async fn pass_on(
    log: Log,
    mut hear: mpsc::Receiver<Told>,
    sinks: Arc<[Sink]>,
    stop: CancellationToken,
    mut ledger: Ledger,
) {
    let _ends_desks = stop.clone().drop_guard();
    while let Some((transitions, at)) = hear.recv().await {
        let has_evidence = transitions.iter().any(|transition| !transition.evidence.is_empty());
        let named = if has_evidence {
            let name = move || (log::name_evidence(&transitions), transitions);
            // It ends early with the program only.
            let Ok(named) = tokio::task::spawn_blocking(name).await else { return };
            named
        } else {
            (vec![Vec::new(); transitions.len()], transitions)
        };
        let (names, transitions) = named;
        for (transition, stacks) in transitions.into_iter().zip(names) {
            log.tell_evidence(&transition, &stacks);
            let notice = Arc::new(ledger.enter(transition, stacks, at));
            sinks.iter().for_each(|sink| sink.leave(&notice));
        }
    }
}
