//! Figures of own probes, where no daemon runs: the ticks of `mmscope run`, shown to one terminal and to no client.

use std::{path::Path, time::Instant};

use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior},
};

use super::{MOST_SUBJECTS, state::Update};
use crate::{
    attach::StatisticsSwitch,
    cli::TopArgs,
    config::Config,
    failure::Failure,
    governor::Level,
    history::History,
    identity::Subject,
    memory,
    model::Snapshot,
    observer::{self, Observer},
    privileges,
    scope::{Scope, Seen},
    warden::{self, Reins, Warden},
    web,
};

/// What looks at attached probes.
pub(super) struct Probes {
    observer: Observer,
    reins: Reins,
    scope: Scope,
    history: History,
    snapshot: Snapshot,
    origin: web::Origin,
    interval: Interval,
}

/// Attaches; dropping the warden detaches, and takes a second.
///
/// # Errors
///
/// When this process may not, or nothing can be measured here.
pub(super) fn start(args: &TopArgs) -> Result<(Probes, Warden), Failure> {
    let config = match &args.config_file {
        Some(path) => Config::read(path)?,
        None => Config::default(),
    };
    privileges::check(Path::new("/"))?;
    eprintln!("mmscope: attaching own probes");
    let (loaded, observer, host) = observer::start(&config, &args.probes, None)?;
    let settings = warden::Settings {
        least: Level::Full,
        budget: config.overhead_budget.ratio(),
        stop_file: config.stop_file.clone(),
    };
    let (warden, reins) = warden::start(loaded, host.hooks.clone(), settings, StatisticsSwitch::own())?;
    let mut interval = tokio::time::interval(config.tick);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let probes = Probes {
        observer,
        reins,
        snapshot: Snapshot { hooks: host.hooks.clone(), ..Snapshot::default() },
        origin: web::Origin::here(&host.release),
        scope: Scope::new(&config, host),
        history: History::default(),
        interval,
    };
    Ok((probes, warden))
}

impl Probes {
    /// Looks again and again, until nobody listens.
    pub(super) async fn watch(mut self, mut wanted: watch::Receiver<Option<Subject>>, told: mpsc::Sender<Update>) {
        loop {
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() {
                    return;
                },
                () = self.reins.wait(&mut self.observer, &mut self.interval) => {
                    self.tick();
                    let overview = web::overview_of(&self.snapshot, &self.history, &self.origin, MOST_SUBJECTS);
                    if told.send(update(overview, Update::Told)).await.is_err() {
                        return;
                    }
                }
            }
            let Some(subject) = wanted.borrow_and_update().clone() else { continue };
            let about = web::subject_of(&self.snapshot, &self.history, &self.origin, &subject);
            let about = about.map_or_else(|| Update::Nobody(subject), |about| update(about, Update::About));
            if told.send(about).await.is_err() {
                return;
            }
        }
    }

    fn tick(&mut self) {
        let sight = self.reins.look(&mut self.observer, Instant::now());
        let seen = self.scope.see(&sight);
        self.history.take(&sight, &seen);
        let Seen { mut snapshot, .. } = seen;
        snapshot.names = self.observer.names();
        self.snapshot = snapshot;
        if memory::is_due(self.snapshot.ticks, sight.mms.len()) {
            drop(sight);
            memory::give_back();
        }
    }
}

/// The page's own data, as a client would have read them.
fn update<T: DeserializeOwned>(told: serde_json::Value, make: impl FnOnce(Box<T>) -> Update) -> Update {
    match serde_json::from_value(told) {
        Ok(told) => make(Box::new(told)),
        Err(error) => Update::Failed(error.to_string()),
    }
}
