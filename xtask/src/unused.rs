//! Dependencies that no line names. Compares each manifest, as cargo reads it, with the words of the crate's sources; a
//! parser would tell more, and takes minutes to build.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::sh;

/// An error that lists every dependency whose name is in no source file of its crate.
pub(crate) fn check() -> Result<()> {
    let text = sh::output(sh::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("parse cargo's metadata")?;
    let mut unused = Vec::new();
    for package in metadata["packages"].as_array().context("cargo's metadata has no packages")? {
        let manifest = PathBuf::from(package["manifest_path"].as_str().context("a package without a manifest")?);
        let folder = manifest.parent().unwrap_or(Path::new("."));
        let mut words = BTreeSet::new();
        collect_words(folder, &mut words)?;
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            // The name in the sources is the one it was given in the manifest, if it was.
            let known = dependency["rename"].as_str().or(dependency["name"].as_str()).unwrap_or_default();
            if !words.contains(&known.replace('-', "_")) {
                unused.push(format!("{name}: {known}"));
            }
        }
    }
    if unused.is_empty() {
        return Ok(());
    }
    bail!("dependencies that no source file names:\n{}", unused.join("\n"))
}

/// All words of a folder's Rust files, comments left out.
fn collect_words(folder: &Path, words: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry.with_context(|| format!("read {}", folder.display()))?.path();
        if path.is_dir() {
            collect_words(&path, words)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            add_words(&text, words);
        }
    }
    Ok(())
}

fn add_words(text: &str, words: &mut BTreeSet<String>) {
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or(line);
        let names = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.extend(names.filter(|name| !name.is_empty()).map(str::to_owned));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::add_words;

    #[test]
    fn a_comment_is_no_use() {
        let mut words = BTreeSet::new();
        add_words("use serde_json::Value; // libc\n//! anyhow", &mut words);
        assert!(words.contains("serde_json"));
        assert!(!words.contains("libc") && !words.contains("anyhow"));
    }
}
