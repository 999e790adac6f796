//! The RPM, by cargo-generate-rpm. Its scripts are those of a service in Fedora; no guest installs it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{DESCRIPTION, ENTRIES, LICENCE, NAME, Stage, check, tar_listing};
use crate::setup;
use crate::sh;
use crate::tool::Tool;

const CARGO_GENERATE_RPM: Tool =
    Tool { package: "cargo-generate-rpm", version: "0.21.1", program: "cargo-generate-rpm" };

const POST_INSTALL: &str = "\
systemd-sysusers mmscope.conf || :
if [ $1 -eq 1 ]; then systemctl --no-reload preset mmscope.service || :; fi
if [ -d /run/systemd/system ]; then systemctl daemon-reload || :; fi
";
const PRE_UNINSTALL: &str = "\
if [ $1 -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now mmscope.service mmscope-web.socket || :
fi
";
const POST_UNINSTALL: &str = "\
if [ $1 -ge 1 ] && [ -d /run/systemd/system ]; then systemctl try-restart mmscope.service || :; fi
";

pub(super) fn make(stage: &Stage, package: &Path, version: &str) -> Result<()> {
    stage.write("lib.rs", "")?;
    stage.write("Cargo.toml", &manifest(version))?;
    let mut generate = Command::new(CARGO_GENERATE_RPM.get()?);
    sh::clean_cargo_env(&mut generate);
    generate
        .current_dir(&stage.folder)
        .args([
            "--auto-req",
            "disabled",
            "--payload-compress",
            "gzip",
            "--arch",
            stage.machine.name(),
            "--source-date",
            &stage.time,
        ])
        .arg("--output")
        .arg(package);
    sh::output(&mut generate)?;
    check(package, &tar_listing(&read(package, &["-tv"], Path::new("."))?), &[])
}

pub(super) fn unpack(package: &Path, to: &Path) -> Result<()> {
    read(package, &["-idm"], to).map(drop)
}

fn manifest(version: &str) -> String {
    let assets: String = ENTRIES
        .iter()
        .map(|entry| {
            let kind = match entry.to {
                _ if entry.is_config() => ", config = \"noreplace\"",
                to if to.starts_with("usr/share/doc/") => ", doc = true",
                _ => "",
            };
            format!("    {{ source = {:?}, dest = \"/{}\", mode = \"{:o}\"{kind} }},\n", entry.to, entry.to, entry.mode)
        })
        .collect();
    format!(
        r#"[package]
name = "{NAME}"
version = "{version}"
edition = "2024"
license = "{LICENCE}"
description = {DESCRIPTION:?}

[lib]
path = "lib.rs"

[workspace]

[package.metadata.generate-rpm]
post_install_script = {POST_INSTALL:?}
pre_uninstall_script = {PRE_UNINSTALL:?}
post_uninstall_script = {POST_UNINSTALL:?}
assets = [
{assets}]

[package.metadata.generate-rpm.requires]
systemd = ">= 247"
"#
    )
}

/// Lets busybox's cpio do something with its archive in a folder: rpm itself is not on every machine.
fn read(package: &Path, options: &[&str], folder: &Path) -> Result<String> {
    let busybox = setup::busybox()?;
    let mut unpack = Command::new(&busybox);
    let mut unpacking = unpack
        .arg("rpm2cpio")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", sh::show(&unpack)))?;
    let mut list = Command::new(&busybox);
    list.arg("cpio").args(options).current_dir(folder).stdin(unpacking.stdout.take().context("rpm2cpio's stdout")?);
    let listed = list.output().with_context(|| format!("start {}", sh::show(&list)))?;
    if !unpacking.wait().context("wait for rpm2cpio")?.success() || !listed.status.success() {
        bail!("{} cannot be read: {}", package.display(), String::from_utf8_lossy(&listed.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&listed.stdout).into_owned())
}
