//! The command line. Flags are spelt as exporters spell them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{config::Budget, plan::HOOKS};

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
    /// Say of every hook whether it can be attached here, how, or why not, and what that costs
    Doctor(DoctorArgs),
}

/// Options of `mmscope run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Address to serve on: host:port, or :port for all addresses
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = "127.0.0.1:10942")]
    pub listen_address: String,
    /// Path of the metrics
    #[arg(long = "web.telemetry-path", value_name = "PATH", default_value = "/metrics", value_parser = telemetry_path)]
    pub telemetry_path: String,
    /// Configuration file
    #[arg(long = "config.file", value_name = "FILE")]
    pub config_file: Option<PathBuf>,
    /// Check the configuration file and leave
    #[arg(long = "config.check", requires = "config_file")]
    pub config_check: bool,
    /// Share of the host's CPU time that the probes may cost: 1%, 0.5% or the like, or off; beyond it less is measured [default: 1%]
    #[arg(long, value_name = "SHARE")]
    pub overhead_budget: Option<Budget>,
    /// Measure less from the start, whatever it costs: give up so much
    #[arg(long, value_name = "LEVEL", value_enum, conflicts_with = "overhead_budget")]
    pub shed: Option<Shed>,
    /// Everything is detached while this file exists [default: /run/mmscope.stop]
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
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

/// A way of attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// fentry and fexit programs
    Fentry,
    /// typed tracepoint programs
    TpBtf,
    /// raw tracepoint programs
    RawTracepoint,
}

/// What to do without. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shed {
    /// stacks of single events
    Stacks,
    /// hazards of write faults, shootdowns and reclaim
    Hazards,
    /// waits for mmap_lock
    Waits,
    /// all but one in 64 of mmap_lock's events
    Locks,
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

fn hook_name(text: &str) -> Result<String, String> {
    if HOOKS.iter().any(|hook| hook.name == text) {
        return Ok(text.to_owned());
    }
    Err("there is no such hook; mmscope doctor lists them".to_owned())
}

fn telemetry_path(text: &str) -> Result<String, String> {
    let taken = ["/", "/-/healthy", "/-/ready"];
    if !text.starts_with('/') {
        return Err("it must begin with a slash".to_owned());
    }
    if taken.contains(&text) {
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
    fn a_hook_that_is_none_is_refused() {
        assert!(Cli::try_parse_from(["mmscope", "doctor", "--hook", "do_wp_page", "--hook=tlb_flush"]).is_ok());
        assert!(Cli::try_parse_from(["mmscope", "doctor", "--hook", "do_wp"]).is_err());
    }

    #[test]
    fn paths_that_cannot_be_served_are_refused() {
        for path in ["metrics", "/", "/-/ready", "/{x}", "/a b"] {
            assert!(telemetry_path(path).is_err(), "{path}");
        }
    }
}
