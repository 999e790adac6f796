//! The HTTP side: a scrape, health, readiness and the live page. Everything is rendered from the last snapshot.

mod access;
mod figures;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod guard;
mod pace;
mod page;
mod server;

use std::{
    convert::Infallible,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

pub use access::Door;

use crate::{
    config::Web,
    export,
    failure::Failure,
    governor::{Governed, Level},
    history::History,
    model::{Snapshot, web::WebFigures},
    scope::{Seen, Sight},
};
use figures::Counters;
use guard::Guard;
use server::Server;

pub use page::{Origin, Replay};
pub(crate) use page::{TAKEN, THIN, address_of, overview_of, span, subject_of};

/// A snapshot that is replaced whole: a scrape reads the last one and waits for nobody.
pub type SharedSnapshot = std::sync::Arc<arc_swap::ArcSwap<Snapshot>>;

/// How many ticks may be missed before mmscope calls itself unhealthy.
const MISSED_TICKS: u32 = 10;

/// What the pages are made of.
#[derive(Clone)]
pub struct Site {
    /// The last snapshot.
    pub snapshot: SharedSnapshot,
    /// Path of the scrape.
    pub telemetry_path: String,
    /// Time between two ticks.
    pub tick: watch::Receiver<Duration>,
    /// When the last tick was.
    pub last_tick: std::sync::Arc<std::sync::Mutex<Option<Instant>>>,
    /// What is given up, to cost less.
    pub governed: watch::Receiver<Governed>,
    /// Who may ask, over what, and what was counted of those who did.
    pub front: Front,
    /// The last 15 minutes.
    pub history: Arc<Mutex<History>>,
    /// Whose figures they are.
    pub origin: Arc<Origin>,
}

/// The side that clients see.
#[derive(Clone)]
pub struct Front {
    door: Arc<Door>,
    limits: Web,
    counters: Arc<Counters>,
}

impl Front {
    /// With the file of `--web.config.file`, if there is one.
    ///
    /// # Errors
    ///
    /// When it, or a file that it names, cannot be used; the message names it.
    pub fn new(file: Option<&Path>, limits: Web) -> Result<Self, Failure> {
        let door = file.map_or_else(|| Ok(Door::open()), Door::read)?;
        Ok(Self { door: Arc::new(door), limits, counters: Arc::default() })
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.door.is_secure() { "https" } else { "http" }
    }

    /// What was counted so far.
    #[must_use]
    pub fn figures(&self) -> WebFigures {
        WebFigures { reloads: self.door.reloads(), ..self.counters.figures() }
    }
}

impl Site {
    /// Shows what a tick saw and what that came to.
    pub fn remember(&self, sight: &Sight, seen: &Seen) {
        self.history.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take(sight, seen);
    }

    /// Says that a tick is done.
    pub fn ticked(&self, now: Instant) {
        *self.last_tick.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(now);
    }

    fn age(&self) -> Option<Duration> {
        let last = *self.last_tick.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        last.map(|last| last.elapsed())
    }
}

/// Listens on an address: `host:port`, or `:port` for all of the host's addresses.
///
/// # Errors
///
/// When the address is none, or is in use.
pub async fn listen(address: &str) -> Result<TcpListener, Failure> {
    let failed = |error| Failure::Listen { address: address.to_owned(), error };
    if address.starts_with(':') {
        match TcpListener::bind(format!("[::]{address}")).await {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
                TcpListener::bind(format!("0.0.0.0{address}")).await.map_err(failed)
            }
            listener => listener.map_err(failed),
        }
    } else {
        TcpListener::bind(address).await.map_err(failed)
    }
}

/// Answers until the token is cancelled.
///
/// # Errors
///
/// When the listener fails.
pub async fn serve(listener: TcpListener, site: Site, stop: CancellationToken) -> std::io::Result<()> {
    server(site).serve(listener, stop).await
}

/// What answers, before it listens anywhere.
fn server(site: Site) -> Server {
    let Front { door, limits, counters } = site.front.clone();
    let pages = Router::new()
        .route(&site.telemetry_path, get(metrics))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .merge(page::routes())
        .with_state(site);
    let guard = Guard::new(pages, door.clone(), counters.clone(), limits.target_bytes);
    Server { limits, door, counters, guard }
}

async fn metrics(State(site): State<Site>, headers: HeaderMap) -> Response {
    // Several lines of one name are one list.
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = export::Format::accepted(Some(&accept.join(",")));
    let pieces = export::Scrape::new(site.snapshot.load_full(), format).map(Ok::<_, Infallible>);
    let told = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "Accept")];
    (told, Body::from_stream(stream::iter(pieces))).into_response()
}

async fn healthy(State(site): State<Site>) -> Response {
    match site.age() {
        Some(age) if age > *site.tick.borrow() * MISSED_TICKS => {
            let text = format!("no look at the kernel for {} s\n", age.as_secs());
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        _ => "healthy\n".into_response(),
    }
}

async fn ready(State(site): State<Site>) -> Response {
    match site.age() {
        // Ready also where less is measured: there is something to scrape.
        Some(_) => {
            let governed = site.governed.borrow().clone();
            let line = if governed.level == Level::Full { String::new() } else { governed.line() + "\n" };
            format!("ready\n{line}").into_response()
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "no look at the kernel yet\n").into_response(),
    }
}
