//! Forked children that are killed when nobody needs them any more. Knows nothing of what they do.

/// Children of this process, killed and waited for when this is dropped.
pub(crate) struct Children(Vec<libc::pid_t>);

impl Children {
    /// None yet, with room for so many.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Takes charge of one that nobody else waits for.
    pub(crate) fn push(&mut self, pid: libc::pid_t) {
        self.0.push(pid);
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for &pid in &self.0 {
            // SAFETY: a child of this process that nobody has waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        for &pid in &self.0 {
            // SAFETY: as above; how it ended does not matter.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        }
    }
}
