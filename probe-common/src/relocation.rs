//! Places in the kernel object that the daemon rewrites before loading: offsets of struct members and positions of
//! arguments, both from the running kernel's BTF.
//!
//! Rust has no CO-RE relocations. A load whose displacement is `DISPLACEMENT + id`, or a move of the constant
//! `IMMEDIATE + id`, stands for "here belongs the number of `id`". No struct is so large and no stack frame so deep
//! that a compiler would write such a displacement itself.

/// Displacement of relocation 0 in a load.
pub const DISPLACEMENT: i16 = 0x7a00;
/// Constant of relocation 0 in a move.
pub const IMMEDIATE: i32 = 0x6d6d_7a00;
/// Ids in use, plus one.
pub const COUNT: usize = 112;

/// Members: byte offset in their struct.
pub mod field {
    /// `mm_struct.context.ctx_id`
    pub const MM_CTX_ID: u16 = 0;
    /// `mm_struct.owner`
    pub const MM_OWNER: u16 = 1;
    /// `mm_struct.mmap_lock`
    pub const MM_MMAP_LOCK: u16 = 2;
    /// `task_struct.mm`
    pub const TASK_MM: u16 = 3;
    /// `task_struct.flags`
    pub const TASK_FLAGS: u16 = 4;
    /// `task_struct.pid`
    pub const TASK_PID: u16 = 5;
    /// `task_struct.comm`, first half
    pub const TASK_COMM: u16 = 6;
    /// `task_struct.comm`, second half
    pub const TASK_COMM_HIGH: u16 = 7;
    /// `task_struct.tgid`
    pub const TASK_TGID: u16 = 8;
    /// `vm_area_struct.vm_mm`
    pub const VMA_MM: u16 = 9;
    /// `task_struct.cgroups`
    pub const TASK_CGROUPS: u16 = 10;
    /// `css_set.dfl_cgrp`
    pub const CSS_SET_DFL_CGRP: u16 = 11;
    /// `cgroup.kn`
    pub const CGROUP_KN: u16 = 12;
    /// `kernfs_node.id`
    pub const KERNFS_NODE_ID: u16 = 13;
    /// `vm_fault.vma`
    pub const VM_FAULT_VMA: u16 = 14;
    /// `pt_regs.orig_ax`
    pub const PT_REGS_ORIG_AX: u16 = 15;
    /// `mm_struct.tlb_flush_pending`
    pub const MM_TLB_FLUSH_PENDING: u16 = 16;
    /// `mm_struct.mm_users`
    pub const MM_USERS: u16 = 17;
    /// `mmu_gather.mm`
    pub const MMU_GATHER_MM: u16 = 18;
    /// `vm_area_struct.vm_flags`
    pub const VMA_FLAGS: u16 = 19;
    /// `task_struct.stack`
    pub const TASK_STACK: u16 = 20;
    /// `pt_regs.orig_ax` counted from the bottom of a task's stack, where they lie at the top
    pub const STACK_ORIG_AX: u16 = 21;
    /// `task_struct.start_time`
    pub const TASK_START_TIME: u16 = 22;
    /// `vm_fault.address`
    pub const VM_FAULT_ADDRESS: u16 = 23;
    /// `vm_fault.pte`
    pub const VM_FAULT_PTE: u16 = 24;
    /// `mmu_gather.start`
    pub const MMU_GATHER_START: u16 = 25;
    /// `mmu_gather.end`
    pub const MMU_GATHER_END: u16 = 26;
    /// `task_struct.nvcsw`
    pub const TASK_NVCSW: u16 = 27;
    /// `task_struct.nivcsw`
    pub const TASK_NIVCSW: u16 = 28;
    /// `task_struct.se.sum_exec_runtime`
    pub const TASK_EXEC_RUNTIME: u16 = 29;
    /// `file.private_data`
    pub const FILE_PRIVATE_DATA: u16 = 30;
    /// `userfaultfd_ctx.mm`
    pub const UFFD_CTX_MM: u16 = 31;
    /// `flush_tlb_info.mm`
    pub const FLUSH_INFO_MM: u16 = 32;
    /// `mm_struct.tlb_flush_batched.counter`
    pub const MM_TLB_FLUSH_BATCHED: u16 = 33;
    /// `task_struct.tlb_ubc.flush_required`
    pub const TASK_FLUSH_REQUIRED: u16 = 34;
    /// `flush_tlb_info.initiating_cpu`
    pub const FLUSH_INFO_CPU: u16 = 35;
    /// `pt_regs.syscallno`
    pub const PT_REGS_SYSCALLNO: u16 = 39;
    /// The word of `mmu_gather` that the bit-field fullmm lies in
    pub const MMU_GATHER_BITS: u16 = 40;
    /// In it that bit: no offset, a mask
    pub const MMU_GATHER_FULLMM: u16 = 41;
    /// `vm_fault.flags`
    pub const VM_FAULT_FLAGS: u16 = 42;
    /// `mm_struct.mmap_lock.rwbase.rtmutex`
    pub const MM_MMAP_LOCK_RTMUTEX: u16 = 36;
    /// `css_set.subsys[controller]`, of the v1 controller that tasks are named by
    pub const CSS_SET_STATE: u16 = 37;
    /// `cgroup_subsys_state.cgroup`
    pub const STATE_CGROUP: u16 = 38;
    /// First id that is no member.
    pub const END: u16 = 48;
}

