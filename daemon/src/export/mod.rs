//! From a snapshot to the bytes of a scrape. Touches neither the kernel nor /proc.

mod buckets;
mod catalogue;
mod exemplars;
mod families;
#[cfg(test)]
mod fixture;
mod native;
mod negotiate;
mod protobuf;
mod scrape;
#[cfg(test)]
mod size;
mod text;

pub(crate) use families::errno_name;

pub use catalogue::{CATALOGUE, Family, Kind, is_measured, markdown, needs};
pub use negotiate::Format;
pub use scrape::Scrape;
