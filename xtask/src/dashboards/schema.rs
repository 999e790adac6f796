//! Dashboards as values of Grafana's own types, which it publishes as a package.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::typescript;

/// Grafana's types, at the version that the dashboards are written for.
const TYPES: &str = "@grafana/grafana-foundation-sdk@0.0.21";

/// How the types are put together for a whole dashboard.
const SCHEMA: &str = include_str!("schema.ts");

/// What the compiler must refuse.
const BREACHES: &str = include_str!("schema_breaches.ts");

/// An error with what the compiler says of these files.
pub(super) fn check(files: &[(PathBuf, String)]) -> Result<()> {
    let mut sources =
        vec![("schema.ts".to_owned(), SCHEMA.to_owned()), ("breaches.ts".to_owned(), BREACHES.to_owned())];
    for (file, text) in files {
        let name = file.file_stem().context("a dashboard without a name")?.to_string_lossy();
        sources.push((format!("{name}.ts"), format!("import {{ check }} from './schema';\ncheck({text});\n")));
    }
    typescript::check("dashboards-schema", &[TYPES], &sources).context("Grafana's schema")
}
