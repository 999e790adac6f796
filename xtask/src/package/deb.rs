//! Debian's package, by cargo-deb: it writes the scripts that create the user, enable, start, restart and purge as debhelper does.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::{DESCRIPTION, ENTRIES, LICENCE, LONG_DESCRIPTION, NAME, Stage, check, tar_listing};
use crate::machine::Machine;
use crate::tool::Tool;
use crate::{apt, sh};

const CARGO_DEB: Tool = Tool { package: "cargo-deb", version: "3.8.0", program: "cargo-deb" };

/// What each script of the maintainer's must do.
const SCRIPTS: &[(&str, &[&str])] = &[
    (
        "postinst",
        &[
            "systemd-sysusers",
            "deb-systemd-helper enable mmscope.service",
            "deb-systemd-invoke $_dh_action mmscope.service",
            "_dh_action=restart",
        ],
    ),
    ("prerm", &["deb-systemd-invoke stop mmscope.service", r#""$1" = remove"#]),
    ("postrm", &["deb-systemd-helper purge mmscope.service", "rm -rf /var/lib/mmscope"]),
];

/// What the service itself wrote goes with a purge: the files of its flight recorder.
const POSTRM: &str = "\
#!/bin/sh
set -e
if [ \"$1\" = purge ]; then
    rm -rf /var/lib/mmscope
fi
#DEBHELPER#
";

/// What it must not do: the socket is its administrator's to enable.
const NEVER: &[&str] = &["deb-systemd-invoke $_dh_action mmscope-web.socket", "invoke start mmscope-web.socket"];

/// It comes with every package of Debian's.
const COPYRIGHT: &str = "usr/share/doc/mmscope/copyright";

pub(super) fn make(stage: &Stage, package: &Path, version: &str) -> Result<()> {
    stage.write("copyright", &copyright())?;
    stage.write("lib.rs", "")?;
    let manifest = stage.write("Cargo.toml", &manifest())?;
    std::fs::create_dir_all(stage.folder.join("scripts"))?;
    stage.write("scripts/postrm", POSTRM)?;
    let mut cargo_deb = Command::new(CARGO_DEB.get()?);
    sh::clean_cargo_env(&mut cargo_deb);
    cargo_deb
        .current_dir(&stage.folder)
        .env("SOURCE_DATE_EPOCH", &stage.time)
        .args(["--no-build", "--no-strip", "--quiet", "--manifest-path"])
        .arg(manifest)
        .args(["--target", stage.machine.target(), "--deb-version", version, "--output"])
        .arg(package);
    sh::output(&mut cargo_deb)?;
    check_package(package, stage.machine, version)
}

pub(super) fn unpack(package: &Path, to: &Path) -> Result<()> {
    apt::unpack(package, to)
}

/// cargo-deb's own manifest: a package of the stage, which is never built.
fn manifest() -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let assets: String =
        ENTRIES.iter().map(|entry| format!("    [{:?}, {:?}, \"{:o}\"],\n", entry.to, entry.to, entry.mode)).collect();
    format!(
        r#"[package]
name = "{NAME}"
version = "0.0.0"
edition = "2024"
license = "{LICENCE}"
description = {description}

[lib]
path = "lib.rs"

[workspace]

[package.metadata.deb]
maintainer = "mmscope maintainers <maintainers@mmscope.invalid>"
copyright = "The mmscope authors"
license-file = ["copyright", "0"]
extended-description = {long}
section = "admin"
priority = "optional"
# LoadCredential, by which the unit hands over what mmscope may not read.
depends = "systemd (>= 247)"
maintainer-scripts = "scripts"
assets = [
{assets}]

[[package.metadata.deb.systemd-units]]
unit-name = "mmscope"
unit-scripts = "scripts"
enable = true
start = true
restart-after-upgrade = true

[[package.metadata.deb.systemd-units]]
unit-name = "mmscope-web"
unit-scripts = "scripts"
enable = false
start = false
# A socket whose service runs cannot be started again.
restart-after-upgrade = false
stop-on-upgrade = false
"#,
        description = quoted(DESCRIPTION),
        long = quoted(LONG_DESCRIPTION),
    )
}

fn copyright() -> String {
    let mit = include_str!("../../../LICENSE-MIT");
    format!(
        "mmscope is licensed under the terms of either of the MIT licence, which follows, and the Apache License, version 2.0, \
         which is in /usr/share/common-licenses/Apache-2.0.\n\n{mit}"
    )
}

/// Reads the package again.
fn check_package(package: &Path, machine: Machine, version: &str) -> Result<()> {
    let dpkg = |option: &str| sh::output(Command::new("dpkg-deb").arg(option).arg(package));
    check(package, &tar_listing(&dpkg("--contents")?), &[COPYRIGHT])?;
    let field = |name: &str| sh::output(Command::new("dpkg-deb").arg("--field").arg(package).arg(name));
    let fields = [("Package", NAME), ("Version", version), ("Architecture", machine.debian()), ("Section", "admin")];
    for (name, wanted) in fields {
        let seen = field(name)?;
        if seen.trim() != wanted {
            bail!("{}: {name} is {} and not {wanted}", package.display(), seen.trim());
        }
    }
    let control = |member: &str| sh::output(Command::new("dpkg-deb").arg("--info").arg(package).arg(member));
    let wanted: BTreeSet<String> =
        ENTRIES.iter().filter(|entry| entry.is_config()).map(|entry| format!("/{}", entry.to)).collect();
    let seen: BTreeSet<String> = control("conffiles")?.lines().map(str::to_owned).collect();
    if seen != wanted {
        bail!("{}: its conffiles are {seen:?} and not {wanted:?}", package.display());
    }
    for (name, parts) in SCRIPTS {
        let script = control(name)?;
        // cargo-deb quotes some words and others not.
        let script: String = script.chars().filter(|letter| *letter != '\'').collect();
        for part in *parts {
            if !script.contains(part) {
                bail!("{}: its {name} has no {part}:\n{script}", package.display());
            }
        }
        if let Some(part) = NEVER.iter().find(|part| script.contains(**part)) {
            bail!("{}: its {name} has {part}", package.display());
        }
    }
    Ok(())
}
