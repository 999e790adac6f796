//! From kept frames to a file: totals begin anew at its beginning, and of the files the newest stay.

use std::{
    collections::VecDeque,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::ring::Frame;
use crate::{
    config::FlightRecorder,
    failure::Failure,
    record,
    recording::{self, Header, Reader, Reason, Writer},
    scope::Sight,
};

const PREFIX: &str = "flight-";
const SUFFIX: &str = ".mmrec";
/// A file that is not whole yet.
const PART: &str = ".part";
/// Room for names of kernel addresses, beside what was kept.
const NAMES: u64 = 4 << 20;

/// Where files go.
#[derive(Clone)]
pub(super) struct Folder {
    path: PathBuf,
    keep: usize,
    max_bytes: u64,
}

/// A file that is whole.
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) ticks: u64,
    pub(super) bytes: u64,
    pub(super) length: Duration,
}

impl Folder {
    /// Makes it if it is not there, and sees that a file can be made in it.
    pub(super) fn open(settings: &FlightRecorder) -> Result<Self, Failure> {
        let path = settings.directory.clone();
        let uncreatable = |error| Failure::Uncreatable { path: path.clone(), error };
        fs::create_dir_all(&path).map_err(uncreatable)?;
        let trial = path.join(format!("{PREFIX}trial{PART}"));
        Writer::open(&trial, true).and_then(|_| fs::remove_file(&trial)).map_err(uncreatable)?;
        let keep = usize::try_from(settings.keep).unwrap_or(usize::MAX);
        Ok(Self { path, keep, max_bytes: settings.max_bytes })
    }

    /// Writes these frames; `cause` becomes a part of the name.
    pub(super) fn write(&self, frames: &[Frame], header: &Header, cause: &str) -> io::Result<Written> {
        let mut kept = kept(frames, header)?;
        let first = kept.next().ok_or_else(|| io::Error::other("nothing was kept"))?;
        let header = Header { started: first.wall.checked_sub(header.tick).unwrap_or(first.wall), ..header.clone() };
        let path = self.path.join(format!("{PREFIX}{}-{cause}{SUFFIX}", stamp(SystemTime::now())));
        let part = path.with_extension(PART.trim_start_matches('.'));
        let written = self.write_to(&part, &header, first, kept);
        match written.and_then(|written| fs::rename(&part, &path).map(|()| written)) {
            Ok((ticks, bytes, length)) => {
                self.prune()?;
                Ok(Written { path, ticks, bytes, length: super::whole_seconds(length) })
            }
            Err(error) => {
                let _ = fs::remove_file(&part);
                Err(error)
            }
        }
    }

    fn write_to(
        &self,
        path: &Path,
        header: &Header,
        first: Sight,
        rest: impl Iterator<Item = Sight>,
    ) -> io::Result<(u64, u64, Duration)> {
        let mut writer = Writer::new(Writer::open(path, true)?, self.max_bytes + NAMES, header)?;
        let mut addresses = Vec::new();
        let mut length = Duration::ZERO;
        for sight in std::iter::once(first.clone()).chain(rest) {
            let sight = since(sight, &first, header.tick);
            addresses.extend(sight.records.iter().flat_map(|(_, record)| record.stack()).copied());
            length = sight.uptime;
            writer.sight(&sight)?;
        }
        addresses.sort_unstable();
        addresses.dedup();
        if !addresses.is_empty() {
            writer.names(&record::names(&addresses))?;
        }
        writer.end(Reason::Flight)?;
        Ok((writer.sights(), writer.bytes(), length))
    }

    /// Removes the oldest files beyond the number that is kept, and what a crash left half written.
    fn prune(&self) -> io::Result<()> {
        let names = fs::read_dir(&self.path)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let (whole, parts): (Vec<String>, Vec<String>) = names
            .filter(|name| name.starts_with(PREFIX) && (name.ends_with(SUFFIX) || name.ends_with(PART)))
            .partition(|name| name.ends_with(SUFFIX));
        let mut whole = whole;
        // Names begin with the time.
        whole.sort_unstable();
        let over = whole.len().saturating_sub(self.keep);
        whole.drain(..over).chain(parts).try_for_each(|name| fs::remove_file(self.path.join(name)))
    }
}

/// The time as a name has it: to the millisecond, in the order of the alphabet.
fn stamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string().replace([':', '-', '.'], "")
}

/// What the frames hold.
fn kept(frames: &[Frame], header: &Header) -> io::Result<impl Iterator<Item = Sight>> {
    let begin = recording::begun(header)?;
    let parts = std::iter::once(Frame::from(begin)).chain(frames.iter().cloned()).collect();
    let bytes = Parts { parts, at: 0 };
    let reader = Reader::new(bytes).map_err(io::Error::other)?;
    Ok(reader.filter_map(|frame| match frame {
        recording::Frame::Sight(sight) => Some(*sight),
        recording::Frame::Names(_) => None,
    }))
}

