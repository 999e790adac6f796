//! What a client may cost, over plain HTTP.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::client::{Server, await_some};

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(&server.address).unwrap()
}

/// What comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // One that is reset ends too.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn every_answer_has_the_headers_that_a_browser_heeds() {
    let server = Server::start("", "");
    for (page, code) in [("/", 200), ("/metrics", 200), ("/-/healthy", 200), ("/-/ready", 200), ("/nothing", 404)] {
        let answer = server.curl(page, &[]);
        assert_eq!(answer.code, code, "{page}: {answer:?}");
        for header in [
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "x-frame-options: deny",
        ] {
            assert!(answer.head.contains(header), "{page}: {}", answer.head);
        }
    }
    let head = server.curl("/metrics", &["--head"]);
    assert_eq!((head.code, head.exit), (200, 0), "{head:?}");
}

#[test]
fn nothing_but_reading() {
    let server = Server::start("", "");
    for (n, method) in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"].into_iter().enumerate() {
        let answer = server.curl(["/metrics", "/-/ready"][n % 2], &["--request", method]);
        assert_eq!(answer.code, 405, "{method}: {answer:?}");
        assert!(answer.head.contains("allow: get, head"), "{}", answer.head);
    }
    let sent = server.curl("/", &["--data", "quit"]);
    assert_eq!(sent.code, 405);
    server.counts("mmscope_http_refused_total{reason=\"method\"}", 7, &[]);
    server.counts("mmscope_http_answers_total{code=\"405\"}", 7, &[]);
}

#[test]
fn headers_and_paths_are_bounded() {
    let server = Server::start("", "header_bytes = 8192\nheader_lines = 8\ntarget_bytes = 100\n");
    assert_eq!(server.curl("/metrics", &[]).code, 200);
    let long = format!("X-Long: {}", "x".repeat(20_000));
    assert_eq!(server.curl("/metrics", &["--header", &long]).code, 431);
    let lines: Vec<String> = (0..9).map(|n| format!("X-{n}: x")).collect();
    let many: Vec<&str> = lines.iter().flat_map(|line| ["--header", line]).collect();
    assert_eq!(server.curl("/metrics", &many).code, 431);
    server.counts("mmscope_http_refused_total{reason=\"header_size\"}", 2, &[]);
    assert_eq!(server.curl(&format!("/metrics?{}", "x".repeat(100)), &[]).code, 414);
    server.counts("mmscope_http_refused_total{reason=\"target_size\"}", 1, &[]);
    let mut stream = connect(&server);
    stream.write_all(b"\0\x01\x02 what is this\r\n\r\n").unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 400 "));
    server.counts("mmscope_http_refused_total{reason=\"malformed\"}", 1, &[]);
}

#[test]
fn who_takes_too_long_is_closed() {
    let server = Server::start("", "header_timeout = \"3s\"\nidle_timeout = \"1s\"\n");
    let mut silent = connect(&server);
    let mut slow = connect(&server);
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-").unwrap();
    assert_eq!((rest(&mut silent), rest(&mut slow)), (String::new(), String::new()));
    // At least: on a machine that is busy curl may be slow as well.
    await_some("two that were too slow", || {
        let body = server.curl("/metrics", &[]).body;
        let line = body.lines().find(|line| line.starts_with("mmscope_http_refused_total{reason=\"header_timeout\"}"));
        (line?.rsplit(' ').next()?.parse::<u64>().ok()? >= 2).then_some(())
    });
    // Between two requests it is closed as well: what comes has an end.
    let answer = await_some("answer, and the end of an idle connection", || {
        let mut idle = connect(&server);
        idle.write_all(b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n").ok()?;
        Some(rest(&mut idle)).filter(|answer| !answer.is_empty())
    });
    assert!(answer.ends_with("ready\n"), "{answer}");
}

#[test]
fn connections_are_bounded() {
    let server = Server::start("", "connections = 3\n");
    let connections = |n: usize| -> Vec<TcpStream> {
        let mut streams: Vec<TcpStream> = (0..n).map(|_| connect(&server)).collect();
        for stream in &mut streams {
            // Answered, and kept open.
            stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert_ne!(stream.read(&mut [0; 4_096]).unwrap(), 0);
        }
        streams
    };
    let open = connections(3);
    let mut fourth = connect(&server);
    let _ = fourth.write_all(b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(rest(&mut fourth), "");
    drop(open);
    await_some("free place", || (server.curl("/-/ready", &[]).code == 200).then_some(()));
    let _open = connections(2);
    await_some("refused connection", || {
        let body = server.curl("/metrics", &[]).body;
        let line = body.lines().find(|line| line.starts_with("mmscope_http_refused_total{reason=\"connections\"}"));
        (line?.rsplit(' ').next() != Some("0")).then_some(())
    });
}
