//! The command line. Flags are spelt as exporters spell them.

use std::{path::PathBuf, time::Duration};

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

use crate::{
    attach::{Allowed, HELPER, Way},
    config::{Budget, Url, bytes},
    governor::Level,
    plan::{self, HOOKS},
    web,
};

/// Watches how Linux processes change their page tables.
#[derive(Debug, Parser)]
#[command(name = "mmscope", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Attach the probes and serve their figures as Prometheus metrics
    Run(RunArgs),
    /// Show in a terminal what is wrong, who is at the top and what is missing, as a running mmscope has it, or by own probes
    #[command(after_help = TOP_HELP)]
    Top(TopArgs),
    /// Attach the probes and write what they see to a file, for mmscope replay
    Record(RecordArgs),
    /// Play a recording: the alerts and metrics that come of it, without privileges and on any kernel
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Tell what a recording comes to: as text for a mail, or as a page with plots
    #[command(after_help = READ_HELP)]
    Report(ReportArgs),
    /// Write the single events of a recording as a timeline for Perfetto's viewer
    #[command(after_help = READ_HELP)]
    Export(ExportArgs),
    /// Compare two recordings, of before and after a change: what differs by more than either varies in itself
    #[command(after_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// Say of every hook whether it can be attached here, how, or why not, and what that costs
    Doctor(DoctorArgs),
    /// What mmscope run starts for itself, to switch the kernel's statistics on
    #[command(name = HELPER, hide = true)]
    StatisticsHelper,
    /// Write manual pages and completions to a folder, for packages
    #[command(hide = true)]
    Pages {
        /// The folder
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// Options of `mmscope run`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("files").args(["config_file", "web_config_file"]).multiple(true))]
pub struct RunArgs {
    /// Address to serve on: host:port, or :port for all addresses
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:10942")]
    pub listen_address: String,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// Who may ask, and TLS: a web configuration file as Prometheus's exporters have it, see docs/web.md
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,
    /// Configuration file
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Check the configuration files and leave
    #[arg(long = "config.check", requires = "files")]
    pub config_check: bool,
    /// Share of the host's CPU time that the probes may cost: 1%, 0.5% or the like, or off; beyond it less is measured [default: 1%]
    #[arg(long, value_name = "SHARE")]
    pub overhead_budget: Option<Budget>,
    /// Measure less from the start, whatever it costs: give up stacks, and each with those before it hazards, waits, most lock events
    #[arg(long, value_name = "LEVEL", value_parser = shed_level(), conflicts_with = "overhead_budget")]
    pub shed: Option<Level>,
    /// Everything is detached while this file exists [default: /run/mmscope.stop]
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// Record what each tick sees to this file too, as mmscope record does; it must not exist yet
    #[arg(long, value_name = "FILE", value_parser = recording_file)]
    pub record: Option<PathBuf>,
    /// End the recording, and nothing else, before its file is longer than this; K, M and G are powers of 1024
    #[arg(
        long = "record.max-bytes",
        value_name = "BYTES",
        default_value = "256M",
        value_parser = bytes,
        requires = "record"
    )]
    pub record_max_bytes: u64,
    /// Read the kernel's symbols from standard input, where the service manager has opened /proc/kallsyms with rights that mmscope
    /// does not have
    #[arg(long)]
    pub kallsyms_on_stdin: bool,
    /// Format of the log
    #[arg(long = "log.format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Logfmt)]
    pub log_format: LogFormat,
    /// Least level that is logged
    #[arg(long = "log.level", value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the group has no help of its own")]
    pub probes: ProbeArgs,
}

/// Options of `mmscope top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Address of a running mmscope, run or replay; without it, the one at <http://127.0.0.1:10942>, and where none answers there, own
    /// probes
    #[arg(
        long,
        value_name = "URL",
        value_parser = url,
        conflicts_with_all = ["own_probes", "config_file", "object", "btf", "without", "hooks", "mmap_lock"]
    )]
    pub url: Option<Url>,
    /// Time between two questions to it, such as 500ms or 10s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    pub interval: Duration,
    /// Certificates that are trusted, PEM, instead of the system's
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca_file: Option<PathBuf>,
    /// User name, where it asks for one
    #[arg(long, value_name = "NAME", requires_all = ["url", "password_file"])]
    pub username: Option<String>,
    /// Holds the password
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Attach own probes, whether or not an mmscope runs; so do the options below
    #[arg(long)]
    pub own_probes: bool,
    /// Configuration file for own probes
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the group has no help of its own")]
    pub probes: ProbeArgs,
}

