//! One file per hook: all its forms together. A hook reads its arguments and calls the core.

mod change_protection;
mod clear_refs_write;
mod contention;
mod exit_mmap;
mod flush_tlb_mm_range;
mod handle_userfault;
mod mmap_lock;
mod mwriteprotect_range;
mod task_rename;
mod tlb_finish_mmu;
mod tlb_flush;
mod tlb_gather_mmu;
mod userfaultfd_ioctl;
