//! TLS and passwords, asked by curl.

use std::fs;

use crate::client::{Authority, PASSWORD, Server, TLS, replace, user};

/// curl's exit code of a handshake that failed, and of a certificate that it does not trust.
const NO_HANDSHAKE: i32 = 35;
const NOT_TRUSTED: i32 = 60;

#[test]
fn https_for_who_trusts_its_authority() {
    let server = Server::start(TLS, "");
    assert_eq!(server.scheme, "https");
    let answer = server.curl("/metrics", &[]);
    assert_eq!((answer.code, &*answer.version), (200, "HTTP/2"), "{answer:?}");
    assert!(answer.body.contains("mmscope_build_info") && answer.head.contains("nosniff"));
    let older = server.curl("/metrics", &["--http1.1"]);
    assert_eq!((older.code, &*older.version), (200, "HTTP/1.1"));
    Authority::new().write(server.folder.path(), "other-ca.pem");
    let wrong = server.curl("/metrics", &["--cacert", server.path("other-ca.pem").to_str().unwrap()]);
    assert_eq!((wrong.exit, wrong.code), (NOT_TRUSTED, 0), "{wrong:?}");
    server.counts("mmscope_http_refused_total{reason=\"handshake\"}", 1, &[]);
    let plain = server.curl_at(&format!("http://{}/metrics", server.address), &[]);
    assert_eq!((plain.code, &*plain.body), (400, "Client sent an HTTP request to an HTTPS server.\n"), "{plain:?}");
    server.counts("mmscope_http_refused_total{reason=\"handshake\"}", 2, &[]);
}

#[test]
fn versions_are_those_that_are_allowed() {
    let answers = |server: &Server, args: &[&str]| server.curl("/-/ready", args).exit;
    let old = ["--tlsv1.0", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0"];
    let server = Server::start(TLS, "");
    assert_eq!(answers(&server, &old), NO_HANDSHAKE, "TLS 1.1");
    assert_eq!(answers(&server, &["--tls-max", "1.2"]), 0);
    assert_eq!(answers(&server, &["--tlsv1.3"]), 0);
    let newest = Server::start(&format!("{TLS}  min_version: TLS13\nhttp_server_config:\n  http2: false\n"), "");
    assert_eq!(answers(&newest, &["--tls-max", "1.2"]), NO_HANDSHAKE);
    assert_eq!(newest.curl("/-/ready", &["--tlsv1.3"]).version, "HTTP/1.1");
    let suites = format!("{TLS}  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n");
    let chosen = Server::start(&suites, "");
    assert_eq!(answers(&chosen, &["--ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"]), NO_HANDSHAKE);
    assert_eq!(answers(&chosen, &["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"]), 0);
}

#[test]
fn a_name_and_its_password_open_every_page() {
    let server = Server::start(&format!("{TLS}{}", user()), "");
    let right = format!("scraper:{PASSWORD}");
    for page in ["/", "/metrics", "/-/healthy", "/-/ready", "/nothing"] {
        let nobody = server.curl(page, &[]);
        assert_eq!(nobody.code, 401, "{page}");
        assert!(nobody.head.contains("www-authenticate: basic realm=") && nobody.head.contains("nosniff"));
        for wrong in ["scraper:wrong", "nobody:correct horse", "scraper:"] {
            assert_eq!(server.curl(page, &["--user", wrong]).code, 401, "{page}: {wrong}");
        }
        assert_ne!(server.curl(page, &["--user", &right]).code, 401, "{page}");
    }
    server.counts("mmscope_http_refused_total{reason=\"unauthorized\"}", 20, &["--user", &right]);
}

#[test]
fn a_certificate_is_exchanged_while_it_runs() {
    let server = Server::start(TLS, "");
    let folder = server.folder.path();
    assert_eq!(server.curl("/-/ready", &[]).code, 200);
    let next = Authority::new();
    next.sign(folder, "server", &["localhost", "127.0.0.1"]);
    assert_eq!(server.curl("/-/ready", &[]).exit, NOT_TRUSTED, "the authority of the one before");
    next.write(folder, "ca.pem");
    assert_eq!(server.curl("/-/ready", &[]).code, 200);
    server.counts("mmscope_web_config_reloads_total{result=\"taken\"}", 1, &[]);

    replace(&server.path("server.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(server.curl("/-/ready", &[]).code, 200, "the one before stays");
    assert_eq!(server.curl("/-/ready", &[]).code, 200);
    server.counts("mmscope_web_config_reloads_total{result=\"refused\"}", 1, &[]);
    assert_eq!(server.said("web configuration not taken, the one before stays"), 1);

    next.sign(folder, "server", &["127.0.0.1"]);
    fs::write(server.path("web.yml"), format!("{TLS}{}", user())).unwrap();
    assert_eq!(server.curl("/-/ready", &[]).code, 401, "passwords from now on");
    fs::write(server.path("web.yml"), TLS).unwrap();
    assert_eq!(server.curl("/-/ready", &[]).code, 401, "they are not given up while it runs");
}

#[test]
fn clients_show_certificates_with_a_name_that_is_allowed() {
    let clients = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients-ca.pem\n  \
                   client_allowed_sans: [prometheus.example, 10.0.0.7]\n";
    // The file is there before the server is: it is written into the same text.
    let ours = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let ca = ours.write(folder.path(), "clients-ca.pem");
    let server = Server::start(&format!("{TLS}{clients}").replace("clients-ca.pem", ca.to_str().unwrap()), "");
    let client = |authority: &Authority, name: &str, names: &[&str]| {
        authority.sign(folder.path(), name, names);
        let file = |end: &str| folder.path().join(format!("{name}{end}.pem")).to_str().unwrap().to_owned();
        let answer = server.curl("/-/ready", &["--cert", &file(""), "--key", &file("-key")]);
        answer.code
    };
    assert_eq!(client(&ours, "allowed", &["other.example", "prometheus.example"]), 200);
    assert_eq!(client(&ours, "address", &["10.0.0.7"]), 200);
    assert_eq!(client(&ours, "not-allowed", &["grafana.example", "10.0.0.8"]), 0);
    assert_eq!(client(&server.authority, "other", &["prometheus.example"]), 0, "another authority's");
    assert_eq!(server.curl("/-/ready", &[]).code, 0, "none at all");
}
