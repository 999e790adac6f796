//! What BPF has in the kernel, of whomever: in a guest nobody but mmscope comes and goes.

use crate::live::await_some;

/// Programs, maps and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    programs: usize,
    maps: usize,
    links: usize,
}

impl Kept {
    pub(crate) fn now() -> Self {
        Self {
            programs: aya::programs::loaded_programs().filter(Result::is_ok).count(),
            maps: aya::maps::loaded_maps().filter(Result::is_ok).count(),
            links: aya::programs::loaded_links().filter(Result::is_ok).count(),
        }
    }

    /// Waits until no more is there than this: the kernel frees things a little after their last user.
    pub(crate) fn awaited(self) -> Self {
        await_some("end of programs, maps and links", || (Self::now() == self).then_some(self))
    }
}
