//! The house's own rules about the text of the checkout: no traces of a machine, `unsafe` where it may be,
//! links that lead somewhere, files that say what they know.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// The only places for `unsafe`, with the reason. A folder stands for all that is in it.
const UNSAFE_ALLOWED: &[(&str, &str)] = &[
    ("probe-ebpf/src/kernel.rs", "the one reader of kernel memory"),
    ("probe-ebpf/src/maps.rs", "map values by pointer"),
    ("daemon/src/intake/mapping.rs", "slots mapped from the kernel"),
    ("daemon/src/memory.rs", "the C library's own memory"),
    ("workload/", "system calls that std does not have"),
    ("daemon/tests/live/huge.rs", "memory of a test's own"),
    ("daemon/tests/hosts/loads.rs", "memory of a load's own"),
];

/// `unsafe` in an attribute is a linker matter: it names a symbol or a section and reads no memory.
const UNSAFE_ATTRIBUTES: &[&str] = &["#[unsafe(no_mangle)]", "#[unsafe(link_section"];

/// Text that belongs to one machine or one day, in halves so that this file may name it.
const FORBIDDEN: &[(&[&str], &str)] = &[
    (&["/ro", "ot/"], "a path of one machine (write ~ or a variable)"),
    (&["/ho", "me/"], "a path of one machine (write ~ or a variable)"),
    (&["/wo", "rk/"], "a path of one machine"),
    (&["deb", ".debian.org"], "a registry's host (hosts come from the machine's own configuration)"),
    (&["security", ".debian.org"], "a registry's host (hosts come from the machine's own configuration)"),
    (&["snapshot", ".debian.org"], "a registry's host (hosts come from the machine's own configuration)"),
    (&["archive", ".ubuntu.com"], "a registry's host (hosts come from the machine's own configuration)"),
    (&["index", ".crates.io"], "a registry's host (hosts come from the machine's own configuration)"),
    (&["static", ".crates.io"], "a registry's host (hosts come from the machine's own configuration)"),
];

/// Folders that are no source.
const NOT_SOURCE: &[&str] = &[".git", "target", "fuzz/corpus"];

/// An error that lists every breach, one to a line.
pub(crate) fn check() -> Result<()> {
    let mut breaches = Vec::new();
    for file in files()? {
        let bytes = fs::read(paths::root().join(&file)).with_context(|| format!("read {}", file.display()))?;
        // A picture or a recording.
        let Ok(text) = String::from_utf8(bytes) else { continue };
        check_file(&file, &text, &mut breaches);
    }
    if breaches.is_empty() {
        return Ok(());
    }
    bail!("{} breaches of the house's rules:\n{}", breaches.len(), breaches.join("\n"))
}

/// Every file of the checkout but git's own and what builds leave. Not git's list: git refuses a checkout that another
/// user owns, as machines of CI have them, and an archive of the source has no git at all.
fn files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(Path::new(""), &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let full = paths::root().join(folder);
    for entry in fs::read_dir(&full).with_context(|| format!("read {}", full.display()))? {
        let entry = entry.with_context(|| format!("read {}", full.display()))?;
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            if !NOT_SOURCE.iter().any(|name| path == Path::new(name)) {
                walk(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(file: &Path, text: &str, breaches: &mut Vec<String>) {
    let name = file.to_string_lossy();
    let mut breach = |number: usize, what: String| breaches.push(format!("{name}:{number}: {what}"));
    let rust = name.ends_with(".rs");

    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        // A lock file names where each crate came from; cargo writes it.
        if name != "Cargo.lock" {
            for (parts, why) in FORBIDDEN {
                let bad = parts.concat();
                if contains_path(line, &bad) {
                    breach(number, format!("{bad}: {why}"));
                }
            }
        }
        if rust && has_unsafe(line) && !UNSAFE_ALLOWED.iter().any(|(allowed, _)| name.starts_with(allowed)) {
            breach(
                number,
                "unsafe outside of the files that may have it (UNSAFE_ALLOWED in xtask/src/tidy.rs)".to_owned(),
            );
        }
    }
    if rust && name.contains("/src/") && !text.trim_start().starts_with("//!") {
        breach(1, "no //! comment at the top saying what this file knows".to_owned());
    }
    if name.ends_with(".md") {
        for (number, target) in links(text) {
            if !leads_somewhere(file, &target) {
                breach(number, format!("the link {target} leads nowhere"));
            }
        }
    }
}

/// Whether the text is there as the beginning of a path or a host, not in the middle of a longer name.
fn contains_path(line: &str, bad: &str) -> bool {
    line.match_indices(bad).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "_.-~}$".contains(c))
    })
}

/// Whether a line of Rust has the word outside of comments and of harmless attributes.
fn has_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    if UNSAFE_ATTRIBUTES.iter().any(|attribute| code.trim_start().starts_with(attribute)) {
        return false;
    }
    // In quotes it is text.
    let code: String = code.split('"').step_by(2).collect();
    let mut words = code.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|word| word == "unsafe")
}

/// The targets of a document's links, with their lines; code is no link.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every other piece between backticks is code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (start, _) in prose.match_indices("](") {
            if let Some((target, _)) = prose[start + 2..].split_once(')') {
                found.push((index + 1, target.split(' ').next().unwrap_or(target).to_owned()));
            }
        }
    }
    found
}

/// Whether a relative link's file exists. Addresses of the web are not ours to check.
fn leads_somewhere(from: &Path, target: &str) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
        return true;
    }
    let folder = from.parent().unwrap_or(Path::new(""));
    let mut resolved = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            // Out of the repository is nowhere, for whoever reads it elsewhere.
            Component::ParentDir if !resolved.pop() => return false,
            Component::ParentDir | Component::CurDir => {}
            Component::Normal(name) => resolved.push(name),
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    paths::root().join(resolved).exists()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{contains_path, has_unsafe, leads_somewhere, links};

    #[test]
    fn the_keyword_is_told_from_the_word() {
        assert!(has_unsafe("    unsafe { read() }"));
        assert!(has_unsafe("pub unsafe fn read() {"));
        assert!(!has_unsafe("// unsafe would do"));
        assert!(!has_unsafe("#[unsafe(no_mangle)]"));
        assert!(!has_unsafe("#![deny(unsafe_op_in_unsafe_fn)]"));
        assert!(!has_unsafe(&format!("say({:?})", "unsafe")));
    }

    #[test]
    fn only_whole_paths_count() {
        assert!(contains_path("see /x/file", "/x/"));
        assert!(!contains_path("see ~/x/file", "/x/"));
        assert!(!contains_path("see $HOME/x/file and a/x/b", "/x/"));
    }

    #[test]
    fn links_are_found_in_prose_only() {
        let text = "see [a](b.md#c) and `[x](y)`\n```\n[p](q)\n```\n[r](s.md \"title\")";
        assert_eq!(links(text), [(1, "b.md#c".to_owned()), (5, "s.md".to_owned())]);
    }

    #[test]
    fn links_are_relative_to_their_file() {
        assert!(leads_somewhere(Path::new("xtask/x.md"), "../Cargo.toml#top"));
        assert!(leads_somewhere(Path::new("README.md"), "#part"));
        assert!(!leads_somewhere(Path::new("README.md"), "../Cargo.toml"));
        assert!(!leads_somewhere(Path::new("README.md"), "missing.md"));
    }
}
