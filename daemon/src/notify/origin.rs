//! Who tells: this host, its pages, and the pages about classes.

use std::time::SystemTime;

use crate::{anomaly::Class, config};

/// Who tells.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// As the label `instance` has it.
    pub(super) instance: String,
    /// Where mmscope's pages are.
    pub(super) url: String,
    runbook: Option<String>,
}

impl Origin {
    /// `host` is this host's name, `address` what is served on.
    pub(super) fn new(config: &config::Notify, host: &str, address: &str) -> Self {
        let port = address.rsplit_once(':').map_or("", |(_, port)| port);
        Self {
            instance: config.instance.clone().unwrap_or_else(|| format!("{host}:{port}")),
            url: config.external_url.as_ref().map_or_else(|| format!("http://{host}:{port}/"), ToString::to_string),
            runbook: config.runbook_url.clone(),
        }
    }

    /// The page about a class, if there is one.
    pub(super) fn runbook(&self, class: Class) -> Option<String> {
        self.runbook.as_ref().map(|page| page.replace("{class}", class.name()))
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
        assert_eq!(origin.runbook(Class::Blind), None);
        let config = config::Notify {
            instance: Some("x".to_owned()),
            external_url: Some(config::Url::parse("https://mm/db1").unwrap()),
            runbook_url: Some("https://wiki/{class}#{class}".to_owned()),
            ..config
        };
        let origin = Origin::new(&config, "db1", ":1");
        assert_eq!((&*origin.instance, &*origin.url), ("x", "https://mm/db1"));
        assert_eq!(origin.runbook(Class::Blind).unwrap(), "https://wiki/blind#blind");
    }
}
