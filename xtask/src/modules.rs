//! Kernel modules for a guest: the files of a few named modules and of all that these depend on, in the order of loading.
//! Reads each module's own `.modinfo`; depmod's index is not in the package.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

use crate::kernels::Kernel;
use crate::sh;

/// A module, ready for insmod.
pub(crate) struct Module {
    /// Its name, with underscores.
    pub(crate) name: String,
    /// The ELF file, decompressed.
    pub(crate) data: Vec<u8>,
}

/// The modules named and their dependencies, dependencies first. Those built into the kernel are left out.
pub(crate) fn collect(kernel: &Kernel, names: &[String], busybox: &Path) -> Result<Vec<Module>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let Some(folder) = &kernel.modules else { bail!("no modules came with the kernel {}", kernel.release) };
    let mut files = BTreeMap::new();
    find(folder, &mut files)?;
    let builtin = fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default();
    let builtin: Vec<String> = builtin.lines().filter_map(|line| module_name(Path::new(line))).collect();

    let mut collection = Collection { files, builtin, busybox, modules: Vec::new() };
    for name in names {
        collection.add(&name.replace('-', "_"))?;
    }
    Ok(collection.modules)
}

struct Collection<'a> {
    files: BTreeMap<String, PathBuf>,
    builtin: Vec<String>,
    busybox: &'a Path,
    modules: Vec<Module>,
}

impl Collection<'_> {
    fn add(&mut self, name: &str) -> Result<()> {
        if self.modules.iter().any(|module| module.name == name) || self.builtin.iter().any(|known| known == name) {
            return Ok(());
        }
        let file = self.files.get(name).with_context(|| format!("this kernel has no module {name}"))?;
        let data = decompress(file, self.busybox)?;
        for dependency in depends(&data).with_context(|| format!("read {}", file.display()))? {
            self.add(&dependency)?;
        }
        self.modules.push(Module { name: name.to_owned(), data });
        Ok(())
    }
}

/// All module files below a folder, by name.
fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            find(&path, files)?;
        } else if let Some(name) = module_name(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// "virtio_net" of "virtio-net.ko.xz".
fn module_name(path: &Path) -> Option<String> {
    let (name, _) = path.file_name()?.to_str()?.split_once(".ko")?;
    Some(name.replace('-', "_"))
}

fn decompress(file: &Path, busybox: &Path) -> Result<Vec<u8>> {
    let mut command = match file.extension().and_then(|extension| extension.to_str()) {
        // busybox's: xz itself is not on every machine.
        Some("xz") => Command::new(busybox),
        Some("zst") => Command::new("zstd"),
        _ => return fs::read(file).with_context(|| format!("read {}", file.display())),
    };
    if command.get_program() == busybox {
        command.arg("unxz");
    }
    let output =
        command.args(["-d", "-c"]).arg(file).output().with_context(|| format!("start {}", sh::show(&command)))?;
    if !output.status.success() {
        bail!("{}: {}", sh::show(&command), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// The modules that this one says it needs: `depends=a,b` among the zero-terminated strings of `.modinfo`.
fn depends(data: &[u8]) -> Result<Vec<String>> {
    let file = object::File::parse(data)?;
    let section = file.section_by_name(".modinfo").context("no .modinfo section")?;
    let names = section
        .data()?
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(b"depends="))
        .map(|names| String::from_utf8_lossy(names).replace('-', "_"))
        .unwrap_or_default();
    Ok(names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}
