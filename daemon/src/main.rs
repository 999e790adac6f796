//! mmscope: the command line, the log, and one line for what went wrong.

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Parser as _;
use mmscope::{
    attach,
    cli::{Cli, Command, LogFormat, LogLevel},
    cli_pages, diff, doctor,
    failure::Failure,
    memory,
    privileges::{self, Part},
    record, replay, report, run, service, timeline, top,
};
use tracing::level_filters::LevelFilter;

/// EX_USAGE of sysexits.h.
const USAGE: u8 = 64;

fn main() -> ExitCode {
    memory::be_frugal();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            eprintln!("mmscope: {} (see mmscope --help)", first_line(&error.to_string()));
            return ExitCode::from(USAGE);
        }
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    let result = match &cli.command {
        Command::Run(args) => {
            start_log(args.log_format, args.log_level);
            // The environment is changed while there are no threads.
            service::listener().and_then(|handed| block_on(Threads::WithoutRights, run::run(args, handed)))
        }
        Command::Record(args) => {
            start_log(LogFormat::Logfmt, LogLevel::Warn);
            block_on(Threads::AsWeAre, record::record(args))
        }
        Command::Replay(args) => {
            start_log(LogFormat::Logfmt, LogLevel::Warn);
            block_on(Threads::AsWeAre, replay::replay(args))
        }
        Command::Top(args) => {
            // A log on the same terminal would be written over what is shown.
            if !std::io::stderr().is_terminal() {
                start_log(LogFormat::Logfmt, LogLevel::Warn);
            }
            block_on(Threads::AsWeAre, top::top(args))
        }
        Command::Report(args) => report::report(args),
        Command::Export(args) => timeline::export(args),
        Command::Diff(args) => diff::diff(args),
        Command::Doctor(args) => doctor::doctor(args),
        Command::StatisticsHelper => {
            start_log(LogFormat::Logfmt, LogLevel::Warn);
            attach::help().map(|()| ExitCode::SUCCESS)
        }
        Command::Pages { folder } => cli_pages::write(folder).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("mmscope: {failure}");
        failure.code()
    })
}

/// What the runtime's threads may do; the task itself begins in ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Threads {
    /// What this process may.
    AsWeAre,
    /// What any other process may, where this one's rights are capabilities.
    WithoutRights,
}

fn block_on(threads: Threads, task: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("mmscope").enable_all();
    if threads == Threads::WithoutRights {
        builder.on_thread_start(|| {
            if let Err(error) = privileges::keep(Part::Reading(attach::may_read_maps)) {
                tracing::error!(%error, "a thread keeps rights that it has no use for");
            }
        });
    }
    let runtime = builder.build().map_err(|error| Failure::System(format!("start threads: {error}")))?;
    let result = runtime.block_on(task);
    // A look-up of a name that hangs does not keep mmscope from leaving.
    runtime.shutdown_background();
    result
}

/// clap's own message, without its label and without the usage that follows.
fn first_line(message: &str) -> String {
    let message = message.trim_start_matches("error: ");
    let paragraph: Vec<&str> = message.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    paragraph.join(" ")
}

fn start_log(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Logfmt => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
