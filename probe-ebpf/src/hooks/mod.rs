//! One file per hook: all its forms together. A hook reads its arguments and calls the core.

mod canary;
mod change_prot_numa;
mod change_protection;
mod clear_refs_write;
mod contention;
mod do_wp_page;
mod flush_tlb_mm_range;
mod handle_userfault;
mod mmap_lock;
mod mmdrop;
mod mprotect_fixup;
mod mwriteprotect_range;
mod native_flush_tlb_multi;
mod reclaim;
mod rwsem;
mod rwsem_slowpath;
mod task_rename;
mod tlb_finish_mmu;
mod tlb_flush;
mod tlb_gather_mmu;
mod uprobe_dup_mmap;
mod userfaultfd_ioctl;