impl TopArgs {
    /// Whether something was said that only own probes can do.
    #[must_use]
    pub fn wants_own_probes(&self) -> bool {
        let ProbeArgs { object, btf, without, hooks, mmap_lock } = &self.probes;
        let has_options =
            object.is_some() || btf.is_some() || !without.is_empty() || !hooks.is_empty() || mmap_lock.is_some();
        self.own_probes || self.config_file.is_some() || has_options
    }
}

const TOP_HELP: &str = "The key ? shows all keys. Colours are left out where NO_COLOR is set, block characters where the locale is not \
    of UTF-8.";

/// Options of `mmscope record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// File to write; docs/recordings.md has its format
    #[arg(short, long, value_name = "FILE", value_parser = recording_file)]
    pub output: PathBuf,
    /// Overwrite the file if there is one
    #[arg(long)]
    pub force: bool,
    /// End after this time, such as 90s or 10m; without it, at SIGINT or SIGTERM
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// End before the file is longer than this; K, M and G are powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "256M", value_parser = bytes)]
    pub max_bytes: u64,
    /// Record every window, hold, wait, flush and fault, and not only those over the bounds of [record]: for a short time, and for
    /// mmscope export. What finds no room in between is counted
    #[arg(long)]
    pub timeline: bool,
    /// With --timeline, only of this process; may be given up to eight times
    #[arg(long = "pid", value_name = "PID", requires = "timeline", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,
    /// With --timeline, only of processes of this name, up to 15 bytes, and those that take it later; may be given up to eight times
    #[arg(long = "comm", value_name = "NAME", requires = "timeline", value_parser = comm)]
    pub comms: Vec<String>,
    /// Configuration file; tick and the table [record] count here
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the group has no help of its own")]
    pub probes: ProbeArgs,
}

/// Options of `mmscope replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Recording, by mmscope record or mmscope run --record
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Configuration file by which alerts are judged, instead of what they were judged by when it was recorded
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// After the alerts, print the metrics as they are at the end; alerts are comments then
    #[arg(long, conflicts_with = "speed")]
    pub metrics: bool,
    /// After each alert, print the events that it was raised by, with their kernel stacks
    #[arg(long)]
    pub evidence: bool,
    /// Play in so many times real time and serve the metrics meanwhile, and after the end until a signal
    #[arg(long, value_name = "N", value_parser = speed)]
    pub speed: Option<f64>,
    /// With --speed, address to serve on: host:port, or :port for all addresses
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:10942", requires = "speed")]
    pub listen_address: String,
    /// With --speed, path of the metrics
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = "/metrics",
        value_parser = telemetry_path,
        requires = "speed"
    )]
    pub telemetry_path: String,
    /// With --speed, a web configuration file, as for mmscope run
    #[arg(long = "web.config.file", value_name = "FILE", requires = "speed")]
    pub web_config_file: Option<PathBuf>,
}

const REPLAY_HELP: &str = "Exit codes: 0 the recording is whole; 1 it is cut or damaged: what comes before that byte was \
    played, and stderr names it; 65 nothing of it can be read.";

/// Options of `mmscope report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Recording, by mmscope record, mmscope run --record or a flight recorder
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write a page for a browser to this file, all in one, instead of text to standard output; one that is there is overwritten
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Configuration file by which alerts are judged, instead of what they were judged by when it was recorded
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
}

/// Options of `mmscope diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Recording of before
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// Recording of after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Percent of the value of before below which a difference is not told, however sure it is
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = percents)]
    pub least: f64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

const DIFF_HELP: &str =
    "Exit codes: 0 nothing differs; 1 something does; 65 one of the two cannot be read, or is too short.";

