//! What the running kernel is: its prototypes, member offsets and helpers, as one plain value.
//!
//! Reads /sys and /proc; decides nothing. Everything comes from BTF, nothing from a version number.

mod btf;
mod facts;
mod symbols;
mod targets;

pub use btf::{Btf, BtfError};
pub use facts::{FactsError, KernelFacts, Wanted};
pub use symbols::{SYMBOLS, Table, from_traced, name_addresses, name_stacks, read_opened};
pub use targets::Targets;
