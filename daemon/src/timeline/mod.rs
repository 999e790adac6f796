//! `mmscope export`: the single events of a recording as a timeline for Perfetto's viewer. Best of one that was made with
//! `mmscope record --timeline`: an ordinary one has only what took long.

mod events;
mod lanes;
mod messages;
mod perfetto;

use std::{fs, process::ExitCode};

use events::Events;
use perfetto::Look;

use crate::{cli::ExportArgs, failure::Failure, recording::Frame, replay, report};

/// Writes the timeline of a recording.
///
/// # Errors
///
/// When nothing of it can be read, it has no single events, or the timeline cannot be written.
pub fn export(args: &ExportArgs) -> Result<ExitCode, Failure> {
    // Names come after the ticks that need them, so they are read first.
    let names = replay::names(replay::open(&args.file, Some("names"))?);
    let mut reader = replay::open(&args.file, Some("ticks"))?;
    let (mut events, mut looks) = (Events::default(), Vec::new());
    for frame in reader.by_ref() {
        let Frame::Sight(sight) = frame else { continue };
        sight.records.iter().for_each(|(subject, record)| events.take(subject, record));
        if let Some(clock_ns) = sight.clock_ns {
            looks.push(Look { clock_ns, wall: sight.wall, lost: sight.lost.clone() });
        }
    }
    if events.all.is_empty() {
        let message =
            "has no single events: record with --timeline, or with lower bounds in the table [record]".to_owned();
        return Err(Failure::TooShort { path: args.file.clone(), message });
    }
    events.connect();
    let trace = perfetto::trace(&events, &looks, &names);
    fs::write(&args.output, trace).map_err(|error| Failure::Uncreatable { path: args.output.clone(), error })?;
    eprintln!("mmscope: {} events in {}", events.all.len(), args.output.display());
    if events.unknown > 0 {
        eprintln!("mmscope: {} events are of kinds that this mmscope does not know", events.unknown);
    }
    if reader.header().timeline.is_none() {
        eprintln!("mmscope: not recorded with --timeline: only events over the bounds of [record] are in it");
    }
    Ok(report::code(&args.file, reader.finish()))
}
