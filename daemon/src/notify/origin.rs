//! Who tells: this host, its pages, and the pages about classes.

use std::time::SystemTime;

use super::notice::Key;
use crate::{
    anomaly::{Class, Severity},
    config,
};

/// Pages about alerts where the configuration names none: the runbooks of the repository that the package names, or else their path
/// in the checkout. The alerts of dashboards/rules begin with the same.
fn runbooks(repository: &str) -> String {
    let runbooks = "docs/runbooks/{alert}.md";
    if repository.is_empty() {
        return runbooks.to_owned();
    }
    format!("{}/blob/HEAD/{runbooks}", repository.trim_end_matches('/'))
}

/// The alert of dashboards/rules that stands on a class: its runbook is about this one too.
fn alert(class: Class, severity: Severity) -> String {
    match (class, severity) {
        (Class::StaleWriteOverlap, Severity::Critical) => "MmscopeStaleWriteExposed".to_owned(),
        (Class::StaleWriteOverlap, _) => "MmscopeStaleWriteSoftDirty".to_owned(),
        (Class::Blind, Severity::Warning) => "MmscopeLosing".to_owned(),
        (class, _) => format!("Mmscope{class:?}"),
    }
}

/// Who tells.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// As the label `instance` has it.
    pub(super) instance: String,
    /// Where mmscope's pages are.
    pub(super) url: String,
    runbook: String,
}

impl Origin {
    /// `host` is this host's name, `address` what is served on, `https://` before it where it is that.
    pub(super) fn new(config: &config::Notify, host: &str, address: &str) -> Self {
        let port = address.rsplit_once(':').map_or("", |(_, port)| port);
        let scheme = address.split_once("://").map_or("http", |(scheme, _)| scheme);
        Self {
            instance: config.instance.clone().unwrap_or_else(|| format!("{host}:{port}")),
            url: config.external_url.as_ref().map_or_else(|| format!("{scheme}://{host}:{port}/"), ToString::to_string),
            runbook: config.runbook_url.clone().unwrap_or_else(|| runbooks(env!("CARGO_PKG_REPOSITORY"))),
        }
    }

    /// The page about an alert.
    pub(super) fn runbook(&self, class: Class, severity: Severity) -> String {
        self.runbook.replace("{class}", class.name()).replace("{alert}", &alert(class, severity))
    }

    /// The same, of a key.
    pub(super) fn runbook_of(&self, key: &Key) -> String {
        self.runbook(key.class, key.severity)
    }
}

/// As RFC 3339 has it, to the millisecond.
pub(super) fn rfc3339(time: SystemTime) -> String {
    // Before 1970 there was no mmscope: a clock that says so is taken for its beginning.
    humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_as_prometheus_names_it() {
        let config = config::Notify::default();
        let origin = Origin::new(&config, "db1", "[::1]:10942");
        assert_eq!((&*origin.instance, &*origin.url), ("db1:10942", "http://db1:10942/"));
        assert_eq!(Origin::new(&config, "db1", "https://[::1]:10942").url, "https://db1:10942/");
        assert_eq!(origin.runbook(Class::Blind, Severity::Info), "docs/runbooks/MmscopeBlind.md");
        let config = config::Notify {
            instance: Some("x".to_owned()),
            external_url: Some(config::Url::parse("https://mm/db1").unwrap()),
            runbook_url: Some("https://wiki/{class}#{alert}".to_owned()),
            ..config
        };
        let origin = Origin::new(&config, "db1", ":1");
        assert_eq!((&*origin.instance, &*origin.url), ("x", "https://mm/db1"));
        assert_eq!(origin.runbook(Class::Blind, Severity::Warning), "https://wiki/blind#MmscopeLosing");
    }

    #[test]
    fn every_alert_has_its_runbook() {
        let origin = Origin::new(&config::Notify::default(), "db1", ":1");
        for class in Class::all() {
            for &severity in class.severities() {
                let page = origin.runbook(class, severity);
                let there = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&page);
                assert!(there.is_file(), "there is no {page}");
            }
        }
    }

    #[test]
    fn a_repository_is_where_the_runbooks_are() {
        assert_eq!(
            runbooks("https://forge.example/mm/mmscope/"),
            "https://forge.example/mm/mmscope/blob/HEAD/docs/runbooks/{alert}.md"
        );
    }
}
