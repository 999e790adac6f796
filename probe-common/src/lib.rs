//! What the kernel side and the daemon both know: the bytes in the maps and the constants that number them.
//!
//! Has no verbs. Layout is proven where each type is written.
#![no_std]

pub mod abi;
pub mod answer;
pub mod call;
pub mod control;
pub mod event;
pub mod histogram;
pub mod lost;
pub mod params;
pub mod range;
pub mod reclaim;
pub mod relocation;
pub mod series;
pub mod slot;
pub mod task;
