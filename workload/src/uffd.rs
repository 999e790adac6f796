//! userfaultfd: its ioctls, each counted by name with its failures. Knows nothing of threads or of what a fault is for.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use linux_raw_sys::general::{
    _UFFDIO_COPY, _UFFDIO_WRITEPROTECT, UFFD_API, UFFD_EVENT_PAGEFAULT, UFFD_PAGEFAULT_FLAG_WP, UFFD_USER_MODE_ONLY,
    UFFDIO_COPY_MODE_DONTWAKE, UFFDIO_REGISTER_MODE_WP, uffd_msg, uffdio_api, uffdio_copy, uffdio_range,
    uffdio_register, uffdio_writeprotect,
};
use linux_raw_sys::ioctl::{
    UFFDIO_API, UFFDIO_COPY, UFFDIO_REGISTER, UFFDIO_UNREGISTER, UFFDIO_WAKE, UFFDIO_WRITEPROTECT,
};
use serde_json::{Map, Value};

use crate::memory::{Area, PAGE};
use crate::outcome::Unsupported;

// uapi/linux/userfaultfd.h writes these two with a cast, which bindgen leaves out.
const WRITEPROTECT_MODE_WP: u64 = 1 << 0;
const WRITEPROTECT_MODE_DONTWAKE: u64 = 1 << 1;

const _: () = assert!(size_of::<uffd_msg>() == 32);
const _: () = assert!(size_of::<uffdio_copy>() == 40);
const _: () = assert!(size_of::<uffdio_writeprotect>() == 24);

/// Calls of one ioctl, failed ones too, and its failures by errno.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    calls: u64,
    failures: [u64; KNOWN_ERRNOS.len() + 1],
}

/// Those that userfaultfd's ioctls give by design; all others are counted together as OTHER.
const KNOWN_ERRNOS: [(libc::c_int, &str); 9] = [
    (libc::EAGAIN, "EAGAIN"),
    (libc::EBUSY, "EBUSY"),
    (libc::EEXIST, "EEXIST"),
    (libc::EFAULT, "EFAULT"),
    (libc::EINVAL, "EINVAL"),
    (libc::ENOENT, "ENOENT"),
    (libc::ENOMEM, "ENOMEM"),
    (libc::EPERM, "EPERM"),
    (libc::ESRCH, "ESRCH"),
];

impl Tally {
    fn fail(&mut self, errno: libc::c_int) {
        let known = KNOWN_ERRNOS.iter().position(|(number, _)| *number == errno);
        self.failures[known.unwrap_or(KNOWN_ERRNOS.len())] += 1;
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        for (own, more) in self.failures.iter_mut().zip(other.failures) {
            *own += more;
        }
    }

    fn failures(&self) -> Map<String, Value> {
        let names = KNOWN_ERRNOS.iter().map(|(_, name)| *name).chain(["OTHER"]);
        names.zip(self.failures).filter(|(_, count)| *count > 0).map(|(name, n)| (name.into(), n.into())).collect()
    }
}

/// ioctl calls by name. A fixed size, so that counting allocates nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Ioctls {
    api: Tally,
    register: Tally,
    unregister: Tally,
    copy: Tally,
    wake: Tally,
    writeprotect_wp: Tally,
    writeprotect_unwp: Tally,
}