/// Arguments: byte offset in the program's context (position times eight).
pub mod arg {
    /// __mmdrop: mm
    pub const MMDROP_MM: u16 = 48;
    /// mmap_lock_acquire_returned: mm
    pub const ACQUIRED_MM: u16 = 49;
    /// mmap_lock_acquire_returned: write
    pub const ACQUIRED_WRITE: u16 = 50;
    /// mmap_lock_acquire_returned: success
    pub const ACQUIRED_SUCCESS: u16 = 51;
    /// mmap_lock_released: mm
    pub const RELEASED_MM: u16 = 52;
    /// mmap_lock_released: write
    pub const RELEASED_WRITE: u16 = 53;
    /// contention_begin: lock
    pub const CONTENTION_BEGIN_LOCK: u16 = 54;
    /// contention_begin: flags
    pub const CONTENTION_BEGIN_FLAGS: u16 = 55;
    /// contention_end: lock
    pub const CONTENTION_END_LOCK: u16 = 56;
    /// tlb_flush: reason
    pub const TLB_FLUSH_REASON: u16 = 57;
    /// tlb_flush: pages
    pub const TLB_FLUSH_PAGES: u16 = 58;
    /// task_rename: task
    pub const TASK_RENAME_TASK: u16 = 59;
    /// task_rename: new name
    pub const TASK_RENAME_COMM: u16 = 60;
    /// tlb_gather_mmu: mmu_gather
    pub const GATHER_TLB: u16 = 61;
    /// tlb_gather_mmu: mm
    pub const GATHER_MM: u16 = 62;
    /// tlb_gather_mmu_fullmm: mmu_gather
    pub const GATHER_FULLMM_TLB: u16 = 63;
    /// tlb_gather_mmu_fullmm: mm
    pub const GATHER_FULLMM_MM: u16 = 64;
    /// tlb_gather_mmu_vma: mmu_gather
    pub const GATHER_VMA_TLB: u16 = 65;
    /// tlb_gather_mmu_vma: vma
    pub const GATHER_VMA_VMA: u16 = 66;
    /// tlb_finish_mmu: mmu_gather
    pub const FINISH_TLB: u16 = 67;
    /// change_protection: mmu_gather
    pub const CHANGE_PROTECTION_TLB: u16 = 68;
    /// change_protection: cp_flags
    pub const CHANGE_PROTECTION_FLAGS: u16 = 69;
    /// flush_tlb_mm_range: mm
    pub const FLUSH_MM: u16 = 70;
    /// flush_tlb_mm_range: start
    pub const FLUSH_START: u16 = 71;
    /// flush_tlb_mm_range: end
    pub const FLUSH_END: u16 = 72;
    /// handle_userfault: vmf
    pub const USERFAULT_VMF: u16 = 73;
    /// handle_userfault: reason
    pub const USERFAULT_REASON: u16 = 74;
    /// userfaultfd_ioctl: cmd
    pub const UFFD_IOCTL_CMD: u16 = 75;
    /// userfaultfd_ioctl: return value
    pub const UFFD_IOCTL_RET: u16 = 76;
    /// mwriteprotect_range: enable_wp
    pub const MWRITEPROTECT_ENABLE: u16 = 77;
    /// flush_tlb_mm_range: stride_shift
    pub const FLUSH_STRIDE_SHIFT: u16 = 78;
    /// Functions of rw_semaphore: sem
    pub const RWSEM: u16 = 79;
    /// Functions of rw_semaphore: return value
    pub const RWSEM_RET: u16 = 80;
    /// tlb_gather_mmu: end, before 5.12
    pub const GATHER_END: u16 = 81;
    /// mwriteprotect_range: return value
    pub const MWRITEPROTECT_RET: u16 = 82;
    /// mprotect_fixup: vma
    pub const MPROTECT_FIXUP_VMA: u16 = 83;
    /// mprotect_fixup: newflags
    pub const MPROTECT_FIXUP_FLAGS: u16 = 84;
    /// mprotect_fixup: return value
    pub const MPROTECT_FIXUP_RET: u16 = 85;
    /// change_prot_numa: vma
    pub const CHANGE_PROT_NUMA_VMA: u16 = 86;
    /// uprobe_dup_mmap: the new mm
    pub const DUP_MMAP_MM: u16 = 87;
    /// change_protection: vma
    pub const CHANGE_PROTECTION_VMA: u16 = 88;
    /// change_protection: start
    pub const CHANGE_PROTECTION_START: u16 = 89;
    /// change_protection: end
    pub const CHANGE_PROTECTION_END: u16 = 90;
    /// mprotect_fixup: start
    pub const MPROTECT_FIXUP_START: u16 = 91;
    /// mprotect_fixup: end
    pub const MPROTECT_FIXUP_END: u16 = 92;
    /// mwriteprotect_range: start
    pub const MWRITEPROTECT_START: u16 = 93;
    /// mwriteprotect_range: len
    pub const MWRITEPROTECT_LEN: u16 = 94;
    /// change_prot_numa: addr
    pub const CHANGE_PROT_NUMA_START: u16 = 95;
    /// change_prot_numa: end
    pub const CHANGE_PROT_NUMA_END: u16 = 96;
    /// do_wp_page: vmf
    pub const WP_PAGE_VMF: u16 = 97;
    /// native_flush_tlb_multi: cpumask
    pub const FLUSH_MULTI_MASK: u16 = 98;
    /// userfaultfd_ioctl: file
    pub const UFFD_IOCTL_FILE: u16 = 99;
    /// do_wp_page: return value
    pub const WP_PAGE_RET: u16 = 100;
    /// native_flush_tlb_multi: info
    pub const FLUSH_MULTI_INFO: u16 = 101;
    /// try_to_unmap_one, try_to_migrate_one: vma
    pub const UNMAP_VMA: u16 = 102;
    /// flush_tlb_func: info
    pub const FLUSH_FUNC_INFO: u16 = 103;
    /// change_protection: return value
    pub const CHANGE_PROTECTION_RET: u16 = 104;
    /// flush_tlb_batched_pending: mm
    pub const BATCHED_PENDING_MM: u16 = 105;
}

const _: () = assert!(arg::MMDROP_MM == field::END);
const _: () = assert!((arg::BATCHED_PENDING_MM as usize) < COUNT);
