//! `mmscope top`: the live page's figures in a terminal, of a running daemon or of own probes. Here is the loop; what is shown is
//! a pure state, what it looks like a pure drawing, and where figures come from are two sources that tell the same data.

mod daemon;
mod draw;
#[cfg(test)]
mod fixture;
mod probes;
mod rows;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod told;
mod words;

use std::{
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use ratatui::crossterm::event::{Event, EventStream, KeyEventKind};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    cli::TopArgs, config::Url, failure::Failure, identity::Subject, model::sinks::Reason, notify::Failed,
    warden::Warden,
};
use daemon::Daemon;
use screen::Screen;
use state::{Outcome, State, Update};

/// Subjects asked for by each measure and period: more than a daemon tells apart.
const MOST_SUBJECTS: usize = 500;

/// Where `mmscope run` serves if nothing else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:10942";

/// Where figures come from.
struct Source {
    name: String,
    updates: mpsc::Receiver<Update>,
    wanted: watch::Sender<Option<Subject>>,
    task: JoinHandle<()>,
    /// Of own probes.
    warden: Option<Warden>,
}

/// Shows until a key or a signal ends it.
///
/// # Errors
///
/// When there is no terminal to draw on, no daemon at the address, or own probes cannot be attached.
pub async fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    screen::check()?;
    let mut source = source(args).await?;
    let screen = Screen::take()?;
    let shown = show(screen, &mut source).await;
    // The terminal is given back by now. Detaching takes a second.
    source.task.abort();
    if let Some(warden) = source.warden {
        let _ = tokio::task::spawn_blocking(move || drop(warden)).await;
    }
    shown.map(|()| ExitCode::SUCCESS)
}

/// A daemon, if one is asked for or answers at the usual place; else own probes.
async fn source(args: &TopArgs) -> Result<Source, Failure> {
    if args.wants_own_probes() {
        return own_probes(args);
    }
    let url = match &args.url {
        Some(url) => url.clone(),
        None => Url::parse(DEFAULT_URL).map_err(Failure::System)?,
    };
    let failed = |message| Failure::Daemon { url: url.to_string(), message };
    let daemon = Daemon::new(&url, args).map_err(|message| Failure::System(format!("top: {message}")))?;
    match daemon.overview().await {
        Ok(overview) => {
            let (told, updates) = mpsc::channel(4);
            let (wanted, wants) = watch::channel(None);
            let _ = told.try_send(Update::Told(Box::new(overview)));
            let task = tokio::spawn(daemon.watch(args.interval, wants, told));
            Ok(Source { name: url.to_string(), updates, wanted, task, warden: None })
        }
        // Somebody is there, who wants a password or speaks TLS.
        Err(Failed { reason, message, .. }) if args.url.is_some() || reason != Reason::Connect => Err(failed(message)),
        Err(Failed { message, .. }) => own_probes(args).map_err(|failure| match failure {
            Failure::Privileges(own) => failed(format!("{message}; and for own probes: {own}")),
            other => other,
        }),
    }
}

fn own_probes(args: &TopArgs) -> Result<Source, Failure> {
    let (probes, warden) = probes::start(args)?;
    let (told, updates) = mpsc::channel(4);
    let (wanted, wants) = watch::channel(None);
    let task = tokio::spawn(probes.watch(wants, told));
    Ok(Source { name: "own probes".to_owned(), updates, wanted, task, warden: Some(warden) })
}

/// Draws what changes until somebody wants to leave.
async fn show(mut screen: Screen, source: &mut Source) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::System(format!("handle signals: {error}"));
    let on = |kind| signal(kind).map_err(failed);
    let (mut interrupt, mut terminate) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let mut hang_up = on(SignalKind::hangup())?;
    let mut keys = EventStream::new();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut state = State::new(source.name.clone());
    let mut answered = Instant::now();
    loop {
        screen.draw(&mut state)?;
        tokio::select! {
            event = keys.next() => match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    if state.key(key) == Outcome::Leave {
                        return Ok(());
                    }
                }
                // A change of its size draws it anew.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Failure::System(format!("top: read keys: {error}"))),
                // The terminal is gone.
                None => return Ok(()),
            },
            update = source.updates.recv() => match update {
                Some(update) => {
                    if !matches!(update, Update::Failed(_)) {
                        answered = Instant::now();
                    }
                    state.take(update);
                }
                None => return Err(Failure::System("top: the task that looks has ended".to_owned())),
            },
            _ = seconds.tick() => {}
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hang_up.recv() => return Ok(()),
        }
        state.age = answered.elapsed();
        source.wanted.send_if_modified(|wanted| {
            let is_new = wanted.as_ref() != state.wanted();
            if is_new {
                *wanted = state.wanted().cloned();
            }
            is_new
        });
    }
}
