//! From a snapshot to the bytes of a scrape. Touches neither the kernel nor /proc.

mod buckets;
mod catalogue;
mod exemplars;
mod families;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod native;
mod negotiate;
#[cfg(test)]
mod properties;
mod protobuf;
mod scrape;
#[cfg(test)]
mod size;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod strict;
mod text;

pub(crate) use families::errno_name;

pub use catalogue::{CATALOGUE, Family, Kind, is_measured, markdown, needs};
pub use negotiate::Format;
pub use scrape::Scrape;