impl Ioctls {
    fn by_name(&self) -> [(&'static str, &Tally); 7] {
        [
            ("api", &self.api),
            ("register", &self.register),
            ("unregister", &self.unregister),
            ("copy", &self.copy),
            ("wake", &self.wake),
            ("writeprotect_wp", &self.writeprotect_wp),
            ("writeprotect_unwp", &self.writeprotect_unwp),
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.api.add(&other.api);
        self.register.add(&other.register);
        self.unregister.add(&other.unregister);
        self.copy.add(&other.copy);
        self.wake.add(&other.wake);
        self.writeprotect_wp.add(&other.writeprotect_wp);
        self.writeprotect_unwp.add(&other.writeprotect_unwp);
    }

    /// Calls of every ioctl, 0 too, failed ones included.
    pub(crate) fn calls(&self) -> Map<String, Value> {
        self.by_name().into_iter().map(|(name, tally)| (name.into(), tally.calls.into())).collect()
    }

    /// Failures by ioctl and errno; only what occurred.
    pub(crate) fn failures(&self) -> Map<String, Value> {
        let each = self.by_name().into_iter().map(|(name, tally)| (name, tally.failures()));
        each.filter(|(_, errnos)| !errnos.is_empty()).map(|(name, errnos)| (name.into(), errnos.into())).collect()
    }
}

/// A page fault that waits for its handler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) address: u64,
    /// By write protection; else by a missing page.
    pub(crate) wp: bool,
}

/// One context.
#[derive(Debug)]
pub(crate) struct Uffd {
    fd: OwnedFd,
    user_mode_only: bool,
}

impl Uffd {
    /// Opens a context and settles on `features`: 1 userfaultfd call (2 where the first may only be had for faults in
    /// user mode), 1 UFFDIO_API.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] where the kernel has no userfaultfd, not these features, or refuses this user.
    pub(crate) fn open(features: u32, ioctls: &mut Ioctls) -> Result<Self> {
        let (fd, user_mode_only) = open_fd().map_err(|error| Unsupported(format!("userfaultfd: {error}")))?;
        let uffd = Self { fd, user_mode_only };
        let mut api = uffdio_api { api: UFFD_API.into(), features: features.into(), ioctls: 0 };
        // SAFETY: UFFDIO_API takes a uffdio_api.
        match unsafe { uffd.ioctl(UFFDIO_API, &mut api, &mut ioctls.api) } {
            Ok(()) => Ok(uffd),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Err(Unsupported(format!("userfaultfd features {features:#x}")).into())
            }
            Err(error) => Err(error).context("UFFDIO_API"),
        }
    }

    pub(crate) fn user_mode_only(&self) -> bool {
        self.user_mode_only
    }

    /// 1 UFFDIO_REGISTER.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] where this memory cannot be used in this mode.
    pub(crate) fn register(&self, area: &Area, mode: u32, ioctls: &mut Ioctls) -> Result<()> {
        let mut register = uffdio_register { range: range(area), mode: mode.into(), ioctls: 0 };
        // SAFETY: UFFDIO_REGISTER takes a uffdio_register.
        unsafe { self.ioctl(UFFDIO_REGISTER, &mut register, &mut ioctls.register) }
            .with_context(|| format!("register {} pages, mode {mode}", area.pages()))?;
        let wanted = if mode == UFFDIO_REGISTER_MODE_WP { _UFFDIO_WRITEPROTECT } else { _UFFDIO_COPY };
        if register.ioctls & (1 << wanted) == 0 {
            bail!(Unsupported(format!("userfaultfd ioctl {wanted} on anonymous memory")));
        }
        Ok(())
    }

