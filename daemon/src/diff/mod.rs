//! `mmscope diff`: two recordings, and what differs between them by more than either varies in itself.

mod blocks;
mod figures;
mod judge;
#[cfg(test)]
mod tests;
mod told;

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

pub use blocks::{Blocks, Cut};
pub use judge::{Difference, compare};
pub use told::Diff;

use crate::{
    cli::DiffArgs,
    failure::Failure,
    recording::{Finish, Frame},
    replay,
};

/// Exit code when something differs.
const DIFFERENT: u8 = 1;

/// Compares two recordings.
///
/// # Errors
///
/// When nothing can be read of one, or it is too short to tell how much it varies.
pub fn diff(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let least = args.least / 100.0;
    let diff = Diff::new(&before, &after, least);
    let text = if args.json { diff.json()? } else { diff.text() };
    // Who does not read any more is no reason to fail.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Ok(if diff.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

fn read(path: &Path) -> Result<Blocks, Failure> {
    // Into how many blocks is known once the ticks are counted.
    let mut reader = replay::open(path, Some("counting ticks"))?;
    let ticks = reader.by_ref().filter(|frame| matches!(frame, Frame::Sight(_))).count();
    if let Some(finish) = reader.finish().filter(|finish| !matches!(finish, Finish::Ended(_))) {
        eprintln!("mmscope: {}: not whole: {finish}", path.display());
    }
    let reader = replay::open(path, Some("reading ticks"))?;
    let name = path.display().to_string();
    Blocks::read(reader, name, ticks).map_err(|message| Failure::TooShort { path: path.to_owned(), message })
}
