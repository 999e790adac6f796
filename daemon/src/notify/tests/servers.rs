//! Real servers on loopback: ones that fail, hang, close, ask for a password, or have a certificate that nobody knows; and a
//! journal.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixDatagram},
};
use tokio_rustls::{TlsAcceptor, rustls};

use super::{cleared, raised};
use crate::{
    anomaly::{Class::LockConvoy, Severity, Transition},
    config,
    identity::Subject,
    model::sinks::{Reason, SinkFigures},
    notify::{
        Notifier,
        deliver::Failed,
        http::{Client, Target},
        journal::Journal,
        origin::Origin,
        outbox::{Message, Told},
    },
};

/// What a server got, and with what it answers: one code after the other, then always the last.
#[derive(Clone)]
struct Server {
    got: Arc<Mutex<Vec<(HeaderMap, serde_json::Value)>>>,
    answers: Arc<Vec<StatusCode>>,
    asked: Arc<AtomicUsize>,
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let n = server.asked.fetch_add(1, Ordering::Relaxed);
    let code = server.answers[n.min(server.answers.len() - 1)];
    if code.is_success() {
        server.got.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
    }
    code
}

impl Server {
    fn answering(answers: &[StatusCode]) -> Self {
        Self { got: Arc::default(), answers: Arc::new(answers.to_vec()), asked: Arc::default() }
    }

    fn app(&self) -> Router {
        Router::new().route("/hook", post(answer)).route("/api/v2/alerts", post(answer)).with_state(self.clone())
    }

    async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = self.app();
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }
}

fn http(timeout_ms: u64) -> config::Http {
    config::Http { timeout: Duration::from_millis(timeout_ms), ..config::Http::default() }
}

fn client(url: &str, http: &config::Http) -> Client {
    Client::new(Target::Url(config::Url::parse(url).unwrap()), http).unwrap()
}

async fn post_to(url: &str, http: &config::Http) -> Result<(), Failed> {
    client(url, http).post(b"{}".to_vec()).await
}

async fn reason(url: &str, http: &config::Http) -> Reason {
    post_to(url, http).await.unwrap_err().reason
}

#[tokio::test]
async fn answers_are_told_apart() {
    let codes = [200, 204, 500, 503, 401, 404, 302, 429, 400, 413, 422].map(|code| StatusCode::from_u16(code).unwrap());
    let server = Server::answering(&codes);
    let url = format!("http://{}/hook", server.serve().await);
    let mut seen = Vec::new();
    for _ in codes {
        seen.push(post_to(&url, &http(5_000)).await.map_err(|failed| failed.reason));
    }
    let (again, never) = (Err(Reason::Status), Err(Reason::Refused));
    assert_eq!(seen, [Ok(()), Ok(()), again, again, again, again, again, again, never, never, never]);
}

/// A server that does what it is told with a connection and then closes it.
async fn rude(say: &'static str, reads: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            if reads {
                let _ = stream.read(&mut [0; 4_096]).await;
            }
            let _ = stream.write_all(say.as_bytes()).await;
            if say.is_empty() && reads {
                // Hangs, for as long as the other side wants.
                let _ = stream.read(&mut [0; 4_096]).await;
            }
        }
    });
    format!("http://{address}/hook")
}

#[tokio::test]
async fn servers_that_hang_close_or_talk_nonsense_cost_one_attempt() {
    assert_eq!(reason(&rude("", true).await, &http(200)).await, Reason::Timeout);
    assert_eq!(reason(&rude("", false).await, &http(5_000)).await, Reason::Broken);
    assert_eq!(reason(&rude("SMTP ready\r\n", true).await, &http(5_000)).await, Reason::Broken);
    assert_eq!(reason(&rude("HTTP/1.1 200", true).await, &http(5_000)).await, Reason::Broken);
    assert!(post_to(&rude("HTTP/1.1 200 OK\r\n\r\n", true).await, &http(5_000)).await.is_ok(), "a body until the end");
    let asked = rude("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n", true).await;
    assert_eq!(post_to(&asked, &http(5_000)).await.unwrap_err().retry_after, Some(Duration::from_secs(7)));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = post_to(&format!("http://{closed}/s3cret"), &http(5_000)).await.unwrap_err();
    assert_eq!(nobody.reason, Reason::Connect);
    assert!(!nobody.message.contains("s3cret"), "{nobody}");
    assert_eq!(reason("http://host.invalid/", &http(20_000)).await, Reason::Connect);
}

