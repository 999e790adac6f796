//! A running mmscope, a workload beside it, and what a scrape says: for the tests that load probes into a kernel.
//!
//! `MMSCOPE_BIN` and `MMLOAD_BIN` name the programs; `cargo xtask test` sets them.

#![allow(dead_code, reason = "each of the two test programs uses its part")]

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Longest wait for anything: emulated guests are slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
const TICK: Duration = Duration::from_millis(200);
/// Ticks after which whatever happened is in the snapshot, an exec's naming included.
const SETTLED: u32 = 8;

pub(crate) fn mmscope() -> Command {
    Command::new(program("MMSCOPE_BIN"))
}

pub(crate) fn program(variable: &str) -> PathBuf {
    env::var_os(variable).map(PathBuf::from).unwrap_or_else(|| panic!("{variable} is not set: use cargo xtask test"))
}

/// Waits until something is there; panics with `what` if it never is.
pub(crate) fn await_some<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    await_every(Duration::from_millis(20), what, look)
}

fn await_every<T>(pause: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
        thread::sleep(pause);
    }
}

/// A folder that every user may look into.
pub(crate) fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Everybody is told by name, however little they do.
const EVERYBODY: &str = "series_cap = 1000000\nseries_idle = 1000000\n";

/// Set where the daemon of [`Daemon::usual`] ends with the machine.
const SHARED: &str = "MMSCOPE_SHARED";
static USUAL: Mutex<Option<Daemon>> = Mutex::new(None);

/// An mmscope started in the usual way. In a guest tests share it, as it takes an emulated processor seconds to attach everything:
/// each compares before and after, or looks at a name that is its own. It ends when a test starts one of its own or has failed.
pub(crate) struct Usual(MutexGuard<'static, Option<Daemon>>);

impl std::ops::Deref for Usual {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        self.0.as_ref().unwrap()
    }
}

impl Drop for Usual {
    fn drop(&mut self) {
        if env::var_os(SHARED).is_none() {
            self.0.take();
        }
    }
}

/// Ends the usual one, unless the test itself is using it.
fn end_usual() {
    match USUAL.try_lock() {
        Ok(mut usual) => drop(usual.take()),
        Err(TryLockError::Poisoned(usual)) => drop(usual.into_inner().take()),
        Err(TryLockError::WouldBlock) => {}
    }
}

/// A running `mmscope run`.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
    said: Arc<Mutex<Vec<String>>>,
    _config: tempfile::NamedTempFile,
}

impl Daemon {
    /// One without arguments, for tests that neither end it nor mind what it has counted before.
    pub(crate) fn usual() -> Usual {
        if USUAL.is_poisoned() {
            end_usual();
            USUAL.clear_poison();
        }
        let mut usual = USUAL.lock().unwrap_or_else(PoisonError::into_inner);
        usual.get_or_insert_with(|| Self::start(&[]));
        Usual(usual)
    }

    pub(crate) fn start(args: &[&str]) -> Self {
        Self::configured("", args)
    }

    /// With more lines of configuration. There is no budget, unless the arguments have one: everything has to be counted.
    pub(crate) fn configured(more: &str, args: &[&str]) -> Self {
        Self::bounded(&format!("{EVERYBODY}{more}"), args)
    }

