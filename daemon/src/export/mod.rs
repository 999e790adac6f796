//! From a snapshot to the text of a scrape. Touches neither the kernel nor /proc.

mod catalogue;
mod families;
mod text;

pub use catalogue::{CATALOGUE, Family, Kind, is_measured, markdown};
pub use text::{Format, render};
