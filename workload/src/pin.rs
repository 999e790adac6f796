//! A page that somebody besides its page table holds a reference to, as direct I/O or a device under way would: the
//! kernel then cannot make it writable again in place. Here it is a pipe.

use std::io::{self, PipeReader, PipeWriter, Read as _};
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};

use crate::memory::{Area, PAGE};

/// A pipe with room for the page.
#[derive(Debug)]
pub(crate) struct Pin {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Pin {
    /// An empty one: 1 pipe2.
    ///
    /// # Errors
    ///
    /// If there is no file descriptor left.
    pub(crate) fn new() -> Result<Self> {
        let (reader, writer) = io::pipe().context("open a pipe")?;
        Ok(Self { reader, writer })
    }

    /// Takes hold of a page: 1 vmsplice. Not its contents: what is written to the page later is in the pipe too, unless
    /// the page table has got another page by then.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn hold(&self, area: &Area, page: usize) -> Result<()> {
        let part = libc::iovec { iov_base: area.page(page).cast(), iov_len: PAGE };
        // SAFETY: the kernel reads one iovec that lives across the call, and refers to memory that is never unmapped.
        let taken = unsafe { libc::vmsplice(self.writer.as_raw_fd(), &part, 1, 0) };
        ensure!(taken == PAGE as isize, "vmsplice of a page gave {taken}: {}", io::Error::last_os_error());
        Ok(())
    }

    /// Lets the page go: 1 read. Gives what the page held in the end.
    ///
    /// # Errors
    ///
    /// If the pipe cannot be read.
    pub(crate) fn release(&self) -> Result<[u8; PAGE]> {
        let mut page = [0; PAGE];
        (&self.reader).read_exact(&mut page).context("read a page from a pipe")?;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::Setup;

    #[test]
    fn a_pipe_holds_the_page_and_no_copy_of_it() {
        let area = Area::touched(2, &mut Setup::default()).unwrap();
        let pin = Pin::new().unwrap();
        pin.hold(&area, 1).unwrap();
        area.write(1, 7);
        assert_eq!(pin.release().unwrap()[0], 7);
    }
}
