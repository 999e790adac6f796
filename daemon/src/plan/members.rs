//! The one list of kernel struct members that the probes read.

use probe_common::relocation::field;

pub(super) struct Member {
    pub(super) id: u16,
    pub(super) structure: &'static str,
    pub(super) path: &'static str,
}

impl Member {
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.structure, self.path)
    }
}

const fn member(id: u16, structure: &'static str, path: &'static str) -> Member {
    Member { id, structure, path }
}

pub(super) const MEMBERS: &[Member] = &[
    member(field::MM_CTX_ID, "mm_struct", "context.ctx_id"),
    member(field::MM_OWNER, "mm_struct", "owner"),
    member(field::MM_MMAP_LOCK, "mm_struct", "mmap_lock"),
    member(field::TASK_MM, "task_struct", "mm"),
    member(field::TASK_FLAGS, "task_struct", "flags"),
    member(field::TASK_PID, "task_struct", "pid"),
    member(field::TASK_TGID, "task_struct", "tgid"),
    member(field::TASK_COMM, "task_struct", "comm"),
    member(field::TASK_CGROUPS, "task_struct", "cgroups"),
    member(field::CSS_SET_DFL_CGRP, "css_set", "dfl_cgrp"),
    member(field::CGROUP_KN, "cgroup", "kn"),
    member(field::KERNFS_NODE_ID, "kernfs_node", "id"),
    member(field::VM_FAULT_VMA, "vm_fault", "vma"),
    member(field::VMA_MM, "vm_area_struct", "vm_mm"),
    member(field::MM_TLB_FLUSH_PENDING, "mm_struct", "tlb_flush_pending"),
    member(field::MM_USERS, "mm_struct", "mm_users"),
    member(field::MMU_GATHER_MM, "mmu_gather", "mm"),
    member(field::VMA_FLAGS, "vm_area_struct", "vm_flags"),
    member(field::TASK_STACK, "task_struct", "stack"),
    member(field::TASK_START_TIME, "task_struct", "start_time"),
    member(field::PT_REGS_ORIG_AX, "pt_regs", "orig_ax"),
    member(field::VM_FAULT_ADDRESS, "vm_fault", "address"),
    member(field::VM_FAULT_PTE, "vm_fault", "pte"),
    member(field::MMU_GATHER_START, "mmu_gather", "start"),
    member(field::MMU_GATHER_END, "mmu_gather", "end"),
    member(field::TASK_NVCSW, "task_struct", "nvcsw"),
    member(field::TASK_NIVCSW, "task_struct", "nivcsw"),
    member(field::TASK_EXEC_RUNTIME, "task_struct", "se.sum_exec_runtime"),
    member(field::FILE_PRIVATE_DATA, "file", "private_data"),
    member(field::FLUSH_INFO_MM, "flush_tlb_info", "mm"),
    member(field::FLUSH_INFO_CPU, "flush_tlb_info", "initiating_cpu"),
    member(field::MM_TLB_FLUSH_BATCHED, "mm_struct", "tlb_flush_batched.counter"),
    member(field::TASK_FLUSH_REQUIRED, "task_struct", "tlb_ubc.flush_required"),
    member(field::UFFD_CTX_MM, "userfaultfd_ctx", "mm"),
    member(field::PT_REGS_SYSCALLNO, "pt_regs", "syscallno"),
    member(field::VM_FAULT_FLAGS, "vm_fault", "flags"),
    member(field::STATE_CGROUP, "cgroup_subsys_state", "cgroup"),
    member(field::MM_MMAP_LOCK_RTMUTEX, "mm_struct", "mmap_lock.rwbase.rtmutex"),
];

/// The bit of a gather that says that it is of the whole mm.
pub(super) const FULLMM: (&str, &str) = ("mmu_gather", "fullmm");

/// `struct.path` of a member, for people.
pub(super) fn name(id: u16) -> String {
    MEMBERS.iter().find(|member| member.id == id).map_or_else(|| format!("member {id}"), Member::name)
}
