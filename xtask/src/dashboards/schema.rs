//! Dashboards as values of Grafana's own types: the compiler of TypeScript holds each to the package in which Grafana
//! publishes its schema. Both come from npm's registry into the cache; nothing of them is in this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{paths, setup, sh};

/// Grafana's types, at the version that the dashboards are written for.
const TYPES: &str = "@grafana/grafana-foundation-sdk@0.0.21";

/// The compiler.
const COMPILER: &str = "typescript@5.9.3";

/// How the types are put together for a whole dashboard.
const SCHEMA: &str = include_str!("schema.ts");

/// What the compiler must refuse.
const BREACHES: &str = include_str!("schema_breaches.ts");

/// Strict, and not interested in the package's own text.
const OPTIONS: &str = r#"{
    "compilerOptions": {
        "strict": true, "noEmit": true, "skipLibCheck": true, "types": [],
        "target": "es2022", "module": "node16", "moduleResolution": "node16"
    },
    "include": ["*.ts"]
}
"#;

/// An error with what the compiler says of these files.
pub(super) fn check(files: &[(PathBuf, String)]) -> Result<()> {
    let packages = packages()?;
    let folder = paths::target().join("dashboards-schema");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    write(&folder.join("schema.ts"), SCHEMA)?;
    write(&folder.join("breaches.ts"), BREACHES)?;
    write(&folder.join("tsconfig.json"), OPTIONS)?;
    for (file, text) in files {
        let name = file.file_stem().context("a dashboard without a name")?.to_string_lossy();
        write(&folder.join(format!("{name}.ts")), &format!("import {{ check }} from './schema';\ncheck({text});\n"))?;
    }
    let modules = packages.join("node_modules");
    std::os::unix::fs::symlink(&modules, folder.join("node_modules")).context("link the packages")?;
    let compiler = modules.join("typescript/bin/tsc");
    // It writes what it finds to stdout.
    let output = Command::new("node")
        .arg(compiler)
        .current_dir(&folder)
        .args(["--project", ".", "--pretty", "false"])
        .output()
        .context("start node")?;
    if !output.status.success() {
        bail!("not of Grafana's schema:\n{}", String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(())
}

/// The folder that has both packages; fetched when it is not there.
fn packages() -> Result<PathBuf> {
    let name = [TYPES, COMPILER].map(|package| package.rsplit('/').next().unwrap_or(package)).join("+");
    let folder = paths::cache()?.join("tools").join(name);
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    // node comes with it.
    if sh::in_path("npm").is_none() || sh::in_path("node").is_none() {
        setup::packages(&["npm"]).context("npm and node, which fetch and run the compiler of Grafana's types")?;
    }
    eprintln!("dashboards: {TYPES} and {COMPILER} into {} (once)", folder.display());
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let mut npm = Command::new("npm");
    // Nothing of a package is run.
    npm.args([
        "install",
        "--no-save",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel",
        "error",
        "--prefix",
    ]);
    npm.arg(&folder).args([TYPES, COMPILER]).stdout(std::io::stderr());
    sh::run(&mut npm)?;
    write(&folder.join("complete"), "")?;
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
