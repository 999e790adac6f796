//! Areas of anonymous memory whose VMAs neither merge nor split, and the system calls on them. Counts nothing itself:
//! the caller knows how often it calls.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::atomic::AtomicU64;

use anyhow::{Result, bail, ensure};

use crate::setup::Setup;

/// Bytes of a page on x86-64.
pub(crate) const PAGE: usize = 4096;

/// Pages of private anonymous memory between two PROT_NONE guard pages, which keep the VMA from merging with its
/// neighbours. Never unmapped: the end of the process does that, so that no extra munmap is seen.
#[derive(Debug)]
pub(crate) struct Area {
    start: *mut u8,
    pages: usize,
}

// SAFETY: the mapping outlives the process's threads, and all access goes through volatile writes and system calls.
unsafe impl Send for Area {}
// SAFETY: as for Send; callers give each page to one thread at a time, and a race would be on a plain byte of no meaning.
unsafe impl Sync for Area {}

impl Area {
    /// Maps a readable and writable area without huge pages: 2 mmaps, 1 madvise.
    ///
    /// # Errors
    ///
    /// If there is not enough address space or memory.
    pub(crate) fn new(pages: usize, setup: &mut Setup) -> Result<Self> {
        let area = Self::reserve(pages, setup)?;
        setup.mmap_calls += 1;
        area.map_by(libc::MAP_FIXED)?;
        setup.madvise_calls += 1;
        match area.advise(libc::MADV_NOHUGEPAGE) {
            // A kernel without transparent huge pages does not know the advice.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            done => done.map_err(|error| anyhow::anyhow!("madvise {pages} pages NOHUGEPAGE: {error}"))?,
        }
        Ok(area)
    }

    /// As [`Area::new`], and writes each page once.
    ///
    /// # Errors
    ///
    /// As [`Area::new`].
    pub(crate) fn touched(pages: usize, setup: &mut Setup) -> Result<Self> {
        let area = Self::new(pages, setup)?;
        area.write_each(1);
        setup.page_touches += pages as u64;
        Ok(area)
    }

    /// Shared pages of a file, from its beginning on, each written once: 2 mmaps.
    ///
    /// # Errors
    ///
    /// If there is not enough address space, or the file cannot be mapped.
    pub(crate) fn of_file(file: &File, pages: usize, setup: &mut Setup) -> Result<Self> {
        let held = file.metadata()?.len() / PAGE as u64;
        ensure!(held >= pages as u64, "the file has {held} pages, not {pages}");
        let area = Self::reserve(pages, setup)?;
        setup.mmap_calls += 1;
        area.map_as(libc::MAP_SHARED | libc::MAP_FIXED, file.as_raw_fd())?;
        area.write_each(1);
        setup.page_touches += pages as u64;
        Ok(area)
    }

    /// An area with nothing between its guards, to be mapped and unmapped in cycles: 1 mmap, 1 munmap. Nothing else may
    /// map memory at a place of the kernel's choice afterwards: it could land in the hole.
    ///
    /// # Errors
    ///
    /// If there is not enough address space.
    pub(crate) fn hole(pages: usize, setup: &mut Setup) -> Result<Self> {
        let area = Self::reserve(pages, setup)?;
        setup.munmap_calls += 1;
        area.unmap()?;
        Ok(area)
    }

    fn reserve(pages: usize, setup: &mut Setup) -> Result<Self> {
        let Some(len) = pages.checked_add(2).and_then(|all| all.checked_mul(PAGE)) else {
            bail!("{pages} pages are more than an address space");
        };
        setup.mmap_calls += 1;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place of the kernel's choice; no existing memory is touched.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0) };
        ensure!(start != libc::MAP_FAILED, "reserve {pages} pages: {}", io::Error::last_os_error());
        // SAFETY: the mapping is at least two pages long.
        let start = unsafe { start.cast::<u8>().add(PAGE) };
        Ok(Self { start, pages })
    }

    /// Maps a hole, untouched: 1 mmap.
    ///
    /// # Errors
    ///
    /// If memory is short, or something else was mapped into the hole.
    pub(crate) fn map(&self) -> Result<()> {
        self.map_by(libc::MAP_FIXED_NOREPLACE)
    }

    fn map_by(&self, place: libc::c_int) -> Result<()> {
        self.map_as(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | place, -1)
    }

