//! Programs of Debian for guests, which have no userland but busybox: a program, the libraries that it asks for, and the
//! loader, out of packages that are not installed. Knows nothing of what a program does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::debian::Index;
use crate::initramfs::GuestFile;
use crate::machine::Machine;
use crate::{linker, paths};

/// Packages that only hold what a library opens at run time if it is there (drivers of graphics cards, more than half
/// of the download): no program asks for them by name, and one that did would be told so.
const OPENED_AT_RUN_TIME: &[&str] = &["libllvm", "libz3-", "mesa-libgallium"];

/// Where the loader looks without being told, and where packages put things.
fn library_folders(machine: Machine) -> [String; 5] {
    let name = machine.multiarch();
    [format!("lib/{name}"), format!("usr/lib/{name}"), "lib64".into(), "usr/lib64".into(), "lib".into()]
}

/// The load generator stress-ng and all that it needs, each file at the path where the loader looks for it.
pub(crate) fn stress_ng(machine: Machine) -> Result<Vec<GuestFile>> {
    program(machine, "stress-ng", "usr/bin/stress-ng")
}

/// The program at `path` of a package.
fn program(machine: Machine, package: &str, path: &str) -> Result<Vec<GuestFile>> {
    // Guests that begin at once may want the same.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let index = Index::of_machine(machine)?;
    let all = paths::cache()?.join(match machine {
        Machine::X86_64 => "userland",
        Machine::Aarch64 => "userland-arm64",
    });
    let folder = all.join(format!("{package}_{}", index.version(package)?));
    if !folder.is_dir() {
        let tree = all.join(format!("{package}.tree"));
        paths::clear(&tree)?;
        let packages = index.would_install(package)?;
        let packages: Vec<String> = packages
            .iter()
            .filter(|(name, _)| !OPENED_AT_RUN_TIME.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, version)| format!("{name}={version}"))
            .collect();
        index.unpack(&packages.iter().map(String::as_str).collect::<Vec<_>>(), &tree)?;
        // Under its final name only when complete.
        let new = all.join(format!("{package}.new"));
        paths::clear(&new)?;
        for (from, to) in closure(machine, &tree, path)? {
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
fn closure(machine: Machine, tree: &Path, program: &str) -> Result<Vec<(PathBuf, String)>> {
    let folders = library_folders(machine);
    let file = tree.join(program);
    let data = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let mut found = vec![(file.clone(), program.to_owned())];
    let mut seen = BTreeSet::new();
    let mut wanted = linker::needed(&data).with_context(|| format!("parse {}", file.display()))?;
    if let Some(loader) = interpreter(&data).with_context(|| format!("parse {}", file.display()))? {
        let loader = loader.trim_start_matches('/').to_owned();
        let name = loader.rsplit('/').next().unwrap_or_default().to_owned();
        found.push((library(&folders, tree, &name)?, loader));
        seen.insert(name);
    }
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let file = library(&folders, tree, &name)?;
        let data = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        wanted.extend(linker::needed(&data).with_context(|| format!("parse {}", file.display()))?);
        found.push((file, format!("{}/{name}", folders[0])));
    }
    Ok(found)
}

fn library(folders: &[String], tree: &Path, name: &str) -> Result<PathBuf> {
    let files: Vec<PathBuf> = folders.iter().map(|folder| tree.join(folder).join(name)).collect();
    let Some(file) = files.iter().find(|file| file.is_file()) else {
        bail!("no package has the library {name} (looked in {} of {})", folders.join(", "), tree.display());
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