    /// The same with the usual bounds on series.
    pub(crate) fn bounded(more: &str, args: &[&str]) -> Self {
        end_usual();
        let config = tempfile::NamedTempFile::new().unwrap();
        fs::write(config.path(), format!("tick = \"{}ms\"\noverhead_budget = \"off\"\n{more}", TICK.as_millis()))
            .unwrap();
        let mut child = mmscope()
            .args(["run", "--web.listen-address=127.0.0.1:0", "--config.file"])
            .arg(config.path())
            .args(args)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let said = Arc::<Mutex<Vec<String>>>::default();
        let log = said.clone();
        let stderr = child.stderr.take().unwrap();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Single events are many, and no test's finding.
                if !line.contains(" INFO ") {
                    eprintln!("mmscope: {line}");
                }
                log.lock().unwrap().push(line.clone());
                let _ = send.send(line);
            }
        });
        let address = loop {
            let line = lines.recv_timeout(PATIENCE).expect("mmscope says that it serves");
            if let Some(rest) = line.split("address=\"").nth(1) {
                break rest.split('"').next().unwrap().to_owned();
            }
        };
        let daemon = Self { child, address, said, _config: config };
        await_some("first snapshot", || daemon.get("/-/ready", "").ok());
        daemon
    }

    /// The lines of its log so far that contain all of these.
    pub(crate) fn said(&self, parts: &[&str]) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter().filter(|line| parts.iter().all(|part| line.contains(part))).cloned().collect()
    }

    /// Body of a page.
    pub(crate) fn get(&self, path: &str, accept: &str) -> Result<String, ureq::Error> {
        let url = format!("http://{}{path}", self.address);
        ureq::get(&url).header("Accept", accept).call()?.body_mut().read_to_string()
    }

    pub(crate) fn scrape(&self) -> Scrape {
        Scrape::parse(self.get("/metrics", "").unwrap())
    }

    /// A scrape of a snapshot in which everything that has happened until now is counted.
    pub(crate) fn settled(&self) -> Scrape {
        let ticks = |scrape: &Scrape| scrape.sum("mmscope_ticks_total", &[]);
        let due = ticks(&self.scrape()) + f64::from(SETTLED);
        // Looked for anew and again in the last tick alone, where it matters that the snapshot is new: what happens after it is another
        // comparison's.
        thread::sleep(TICK * (SETTLED - 1));
        await_some("settled snapshot", || Some(self.scrape()).filter(|scrape| ticks(scrape) >= due))
    }

    /// The first scrape in which something is so, of one each tick: to an emulated processor a scrape is much work.
    pub(crate) fn await_scrape(&self, what: &str, is_wanted: impl Fn(&Scrape) -> bool) -> Scrape {
        await_every(TICK, what, || Some(self.scrape()).filter(|scrape| is_wanted(scrape)))
    }

    /// What the kernel charges for the maps that it has open, each counted once.
    pub(crate) fn map_bytes(&self) -> f64 {
        let folder = format!("/proc/{}/fdinfo", self.child.id());
        let mut maps = std::collections::BTreeMap::new();
        for entry in fs::read_dir(folder).unwrap() {
            // A connection may be closed by now.
            let Ok(fdinfo) = fs::read_to_string(entry.unwrap().path()) else { continue };
            let field = |name: &str| -> Option<u64> {
                fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")?.trim().parse().ok())
            };
            if let (Some(id), Some(bytes)) = (field("map_id"), field("memlock")) {
                maps.insert(id, bytes);
            }
        }
        maps.values().sum::<u64>() as f64
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        await_some("end of mmscope", || self.child.try_wait().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A parsed scrape.
pub(crate) struct Scrape {
    pub(crate) text: String,
    samples: Vec<prometheus_parse::Sample>,
}

impl Scrape {
    fn parse(text: String) -> Self {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let samples = prometheus_parse::Scrape::parse(lines).unwrap().samples;
        Self { text, samples }
    }

    /// Sum of the series of a metric with these labels; zero where there is none.
    pub(crate) fn sum(&self, metric: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples
            .iter()
            .filter(|sample| {
                sample.metric == metric && labels.iter().all(|(name, value)| sample.labels.get(name) == Some(*value))
            })
            .map(|sample| match sample.value {
                prometheus_parse::Value::Counter(value)
                | prometheus_parse::Value::Gauge(value)
                | prometheus_parse::Value::Untyped(value) => value,
                _ => panic!("{metric} is no plain number"),
            })
            .sum()
    }

    /// Whether there is such a family: what cannot be measured is not told.
    pub(crate) fn has(&self, family: &str) -> bool {
        self.text.contains(&format!("# TYPE {family} "))
    }

    /// Label values of a metric's series.
    pub(crate) fn labels(&self, metric: &str, label: &str) -> Vec<String> {
        self.samples
            .iter()
            .filter(|sample| sample.metric == metric)
            .filter_map(|sample| sample.labels.get(label).map(str::to_owned))
            .collect()
    }

    /// Events that no program saw because the kernel had preempted it, at most.
    pub(crate) fn missed(&self) -> f64 {
        self.sum("mmscope_probe_misses_total", &[])
    }

    /// Everything lost so far. Skipped programs are not in it: where the kernel preempts them that is a bound and no loss,
    /// and an event that was missed shows in the counts that are compared.
    /// Without what 2 MiB ranges lose for want of room: no event is missing for it, and whose range drives out whose is chance.
    pub(crate) fn lost(&self) -> f64 {
        let of = |reason: &&str| self.sum("mmscope_lost_total", &[("reason", reason)]);
        self.sum("mmscope_lost_total", &[]) - FORGOTTEN.iter().map(of).sum::<f64>()
    }
}

/// Reasons by which 2 MiB ranges are lost.
pub(crate) const FORGOTTEN: &[&str] = &["range_evicted", "range_beyond"];

/// The workload program under a name of its own, so that figures can be told apart.
pub(crate) struct Load {
    folder: tempfile::TempDir,
    name: String,
}

impl Load {
    pub(crate) fn named(name: &str) -> Self {
        assert!(name.len() <= 15, "a command name");
        let folder = open_folder();
        fs::copy(program("MMLOAD_BIN"), folder.path().join(name)).unwrap();
        Self { folder, name: name.to_owned() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Runs it to its end; its own counts.
    pub(crate) fn run(&self, args: &[&str]) -> serde_json::Value {
        let output = Command::new(self.path()).args(args).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "{} {args:?}: {}", self.name, output.status);
        last_line(&output.stdout)
    }

    /// Starts it and lets it wait for [`Waiting::go`].
    pub(crate) fn waiting(&self, args: &[&str]) -> Waiting {
        self.waiting_in(":", args)
    }

    /// The same, after a shell has done something that it inherits.
    pub(crate) fn waiting_in(&self, first: &str, args: &[&str]) -> Waiting {
        let gate = self.folder.path().join("go");
        let mut child = Command::new("sh")
            .args(["-c", &format!("{first} && exec \"$@\""), "sh"])
            .arg(self.path())
            .arg("--wait-for")
            .arg(&gate)
            .args(["--hold-after", "600"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        assert!(line.contains("waits for"), "{line}");
        Waiting { child, gate }
    }
}

/// How mmload says that the kernel lacks what it was to do.
const NOT_SUPPORTED: i32 = 3;

/// Write protection by userfaultfd: arm64 has it from 6.10 on.
pub(crate) const WRITE_PROTECTION: &str = "uffd-wp --faults 1";

/// Soft-dirty bits: arm64 has none.
pub(crate) const SOFT_DIRTY: &str = "clear-refs --cycles 1";

/// Whether the kernel has what a small load of mmload's needs. On x86-64 every kernel does, and a load that does not run there is a
/// failure.
pub(crate) fn is_supported(arguments: &str) -> bool {
    if cfg!(target_arch = "x86_64") {
        return true;
    }
    let mmload = env::var_os("MMLOAD_BIN").unwrap_or_else(|| "mmload".into());
    let output = Command::new(mmload).args(arguments.split(' ')).stdin(Stdio::null()).output().unwrap();
    output.status.code() != Some(NOT_SUPPORTED)
}

/// A workload that is past its exec and has not yet begun.
pub(crate) struct Waiting {
    child: Child,
    gate: PathBuf,
}

impl Waiting {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Lets it work; its own counts. It stays alive after, until dropped.
    pub(crate) fn go(&mut self) -> serde_json::Value {
        fs::write(&self.gate, "").unwrap();
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        last_line(line.as_bytes())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_line(text: &[u8]) -> serde_json::Value {
    let text = String::from_utf8_lossy(text);
    serde_json::from_str(text.lines().last().expect("a line of counts")).unwrap()
}

/// One run of a program that must fail: exit code and stderr.
pub(crate) fn failing(command: &mut Command) -> (i32, String) {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Open files of the whole system, those too that only the kernel holds.
pub(crate) fn open_files() -> u64 {
    let counts = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
    counts.split_whitespace().next().unwrap().parse().unwrap()
}

/// Programs of ours in the kernel.
pub(crate) fn loaded_programs() -> usize {
    let names = [
        "mmap_lock_",
        "contention_",
        "task_rename",
        "tlb_",
        "change_prot",
        "handle_user",
        "mmdrop_",
        "down_",
        "up_",
        "rwsem",
        "flush_tlb_",
        "try_to_",
        "arch_tlbbatch",
        "do_wp_page",
    ];
    aya::programs::loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| names.iter().any(|name| program.name_as_str().is_some_and(|have| have.starts_with(name))))
        .count()
}

/// `mmscope doctor --json`, whatever its exit code. What it says without arguments is the same all the time, and asked for once.
pub(crate) fn doctor(args: &[&str]) -> serde_json::Value {
    static USUALLY: OnceLock<serde_json::Value> = OnceLock::new();
    let ask = || {
        let output = mmscope().args(["doctor", "--json"]).args(args).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("doctor: {error}: {}", String::from_utf8_lossy(&output.stderr));
        })
    };
    if args.is_empty() { USUALLY.get_or_init(ask).clone() } else { ask() }
}

/// Compares what doctor prints with a file, word for word; the kernel's exact release may differ, and what it says of the host's own
/// (its cgroups, for one).
pub(crate) fn doctor_says(expected: &str) {
    let output = mmscope().arg("doctor").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let host = doctor(&[])["host"].clone();
    let is_of_host = |line: &str| host.as_array().is_some_and(|notes| notes.iter().any(|note| note == line));
    let of_kernel = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().skip(1).filter(|line| !is_of_host(line)).map(str::to_owned).collect();
        // Such a line stands between empty ones.
        lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
        lines
    };
    assert!(of_kernel(&said) == of_kernel(expected), "doctor says something else here:\n{said}");
}

/// Maps of ours in the kernel.
pub(crate) fn loaded_maps() -> usize {
    let names = [
        "TASK_STATES",
        "MM_SLOTS",
        "HISTOGRAM_ROWS",
        "LOST",
        "MM_INDEX",
        "UFFD_ERRORS",
        "FREE_",
        "RECORDS",
        "PAGE_TABLE_",
        "BLOCKED_NS",
        "RECLAIM_",
        "CPU_ANSWERS",
        ".data",
    ];
    aya::maps::loaded_maps()
        .filter_map(Result::ok)
        .filter(|map| names.iter().any(|name| map.name_as_str().is_some_and(|have| have.starts_with(name))))
        .count()
}

/// A number from the environment: the storms are long by hand and short otherwise.
pub(crate) fn number(variable: &str, usual: u64) -> u64 {
    env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Runs a program with text on its standard input; its output.
pub(crate) fn fed(command: &mut Command, input: &str) -> (ExitStatus, String) {
    use std::io::Write as _;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap(), text)
}

/// A server on loopback that takes every POST of JSON: path and body of each.
pub(crate) struct Receiver {
    pub(crate) address: String,
    got: Arc<Mutex<Vec<(String, serde_json::Value)>>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let got = Arc::<Mutex<Vec<(String, serde_json::Value)>>>::default();
        let taken = got.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                taken.lock().unwrap().extend(take_post(stream));
            }
        });
        Self { address, got }
    }

    /// The bodies that came to a path so far.
    pub(crate) fn got(&self, path: &str) -> Vec<serde_json::Value> {
        self.got.lock().unwrap().iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }
}

