//! deploy/kubernetes: kustomize builds it as people will, and each object is held to the types that Kubernetes and the Prometheus
//! Operator publish, and to what the pod is meant to be allowed. No cluster is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::debian::Index;
use crate::{apt, paths, sh, typescript};

mod pod;

/// The types, by the versions that the objects are written for.
const TYPES: [&str; 2] = ["kubernetes-models@5.1.0", "@kubernetes-models/prometheus-operator@6.0.0"];

/// Which type is whose.
const SCHEMA: &str = include_str!("kubernetes/schema.ts");

/// What the compiler must refuse.
const BREACHES: &str = include_str!("kubernetes/breaches.ts");

/// What is built, from the checkout's root: all that is in the example too is not in the base.
const BUILT: [&str; 2] = ["deploy/kubernetes/base", "deploy/kubernetes/overlays/example"];

/// An error that has what is wrong with the objects.
pub(crate) fn check() -> Result<()> {
    let kustomize = kustomize()?;
    let mut sources =
        vec![("schema.ts".to_owned(), SCHEMA.to_owned()), ("breaches.ts".to_owned(), BREACHES.to_owned())];
    for folder in BUILT {
        let objects = build(&kustomize, folder)?;
        let name = folder.rsplit('/').next().unwrap_or(folder);
        pod::check(&objects).with_context(|| folder.to_owned())?;
        for (n, object) in objects.iter().enumerate() {
            let kind = object["kind"].as_str().with_context(|| format!("{folder}: an object without a kind"))?;
            let text = format!("import {{ check }} from './schema';\ncheck('{kind}', {object:#});\n");
            sources.push((format!("{name}-{n}-{kind}.ts"), text));
        }
    }
    typescript::check("kubernetes-schema", &TYPES, &sources).context("the API's types")
}

/// The objects that kustomize makes of a folder.
fn build(kustomize: &Path, folder: &str) -> Result<Vec<Value>> {
    let text = sh::output(Command::new(kustomize).current_dir(paths::root()).args(["build", folder]))?;
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("read what kustomize makes of {folder}"))?;
    ensure!(!objects.is_empty(), "{folder} has no objects");
    Ok(objects)
}

/// Debian's, of the release to come, unpacked into the cache: the one of Debian 12's kubectl knows no components.
fn kustomize() -> Result<PathBuf> {
    let tree = paths::cache()?.join("tools/kustomize-next");
    let program = tree.join("usr/bin/kustomize");
    if !sh::is_executable(&program) {
        if !apt::available() {
            bail!("kustomize comes from Debian's packages, and this system has no apt and dpkg");
        }
        let new = tree.with_extension("new");
        for folder in [&tree, &new] {
            if folder.exists() {
                fs::remove_dir_all(folder).with_context(|| format!("clear {}", folder.display()))?;
            }
        }
        Index::of_next()?.unpack(&["kustomize"], &new)?;
        fs::rename(&new, &tree).with_context(|| format!("write {}", tree.display()))?;
    }
    Ok(program)
}