    /// 1 UFFDIO_UNREGISTER.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn unregister(&self, area: &Area, ioctls: &mut Ioctls) -> Result<()> {
        // SAFETY: UFFDIO_UNREGISTER takes a uffdio_range.
        unsafe { self.ioctl(UFFDIO_UNREGISTER, &mut range(area), &mut ioctls.unregister) }
            .with_context(|| format!("unregister {} pages", area.pages()))
    }

    /// Fills one page from `source`: 1 UFFDIO_COPY. Any errno is the caller's to judge.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn copy(&self, address: u64, source: &Area, wake: bool, ioctls: &mut Ioctls) -> io::Result<()> {
        let mode = if wake { 0 } else { UFFDIO_COPY_MODE_DONTWAKE.into() };
        let mut copy = uffdio_copy { dst: address, src: source.address(), len: PAGE as u64, mode, copy: 0 };
        // SAFETY: UFFDIO_COPY takes a uffdio_copy; it reads one page of `source` and fills a page only if it is missing.
        unsafe { self.ioctl(UFFDIO_COPY, &mut copy, &mut ioctls.copy) }
    }

    /// Write-protects the whole area: 1 UFFDIO_WRITEPROTECT with mode WP.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn protect(&self, area: &Area, ioctls: &mut Ioctls) -> Result<()> {
        let mut protect = uffdio_writeprotect { range: range(area), mode: WRITEPROTECT_MODE_WP };
        // SAFETY: UFFDIO_WRITEPROTECT takes a uffdio_writeprotect.
        unsafe { self.ioctl(UFFDIO_WRITEPROTECT, &mut protect, &mut ioctls.writeprotect_wp) }
            .with_context(|| format!("write-protect {} pages", area.pages()))
    }

    /// Write-protects an area from a page on: 1 UFFDIO_WRITEPROTECT with mode WP.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn protect_from(&self, area: &Area, first: usize, ioctls: &mut Ioctls) -> Result<()> {
        let start = area.page(first) as u64;
        let range = uffdio_range { start, len: area.address() + area.len() as u64 - start };
        let mut protect = uffdio_writeprotect { range, mode: WRITEPROTECT_MODE_WP };
        // SAFETY: UFFDIO_WRITEPROTECT takes a uffdio_writeprotect.
        unsafe { self.ioctl(UFFDIO_WRITEPROTECT, &mut protect, &mut ioctls.writeprotect_wp) }
            .with_context(|| format!("write-protect {} pages from page {first} on", area.pages()))
    }

    /// Ends the write protection of the whole area: 1 UFFDIO_WRITEPROTECT without mode WP.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn unprotect_all(&self, area: &Area, ioctls: &mut Ioctls) -> Result<()> {
        let mut protect = uffdio_writeprotect { range: range(area), mode: 0 };
        // SAFETY: UFFDIO_WRITEPROTECT takes a uffdio_writeprotect.
        unsafe { self.ioctl(UFFDIO_WRITEPROTECT, &mut protect, &mut ioctls.writeprotect_unwp) }
            .with_context(|| format!("end the write protection of {} pages", area.pages()))
    }

    /// Ends the write protection of one page: 1 UFFDIO_WRITEPROTECT without mode WP.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn unprotect(&self, address: u64, wake: bool, ioctls: &mut Ioctls) -> io::Result<()> {
        let mode = if wake { 0 } else { WRITEPROTECT_MODE_DONTWAKE };
        let mut protect = uffdio_writeprotect { range: one_page(address), mode };
        // SAFETY: UFFDIO_WRITEPROTECT takes a uffdio_writeprotect.
        unsafe { self.ioctl(UFFDIO_WRITEPROTECT, &mut protect, &mut ioctls.writeprotect_unwp) }
    }

    /// Write-protects one page: 1 UFFDIO_WRITEPROTECT with mode WP.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn protect_page(&self, address: u64, ioctls: &mut Ioctls) -> io::Result<()> {
        let mut protect = uffdio_writeprotect { range: one_page(address), mode: WRITEPROTECT_MODE_WP };
        // SAFETY: UFFDIO_WRITEPROTECT takes a uffdio_writeprotect.
        unsafe { self.ioctl(UFFDIO_WRITEPROTECT, &mut protect, &mut ioctls.writeprotect_wp) }
    }

    /// Wakes who waits for one page: 1 UFFDIO_WAKE.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub(crate) fn wake(&self, address: u64, ioctls: &mut Ioctls) -> io::Result<()> {
        // SAFETY: UFFDIO_WAKE takes a uffdio_range.
        unsafe { self.ioctl(UFFDIO_WAKE, &mut one_page(address), &mut ioctls.wake) }
    }

    /// Waits for the next fault: 1 poll, 1 read.
    ///
    /// # Errors
    ///
    /// If none comes in time, or the event is no fault.
    pub(crate) fn next_fault(&self, patience: Duration) -> Result<Fault> {
        self.fault_within(patience)?.with_context(|| format!("no fault came within {patience:?}"))
    }

    /// Waits for a fault: 1 poll, and 1 read if there is one.
    ///
    /// # Errors
    ///
    /// If the event is no fault.
    pub(crate) fn fault_within(&self, patience: Duration) -> Result<Option<Fault>> {
        let mut poll = libc::pollfd { fd: self.fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one pollfd, which lives across the call.
        match unsafe { libc::poll(&mut poll, 1, millis) } {
            1 if poll.revents == libc::POLLIN => {}
            0 => return Ok(None),
            1 => bail!("poll of userfaultfd gave events {:#x}", poll.revents),
            _ => bail!("poll of userfaultfd: {}", io::Error::last_os_error()),
        }
        let mut message = MaybeUninit::<uffd_msg>::zeroed();
        // SAFETY: the kernel writes at most size_of::<uffd_msg>() bytes there.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), message.as_mut_ptr().cast(), size_of::<uffd_msg>()) };
        ensure!(
            got == size_of::<uffd_msg>() as isize,
            "read of userfaultfd gave {got}: {}",
            io::Error::last_os_error()
        );
        // SAFETY: all bytes are initialised, and every pattern of them is a uffd_msg.
        let message = unsafe { message.assume_init() };
        let event = message.event;
        ensure!(u32::from(event) == UFFD_EVENT_PAGEFAULT, "userfaultfd event {event:#x} is no page fault");
        // SAFETY: the event says that this member of the union is the one that was written.
        let fault = unsafe { message.arg.pagefault };
        Ok(Some(Fault {
            address: fault.address & !(PAGE as u64 - 1),
            wp: fault.flags & u64::from(UFFD_PAGEFAULT_FLAG_WP) != 0,
        }))
    }

    /// # Safety
    ///
    /// `T` must be the type that `request` reads and writes.
    unsafe fn ioctl<T>(&self, request: u32, argument: &mut T, tally: &mut Tally) -> io::Result<()> {
        tally.calls += 1;
        // SAFETY: the caller vouches for T, and the reference is valid for reads and writes.
        if unsafe { libc::ioctl(self.fd.as_raw_fd(), request.into(), std::ptr::from_mut(argument)) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        tally.fail(error.raw_os_error().unwrap_or(0));
        Err(error)
    }
}

/// The file, and whether it serves faults in user mode only: all that a user without CAP_SYS_PTRACE gets where
/// vm.unprivileged_userfaultfd is 0 (the flag exists from 5.11).
fn open_fd() -> io::Result<(OwnedFd, bool)> {
    match userfaultfd(0) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            userfaultfd(UFFD_USER_MODE_ONLY).map(|fd| (fd, true)).map_err(|_| error)
        }
        fd => Ok((fd?, false)),
    }
}

