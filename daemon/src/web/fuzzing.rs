//! What holds for the server whatever it is sent: it answers in HTTP, says only what it can, and comes to an end. In memory: no
//! socket is opened.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
    runtime::{Builder, Runtime},
    sync::watch,
};
use tokio_util::sync::CancellationToken;

use super::{Front, Site};
use crate::{
    anomaly::MmLook,
    config::{Config, Web},
    export::{Format, strict},
    governor::Governed,
    history::History,
    identity::Subject,
    intake::Counts,
    plan::{HookState, Tier},
    recording,
    scope::{Scope, Sight},
};

const FORMATS: [Format; 3] = [Format::Prometheus, Format::OpenMetrics, Format::Protobuf];
/// Of either direction, bytes under way.
const PIPE: usize = 16 * 1024;
/// What may be answered, by router and parser.
const STATUSES: [u16; 9] = [100, 200, 400, 404, 405, 413, 414, 431, 503];

/// Any bytes, as an Accept header and as what a client sends.
pub(crate) fn requests(input: &[u8]) {
    accept(&String::from_utf8_lossy(input));
    let runtime = Builder::new_current_thread().enable_time().build().unwrap_or_else(|error| panic!("{error}"));
    let answers = exchange(&runtime, input);
    let mut rest = answers.as_slice();
    while !rest.is_empty() {
        rest = answer(rest);
    }
}

fn accept(header: &str) {
    let format = Format::accepted(Some(header));
    assert_eq!(Format::accepted(Some(header)), format, "the same each time");
    assert_eq!(
        Format::accepted(Some(&header.to_ascii_lowercase().replace(',', " , "))),
        Format::accepted(Some(&header.to_ascii_lowercase()))
    );
    for format in FORMATS {
        // Nothing that follows is wanted more, is named more exactly, or first.
        let first = format!("{},{header}", format.content_type());
        assert_eq!(Format::accepted(Some(&first)), format, "{first:?}");
    }
}

/// All that the server says until it is done with a client that has said this.
fn exchange(runtime: &Runtime, input: &[u8]) -> Vec<u8> {
    runtime.block_on(async {
        let (client, server) = duplex(PIPE);
        let service = super::server(site());
        let connection = service.http1(server, CancellationToken::new());
        let (mut from, mut to) = tokio::io::split(client);
        let mut answers = Vec::new();
        let say = async {
            // Who was refused is not listened to any more.
            let _ = to.write_all(input).await;
            let _ = to.shutdown().await;
        };
        let ((), (), read) = tokio::join!(connection, say, from.read_to_end(&mut answers));
        read.unwrap_or_else(|error| panic!("{error}"));
        answers
    })
}

/// A tag that no page has: a name or a question that comes out as one was not made harmless.
const TAG: &str = "<fuzz";

fn site() -> Site {
    let (_, governed) = watch::channel(Governed::default());
    let mut host = recording::fuzzing::header().host;
    host.hooks.fill(HookState::Attached(Tier::F));
    let subject = Subject { comm: format!("{TAG}>'\"&"), cgroup: format!("/{TAG}/>") };
    let counts = Counts { flushes: [3, 1, 0], windows_opened: 4, windows_closed: 4, ..Counts::default() };
    let mm = MmLook { subject, tgid: 1, counts, fault_age: None, since_ioctl: None, reclaim_age: None };
    let sight = Sight { uptime: Duration::from_secs(1), mms: vec![mm], ..Sight::default() };
    let seen = Scope::new(&Config::default(), host).see(&sight);
    let mut history = History::default();
    history.take(&sight, &seen);
    Site {
        snapshot: Arc::new(ArcSwap::from_pointee(seen.snapshot)),
        telemetry_path: "/metrics".to_owned(),
        tick: watch::channel(Duration::from_secs(1)).1,
        last_tick: Arc::new(Mutex::new(Some(Instant::now()))),
        governed,
        history: Arc::new(Mutex::new(history)),
        origin: Arc::default(),
        front: Front::new(None, Web::default()).unwrap_or_else(|error| panic!("{error}")),
    }
}

/// Checks the first answer; what follows it.
fn answer(bytes: &[u8]) -> &[u8] {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else {
        panic!("no answer in HTTP: {:?}", String::from_utf8_lossy(bytes))
    };
    let status = response.code.unwrap_or_default();
    assert!(STATUSES.contains(&status), "status {status}");
    let headers: BTreeMap<String, String> = response
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let (body, rest) = body(&bytes[head..], &headers);
    let kind = headers.get("content-type").map(String::as_str);
    if kind.is_some_and(|kind| kind.starts_with("text/html")) {
        let page = String::from_utf8(body.clone()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!page.contains(TAG), "{page}");
    }
    if let (200, Some(format)) = (status, FORMATS.into_iter().find(|format| kind == Some(format.content_type()))) {
        assert_eq!(headers.get("vary").map(String::as_str), Some("Accept"));
        if format != Format::Protobuf && !body.is_empty() {
            let text = String::from_utf8(body).unwrap_or_else(|error| panic!("{error}"));
            strict::read(&text, format == Format::OpenMetrics).unwrap_or_else(|why| panic!("{why}"));
        }
    }
    rest
}

/// The body, and what is behind it. The answer to a HEAD has none, whatever its headers say of it.
fn body<'a>(bytes: &'a [u8], headers: &BTreeMap<String, String>) -> (Vec<u8>, &'a [u8]) {
    if bytes.is_empty() || bytes.starts_with(b"HTTP/1.") {
        return (Vec::new(), bytes);
    }
    if headers.get("transfer-encoding").map(String::as_str) == Some("chunked") {
        return chunks(bytes);
    }
    let Some(length) = headers.get("content-length") else {
        // To an HTTP/1.0 client: up to the end of the connection.
        return (bytes.to_vec(), &[]);
    };
    let length: usize = length.parse().unwrap_or_else(|_| panic!("{length:?} is no length"));
    assert!(length <= bytes.len(), "{length} bytes were promised, {} sent", bytes.len());
    (bytes[..length].to_vec(), &bytes[length..])
}

fn chunks(mut bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut body = Vec::new();
    loop {
        let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(bytes) else {
            panic!("no chunk: {:?}", String::from_utf8_lossy(bytes))
        };
        let size = size as usize;
        body.extend_from_slice(&bytes[head..head + size]);
        bytes = bytes[head + size..].strip_prefix(b"\r\n").unwrap_or_else(|| panic!("a chunk without an end"));
        if size == 0 {
            return (body, bytes);
        }
    }
}
