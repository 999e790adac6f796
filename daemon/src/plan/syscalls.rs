//! Which operation a system call is, by its number on this architecture.

use probe_common::{
    params::SYSCALLS,
    series::{
        OP_BRK, OP_CLONE, OP_EXEC, OP_EXIT, OP_IOCTL, OP_MADVISE, OP_MMAP, OP_MPROTECT, OP_MREMAP, OP_MUNMAP,
        OP_NOT_MM, OP_OTHER,
    },
};

/// Table for the kernel side. A system call that is not listed manages no memory: what it does to mmap_lock is a
/// fault or a look into another process.
#[must_use]
pub fn operations() -> [u8; SYSCALLS] {
    let mut table = [OP_NOT_MM; SYSCALLS];
    let mut set = |operation: u32, numbers: &[i64]| {
        for &number in numbers {
            if let Some(entry) = usize::try_from(number).ok().and_then(|number| table.get_mut(number)) {
                *entry = operation as u8;
            }
        }
    };
    set(OP_MPROTECT, &[libc::SYS_mprotect, libc::SYS_pkey_mprotect]);
    set(OP_MUNMAP, &[libc::SYS_munmap, libc::SYS_shmdt]);
    set(OP_MMAP, &[libc::SYS_mmap, libc::SYS_shmat, libc::SYS_remap_file_pages]);
    set(OP_MADVISE, &[libc::SYS_madvise, libc::SYS_process_madvise]);
    set(OP_MREMAP, &[libc::SYS_mremap]);
    set(OP_BRK, &[libc::SYS_brk]);
    set(OP_CLONE, &[libc::SYS_clone, libc::SYS_clone3]);
    #[cfg(target_arch = "x86_64")]
    set(OP_CLONE, &[libc::SYS_fork, libc::SYS_vfork]);
    set(OP_EXEC, &[libc::SYS_execve, libc::SYS_execveat]);
    set(OP_EXIT, &[libc::SYS_exit, libc::SYS_exit_group]);
    // These lock the mm themselves, for what has no operation of its own.
    set(
        OP_OTHER,
        &[
            libc::SYS_mlock,
            libc::SYS_mlock2,
            libc::SYS_munlock,
            libc::SYS_mlockall,
            libc::SYS_munlockall,
            libc::SYS_mincore,
            libc::SYS_msync,
            libc::SYS_mbind,
            libc::SYS_set_mempolicy,
            libc::SYS_get_mempolicy,
            libc::SYS_migrate_pages,
            libc::SYS_move_pages,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_prctl,
            libc::SYS_userfaultfd,
            libc::SYS_ptrace,
        ],
    );
    table[libc::SYS_ioctl as usize] = OP_IOCTL;
    table
}
