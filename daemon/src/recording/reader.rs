//! Reads frames, as long as they are whole, and says what came of it.

use std::{fmt, io::Read};

use super::{
    End, Header, VERSION,
    frame::{self, BEGIN, HEAD, Kind, NoBegin},
    wire,
};
use crate::scope::Sight;

/// A recording of which nothing can be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Something else.
    #[error("is no recording of mmscope")]
    Foreign,
    /// By a later build.
    #[error("has format version {0}; this mmscope reads {VERSION}: a newer one is needed")]
    Newer(u32),
    /// It ends before there is anything to tell.
    #[error("is cut at byte {0}, before the end of its header: nothing can be read")]
    Cut(u64),
    /// Its header is not what was written.
    #[error("is damaged at byte {at}, in its header: {why}: nothing can be read")]
    Damaged {
        /// Byte at which the damaged part begins.
        at: u64,
        /// What is wrong there.
        why: String,
    },
    /// The system's reason.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// A frame after the header.
#[derive(Clone, Debug)]
pub enum Frame {
    /// What a tick saw.
    Sight(Box<Sight>),
    /// Names of kernel addresses in the stacks of records, of ticks before or after it.
    Names(Vec<(u64, String)>),
}

/// How a recording ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// By its last frame.
    Ended(End),
    /// Whole frames up to here, but no last one: its writer did not end it.
    Open {
        /// Length of the file.
        at: u64,
    },
    /// What follows is not what was written, or not all of it.
    Broken {
        /// Byte at which the first frame that is not whole begins.
        at: u64,
        /// Bytes from there to the end: lost.
        lost: u64,
        /// What is wrong there.
        why: String,
    },
}

impl fmt::Display for Finish {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(end) => write!(out, "whole; it ended because {}", end.reason.text()),
            Self::Open { at } => {
                write!(out, "ends at byte {at} without an end mark: its recorder did not end it, or it was cut there")
            }
            Self::Broken { at, lost, why } => {
                write!(out, "read up to byte {at}; the {lost} bytes from there on are lost: {why}")
            }
        }
    }
}

/// Reads one recording from its beginning.
pub struct Reader<R> {
    inner: R,
    header: Header,
    terms: wire::Terms,
    /// Where the next frame begins.
    at: u64,
    sights: u64,
    finish: Option<Finish>,
}

/// Why there is no next frame.
enum NoFrame {
    AtEnd,
    Cut { read: u64 },
    Damaged { read: u64, why: String },
}

impl<R: Read> Reader<R> {
    /// Reads the header. What is read is not buffered here.
    ///
    /// # Errors
    ///
    /// When there is none that this build can read.
    pub fn new(mut inner: R) -> Result<Self, Unreadable> {
        let mut begin = [0; BEGIN];
        let read = fill(&mut inner, &mut begin)?;
        if read < BEGIN {
            let is_ours = read == 0 || frame::begin()[..read.min(8)] == begin[..read.min(8)];
            return Err(if is_ours { Unreadable::Cut(read as u64) } else { Unreadable::Foreign });
        }
        frame::check_begin(&begin).map_err(|error| match error {
            NoBegin::Foreign => Unreadable::Foreign,
            NoBegin::Damaged => Unreadable::Damaged { at: 8, why: "its checksum is wrong".to_owned() },
            NoBegin::Version(version) => Unreadable::Newer(version),
        })?;
        let at = BEGIN as u64;
        let damaged = |why| Unreadable::Damaged { at, why };
        let (kind, payload, length) = next(&mut inner).map_err(|error| match error {
            NoFrame::AtEnd => Unreadable::Cut(at),
            NoFrame::Cut { read } => Unreadable::Cut(at + read),
            NoFrame::Damaged { why, .. } => damaged(why),
        })?;
        if kind != Kind::Header {
            return Err(damaged("the first frame is no header".to_owned()));
        }
        let (header, terms) = wire::read_header(&payload).map_err(damaged)?;
        Ok(Self { inner, header, terms, at: at + length, sights: 0, finish: None })
    }

    /// What was known from the start.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How it ended; none until all frames were taken.
    #[must_use]
    pub fn finish(&self) -> Option<&Finish> {
        self.finish.as_ref()
    }

    /// The next frame, or the end.
    fn step(&mut self) -> Result<Frame, Finish> {
        let at = self.at;
        let broken = |lost, why| Finish::Broken { at, lost, why };
        let (kind, payload, length) = match next(&mut self.inner) {
            Ok(frame) => frame,
            Err(NoFrame::AtEnd) => return Err(Finish::Open { at }),
            Err(NoFrame::Cut { read }) => return Err(broken(read, "the file ends inside a frame".to_owned())),
            Err(NoFrame::Damaged { read, why }) => return Err(broken(read + rest(&mut self.inner), why)),
        };
        let frame = match kind {
            Kind::Header => Err("a second header".to_owned()),
            Kind::Sight => wire::read_sight(&payload, &self.terms).map(|sight| Frame::Sight(Box::new(sight))),
            Kind::Names => wire::read_names(&payload).map(Frame::Names),
            Kind::End => match wire::read_end(&payload) {
                Ok(end) => return Err(self.ended(end, length)),
                Err(why) => Err(why),
            },
        };
        let frame = frame.map_err(|why| broken(length + rest(&mut self.inner), why))?;
        self.sights += u64::from(matches!(frame, Frame::Sight(_)));
        self.at += length;
        Ok(frame)
    }

    fn ended(&mut self, end: End, length: u64) -> Finish {
        let at = self.at + length;
        match rest(&mut self.inner) {
            0 if end.sights == self.sights => Finish::Ended(end),
            0 => Finish::Broken {
                at: self.at,
                lost: 0,
                why: format!("{} of {} ticks are there", self.sights, end.sights),
            },
            lost => Finish::Broken { at, lost, why: "they follow the last frame".to_owned() },
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        if self.finish.is_some() {
            return None;
        }
        match self.step() {
            Ok(frame) => Some(frame),
            Err(finish) => {
                self.finish = Some(finish);
                None
            }
        }
    }
}

/// Kind, payload, and length of the whole frame.
fn next(inner: &mut impl Read) -> Result<(Kind, Vec<u8>, u64), NoFrame> {
    let failed = |error: std::io::Error| NoFrame::Damaged { read: 0, why: error.to_string() };
    let mut head = [0; HEAD];
    match fill(inner, &mut head).map_err(failed)? {
        0 => return Err(NoFrame::AtEnd),
        HEAD => {}
        read => return Err(NoFrame::Cut { read: read as u64 }),
    }
    let length = frame::body_length(&head).map_err(|why| NoFrame::Damaged { read: HEAD as u64, why })?;
    // Not set aside in advance: a damaged length may be any.
    let mut body = Vec::new();
    inner.take(length as u64).read_to_end(&mut body).map_err(failed)?;
    let read = (HEAD + body.len()) as u64;
    if body.len() < length {
        return Err(NoFrame::Cut { read });
    }
    let (kind, payload) = frame::decode(&head, &body).map_err(|why| NoFrame::Damaged { read, why })?;
    Ok((kind, payload, read))
}

/// Reads until the buffer is full or there is no more; how many bytes that were.
fn fill(inner: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match inner.read(&mut buffer[read..]) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Bytes that are left.
fn rest(inner: &mut impl Read) -> u64 {
    std::io::copy(inner, &mut std::io::sink()).unwrap_or_default()
}
