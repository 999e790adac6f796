//! Files as values of types that others publish: the compiler of TypeScript holds them to packages of npm's registry. Packages
//! and compiler go into the cache; nothing of them is in this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, setup, sh};

/// The compiler.
const COMPILER: &str = "typescript@5.9.3";

/// Strict, and not interested in the packages' own text.
const OPTIONS: &str = r#"{
    "compilerOptions": {
        "strict": true, "noEmit": true, "skipLibCheck": true, "types": [],
        "target": "es2022", "module": "esnext", "moduleResolution": "bundler"
    },
    "include": ["*.ts"]
}
"#;

/// An error with what the compiler says of these files (name and text), in a folder of the target folder that `name` names.
pub(crate) fn check(name: &str, types: &[&str], files: &[(String, String)]) -> Result<()> {
    let packages = packages(types)?;
    let folder = paths::target().join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    write(&folder.join("tsconfig.json"), OPTIONS)?;
    for (file, text) in files {
        write(&folder.join(file), text)?;
    }
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.join("node_modules")).context("link the packages")?;
    // It writes what it finds to stdout.
    let output = Command::new("node")
        .arg(modules.join("typescript/bin/tsc"))
        .current_dir(&folder)
        .args(["--project", ".", "--pretty", "false"])
        .output()
        .context("start node")?;
    if !output.status.success() {
        bail!("not of the published types:\n{}", String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(())
}

/// The folder that has the packages; fetched when it is not there.
fn packages(types: &[&str]) -> Result<PathBuf> {
    let wanted = [types, &[COMPILER]].concat();
    let names: Vec<&str> = wanted.iter().map(|package| package.rsplit('/').next().unwrap_or(package)).collect();
    let folder = paths::cache()?.join("tools").join(names.join("+"));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    // node comes with it.
    if sh::in_path("npm").is_none() || sh::in_path("node").is_none() {
        setup::packages(&["npm"]).context("npm and node, which fetch and run the compiler of TypeScript")?;
    }
    eprintln!("typescript: {} into {} (once)", wanted.join(" and "), folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut npm = Command::new("npm");
    // Nothing of a package is run.
    npm.args(["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm.args(["--loglevel", "error", "--prefix"]).arg(&folder).args(&wanted).stdout(std::io::stderr());
    sh::run(&mut npm)?;
    write(&folder.join("complete"), "")?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
