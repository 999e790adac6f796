//! This process's own memory.

/// Gives back to the kernel what was needed to start and is free now: the C library would keep tens of megabytes.
pub fn give_back() {
    // SAFETY: takes nothing but how much to keep, and moves nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}
