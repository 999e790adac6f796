//! Programs of Debian for guests, which have no userland but busybox: a program, the libraries that it asks for, and the
//! loader, out of packages that are not installed. Knows nothing of what a program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::debian::Index;
use crate::initramfs::GuestFile;
use crate::{linker, paths};

/// Where the loader looks without being told, and where packages put things.
const LIBRARY_FOLDERS: &[&str] = &["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64"];

/// Packages that only hold what a library opens at run time if it is there (drivers of graphics cards, more than half
/// of the download): no program asks for them by name, and one that did would be told so.
const OPENED_AT_RUN_TIME: &[&str] = &["libllvm", "libz3-", "mesa-libgallium"];

/// The load generator stress-ng and all that it needs, each file at the path where the loader looks for it.
pub(crate) fn stress_ng() -> Result<Vec<GuestFile>> {
    program("stress-ng", "usr/bin/stress-ng")
}

/// The program at `path` of a package.
fn program(package: &str, path: &str) -> Result<Vec<GuestFile>> {
    let index = Index::open()?;
    let all = paths::cache()?.join("userland");
    let folder = all.join(format!("{package}_{}", index.version(package)?));
    if !folder.is_dir() {
        let tree = all.join(format!("{package}.tree"));
        clear(&tree)?;
        let packages = index.would_install(package)?;
        let packages: Vec<String> = packages
            .iter()
            .filter(|(name, _)| !OPENED_AT_RUN_TIME.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, version)| format!("{name}={version}"))
            .collect();
        index.unpack(&packages.iter().map(String::as_str).collect::<Vec<_>>(), &tree)?;
        // Under its final name only when complete.
        let new = all.join(format!("{package}.new"));
        clear(&new)?;
        for (from, to) in closure(&tree, path)? {
            let to = new.join(to);
            let above = to.parent().unwrap_or(&new);
            fs::create_dir_all(above).with_context(|| format!("create {}", above.display()))?;
            fs::copy(&from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        }
        fs::rename(&new, &folder).with_context(|| format!("write {}", folder.display()))?;
        fs::remove_dir_all(&tree).with_context(|| format!("clear {}", tree.display()))?;
    }
    // An archive of a folder is that of its files: only the top ones need naming.
    let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    entries
        .map(|entry| {
            let entry = entry.with_context(|| format!("read {}", folder.display()))?;
            Ok(GuestFile { host: entry.path(), guest: format!("/{}", entry.file_name().to_string_lossy()) })
        })
        .collect()
}

/// A program of an unpacked tree, its loader, and the libraries that it and they ask for: the file, and its path in the
/// guest without the first slash.
fn closure(tree: &Path, program: &str) -> Result<Vec<(PathBuf, String)>> {
    let file = tree.join(program);
    let data = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let mut found = vec![(file.clone(), program.to_owned())];
    let mut seen = BTreeSet::new();
    let mut wanted = linker::needed(&data).with_context(|| format!("parse {}", file.display()))?;
    if let Some(loader) = interpreter(&data).with_context(|| format!("parse {}", file.display()))? {
        let loader = loader.trim_start_matches('/').to_owned();
        let name = loader.rsplit('/').next().unwrap_or_default().to_owned();
        found.push((library(tree, &name)?, loader));
        seen.insert(name);
    }
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let file = library(tree, &name)?;
        let data = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        wanted.extend(linker::needed(&data).with_context(|| format!("parse {}", file.display()))?);
        found.push((file, format!("{}/{name}", LIBRARY_FOLDERS[0])));
    }
    Ok(found)
}

fn library(tree: &Path, name: &str) -> Result<PathBuf> {
    let files: Vec<PathBuf> = LIBRARY_FOLDERS.iter().map(|folder| tree.join(folder).join(name)).collect();
    let Some(file) = files.iter().find(|file| file.is_file()) else {
        bail!("no package has the library {name} (looked in {} of {})", LIBRARY_FOLDERS.join(", "), tree.display());
    };
    // Mostly a link to the name with the whole version.
    file.canonicalize().with_context(|| format!("resolve {}", file.display()))
}

/// The loader that a program names.
fn interpreter(data: &[u8]) -> Result<Option<String>> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, data)? {
        if let Some(name) = segment.interpreter(endian, data)? {
            return Ok(Some(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(None)
}

/// Makes an empty folder.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::interpreter;

    #[test]
    fn a_program_names_its_loader_or_none() {
        let own = std::env::current_exe().and_then(fs::read).unwrap_or_else(|error| panic!("{error}"));
        // The loader of whatever this is built for; a static one has none.
        let loader = interpreter(&own).unwrap_or_else(|error| panic!("{error}"));
        assert!(loader.is_none_or(|path| path.starts_with('/')));
        assert!(interpreter(b"#!/bin/sh\n").is_err());
    }
}
