//! This process's own memory.

/// Blocks of the C library's heap from this size on are mappings of their own, which go when they are freed. It would raise this
/// by itself to the size of whatever was freed, and then keep what a tick of ten thousand processes takes for a moment.
const MAPPED_FROM: libc::c_int = 128 << 10;

/// Has the C library keep one heap for all threads instead of one for each, and give back what is free at its end. To be called
/// before there are threads.
pub fn be_frugal() {
    for (what, value) in
        [(libc::M_ARENA_MAX, 1), (libc::M_MMAP_THRESHOLD, MAPPED_FROM), (libc::M_TRIM_THRESHOLD, MAPPED_FROM)]
    {
        // SAFETY: sets a number of the C library's own; one that it refuses stays as it was.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Looks between two times that what they needed for a moment is given back.
const LOOKS: u64 = 6;
/// Address spaces in a look from which on that is megabytes: it is given back after each.
const MANY: usize = 1_000;

/// Whether it is time to give back what a look of so many address spaces took, which is the `looks`th.
#[must_use]
pub fn is_due(looks: u64, mms: usize) -> bool {
    mms >= MANY || looks.is_multiple_of(LOOKS)
}

/// Gives back to the kernel what was needed to start and is free now: the C library would keep tens of megabytes.
pub fn give_back() {
    // SAFETY: takes nothing but how much to keep, and moves nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}