/// Options of `mmscope export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Recording, best by mmscope record --timeline
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write a trace of Perfetto, for <https://ui.perfetto.dev>: the only format there is
    #[arg(long, required = true)]
    pub perfetto: bool,
    /// File to write; one that is there is overwritten
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

const READ_HELP: &str = "Exit codes: 0 the recording is whole; 1 it is cut or damaged: what comes before that byte is told, \
    and stderr names it; 65 nothing of it can be read.";

/// Options of `mmscope doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Attach nothing; print what was read of this kernel as JSON, for a report or a test
    #[arg(long, conflicts_with = "json")]
    pub facts: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "the group has no help of its own")]
    pub probes: ProbeArgs,
}

/// Options about the probes.
#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// Kernel object to load instead of the built-in one; it must be of the same build
    #[arg(long, value_name = "FILE")]
    pub object: Option<PathBuf>,
    /// Take the kernel's types from this file, for kernels that have none themselves: BTF, or an ELF file (vmlinux) with a section
    /// .BTF; it must be of the running kernel
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Do without a way of attaching; may be given several times
    #[arg(long, value_name = "WAY", value_enum)]
    pub without: Vec<Way>,
    /// Attach only this hook, as doctor names it, and with it nothing that it needs; may be given several times
    #[arg(long = "hook", value_name = "HOOK", value_parser = hook_name)]
    pub hooks: Vec<String>,
    /// How to learn of mmap_lock's events, instead of what is cheaper on this kernel
    #[arg(long, value_name = "WAY", value_enum)]
    pub mmap_lock: Option<LockWay>,
}

impl ProbeArgs {
    /// What these leave.
    #[must_use]
    pub fn allowed(&self) -> Allowed {
        let lock = self.mmap_lock.map(|way| match way {
            LockWay::Tracepoints => plan::LockWay::Tracepoints,
            LockWay::Rwsem => plan::LockWay::Rwsem,
        });
        Allowed::without(&self.without, lock, &self.hooks)
    }
}

/// How to learn of mmap_lock's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LockWay {
    /// the mmap_lock tracepoints
    Tracepoints,
    /// the functions of rw_semaphore
    Rwsem,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people and grep
    Logfmt,
    /// A JSON object a line
    Json,
}

/// Level of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

fn recording_file(text: &str) -> Result<PathBuf, String> {
    if text == "-" {
        return Err("a recording goes to a file: its end is cut off where it could not be written whole".to_owned());
    }
    Ok(PathBuf::from(text))
}

fn url(text: &str) -> Result<Url, String> {
    // The keys are those of the configuration's receivers.
    Url::parse(text)
        .map_err(|error| error.replace("http.username and http.password_file", "--username and --password-file"))
}

/// Shortest and longest time between two questions.
const INTERVALS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(3600)];

fn interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (INTERVALS[0]..=INTERVALS[1]).contains(&time) {
        Ok(time)
    } else {
        Err("it is not between 100ms and 1h".to_owned())
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.001..=1e6).contains(&speed) => Ok(speed),
        _ => Err("it is no number between 0.001 and 1000000".to_owned()),
    }
}

fn comm(text: &str) -> Result<String, String> {
    match text.len() {
        1..=15 => Ok(text.to_owned()),
        _ => Err("a process's name has 1 to 15 bytes".to_owned()),
    }
}

fn percents(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(percents) if (0.0..=1000.0).contains(&percents) => Ok(percents),
        _ => Err("it is no number between 0 and 1000".to_owned()),
    }
}

/// The levels that can be asked for, by their names: not all, and not nothing.
fn shed_level() -> impl TypedValueParser<Value = Level> {
    let levels = || Level::ALL.into_iter().filter(|level| ![Level::Full, Level::Off].contains(level));
    PossibleValuesParser::new(levels().map(Level::name))
        .map(move |name| levels().find(|level| level.name() == name).unwrap_or_default())
}