fn userfaultfd(flags: u32) -> io::Result<OwnedFd> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | flags as libc::c_int;
    // SAFETY: takes a number and gives a file descriptor.
    match unsafe { libc::syscall(libc::SYS_userfaultfd, flags) } {
        fd if fd >= 0 => {
            // SAFETY: a new file descriptor that nothing else owns.
            Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
        }
        _ => Err(io::Error::last_os_error()),
    }
}

fn range(area: &Area) -> uffdio_range {
    uffdio_range { start: area.address(), len: area.len() as u64 }
}

fn one_page(address: u64) -> uffdio_range {
    uffdio_range { start: address, len: PAGE as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_named_and_none_is_dropped() {
        let mut ioctls = Ioctls::default();
        ioctls.copy.fail(libc::EEXIST);
        ioctls.copy.fail(libc::EXDEV);
        let mut sum = ioctls;
        sum.add(&ioctls);
        assert_eq!(
            serde_json::to_value(sum.failures()).unwrap(),
            serde_json::json!({"copy": {"EEXIST": 2, "OTHER": 2}})
        );
    }

    #[test]
    fn every_ioctl_is_listed_even_at_zero() {
        let calls = Ioctls::default().calls();
        assert_eq!(calls.len(), 7);
        assert!(calls.values().all(|count| count == 0));
    }
}