/// None if the other side went away first.
fn take_post(mut stream: std::net::TcpStream) -> Option<(String, serde_json::Value)> {
    use std::io::Write as _;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&bytes| bytes > 2)?;
        head.push(line.trim().to_ascii_lowercase());
        if reader.fill_buf().ok()?.starts_with(b"\r\n") {
            reader.consume(2);
            break;
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    Some((head[0].split(' ').nth(1)?.to_owned(), serde_json::from_slice(&body).ok()?))
}

/// Whether a path is there: for what a test needs of its surroundings.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

const KPROBES: &str = "/sys/kernel/tracing/kprobe_events";

/// Defines a kprobe event, or removes one; others may be in use.
pub(crate) fn append_kprobe(command: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().append(true).open(KPROBES).unwrap();
    file.write_all(command.as_bytes()).unwrap_or_else(|error| panic!("{KPROBES}: {command}: {error}"));
}

/// Removes the kprobe events of a group.
pub(crate) fn forget_kprobes(group: &str) {
    for line in fs::read_to_string(KPROBES).unwrap().lines() {
        let name = line.split_whitespace().next().and_then(|word| word.split_once(':')).map(|(_, name)| name);
        if let Some(name) = name.filter(|name| name.starts_with(&format!("{group}/"))) {
            append_kprobe(&format!("-:{name}"));
        }
    }
}
