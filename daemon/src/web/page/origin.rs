//! Where what is shown comes from: this host as it is, or a recording.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use maud::{Markup, html};
use serde::Serialize;

use super::{Moment, words};

/// Whose figures they are.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The host's name; empty where it is not known.
    pub host: String,
    /// The kernel's release.
    pub kernel: String,
    /// The recording; none where it is this host as it is.
    pub replay: Option<Replay>,
}

/// A recording that is played.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Its name.
    pub file: String,
    /// How much faster than it was.
    pub speed: f64,
    /// Whether its end was reached.
    pub has_ended: Arc<AtomicBool>,
}

impl Origin {
    /// This host, with a kernel of this release.
    #[must_use]
    pub fn here(kernel: &str) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        Self { host, kernel: kernel.to_owned(), replay: None }
    }
}

/// What the head of a page tells.
#[derive(Serialize)]
pub(super) struct Head {
    version: &'static str,
    host: String,
    kernel: String,
    /// Start of the process that looks, seconds since the epoch: another one, another run.
    run: Option<f64>,
    uptime_ms: u64,
    wall_ms: Option<u64>,
    ticks: u64,
    replay: Option<Played>,
}

#[derive(Serialize)]
struct Played {
    file: String,
    speed: f64,
    has_ended: bool,
}

impl Head {
    pub(super) fn new(moment: &Moment<'_>) -> Self {
        let Moment { snapshot, history, origin } = moment;
        let wall = history.wall().and_then(|wall| wall.duration_since(UNIX_EPOCH).ok());
        Self {
            version: env!("CARGO_PKG_VERSION"),
            host: origin.host.clone(),
            kernel: origin.kernel.clone(),
            run: snapshot.process.map(|process| process.start_seconds),
            uptime_ms: millis(history.uptime()),
            wall_ms: wall.map(millis),
            ticks: snapshot.ticks,
            replay: origin.replay.as_ref().map(|replay| Played {
                file: replay.file.clone(),
                speed: replay.speed,
                has_ended: replay.has_ended.load(Ordering::Relaxed),
            }),
        }
    }

    /// The host's name.
    pub(super) fn name(&self) -> &str {
        &self.host
    }

    /// Whose figures, since when.
    pub(super) fn html(&self) -> Markup {
        let up = words::span(Duration::from_millis(self.uptime_ms));
        html! {
            p #host data-uptime=(self.uptime_ms) data-run=(self.run.unwrap_or_default()) {
                @if !self.host.is_empty() { b { (self.host) } " · " }
                "kernel " (self.kernel) " · "
                @if let Some(Played { file, speed, has_ended }) = &self.replay {
                    span.replay { "recording " (file) }
                    @if *has_ended { ", at its end after " (up) } @else { ", " (speed) " times as fast, at " (up) }
                } @else if self.ticks == 0 {
                    "no look at the kernel yet"
                } @else {
                    "watching for " (up)
                }
            }
        }
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
