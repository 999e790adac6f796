//! The screenshots of docs/images and the figures of docs/page.md.

use std::fs;

use anyhow::{Context, Result};

use super::{Seen, shots};
use crate::paths;

const PAGE: &str = "docs/page.md";
const BEGIN: &str = "<!-- begin: cargo xtask page --write -->\n";
const END: &str = "<!-- end -->";

/// Keeps both.
pub(super) fn write(seen: &Seen) -> Result<()> {
    let images = paths::root().join("docs/images");
    fs::create_dir_all(&images).with_context(|| format!("create {}", images.display()))?;
    for entry in fs::read_dir(shots()).context("read the screenshots")? {
        let entry = entry.context("read the screenshots")?;
        let to = images.join(entry.file_name());
        fs::copy(entry.path(), &to).with_context(|| format!("write {}", to.display()))?;
    }
    let path = paths::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN:?}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no {END:?}"))?;
    let figures: String = seen.figures.iter().map(|figure| format!("- {figure}\n")).collect();
    let made = format!("{} tests passed, {} failed; {}.\n\n{figures}", seen.passed, seen.failed.len(), seen.browser);
    fs::write(&path, format!("{before}{BEGIN}\n{made}\n{END}{after}"))
        .with_context(|| format!("write {}", path.display()))
}
