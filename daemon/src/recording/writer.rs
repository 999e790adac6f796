//! Appends frames, up to a bound. What was appended once stays readable: a frame that could not be written whole is cut off.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::{
    End, Header, Reason,
    frame::{self, Kind},
    wire,
};
use crate::scope::Sight;

/// Kept free below the bound for the last frame.
const END: u64 = 128;

/// What a recording is written to.
pub trait Medium: Write {
    /// Makes it so many bytes long; what is written next comes after these.
    ///
    /// # Errors
    ///
    /// As the system has them.
    fn cut(&mut self, bytes: u64) -> io::Result<()>;

    /// Returns when all that was written is where a crash does not reach it.
    ///
    /// # Errors
    ///
    /// As the system has them.
    fn sync(&mut self) -> io::Result<()>;
}

impl Medium for File {
    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        // A device or a pipe has no length.
        if !self.metadata()?.is_file() {
            return Ok(());
        }
        self.set_len(bytes)?;
        self.seek(io::SeekFrom::Start(bytes)).map(|_| ())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.metadata()?.is_file() { self.sync_data() } else { Ok(()) }
    }
}

/// A recording that grows.
pub struct Writer<M> {
    medium: M,
    /// All whole frames.
    bytes: u64,
    bound: u64,
    sights: u64,
    header: Header,
}

impl Writer<File> {
    /// Opens a file for a recording, readable for its owner only. What it holds stays there until [`Writer::new`].
    ///
    /// # Errors
    ///
    /// When there is one and it may not be overwritten, or as the system has them.
    pub fn open(path: &Path, may_overwrite: bool) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).create_new(!may_overwrite).truncate(false).mode(0o600).open(path)
    }
}

impl<M: Medium> Writer<M> {
    /// Begins, at most `bound` bytes long; what the medium held is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(medium: M, bound: u64, header: &Header) -> io::Result<Self> {
        let mut writer = Self { medium, bytes: 0, bound, sights: 0, header: header.clone() };
        writer.medium.cut(0)?;
        writer.append(&begun(header)?)?;
        Ok(writer)
    }

    /// Appends what a tick saw. False if that would go over the bound; then nothing is written.
    ///
    /// # Errors
    ///
    /// When it cannot be written. What was written before can be read, and if there is room it says that it ended so.
    pub fn sight(&mut self, sight: &Sight) -> io::Result<bool> {
        let frame = packed(sight, &self.header)?;
        let has_room = self.append_within(&frame)?;
        self.sights += u64::from(has_room);
        Ok(has_room)
    }

    /// Appends names of kernel addresses, as name and offset. False if that would go over the bound; then nothing is written.
    ///
    /// # Errors
    ///
    /// As [`Writer::sight`].
    pub fn names(&mut self, names: &[(u64, String)]) -> io::Result<bool> {
        let frame = encoded(Kind::Names, wire::names(names))?;
        self.append_within(&frame)
    }

    /// Appends the last frame, and returns when all is safe.
    ///
    /// # Errors
    ///
    /// As [`Writer::sight`].
    pub fn end(&mut self, reason: Reason) -> io::Result<()> {
        let frame = encoded(Kind::End, wire::end(&End { reason, sights: self.sights }))?;
        self.append(&frame)?;
        self.medium.sync()
    }

    /// Returns when all that was written is where a crash does not reach it.
    ///
    /// # Errors
    ///
    /// As the system has them.
    pub fn sync(&mut self) -> io::Result<()> {
        self.medium.sync()
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ticks so far.
    #[must_use]
    pub fn sights(&self) -> u64 {
        self.sights
    }

    fn append_within(&mut self, frame: &[u8]) -> io::Result<bool> {
        if self.bytes + frame.len() as u64 + END > self.bound {
            return Ok(false);
        }
        self.append(frame).map(|()| true)
    }

    fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let written = self.medium.write_all(frame).and_then(|()| self.medium.flush());
        match written {
            Ok(()) => {
                self.bytes += frame.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.give_up();
                Err(error)
            }
        }
    }

    /// The room of the frame that did not fit is room for the last one; if not, a reader tells what is missing.
    fn give_up(&mut self) {
        let end = encoded(Kind::End, wire::end(&End { reason: Reason::Failed, sights: self.sights }));
        if let Ok(frame) = end
            && self.bytes > 0
            && self.medium.cut(self.bytes).is_ok()
            && self.medium.write_all(&frame).and_then(|()| self.medium.flush()).is_err()
        {
            let _ = self.medium.cut(self.bytes);
        }
    }
}

/// The bytes with which a recording begins, up to its first tick.
///
/// # Errors
///
/// When they cannot be encoded.
pub fn begun(header: &Header) -> io::Result<Vec<u8>> {
    let mut begin = frame::begin().to_vec();
    begin.extend(encoded(Kind::Header, wire::header(header))?);
    Ok(begin)
}

/// The bytes of what a tick saw, as they stand in a recording that begins with this header.
///
/// # Errors
///
/// When they cannot be encoded.
pub fn packed(sight: &Sight, header: &Header) -> io::Result<Vec<u8>> {
    encoded(Kind::Sight, wire::sight(sight, header))
}

fn encoded(kind: Kind, payload: Result<Vec<u8>, String>) -> io::Result<Vec<u8>> {
    payload.and_then(|payload| frame::encode(kind, &payload)).map_err(io::Error::other)
}
