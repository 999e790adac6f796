//! One number that is the same in two builds only if they share every byte of this crate.
//!
//! The kernel object carries it; the daemon refuses an object that carries another one.

const fn fnv1a(mut hash: u64, text: &str) -> u64 {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        hash ^= bytes[i] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

/// Name of the symbol in the kernel object that holds [`ABI`].
pub const ABI_SYMBOL: &str = "MMSCOPE_ABI";

/// FNV-1a over the sources of this crate.
pub const ABI: u64 = {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    hash = fnv1a(hash, include_str!("answer.rs"));
    hash = fnv1a(hash, include_str!("call.rs"));
    hash = fnv1a(hash, include_str!("event.rs"));
    hash = fnv1a(hash, include_str!("histogram.rs"));
    hash = fnv1a(hash, include_str!("lost.rs"));
    hash = fnv1a(hash, include_str!("params.rs"));
    hash = fnv1a(hash, include_str!("range.rs"));
    hash = fnv1a(hash, include_str!("reclaim.rs"));
    hash = fnv1a(hash, include_str!("relocation.rs"));
    hash = fnv1a(hash, include_str!("series.rs"));
    hash = fnv1a(hash, include_str!("slot.rs"));
    fnv1a(hash, include_str!("task.rs"))
};
