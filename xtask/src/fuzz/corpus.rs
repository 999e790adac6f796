//! fuzz/corpus: inputs that each reach something of their own. Small, for every unit test reads all of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::report::files;
use crate::{paths, sh};

/// Entries of a target at most, and their length.
const ENTRIES: usize = 64;
const LONGEST: u64 = 1024;

/// Where a target's entries are.
pub(super) fn folder(target: &str) -> PathBuf {
    paths::root().join("fuzz/corpus").join(target)
}

/// Adds the shortest inputs of those that, together, reach all that was reached.
pub(super) fn keep(program: &Path, target: &str) -> Result<()> {
    let (known, found) = (folder(target), super::folder(target, "corpus")?);
    let merged = super::folder(target, "merged")?;
    fs::remove_dir_all(&merged).and_then(|()| fs::create_dir(&merged)).context("clear the merged corpus")?;
    let mut merge = Command::new(program);
    merge.arg("-set_cover_merge=1").arg(format!("-max_len={LONGEST}")).args([&merged, &known, &found]);
    sh::run(merge.env("RUST_BACKTRACE", "0").stdout(Stdio::null()).stderr(Stdio::null()))?;
    let mut inputs: Vec<(u64, PathBuf)> = Vec::new();
    for file in files(&merged)? {
        inputs.push((fs::metadata(&file).with_context(|| format!("read {}", file.display()))?.len(), file));
    }
    inputs.sort();
    let contents = files(&known)?.iter().map(fs::read).collect::<Result<Vec<_>, _>>().context("read the corpus")?;
    let mut entries = contents.len();
    for (_, file) in inputs.iter().filter(|(length, _)| (1..=LONGEST).contains(length)) {
        let input = fs::read(file).with_context(|| format!("read {}", file.display()))?;
        if entries >= ENTRIES || contents.contains(&input) {
            continue;
        }
        let name = file.file_name().context("an input without a name")?;
        fs::write(known.join(name), input).with_context(|| format!("write to {}", known.display()))?;
        entries += 1;
    }
    println!("fuzz/corpus/{target}: {entries} entries");
    Ok(())
}