fn hook_name(text: &str) -> Result<String, String> {
    if HOOKS.iter().any(|hook| hook.name == text) {
        return Ok(text.to_owned());
    }
    Err("there is no such hook; mmscope doctor lists them".to_owned())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    let taken = ["/-/healthy", "/-/ready"];
    if !text.starts_with('/') {
        return Err("it must begin with a slash".to_owned());
    }
    // A path that ends in a slash stands for all below it.
    let is_page = |page: &&str| text == *page || (page.len() > 1 && page.ends_with('/') && text.starts_with(*page));
    if taken.contains(&text) || web::TAKEN.iter().any(is_page) {
        return Err("that path has another page".to_owned());
    }
    if text.contains(['{', '}', '?', '#', '*']) || text.contains(char::is_whitespace) {
        return Err("it may hold no braces, question marks, hashes, stars or spaces".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_spelt_as_exporters_spell_them() {
        let cli = Cli::try_parse_from([
            "mmscope",
            "run",
            "--web.listen-address=:0",
            "--web.telemetry-path=/m",
            "--log.format=json",
            "--without=fentry",
        ])
        .unwrap();
        let Command::Run(run) = cli.command else { panic!("run") };
        assert_eq!((run.listen_address.as_str(), run.telemetry_path.as_str()), (":0", "/m"));
        assert_eq!(run.probes.without, [Way::Fentry]);
    }

    #[test]
    fn what_is_given_up_from_the_start_is_a_level_that_measures_something() {
        let shed = |level: &str| Cli::try_parse_from(["mmscope", "run", "--shed", level]).map(|cli| cli.command);
        let Ok(Command::Run(run)) = shed("waits") else { panic!("run") };
        assert_eq!(run.shed, Some(Level::Waits));
        assert!(shed("all").is_err() && shed("nothing").is_err() && shed("4").is_err());
    }

    #[test]
    fn top_asks_an_address_or_attaches_own_probes() {
        let parsed =
            |args: &[&str]| match Cli::try_parse_from(["mmscope", "top"].iter().chain(args)).map(|cli| cli.command) {
                Ok(Command::Top(args)) => Ok(args),
                Ok(_) => panic!("top"),
                Err(error) => Err(error.to_string()),
            };
        assert!(!parsed(&[]).unwrap().wants_own_probes());
        assert!(parsed(&["--hook", "do_wp_page"]).unwrap().wants_own_probes());
        assert!(parsed(&["--config.file=a", "--own-probes"]).unwrap().wants_own_probes());
        let at = |url: &'static str| parsed(&["--url", url]);
        assert_eq!(at("https://a:1/b").unwrap().url.unwrap().to_string(), "https://a:1/b");
        for (url, part) in [("a:1", "http"), ("http://b@a", "--username and --password-file"), ("http://a:0", "port")] {
            let error = at(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
        for wrong in [&["--url=http://a", "--own-probes"][..], &["--username=a"], &["--interval=1ms"], &["--ca-file=a"]]
        {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_hook_that_is_none_is_refused() {
        assert!(Cli::try_parse_from(["mmscope", "doctor", "--hook", "do_wp_page", "--hook=tlb_flush"]).is_ok());
        assert!(Cli::try_parse_from(["mmscope", "doctor", "--hook", "do_wp"]).is_err());
    }

    #[test]
    fn bounds_and_speeds_are_numbers() {
        assert_eq!((bytes("65536"), bytes("256M"), bytes("2G")), (Ok(65_536), Ok(256 << 20), Ok(2 << 30)));
        for text in ["", "K", "1T", "-1", "1.5M", "63K", "18446744073709551615G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!((speed("10"), speed("0.5")), (Ok(10.0), Ok(0.5)));
        for text in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(text).is_err(), "{text}");
        }
        let parsed = |words: &[&str]| Cli::try_parse_from(words).map(|_| ());
        assert!(parsed(&["mmscope", "record", "-o", "a.mmrec", "--duration", "10m"]).is_ok());
        for wrong in [&["mmscope", "record"][..], &["mmscope", "record", "-o", "-"], &["mmscope", "replay"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        assert!(parsed(&["mmscope", "replay", "a", "--web.listen-address", ":1"]).is_err(), "only with --speed");
    }

    #[test]
    fn paths_that_cannot_be_served_are_refused() {
        for path in ["metrics", "/", "/-/ready", "/{x}", "/a b"] {
            assert!(telemetry_path(path).is_err(), "{path}");
        }
    }
}
