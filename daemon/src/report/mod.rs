//! `mmscope report`: what a recording comes to, as text for a mail or as one page with plots. It judges by the same code as a
//! replay.

mod digest;
mod episodes;
mod facts;
mod html;
mod names;
mod overlaps;
mod plots;
mod tables;
mod text;

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

pub use digest::{Digest, Part};
pub use episodes::{Episode, Episodes};
pub use html::page;
pub use overlaps::{Overlap, Overlaps};
pub(crate) use tables::series_names;
pub use tables::{Table, tables};
pub use text::text;

use crate::{cli::ReportArgs, config::Config, failure::Failure, recording::Finish, replay};

/// Exit code of a recording that is cut or damaged.
const NOT_WHOLE: u8 = 1;

/// Tells a recording.
///
/// # Errors
///
/// When nothing of it can be read, alerts cannot be judged from it, or the page cannot be written.
pub fn report(args: &ReportArgs) -> Result<ExitCode, Failure> {
    let digest = read(&args.file, args.config_file.as_deref())?;
    let name = args.file.file_name().map_or_else(|| args.file.display().to_string(), |name| name.display().to_string());
    match &args.output {
        Some(path) => {
            fs::write(path, page(&digest, &name)).map_err(|error| Failure::Uncreatable { path: path.clone(), error })?
        }
        // Who does not read any more is no reason to fail.
        None => drop(io::stdout().lock().write_all(text(&digest, &name).as_bytes())),
    }
    Ok(code(&args.file, digest.finish.as_ref()))
}

fn read(path: &Path, config_file: Option<&Path>) -> Result<Digest, Failure> {
    // Names come after the ticks that need them, so they are read first.
    let names = replay::names(replay::open(path, Some("names"))?);
    let reader = replay::open(path, Some("ticks"))?;
    let config = replay::judging(config_file, reader.header())?;
    // It is no scrape: nobody has to keep its series.
    let config = Config { series_cap: usize::MAX, series_idle: usize::MAX, ..config };
    Digest::read(reader, &config, names)
        .map_err(|message| Failure::Config { path: config_file.unwrap_or(path).to_owned(), message })
}

/// 0 for a recording that is whole; else stderr says where it ends.
pub(crate) fn code(path: &Path, finish: Option<&Finish>) -> ExitCode {
    match finish {
        Some(Finish::Ended(_)) | None => ExitCode::SUCCESS,
        Some(finish) => {
            eprintln!("mmscope: {}: not whole: {finish}", path.display());
            ExitCode::from(NOT_WHOLE)
        }
    }
}

#[cfg(test)]
mod tests;
