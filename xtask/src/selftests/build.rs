//! The selftests of one source package as static programs in the cache. Knows how they are compiled, not how they run.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::source::{Source, Tree};
use super::table::{FLAGS, LEFT_OUT, PARTS, RUNS, Run};
use crate::debian::Index;
use crate::machine::Machine;
use crate::{dist, paths, setup, sh};

/// All that decides what is built, and how: a change of it makes a new folder in the cache.
const RECIPE: &[&str] = &[include_str!("build.rs"), include_str!("source.rs"), include_str!("table.rs")];

/// The host's packages that the builds use.
const PACKAGES: &[&str] = &["gcc", "libc6-dev", "xz-utils"];

/// The programs of one source package.
pub(crate) struct Built {
    /// Where they come from.
    pub(crate) source: Source,
    /// The folder with the programs.
    pub(crate) programs: PathBuf,
    /// The calls that this tree has and whose programs were built.
    pub(crate) runs: Vec<Run>,
    /// What is not run though the tree has it: program and reason.
    pub(crate) left_out: Vec<(String, String)>,
}

/// The programs for a kernel's release, from the cache or made.
pub(crate) fn for_release(release: &str) -> Result<Built> {
    let index = Index::open()?;
    let source = Source::of(release, &index)?;
    let all = paths::cache()?.join("selftests");
    let folder = all.join(format!("{}_{}_{:016x}", source.package, source.version, recipe()));
    if !folder.is_dir() {
        setup::packages(PACKAGES)?;
        let [tree, new] = ["tree", "new"].map(|name| all.join(format!("{}.{name}", source.package)));
        for folder in [&tree, &new] {
            if folder.exists() {
                fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
            }
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        eprintln!("selftests: building those of {} {}", source.package, source.version);
        build(&source.fetch(&index, &tree)?, &new)?;
        // Under its final name only when complete.
        fs::rename(&new, &folder).with_context(|| format!("write {}", folder.display()))?;
        fs::remove_dir_all(&tree).with_context(|| format!("clear {}", tree.display()))?;
    }
    read(source, &folder)
}

fn recipe() -> u64 {
    let mut hasher = DefaultHasher::new();
    RECIPE.hash(&mut hasher);
    hasher.finish()
}

/// What a folder of the cache has.
fn read(source: Source, folder: &Path) -> Result<Built> {
    let lines = |name: &str| -> Result<Vec<(String, String)>> {
        let file = folder.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        Ok(text.lines().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    };
    let present = lines(PRESENT)?;
    let runs =
        RUNS.iter().filter(|run| present.iter().any(|(program, args)| run.program == program && run.args == args));
    Ok(Built { source, programs: folder.join("bin"), runs: runs.copied().collect(), left_out: lines(UNBUILT)? })
}

/// The list of calls: program, arguments.
const PRESENT: &str = "present";
/// The list of programs that are not run: program, reason.
const UNBUILT: &str = "left-out";

/// Builds all programs of the tables that the tree has. One that does not build is noted and costs only itself.
fn build(tree: &Tree, to: &Path) -> Result<()> {
    let bin = to.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("create {}", bin.display()))?;
    // Written by a script of the kernel's: what the host has of liburing, and this is "nothing".
    for name in ["local_config.h", "local_config.h_gen"] {
        let file = tree.tests.join(name);
        fs::write(&file, "").with_context(|| format!("write {}", file.display()))?;
    }
    let (mut present, mut left_out) = (String::new(), String::new());
    for program in programs(&tree.tests)? {
        let source = tree.tests.join(format!("{program}.c"));
        let text = fs::read(&source).with_context(|| format!("read {}", source.display()))?;
        let text = String::from_utf8_lossy(&text);
        let runs = RUNS.iter().filter(|run| run.program == program);
        let runs: Vec<&Run> = runs.filter(|run| run.fits(&text)).collect();
        let reason = if runs.is_empty() {
            Some(why_left_out(&program))
        } else {
            compile(tree, &program, &bin.join(&program)).err().map(|error| first_error(&format!("{error:#}")))
        };
        match reason {
            Some(reason) => left_out.push_str(&format!("{program}\t{reason}\n")),
            None => present.extend(runs.iter().map(|run| format!("{program}\t{}\n", run.args))),
        }
    }
    for (name, text) in [(PRESENT, present), (UNBUILT, left_out)] {
        let file = to.join(name);
        fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

/// The tests that a tree has, by name.
fn programs(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".c").map(str::to_owned));
    let mut names: Vec<String> = names.filter(|name| !PARTS.iter().any(|(part, _)| part == name)).collect();
    names.sort();
    Ok(names)
}

fn why_left_out(program: &str) -> String {
    if let Some((_, reason)) = LEFT_OUT.iter().find(|(name, _)| *name == program) {
        return (*reason).to_owned();
    }
    if RUNS.iter().any(|run| run.program == program) {
        return "this tree's form of it has no end within a minute".to_owned();
    }
    "in no table of mmscope's yet".to_owned()
}

fn compile(tree: &Tree, program: &str, to: &Path) -> Result<()> {
    let mut gcc = Command::new("gcc");
    // From here, with a bare name: some tests write files that they call __FILE__ and more.
    gcc.current_dir(&tree.tests);
    gcc.args(["-static", "-O2", "-s", "-w", "-D_GNU_SOURCE="]);
    gcc.args(FLAGS.iter().filter(|(name, _)| *name == program).flat_map(|(_, flags)| *flags));
    gcc.arg("-I").arg(&tree.tests).arg("-I").arg(tree.tests.with_file_name("")).arg("-I").arg(&tree.source);
    for folder in &tree.headers {
        gcc.arg("-isystem").arg(folder);
    }
    // Only for what the headers of system calls do not have.
    gcc.arg("-idirafter").arg(tree.source.join("tools/include/uapi"));
    gcc.arg(format!("{program}.c"));
    for (part, of) in PARTS {
        let file = format!("{part}.c");
        if program.starts_with(of) && tree.tests.join(&file).is_file() {
            gcc.arg(file);
        }
    }
    sh::output(gcc.arg("-o").arg(to).args(["-lrt", "-lpthread", "-lm"]))?;
    dist::check_static(to, Machine::X86_64)
}

/// What a compiler has against a program, in one line.
fn first_error(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("error:") || line.contains("undefined reference"));
    let line = line.or_else(|| text.lines().next()).unwrap_or_default();
    let line = line.rsplit_once('/').map_or(line, |(_, end)| end);
    format!("does not build: {}", line.replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::first_error;

    #[test]
    fn the_first_error_is_the_reason() {
        let text = "gcc failed: In file included from a.c:1:\nsource/b.h:7:1: error: no type\nb.c:9: error: other";
        assert_eq!(first_error(text), "does not build: b.h:7:1: error: no type");
    }
}
