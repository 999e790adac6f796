//! A replay that serves, its files, certificates for it, and curl.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until something is there; panics with `what` if it never is.
pub(crate) fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Password of the user `scraper`.
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server-key.pem\n";

/// One user, whose password costs little.
pub(crate) fn user() -> String {
    format!("basic_auth_users:\n  scraper: {}\n", bcrypt::hash(PASSWORD, 5).unwrap())
}

/// A CA of our own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name, and a certificate by the name of who signed it, are taken for each other.
        let name = format!("authority {:016x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate with these names, and its key: `NAME.pem`, `NAME-key.pem`.
    pub(crate) fn sign(&self, folder: &Path, name: &str, names: &[&str]) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let signed = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        replace(&folder.join(format!("{name}-key.pem")), &key.serialize_pem());
        replace(&folder.join(format!("{name}.pem")), &signed.pem());
    }

    /// Its own certificate.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        replace(&path, &self.pem);
        path
    }
}

/// Complete at once: nobody reads half of it.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

/// A replay with the files of a folder.
fn replay(folder: &Path, address: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_mmscope"))
        .args(["replay", "--speed=1000000", &format!("--web.listen-address={address}")])
        .arg(recordings().join("hazards.mmrec"))
        .args([Path::new("--web.config.file"), &folder.join("web.yml")])
        .args([Path::new("--config.file"), &folder.join("mmscope.toml")])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// A replay that serves.
pub(crate) struct Server {
    child: Child,
    pub(crate) scheme: String,
    /// Host and port.
    pub(crate) address: String,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) authority: Authority,
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With this web configuration and these lines of `[web]`. There is a certificate `server.pem`, and `ca.pem` for it.
    pub(crate) fn start(web: &str, limits: &str) -> Self {
        Self::with("", web, limits)
    }

    /// The same, with these first lines of its configuration.
    pub(crate) fn with(first: &str, web: &str, limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.sign(folder.path(), "server", &["localhost", "127.0.0.1"]);
        authority.write(folder.path(), "ca.pem");
        let config = fs::read_to_string(recordings().join("hazards.toml")).unwrap();
        fs::write(folder.path().join("web.yml"), web).unwrap();
        fs::write(folder.path().join("mmscope.toml"), format!("{first}{config}\n[web]\n{limits}\n")).unwrap();
        let mut child = replay(folder.path(), "127.0.0.1:0");
        let (send, lines) = mpsc::channel();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let (log, stderr) = (said.clone(), child.stderr.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                eprintln!("{line}");
                log.lock().unwrap().push(line.clone());
                let _ = send.send(line);
            }
        });
        let wait_for = |part: &str| loop {
            let line = lines.recv_timeout(PATIENCE).expect("mmscope says how it goes");
            if line.contains(part) {
                break line;
            }
        };
        let line = wait_for("metrics at ");
        let url = line.split("metrics at ").nth(1).unwrap().split("/metrics").next().unwrap();
        let (scheme, address) = url.split_once("://").unwrap();
        let (scheme, address) = (scheme.to_owned(), address.to_owned());
        wait_for("the end; Ctrl-C leaves");
        Self { child, scheme, address, folder, authority, said }
    }

    /// Ends it.
    pub(crate) fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Another one at the same address, when it has ended. Nobody reads what it says.
    pub(crate) fn start_again(&mut self) {
        self.child = replay(self.folder.path(), &self.address);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of its log that contain this.
    pub(crate) fn said(&self, part: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// Asks for a page with curl, which trusts `ca.pem`.
    pub(crate) fn curl(&self, page: &str, args: &[&str]) -> Answer {
        self.curl_at(&format!("{}://{}{page}", self.scheme, self.address), args)
    }

    pub(crate) fn curl_at(&self, url: &str, args: &[&str]) -> Answer {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--max-time", "100", "--noproxy", "*", "--cacert"])
            .arg(self.path("ca.pem"))
            .args(args)
            .arg(url)
            .output()
            .expect("curl: cargo xtask test installs it");
        let text = String::from_utf8_lossy(&output.stdout);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let mut words = head.split_whitespace();
        let version = words.next().unwrap_or_default().to_owned();
        let code = words.next().and_then(|code| code.parse().ok()).unwrap_or(0);
        Answer {
            version,
            code,
            head: head.to_lowercase(),
            body: body.to_owned(),
            exit: output.status.code().unwrap(),
            error: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Waits until a counter has a value; a snapshot shows it a little later.
    pub(crate) fn counts(&self, series: &str, value: u64, args: &[&str]) {
        let line = format!("{series} {value}");
        await_some(&line, || self.curl("/metrics", args).body.lines().any(|told| told == line).then_some(()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// What curl got.
#[derive(Debug)]
#[expect(dead_code, reason = "the error is for who reads of a failed test")]
pub(crate) struct Answer {
    pub(crate) version: String,
    pub(crate) code: u16,
    /// In lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// curl's own.
    pub(crate) exit: i32,
    pub(crate) error: String,
}
