//! What every target has: a bound on memory. What is held to hold is in mmscope's `fuzzing`.

use std::alloc::System;

use cap::Cap;

/// Of all that a target has allocated at once, bytes. An input is 4 KiB at most; beyond the bound the target aborts, which the fuzzer
/// takes for a crash.
const MEMORY: usize = 32 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY);

/// Runs a target; afterwards all its memory is given back, but for what is made once.
pub fn bounded(target: fn(&[u8]), input: &[u8]) {
    target(input);
    assert!(ALLOCATOR.allocated() < MEMORY / 4, "{} bytes are still allocated", ALLOCATOR.allocated());
}