/// Bytes that lie in parts, one after the other.
struct Parts {
    parts: VecDeque<Frame>,
    /// How much of the first one was read.
    at: usize,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.parts.front().is_some_and(|part| part.len() == self.at) {
            self.parts.pop_front();
            self.at = 0;
        }
        let Some(part) = self.parts.front() else { return Ok(0) };
        let read = (&part[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// What was seen, as if all had begun a tick before `first`: totals of before are in no file.
fn since(mut sight: Sight, first: &Sight, tick: Duration) -> Sight {
    let less = |now: &mut [u64], then: &[u64]| {
        now.iter_mut().zip(then).for_each(|(now, then)| *now = now.saturating_sub(*then));
    };
    sight.uptime = sight.uptime.saturating_sub(first.uptime) + tick;
    less(&mut sight.lost, &first.lost);
    less(&mut sight.blocked_ns, &first.blocked_ns);
    if let (Some(now), Some(then)) = (&mut sight.pending_mismatches, first.pending_mismatches) {
        *now = now.saturating_sub(then);
    }
    for (name, figures) in &mut sight.programs {
        let Some(then) = first.programs.get(name) else { continue };
        if let (Some(now), Some(then)) = (&mut figures.runs, then.runs) {
            *now = (now.0.saturating_sub(then.0), now.1.saturating_sub(then.1));
        }
        if let (Some(now), Some(then)) = (&mut figures.misses, then.misses) {
            *now = now.saturating_sub(then);
        }
    }
    for (now, then) in sight.governed.spent.iter_mut().zip(first.governed.spent) {
        *now = now.saturating_sub(then);
    }
    sight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::fuzzing::header;

    fn sight(second: u64) -> Sight {
        Sight {
            uptime: Duration::from_secs(second),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second),
            lost: vec![second, 7],
            pending_mismatches: Some(3 * second),
            ..Sight::default()
        }
    }

    fn folder(keep: usize) -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder { path: place.path().to_owned(), keep, max_bytes: 1 << 20 };
        (place, folder)
    }

    fn frames(seconds: impl Iterator<Item = u64>) -> Vec<Frame> {
        seconds.map(|second| recording::packed(&sight(second), &header()).unwrap().into()).collect()
    }

    #[test]
    fn a_file_is_a_recording_that_begins_with_what_was_kept() {
        let (_place, folder) = folder(2);
        let written = folder.write(&frames(100..=160), &header(), "uffd_stuck").unwrap();
        assert_eq!((written.ticks, written.length), (61, Duration::from_secs(61)));
        let mut reader = Reader::new(fs::File::open(&written.path).unwrap()).unwrap();
        let started = reader.header().started;
        assert_eq!(started, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_099));
        let sights: Vec<Sight> = reader
            .by_ref()
            .filter_map(|frame| match frame {
                recording::Frame::Sight(sight) => Some(*sight),
                recording::Frame::Names(_) => None,
            })
            .collect();
        assert_eq!((sights[0].uptime.as_secs(), sights[0].lost.clone()), (1, vec![0, 0]), "no loss of before is in it");
        assert_eq!((sights[60].lost.clone(), sights[60].pending_mismatches), (vec![60, 0], Some(180)));
        assert!(matches!(reader.finish(), Some(recording::Finish::Ended(end)) if end.reason == Reason::Flight));
        let name = written.path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.ends_with("Z-uffd_stuck.mmrec"), "{name}");
    }

    #[test]
    fn the_newest_files_stay_and_others_are_left_alone() {
        let (place, folder) = folder(2);
        for name in ["flight-20200101T000000000Z-a.mmrec", "flight-20210101T000000000Z-b.part", "mine.mmrec"] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        let written: Vec<_> = (0..3)
            .map(|n| {
                let written = folder.write(&frames(1..3), &header(), &format!("cause{n}")).unwrap();
                // Names are by the millisecond.
                let begin = SystemTime::now();
                while SystemTime::now().duration_since(begin).is_ok_and(|past| past < Duration::from_millis(2)) {
                    std::thread::yield_now();
                }
                written.path.file_name().unwrap().to_string_lossy().into_owned()
            })
            .collect();
        let mut names: Vec<String> = fs::read_dir(place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, [written[1].as_str(), written[2].as_str(), "mine.mmrec"]);
    }

    #[test]
    fn nothing_kept_is_nothing_written() {
        let (place, folder) = folder(2);
        assert!(folder.write(&[], &header(), "request").is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
