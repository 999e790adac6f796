//! Who switches the kernel's run-time statistics of programs on. That takes CAP_SYS_ADMIN, and nothing else here does: so where
//! rights are capabilities, a process of its own keeps it, which can do nothing but this.
//!
//! The process is this program again, with its end of a socket as standard input. A byte asks; the answer is a byte with the
//! statistics' file descriptor, or an error's number. It ends when the other end is closed.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, Command, Stdio},
};

use aya::sys::{Stats, enable_stats};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::{
    failure::Failure,
    privileges::{self, Part},
};

/// The subcommand of the helping process.
pub const HELPER: &str = "statistics-helper";

/// The kernel counts and times programs' runs as long as this is kept.
pub struct RunStatistics(#[expect(dead_code, reason = "held for its drop")] OwnedFd);

/// Switches them on.
pub struct StatisticsSwitch {
    helper: Option<Helper>,
}

struct Helper {
    socket: UnixStream,
    process: Child,
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It sees the end of its input. Fails only when the other end is gone.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

impl StatisticsSwitch {
    /// This process's own right, which root has.
    #[must_use]
    pub fn own() -> Self {
        Self { helper: None }
    }

    /// A process with the right to it where capabilities are all that this one has, and its own right elsewhere.
    ///
    /// # Errors
    ///
    /// When the process cannot be started.
    pub fn separate() -> Result<Self, Failure> {
        if !privileges::are_capabilities() || !privileges::may_switch_statistics() {
            return Ok(Self::own());
        }
        let failed = |error: io::Error| Failure::System(format!("start the {HELPER}: {error}"));
        let (socket, other) = UnixStream::pair().map_err(failed)?;
        let process = Command::new("/proc/self/exe")
            .arg(HELPER)
            .env_clear()
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .spawn();
        Ok(Self { helper: Some(Helper { socket, process: process.map_err(failed)? }) })
    }

    /// Switches them on, until what is returned is dropped.
    ///
    /// # Errors
    ///
    /// Where the kernel has none (before 5.8) or refuses.
    pub fn start(&self) -> Result<RunStatistics, Failure> {
        let on = match &self.helper {
            None => enable(),
            Some(helper) => ask(&helper.socket),
        };
        on.map(RunStatistics).map_err(|error| Failure::System(format!("BPF run-time statistics: {error}")))
    }
}

fn enable() -> io::Result<OwnedFd> {
    enable_stats(Stats::RunTime).map_err(|error| error.io_error)
}

fn ask(socket: &UnixStream) -> io::Result<OwnedFd> {
    send(socket.as_fd(), 0, None)?;
    match receive(socket.as_fd())? {
        Some((_, Some(statistics))) => Ok(statistics),
        Some((errno, None)) => Err(io::Error::from_raw_os_error(i32::from(errno))),
        None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the {HELPER} has ended"))),
    }
}

/// The helping process: answers until nobody can ask any more.
///
/// # Errors
///
/// When it cannot give up the rights that it has no use for, or its input is no socket.
pub fn help() -> Result<(), Failure> {
    privileges::keep(Part::Statistics)?;
    // Else it is "exe" in lists of processes, by the link that it was started by.
    let _ = rustix::thread::set_name(c"mmscope-stats");
    let failed = |error: io::Error| Failure::System(format!("{HELPER}: {error}"));
    let input = io::stdin();
    let socket = input.as_fd();
    while receive(socket).map_err(failed)?.is_some() {
        match enable() {
            Ok(statistics) => send(socket, 0, Some(statistics.as_fd())),
            Err(error) => send(socket, errno(&error), None),
        }
        .map_err(failed)?;
    }
    Ok(())
}

/// The numbers of the kernel's errors that this call has are all small.
fn errno(error: &io::Error) -> u8 {
    error.raw_os_error().and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

fn send(socket: BorrowedFd<'_>, byte: u8, passed: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>> = passed.into_iter().collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("no room for a file descriptor"));
    }
    sendmsg(socket, &[IoSlice::new(&[byte])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// A byte, and the file descriptor that came with it; none when the other end is closed.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(u8, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let message = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((message.bytes > 0).then_some((byte[0], descriptor)))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_descriptor_is_passed_on_or_an_error_is() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(one.as_fd(), 0, Some(writer.as_fd())).unwrap();
        drop(writer);
        let (byte, passed) = receive(other.as_fd()).unwrap().unwrap();
        assert_eq!(byte, 0);
        std::fs::File::from(passed.unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");

        send(one.as_fd(), 1, None).unwrap();
        let (byte, passed) = receive(other.as_fd()).unwrap().unwrap();
        assert_eq!((byte, passed.is_none()), (1, true));
        drop(one);
        assert!(receive(other.as_fd()).unwrap().is_none());
    }

    #[test]
    fn what_was_refused_there_is_told_here() {
        let (asking, answering) = UnixStream::pair().unwrap();
        let answer = std::thread::spawn(move || {
            receive(answering.as_fd()).unwrap();
            send(answering.as_fd(), errno(&io::Error::from_raw_os_error(1)), None).unwrap();
        });
        assert_eq!(ask(&asking).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        answer.join().unwrap();
        assert!(ask(&asking).is_err(), "it is gone");
    }
}
