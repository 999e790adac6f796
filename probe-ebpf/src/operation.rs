//! What the running task is doing, from the system call it is in. Read once, when something ends.

use probe_common::{
    series::{OP_EXIT, OP_FAULT, OP_IOCTL, OP_KTHREAD, OP_NOT_MM, OP_OTHER, OP_PROC_READER, OP_UFFD_IOCTL},
    task::{BUSY_IOCTL, TaskState},
};

use crate::{
    kernel::{current_flags, current_mm, current_syscall},
    maps::get,
    params,
};

/// PF_EXITING, include/linux/sched.h, the same on all kernels since 2.6.
const PF_EXITING: u32 = 0x4;
/// PF_KTHREAD, include/linux/sched.h.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The operation of the running task on `mm`; `write` tells in which mode it holds or waits.
#[inline(always)]
pub(crate) fn current(task: *mut TaskState, mm: u64, write: bool) -> u32 {
    let flags = current_flags();
    if flags & (PF_KTHREAD | PF_EXITING) != 0 {
        return if flags & PF_KTHREAD != 0 { OP_KTHREAD } else { OP_EXIT };
    }
    let Some(number) = current_syscall() else {
        return OP_OTHER;
    };
    // An exception from user mode has no system call: the entry code stores minus one.
    let Some(operation) = params::syscall_operation(number) else {
        return if number == u64::MAX { OP_FAULT } else { OP_OTHER };
    };
    match operation {
        OP_IOCTL if get!(task, busy) & BUSY_IOCTL != 0 => OP_UFFD_IOCTL,
        OP_IOCTL | OP_NOT_MM => {
            if write {
                OP_OTHER
            } else if current_mm() == mm {
                OP_FAULT
            } else {
                OP_PROC_READER
            }
        }
        operation => u32::from(operation),
    }
}