#[tokio::test]
async fn a_token_and_an_address_come_from_files_that_may_change() {
    let server = Server::answering(&[StatusCode::OK]);
    let address = server.serve().await;
    let folder = tempfile::tempdir().unwrap();
    let (url, token) = (folder.path().join("url"), folder.path().join("token"));
    std::fs::write(&url, format!("http://{address}/hook\n")).unwrap();
    std::fs::write(&token, "one\n").unwrap();
    let http = config::Http { bearer_token_file: Some(token.clone()), ..http(5_000) };
    let client = Client::new(Target::File(url.clone()), &http).unwrap();
    client.post(b"{}".to_vec()).await.unwrap();
    std::fs::write(&token, "two\n").unwrap();
    client.post(b"{}".to_vec()).await.unwrap();
    std::fs::remove_file(&token).unwrap();
    assert_eq!(client.post(b"{}".to_vec()).await.unwrap_err().reason, Reason::File);
    std::fs::write(&url, "s3cret").unwrap();
    let failed = client.post(b"{}".to_vec()).await.unwrap_err();
    assert!(failed.reason == Reason::File && !failed.message.contains("s3cret"), "{failed}");
    let got = server.got.lock().unwrap();
    let tokens: Vec<_> = got.iter().map(|(headers, _)| headers["authorization"].to_str().unwrap().to_owned()).collect();
    assert_eq!(tokens, ["Bearer one", "Bearer two"]);
    assert_eq!(got[0].0["content-type"], "application/json");
    assert_eq!(got[0].0["host"], address.to_string());
}

#[tokio::test]
async fn https_trusts_whom_the_file_names_and_nobody_else() {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    // Addresses and no name: there may be nobody to ask for one, not even for localhost.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4_096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    let trusted = |pem: String| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        (config::Http { ca_file: Some(file.path().to_owned()), ..http(5_000) }, file)
    };
    let (known, _file) = trusted(signed.cert.pem());
    post_to(&format!("https://127.0.0.1:{port}/hook"), &known).await.unwrap();
    assert_eq!(reason(&format!("https://127.0.0.2:{port}/hook"), &known).await, Reason::Tls, "another name");
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (unknown, _file) = trusted(other.cert.pem());
    assert_eq!(reason(&format!("https://127.0.0.1:{port}/hook"), &unknown).await, Reason::Tls);
    let plain = format!("https://{}/hook", Server::answering(&[StatusCode::OK]).serve().await);
    assert_eq!(reason(&plain, &known).await, Reason::Tls, "no TLS at all");
}

fn transition(comm: &str, is_active: bool) -> Transition {
    Transition {
        class: LockConvoy,
        severity: Severity::Warning,
        subject: Some(Subject { comm: comm.to_owned(), cgroup: "/".to_owned() }),
        about: "",
        is_active,
        text: format!("text of {comm}"),
        evidence: Vec::new(),
    }
}

/// Waits for a condition, for as long as a slow machine may need.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} within half a minute");
}