    fn map_as(&self, flags: libc::c_int, file: libc::c_int) -> Result<()> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: MAP_FIXED is given only for pages that this area still holds reserved, NOREPLACE replaces nothing.
        let start = unsafe { libc::mmap(self.start.cast(), self.len(), prot, flags, file, 0) };
        ensure!(start != libc::MAP_FAILED, "map {} pages: {}", self.pages, io::Error::last_os_error());
        Ok(())
    }

    /// 1 munmap.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn unmap(&self) -> Result<()> {
        // SAFETY: unmaps only pages that this area reserved or mapped itself; no reference into them exists.
        let done = unsafe { libc::munmap(self.start.cast(), self.len()) };
        ensure!(done == 0, "unmap {} pages: {}", self.pages, io::Error::last_os_error());
        Ok(())
    }

    /// Removes write permission from the whole area: 1 mprotect.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn protect_read(&self) -> Result<()> {
        self.protect(libc::PROT_READ)
    }

    /// Gives write permission back to the whole area: 1 mprotect.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn protect_write(&self) -> Result<()> {
        self.protect(libc::PROT_READ | libc::PROT_WRITE)
    }

    fn protect(&self, prot: libc::c_int) -> Result<()> {
        // SAFETY: changes only this area, which is written only while it is writable.
        let done = unsafe { libc::mprotect(self.start.cast(), self.len(), prot) };
        ensure!(done == 0, "mprotect {} pages to {prot}: {}", self.pages, io::Error::last_os_error());
        Ok(())
    }

    /// Drops the pages: 1 madvise.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn drop_pages(&self) -> Result<()> {
        self.advise(libc::MADV_DONTNEED)
            .map_err(|error| anyhow::anyhow!("madvise {} pages DONTNEED: {error}", self.pages))
    }

    /// Drops one page: 1 madvise.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn drop_page(&self, index: usize) -> Result<()> {
        // SAFETY: the page is inside this area; its contents are of no meaning.
        let done = unsafe { libc::madvise(self.page(index).cast(), PAGE, libc::MADV_DONTNEED) };
        ensure!(done == 0, "madvise page {index} of {} DONTNEED: {}", self.pages, io::Error::last_os_error());
        Ok(())
    }

    /// Asks for huge pages: 1 madvise.
    ///
    /// # Errors
    ///
    /// If the kernel has none.
    pub(crate) fn advise_huge(&self) -> Result<()> {
        self.advise(libc::MADV_HUGEPAGE)
            .map_err(|error| anyhow::anyhow!("madvise {} pages HUGEPAGE: {error}", self.pages))
    }

    /// Makes every page a VMA of its own; see [`Area::split`].
    ///
    /// # Errors
    ///
    /// As [`Area::split`].
    pub(crate) fn split_into_vmas(&self, setup: &mut Setup) -> Result<()> {
        self.split(self.pages, setup)
    }

    /// Makes so many VMAs of equal length of the area, by leaving every second one out of core dumps: half as many madvises.
    /// VM_DONTDUMP is compared when VMAs merge, on all kernels, and mprotect leaves it alone.
    ///
    /// # Errors
    ///
    /// If they would not be equal, or the kernel refuses, above all beyond vm.max_map_count.
    pub(crate) fn split(&self, vmas: usize, setup: &mut Setup) -> Result<()> {
        ensure!(self.pages.is_multiple_of(vmas), "{} pages make no {vmas} equal VMAs", self.pages);
        let each = self.pages / vmas;
        for first in (each..self.pages).step_by(2 * each) {
            setup.madvise_calls += 1;
            // SAFETY: the pages are inside this area, and the advice changes no content.
            let done = unsafe { libc::madvise(self.page(first).cast(), each * PAGE, libc::MADV_DONTDUMP) };
            ensure!(
                done == 0,
                "madvise page {first} of {} DONTDUMP: {} (vm.max_map_count?)",
                self.pages,
                io::Error::last_os_error()
            );
        }
        Ok(())
    }

    /// Pages the area out: 1 madvise.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(crate) fn page_out(&self) -> Result<()> {
        self.advise(libc::MADV_PAGEOUT)
            .map_err(|error| anyhow::anyhow!("madvise {} pages PAGEOUT: {error}", self.pages))
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the range is this area; contents that an advice drops are of no meaning.
        match unsafe { libc::madvise(self.start.cast(), self.len(), advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Asks which pages are in memory: 1 mincore. `answer` has a byte for each page.
    ///
    /// # Errors
    ///
    /// If `answer` is too short or the kernel refuses.
    pub(crate) fn mincore(&self, answer: &Area) -> Result<()> {
        ensure!(answer.len() >= self.pages, "{} bytes for the mincore of {} pages", answer.len(), self.pages);
        // SAFETY: the kernel writes one byte per page into `answer`, whose length was just checked.
        let done = unsafe { libc::mincore(self.start.cast(), self.len(), answer.start) };
        ensure!(done == 0, "mincore of {} pages: {}", self.pages, io::Error::last_os_error());
        Ok(())
    }

    /// Writes the first byte of each page, in order.
    pub(crate) fn write_each(&self, value: u8) {
        for index in 0..self.pages {
            self.write(index, value);
        }
    }

    /// Reads a byte of each page, in order: those never written become the zero page.
    pub(crate) fn read_each(&self) {
        for index in 0..self.pages {
            self.read_last(index);
        }
    }

    /// Writes the first byte of one page.
    pub(crate) fn write(&self, index: usize, value: u8) {
        // SAFETY: the page is inside the mapping; volatile, because the write itself is the purpose.
        unsafe { self.page(index).write_volatile(value) }
    }

    /// Any byte of the area.
    pub(crate) fn byte(&self, index: usize) -> u8 {
        assert!(index < self.len(), "byte {index} of {}", self.len());
        // SAFETY: inside the mapping, by the assertion.
        unsafe { self.start.add(index).read_volatile() }
    }

    /// Reads the last byte of one page.
    pub(crate) fn read_last(&self, index: usize) -> u8 {
        // SAFETY: the byte is inside the page, which is inside the mapping.
        unsafe { self.page(index).add(PAGE - 1).read_volatile() }
    }

    /// Writes the last byte of one page.
    pub(crate) fn write_last(&self, index: usize, value: u8) {
        // SAFETY: the byte is inside the page, which is inside the mapping.
        unsafe { self.page(index).add(PAGE - 1).write_volatile(value) }
    }

    /// The first bytes of one page as a number that threads share.
    pub(crate) fn number(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.pages, "page {index} of {}", self.pages);
        // SAFETY: eight aligned bytes inside the mapping, which is never unmapped; who uses them as a number does nothing
        // else with the page's beginning.
        unsafe { AtomicU64::from_ptr(self.page(index).cast()) }
    }

    /// Address of one page; also of the end, for `index` = pages.
    pub(crate) fn page(&self, index: usize) -> *mut u8 {
        assert!(index <= self.pages, "page {index} of {}", self.pages);
        // SAFETY: within the reservation, or the guard page right behind it.
        unsafe { self.start.add(index * PAGE) }
    }

    pub(crate) fn address(&self) -> u64 {
        self.start as u64
    }

    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    pub(crate) fn len(&self) -> usize {
        self.pages * PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// VMAs that lie in the area, by /proc/self/maps.
    fn vmas(area: &Area) -> usize {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let starts = maps.lines().map(|line| u64::from_str_radix(line.split_once('-').unwrap().0, 16).unwrap());
        starts.filter(|start| (area.address()..area.address() + area.len() as u64).contains(start)).count()
    }

    #[test]
    fn an_area_is_one_vma_even_beside_its_like() {
        let mut setup = Setup::default();
        let areas = [(); 3].map(|()| Area::touched(4, &mut setup).unwrap());
        assert_eq!(areas.map(|area| vmas(&area)), [1; 3]);
        assert_eq!((setup.mmap_calls, setup.madvise_calls, setup.page_touches), (6, 3, 12));
    }

    #[test]
    fn split_vmas_stay_apart_through_mprotect() {
        for pages in [1, 2, 7] {
            let area = Area::touched(pages, &mut Setup::default()).unwrap();
            area.split_into_vmas(&mut Setup::default()).unwrap();
            assert_eq!(vmas(&area), pages);
            area.protect_read().unwrap();
            assert_eq!(vmas(&area), pages);
            area.protect_write().unwrap();
            assert_eq!(vmas(&area), pages);
            area.write_each(2);
        }
    }

    #[test]
    fn more_pages_than_an_address_space_is_an_error() {
        assert!(Area::new(usize::MAX, &mut Setup::default()).is_err());
    }
}
