//! Memory that khugepaged works on.

use std::{ffi::c_void, fs, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

use super::live::await_some;

/// Memory of this process's that khugepaged has made a huge page of.
pub(crate) struct HugePages {
    start: NonNull<c_void>,
    /// Settings of the kernel's, and what they were.
    settings: Vec<(&'static str, String)>,
}

impl HugePages {
    const BYTES: usize = 4 << 21;
    const SETTINGS: &[(&str, &str)] = &[("enabled", "madvise"), ("khugepaged/scan_sleep_millisecs", "20")];
    const FOLDER: &str = "/sys/kernel/mm/transparent_hugepage";

    /// Touches small pages, asks for huge ones, and waits for the first.
    pub(crate) fn collapsing() -> Self {
        let settings = Self::SETTINGS.iter().map(|(name, value)| {
            let path = format!("{}/{name}", Self::FOLDER);
            let old = fs::read_to_string(&path).unwrap();
            // Of a choice, the one in brackets is on.
            let old =
                old.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or(&*old, |(on, _)| on).to_owned();
            fs::write(&path, value).unwrap();
            (*name, old)
        });
        let settings = settings.collect();
        let bytes = NonZeroUsize::new(Self::BYTES).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a mapping of our own.
        let start = unsafe { mmap_anonymous(None, bytes, access, MapFlags::MAP_PRIVATE) }.unwrap();
        for page in (0..Self::BYTES).step_by(4096) {
            // SAFETY: inside the mapping.
            unsafe { start.cast::<u8>().add(page).write_volatile(1) };
        }
        // SAFETY: changes no contents.
        unsafe { madvise(start, Self::BYTES, MmapAdvise::MADV_HUGEPAGE) }.unwrap();
        await_some("huge page", || {
            let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
            let line = rollup.lines().find(|line| line.starts_with("AnonHugePages:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().filter(|kib| *kib > 0)
        });
        Self { start, settings }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        for (name, old) in &self.settings {
            let _ = fs::write(format!("{}/{name}", Self::FOLDER), old);
        }
        // SAFETY: the mapping is ours, and nobody has a reference into it.
        unsafe { munmap(self.start, Self::BYTES) }.unwrap();
    }
}