/// The whole of it: what a tick told goes to each sink, those that failed hear of it later, and the figures say so.
#[tokio::test]
async fn alerts_reach_every_sink_whatever_the_others_do() {
    let (hook, am) =
        (Server::answering(&[StatusCode::INTERNAL_SERVER_ERROR, StatusCode::OK]), Server::answering(&[StatusCode::OK]));
    let (hook_at, am_at) = (hook.serve().await, am.serve().await);
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let text = format!(
        "[notify]\ninstance = \"here\"\n[notify.journal]\nenabled = false\n\
         [[notify.webhook]]\nname = \"hook\"\nurl = \"http://{hook_at}/hook\"\ngroup_wait = \"0s\"\n\
         [[notify.webhook]]\nname = \"grave\"\nurl = \"http://{hook_at}/hook\"\nseverity = \"critical\"\n\
         [[notify.alertmanager]]\nname = \"am\"\nurls = [\"http://{closed}\", \"http://{am_at}/\"]\n"
    );
    let config = config::Config::parse(&text).unwrap();
    let mut notifier = Notifier::start(&config.notify, 100, "127.0.0.1:1", false).unwrap();
    notifier.tell(vec![transition("a", true), transition("b", true)], super::wall(1));
    until("both raised", || !hook.got.lock().unwrap().is_empty() && !am.got.lock().unwrap().is_empty()).await;
    notifier.tell(vec![transition("a", false)], super::wall(9));
    until("cleared", || am.got.lock().unwrap().len() == 2).await;
    until("counted", || notifier.figures()[2].sent == 2).await;
    let figures = notifier.figures();
    let named = |name: &str| -> SinkFigures { figures.iter().find(|sink| sink.name == name).unwrap().clone() };
    assert_eq!(figures.len(), 3);
    assert_eq!(named("hook").failures[Reason::Status as usize], 1);
    assert_eq!((named("grave").sent, named("grave").waiting), (0, 0), "nothing that grave");
    let am_figures = named("am");
    assert!(am_figures.failures[Reason::Connect as usize] >= 1, "{am_figures:?}");
    assert_eq!(am_figures.waiting, 2, "for the instance that is down: one raised, one cleared");
    notifier.stop().await;

    let got = am.got.lock().unwrap();
    assert_eq!(got[0].1.as_array().unwrap().len(), 2);
    let [ended] = &got[1].1.as_array().unwrap()[..] else { panic!("{got:?}") };
    assert_eq!((&ended["labels"]["comm"], &ended["labels"]["instance"]), (&"a".into(), &"here".into()));
    assert_eq!(ended["startsAt"], got[0].1[0]["startsAt"]);
    let webhook = &hook.got.lock().unwrap()[0].1;
    assert_eq!((&webhook["class"], &webhook["raised"]), (&"lock_convoy".into(), &2.into()), "{webhook}");
}

/// Another configuration: Alertmanager's new queue knows what is raised, with its time; a webhook is not told again.
#[tokio::test]
async fn who_is_told_of_states_hears_after_a_change_of_what_is_raised() {
    let (hook, am) = (Server::answering(&[StatusCode::OK]), Server::answering(&[StatusCode::OK]));
    let (hook_at, am_at) = (hook.serve().await, am.serve().await);
    let config = |instance: &str| {
        let text = format!(
            "[notify]\ninstance = \"{instance}\"\n[notify.journal]\nenabled = false\n\
             [[notify.webhook]]\nname = \"hook\"\nurl = \"http://{hook_at}/hook\"\ngroup_wait = \"0s\"\n\
             [[notify.alertmanager]]\nname = \"am\"\nurls = [\"http://{am_at}/\"]\n"
        );
        config::Config::parse(&text).unwrap().notify
    };
    let mut notifier = Notifier::start(&config("one"), 100, "127.0.0.1:1", false).unwrap();
    notifier.tell(vec![transition("a", true), transition("b", true)], super::wall(1));
    notifier.tell(vec![transition("b", false)], super::wall(2));
    until("all told", || notifier.figures().iter().all(|sink| sink.sent > 0 && sink.waiting == 0)).await;
    let (hooked, told) = (hook.got.lock().unwrap().len(), am.got.lock().unwrap().len());
    let mut wrong = config("one");
    wrong.webhook[0].http.bearer_token_file = Some("/nonexistent".into());
    assert!(notifier.restart(&wrong, 100, "127.0.0.1:1", false).is_err());
    notifier.restart(&config("two"), 100, "127.0.0.1:1", false).unwrap();
    until("told again", || am.got.lock().unwrap().len() > told).await;
    notifier.tell(vec![transition("a", false)], super::wall(9));
    until("cleared", || hook.got.lock().unwrap().len() > hooked).await;
    notifier.stop().await;

    let got = am.got.lock().unwrap();
    let [again] = &got[told].1.as_array().unwrap()[..] else { panic!("{got:?}") };
    assert_eq!((&again["labels"]["comm"], &again["labels"]["instance"]), (&"a".into(), &"two".into()));
    assert_eq!(again["startsAt"], got[0].1[0]["startsAt"]);
    let hook = &hook.got.lock().unwrap()[hooked..];
    assert_eq!((hook.len(), &hook[0].1["raised"], &hook[0].1["cleared"]), (1, &0.into(), &1.into()), "{hook:?}");
}

