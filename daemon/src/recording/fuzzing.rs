//! What holds for the reader whatever bytes it is given. A fuzzer does not guess checksums, so that some of its bytes become the
//! payloads of frames that are well formed.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Finish, Frame, Header, Medium, Reader, Reason, Writer,
    frame::{self, Kind},
    wire,
};
use crate::{
    anomaly::{Class, Host},
    config::{self, Config},
    export,
    intake::TableSize,
    plan::{HOOKS, HookState, Tier},
    scope::Scope,
};

/// A medium of so many bytes.
pub(crate) struct Memory {
    pub(crate) bytes: Vec<u8>,
    room: usize,
}

impl Memory {
    pub(crate) fn new(room: usize) -> Self {
        Self { bytes: Vec::new(), room }
    }
}

impl io::Write for &mut Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room - self.bytes.len());
        if taken == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for &mut Memory {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes.truncate(bytes as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A header of a host on which hooks are in every state.
pub(crate) fn header() -> Header {
    let mut hooks = vec![HookState::Attached(Tier::F); HOOKS.len()];
    hooks[1] = HookState::Attached(Tier::T);
    hooks[2] = HookState::Absent("no such function".to_owned());
    Header {
        build: "1.2.3".to_owned(),
        started: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        node: Some("lab-7".to_owned()),
        timeline: None,
        host: Host {
            hooks,
            release: "6.18.0-test".to_owned(),
            version: "Linux version 6.18.0".to_owned(),
            has_anon_exclusive: true,
            has_task_times: false,
            has_inline_changes: true,
        },
        tick: Duration::from_secs(1),
        record: config::Record { hold: Duration::from_millis(7), ..config::Record::default() },
        anomaly: Some(config::Anomaly {
            disabled: vec![Class::LockConvoy],
            uffd_stuck_age: Duration::from_millis(1_500),
            ..config::Anomaly::default()
        }),
        tables: [("mm_slots", 16_384), ("other", 12)]
            .map(|(name, capacity)| TableSize { name, capacity, bytes: capacity * 8 })
            .to_vec(),
    }
}

/// Any bytes. The first one says how the others are meant: as a file, as the body of a frame, or as a payload before it is packed;
/// the second where it is cut.
pub(crate) fn any(input: &[u8]) {
    let [how, cut, rest @ ..] = input else { return };
    let Some(file) = file(*how, rest) else { return };
    let Ok((header, frames, finish)) = read(&file) else { return };
    cuts(&file, *cut, &frames, &finish);
    again(&header, &frames);
    replayed(&header, frames);
}

/// A file to read.
fn file(how: u8, rest: &[u8]) -> Option<Vec<u8>> {
    const KINDS: [Kind; 4] = [Kind::Header, Kind::Sight, Kind::Names, Kind::End];
    let kind = KINDS[usize::from(how >> 2) % KINDS.len()];
    let frame = match how & 3 {
        0 => return Some(rest.to_vec()),
        1 => frame::sealed(rest),
        _ => frame::encode(kind, rest).ok()?,
    };
    let mut file = frame::begin().to_vec();
    if kind != Kind::Header {
        file.extend(frame::encode(Kind::Header, &wire::header(&header()).ok()?).ok()?);
    }
    file.extend_from_slice(&frame);
    Some(file)
}

type Read = (Header, Vec<Frame>, Finish);

fn read(file: &[u8]) -> Result<Read, super::Unreadable> {
    let mut reader = Reader::new(file)?;
    let frames: Vec<Frame> = reader.by_ref().collect();
    let finish = reader.finish().cloned().unwrap_or_else(|| panic!("no end after the last frame"));
    let told = match finish {
        Finish::Ended(_) => file.len() as u64,
        Finish::Open { at } => at,
        Finish::Broken { at, lost, .. } => at + lost,
    };
    // A last frame that counts wrongly is whole, and so is all before it.
    let is_whole = matches!(finish, Finish::Broken { lost: 0, .. });
    assert!(told == file.len() as u64 || is_whole, "{finish}; it has {} bytes", file.len());
    Ok((reader.header().clone(), frames, finish))
}

/// A cut leaves a beginning of what was there, and says that it is none of the whole.
fn cuts(file: &[u8], cut: u8, frames: &[Frame], finish: &Finish) {
    let at = file.len() * usize::from(cut) / 256;
    let Ok((_, left, cut)) = read(&file[..at]) else { return };
    assert!(left.len() <= frames.len(), "more frames in a part than in the whole");
    for (left, whole) in left.iter().zip(frames) {
        assert_eq!(format!("{left:?}"), format!("{whole:?}"));
    }
    let is_ended = matches!(cut, Finish::Ended(_));
    // Only what follows the last frame may be missing.
    assert!(!is_ended || matches!(finish, Finish::Broken { at: end, .. } if at as u64 == *end), "{cut}, {finish}");
}

/// What was read, written and read again, is the same.
fn again(header: &Header, frames: &[Frame]) {
    let mut memory = Memory::new(usize::MAX);
    let mut writer = Writer::new(&mut memory, u64::MAX, header).unwrap_or_else(|error| panic!("{error}"));
    for frame in frames {
        let written = match frame {
            Frame::Sight(sight) => writer.sight(sight),
            Frame::Names(names) => writer.names(names),
        };
        assert!(written.unwrap_or_else(|error| panic!("{error}")));
    }
    writer.end(Reason::Signal).unwrap_or_else(|error| panic!("{error}"));
    let (_, frames_again, finish) = read(&memory.bytes).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(finish, Finish::Ended(_)), "{finish}");
    assert_eq!(format!("{frames_again:?}"), format!("{frames:?}"));
}

/// What was read can be judged and told.
fn replayed(header: &Header, frames: Vec<Frame>) {
    let config = Config { anomaly: header.anomaly.clone().unwrap_or_default(), ..Config::default() };
    if config.anomaly.check(&header.record).is_err() {
        return;
    }
    let mut scope = Scope::new(&config, header.host.clone());
    let sights =
        frames.into_iter().filter_map(|frame| if let Frame::Sight(sight) = frame { Some(sight) } else { None });
    if let Some(seen) = sights.map(|sight| scope.see(&sight)).last() {
        export::fuzzing::check(&Arc::new(seen.snapshot));
    }
}
