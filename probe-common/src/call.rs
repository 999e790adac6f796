//! What functions that a task is in were called with, where only kprobes are to be had: a table beside that of the tasks, with
//! the same indexes.

/// Words of one task.
pub const WORDS: usize = 16;

/// Arguments of one task's calls, each function's from its place on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The arguments that are needed at the return.
    pub words: [u64; WORDS],
}

const _: () = assert!(size_of::<Call>() == 128);

/// Name of the table. It has one entry unless functions are probed by kprobes.
pub const CALLS: &str = "CALLS";

/// Place of tlb_finish_mmu: one word.
pub const FINISH: usize = 0;
/// Place of flush_tlb_mm_range: four words.
pub const FLUSH: usize = 1;
/// Place of tlb_gather_mmu and tlb_gather_mmu_fullmm: three words.
pub const GATHER: usize = 5;
/// Place of tlb_gather_mmu_vma, which calls tlb_gather_mmu: two words.
pub const GATHER_VMA: usize = 8;
/// Place of down_read, down_write and their killable forms: one word.
pub const DOWN: usize = 10;
/// Place of down_read_trylock and down_write_trylock, which an interrupt may call meanwhile: one word.
pub const TRYLOCK: usize = 11;
/// Place of the slow paths, which down_read and the others call: one word.
pub const SLOWPATH: usize = 12;
/// Place of try_to_unmap_one and try_to_migrate_one: one word.
pub const UNMAP: usize = 13;
/// Place of change_protection, where flushes are inline: one word.
pub const CHANGE: usize = 14;
