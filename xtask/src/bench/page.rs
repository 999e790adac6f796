//! The page that benchmarks write their tables to.

use anyhow::Result;

use crate::marks;

/// Puts a text between the marks of a benchmark.
pub(super) fn write(name: &str, text: &str) -> Result<()> {
    marks::replace("docs/performance.md", name, text)
}
