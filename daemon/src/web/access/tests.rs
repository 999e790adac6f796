//! Files as people write them, wrong ones, and changes while they are in use.

use std::fs;

use super::*;

const HASH: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.certify("localhost");
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Complete at once: nobody reads half of it.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    fn certify(&self, name: &str) {
        let signed = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        self.write("cert.pem", &signed.cert.pem());
        self.write("key.pem", &signed.signing_key.serialize_pem());
    }

    fn read(&self, text: &str) -> Result<Door, String> {
        self.write("web.yml", text);
        Door::read(&self.path("web.yml")).map_err(|failure| failure.to_string())
    }

    fn refuses(&self, text: &str, parts: &[&str]) {
        let message = self.read(text).err().unwrap_or_else(|| panic!("taken: {text}"));
        let file = self.path("web.yml").display().to_string();
        assert!(message.starts_with(&file) && parts.iter().all(|part| message.contains(part)), "{text}\n{message}");
        assert!(!message.contains('\n') && !message.contains("s3cret"), "{message}");
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

#[test]
fn all_that_the_format_has_is_read() {
    let files = Files::new();
    let text = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n  client_allowed_sans: [prometheus.example, 10.0.0.7, 'spiffe://a/b']\n  min_version: TLS12\n  max_version: TLS13\n  cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305\n  - TLS_AES_128_GCM_SHA256\n  curve_preferences: [X25519, CurveP384]\n  prefer_server_cipher_suites: false\nhttp_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: sameorigin\n    Strict-Transport-Security: max-age=31536000\nbasic_auth_users:\n  alice: {HASH}\n  bob: \"{HASH}\"\nrate_limit:\n  interval: 1s\n  burst: 20\n"
    );
    let access = files.read(&text).unwrap().now();
    let tls = access.tls.as_ref().unwrap();
    assert_eq!((tls.alpn_protocols.len(), tls.ignore_client_order), (1, false));
    assert!(access.users.is_some() && access.rate.is_some() && access.verifies_clients);
    assert_eq!(access.headers.len(), 2);
    for nothing in ["", "# nothing\n", "basic_auth_users:\n", "{}"] {
        let door = files.read(nothing).unwrap_or_else(|message| panic!("{nothing:?}: {message}"));
        assert!(!door.is_secure() && door.now().users.is_none());
    }
}

#[test]
fn mistakes_name_file_line_and_key() {
    let files = Files::new();
    let refuses = |text: &str, parts: &[&str]| files.refuses(text, parts);
    refuses("basic_auth_users: {}\ntls_server:\n  a: b\n", &["line 2", "tls_server"]);
    refuses(&format!("{TLS}  cipher: []\n"), &["line 4", "cipher"]);
    refuses(&format!("{TLS}  min_version: TLS11\n"), &["line 4", "TLS11 is not spoken here"]);
    refuses(&format!("{TLS}  min_version: TLS14\n"), &["line 4", "TLS14"]);
    refuses(&format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n"), &["max_version"]);
    refuses(&format!("{TLS}  curve_preferences: [CurveP521]\n"), &["CurveP521 is not spoken"]);
    refuses(&format!("{TLS}  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"), &["cipher_suites", "these are"]);
    refuses(&format!("{TLS}  client_auth_type: RequireAnyClientCert\n"), &["line 4", "nobody verifies"]);
    refuses(&format!("{TLS}  client_auth_type: Sometimes\n"), &["line 4", "Sometimes"]);
    refuses(&format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n"), &["client_ca_file"]);
    refuses(&format!("{TLS}  client_ca_file: cert.pem\n"), &["client_auth_type"]);
    refuses(&format!("{TLS}  client_allowed_sans: [a]\n"), &["client_allowed_sans"]);
    let mail =
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n  client_allowed_sans: [a@b]\n";
    refuses(&format!("{TLS}{mail}"), &["a@b", "mail"]);
    refuses("tls_server_config:\n  cert_file: cert.pem\n", &["key_file"]);
    refuses("tls_server_config:\n  cert_file: none.pem\n  key_file: key.pem\n", &["none.pem", "No such file"]);
    refuses("tls_server_config:\n  cert_file: cert.pem\n  key_file: cert.pem\n", &["cert.pem", "no private key"]);
    refuses("http_server_config:\n  headers:\n    X-Powered-By: tea\n", &["line", "X-Powered-By"]);
    refuses("http_server_config:\n  headers:\n    X-Frame-Options: perhaps\n", &["X-Frame-Options", "deny"]);
    refuses("http_server_config:\n  http2: maybe\n", &["line 2"]);
    refuses("basic_auth_users:\n  alice: s3cret\n", &["alice", "no bcrypt hash"]);
    refuses(&format!("basic_auth_users:\n  a: {}\n", HASH.replace("$10$", "$20$")), &["cost of 20"]);
    refuses(&format!("basic_auth_users:\n  a: {HASH}\n  a: {HASH}\n"), &["line 3"]);
    refuses("rate_limit:\n  interval: 1s\n", &["burst"]);
    refuses("rate_limit:\n  interval: soon\n", &["line 2", "soon"]);
    refuses("a: [\n", &["line"]);
    refuses("- a\n", &["line 1"]);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let files = Files::new();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    files.write("key.pem", &other.signing_key.serialize_pem());
    files.refuses(TLS, &["cert_file and key_file"]);
}

#[test]
fn files_that_change_are_read_anew_and_a_bad_one_leaves_all_as_it_was() {
    let files = Files::new();
    let text = format!("{TLS}basic_auth_users:\n  a: {HASH}\n");
    let door = files.read(&text).unwrap();
    let first = door.now();
    assert!(Arc::ptr_eq(&first, &door.now()), "nothing has changed");

    // Between these two the key is that of another certificate.
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    files.write("cert.pem", &signed.cert.pem());
    assert!(Arc::ptr_eq(&first, &door.now()) && Arc::ptr_eq(&first, &door.now()));
    assert_eq!(door.reloads(), Some([0, 1]), "told once");
    files.write("key.pem", &signed.signing_key.serialize_pem());
    let second = door.now();
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!(door.reloads(), Some([1, 1]));

    for less in ["", TLS, &text.replace(TLS, ""), "basic_auth_users: ["] {
        files.write("web.yml", less);
        assert!(Arc::ptr_eq(&second, &door.now()), "{less:?}");
    }
    assert_eq!(door.reloads(), Some([1, 5]));
    fs::remove_file(files.path("web.yml")).unwrap();
    assert!(Arc::ptr_eq(&second, &door.now()), "it is gone");
    files.write("web.yml", &format!("{text}  b: {HASH}\n"));
    assert!(!Arc::ptr_eq(&second, &door.now()));
    assert_eq!(door.reloads(), Some([2, 6]));
}

#[test]
fn without_a_file_anybody_may_ask() {
    let door = Door::open();
    assert!(!door.is_secure() && door.reloads().is_none());
    assert!(door.now().users.is_none() && door.now().has_room());
}
