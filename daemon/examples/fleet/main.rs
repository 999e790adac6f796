//! A fleet in one process: each host is a recording that is played through the daemon's own scope, with names of its own, and is
//! exposed by the daemon's own encoders. `cargo xtask simulate` lets a Prometheus scrape it. No line of an exposition is made here.
//!
//! `fleet ADDRESS HOSTS TICK_MS WORKING BUSY`: two recordings. Of ten hosts six play the ticks of the first in which little happens,
//! three all of it, and one the second.

mod host;

use std::{
    convert::Infallible,
    env, fs,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::stream;
use mmscope::export::{Format, Scrape};
use serde_json::json;

use host::{Host, Tape};

/// What ten hosts do.
const LOADS: [Load; 10] = {
    use Load::{Busy, Idle, Working};
    [Idle, Idle, Working, Idle, Idle, Working, Idle, Idle, Working, Busy]
};
/// Hosts of a cluster.
const CLUSTER: usize = 250;

#[derive(Clone, Copy)]
enum Load {
    Idle,
    Working,
    Busy,
}

impl Load {
    fn of(n: usize) -> Self {
        LOADS[n % LOADS.len()]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Busy => "busy",
        }
    }
}

/// What pages are made of.
#[derive(Clone)]
struct Fleet {
    hosts: Arc<Vec<Mutex<Host>>>,
    address: SocketAddr,
}

fn main() -> ExitCode {
    match start() {
        Ok(never) => match never {},
        Err(message) => {
            eprintln!("fleet: {message}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<Infallible, String> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [address, hosts, tick, working, busy] = args.as_slice() else {
        return Err("needs ADDRESS HOSTS TICK_MS WORKING BUSY".to_owned());
    };
    let address: SocketAddr = address.parse().map_err(|_| format!("{address} is no address"))?;
    let number = |text: &String| text.parse::<u64>().map_err(|_| format!("{text} is no number"));
    let (hosts, tick) = (number(hosts)? as usize, Duration::from_millis(number(tick)?));
    let tape = |file: &String| {
        let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        Tape::read(&bytes).map_err(|why| format!("{file}: {why}"))
    };
    let working = tape(working)?;
    let (idle, working, busy) = (Arc::new(working.idle()?), Arc::new(working), Arc::new(tape(busy)?));
    let host = |n| {
        let tape = match Load::of(n) {
            Load::Idle => &idle,
            Load::Working => &working,
            Load::Busy => &busy,
        };
        Mutex::new(Host::new(n, tape.clone()))
    };
    let fleet = Fleet { hosts: Arc::new((0..hosts).map(host).collect()), address };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(serve(fleet, tick))
}

async fn serve(fleet: Fleet, tick: Duration) -> Result<Infallible, String> {
    let hosts = fleet.hosts.clone();
    std::thread::spawn(move || play(&hosts, tick));
    let listener = tokio::net::TcpListener::bind(fleet.address).await;
    let listener = listener.map_err(|error| format!("listen on {}: {error}", fleet.address))?;
    let app = Router::new().route("/targets", get(targets)).route("/host/{n}/metrics", get(metrics)).with_state(fleet);
    axum::serve(listener, app).await.map_err(|error| error.to_string())?;
    Err("the server has ended".to_owned())
}

/// Each host ticks once a tick, spread over it.
fn play(hosts: &[Mutex<Host>], tick: Duration) {
    let begin = Instant::now();
    for n in 0_u32.. {
        for (place, host) in hosts.iter().enumerate() {
            let at = tick * n + tick.mul_f64(place as f64 / hosts.len() as f64);
            std::thread::sleep(at.saturating_sub(begin.elapsed()));
            lock(host).tick();
        }
    }
}

fn lock(host: &Mutex<Host>) -> MutexGuard<'_, Host> {
    host.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As Prometheus' http_sd wants them.
async fn targets(State(fleet): State<Fleet>) -> Response {
    let group = |n: usize| {
        json!({
            "targets": [fleet.address.to_string()],
            "labels": {
                "__metrics_path__": format!("/host/{n}/metrics"),
                "instance": format!("host-{n:04}"),
                "cluster": format!("c{}", n / CLUSTER),
                "load": Load::of(n).name(),
            }
        })
    };
    let groups: Vec<_> = (0..fleet.hosts.len()).map(group).collect();
    ([(header::CONTENT_TYPE, "application/json")], json!(groups).to_string()).into_response()
}

async fn metrics(State(fleet): State<Fleet>, Path(n): Path<usize>, headers: HeaderMap) -> Response {
    let Some(host) = fleet.hosts.get(n) else { return StatusCode::NOT_FOUND.into_response() };
    // Before its first tick a host does not answer.
    let Some(snapshot) = lock(host).snapshot() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let accept: Vec<&str> = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::accepted(Some(&accept.join(",")));
    let pieces = Scrape::new(snapshot, format).map(Ok::<_, Infallible>);
    ([(header::CONTENT_TYPE, format.content_type())], Body::from_stream(stream::iter(pieces))).into_response()
}
