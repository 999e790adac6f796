//! What the running kernel is: its prototypes, member offsets and helpers, as one plain value.
//!
//! Reads /sys and /proc; decides nothing. Everything comes from BTF, nothing from a version number.

mod btf;
mod cgroups;
mod facts;
mod symbols;
mod targets;
mod types;

pub use btf::{Btf, BtfError};
pub use cgroups::{CgroupMount, naming_controller};
pub use facts::{FactsError, KernelFacts, Lockdown, Wanted};
pub use symbols::{SYMBOLS, Table, from_traced, name_addresses, name_stacks, read_opened};
pub use targets::Targets;
pub use types::{Fit, Types};