#[tokio::test]
async fn the_end_waits_for_nobody_who_hangs() {
    let url = rude("", true).await;
    let text = format!("[[notify.webhook]]\nname = \"hook\"\nurl = \"{url}\"\ngroup_wait = \"0s\"\n");
    let config = config::Config::parse(&text).unwrap();
    let mut notifier = Notifier::start(&config.notify, 100, "127.0.0.1:1", false).unwrap();
    notifier.tell(vec![transition("a", true)], super::wall(1));
    until("it waits", || notifier.figures()[0].waiting == 1).await;
    let before = std::time::Instant::now();
    notifier.stop().await;
    assert!(before.elapsed() < Duration::from_millis(1_000), "{:?}", before.elapsed());
}

/// Fields of an entry in the journal's native protocol.
fn fields(mut entry: &[u8]) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = (std::str::from_utf8(&entry[..end]).unwrap(), &entry[end + 1..]);
        if let Some((name, value)) = line.split_once('=') {
            fields.push((name.to_owned(), value.to_owned()));
            entry = rest;
        } else {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            fields.push((line.to_owned(), String::from_utf8(rest[8..8 + length].to_vec()).unwrap()));
            assert_eq!(rest[8 + length], b'\n');
            entry = &rest[9 + length..];
        }
    }
    fields
}

#[tokio::test]
async fn a_journal_gets_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let origin = Origin::new(&config::Notify::default(), "h", ":1");
    let journal = Journal::new(origin).unwrap();
    let mut notice = (*raised(1, LockConvoy, "a")).clone();
    let evidence = |event: &str| crate::notify::notice::Evidence {
        event: event.to_owned(),
        comm: "thread".to_owned(),
        tgid: 7,
        tid: 8,
        duration_ns: 1,
        stack: vec!["up_write+0x1".to_owned(), "do_syscall_64+0x2".to_owned()],
    };
    notice.evidence = vec![evidence("hold"), evidence("wait")];
    let told = |notice| Told { notice, repeats: 0 };
    let message = Message { class: LockConvoy, told: vec![told(Arc::new(notice)), told(cleared(2, LockConvoy, "a"))] };
    assert_eq!(journal.write(&path, &message).await.unwrap_err().reason, Reason::Connect, "nobody listens");

    let socket = UnixDatagram::bind(&path).unwrap();
    journal.write(&path, &message).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let mut next = async || {
        let length = socket.recv(&mut buffer).await.unwrap();
        fields(&buffer[..length])
    };
    let entry = next().await;
    let has = |entry: &[(String, String)], name: &str| {
        entry.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    for (name, value) in [
        ("MESSAGE", "warning: lock_convoy of a: text 1"),
        ("PRIORITY", "4"),
        ("SYSLOG_IDENTIFIER", "mmscope"),
        ("MMSCOPE_CLASS", "lock_convoy"),
        ("MMSCOPE_SEVERITY", "warning"),
        ("MMSCOPE_STATE", "raised"),
        ("COMM", "a"),
        ("CGROUP", "/a.slice"),
        (
            "MMSCOPE_EVIDENCE",
            "hold\n    up_write+0x1\n    do_syscall_64+0x2\nwait\n    up_write+0x1\n    do_syscall_64+0x2",
        ),
    ] {
        assert_eq!(has(&entry, name).as_deref(), Some(value), "{name}: {entry:?}");
    }
    assert_eq!(has(&entry, "MMSCOPE_ENDS_AT"), None);
    let entry = next().await;
    assert_eq!(has(&entry, "PRIORITY").as_deref(), Some("6"));
    assert_eq!(has(&entry, "MMSCOPE_STATE").as_deref(), Some("cleared"));
    assert!(has(&entry, "MMSCOPE_ENDS_AT").is_some());
}

#[test]
fn stderr_is_the_journal_if_it_is_the_stream_of_the_service() {
    use std::os::linux::fs::MetadataExt as _;
    let stderr = std::fs::metadata("/proc/self/fd/2").unwrap();
    let stream = format!("{}:{}", stderr.st_dev(), stderr.st_ino());
    assert!(crate::notify::journal::is_stderr(Some(&stream)));
    for other in [None, Some("1:2"), Some("nonsense"), Some("")] {
        assert!(!crate::notify::journal::is_stderr(other), "{other:?}");
    }
}
