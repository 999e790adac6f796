//! The table `[notify]`: whom alerts are told to. What the keys mean is in docs/notify.md, which a test holds to this file.
//! Knows no socket.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use hyper::Uri;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{bounds::within, duration};
use crate::classes::Severity;

/// Whom alerts are told to, beside the log.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// This host, as alerts name it; none: its name and the port that is served on.
    pub instance: Option<String>,
    /// Where people reach mmscope's pages; none: by the host's name and that port.
    pub external_url: Option<Url>,
    /// Page about an alert; `{class}` stands for its class's name, `{alert}` for that of the rules' alert on it. None: the runbooks
    /// of the repository.
    pub runbook_url: Option<String>,
    /// The systemd journal.
    pub journal: Journal,
    /// Receivers of a POST with JSON.
    #[serde(deserialize_with = "each_checked")]
    pub webhook: Vec<Webhook>,
    /// Alertmanagers.
    #[serde(deserialize_with = "each_checked")]
    pub alertmanager: Vec<Alertmanager>,
}

/// `[notify.journal]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Whether alerts go to the journal; none: if it is what stderr is connected to.
    pub enabled: Option<bool>,
    /// Least severity that is told.
    pub severity: Severity,
    /// Alerts that may wait.
    #[serde(deserialize_with = "queue")]
    pub queue: usize,
}

/// One of `[[notify.webhook]]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Name, as the label `sink` has it.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Where to.
    pub url: Option<Url>,
    /// A file that holds it, for one that is a secret.
    pub url_file: Option<PathBuf>,
    /// Least severity that is told.
    #[serde(default = "default_severity")]
    pub severity: Severity,
    /// How long alerts of a class are gathered into one message.
    #[serde(default = "default_group_wait", deserialize_with = "group_wait")]
    pub group_wait: Duration,
    /// For how long after an alert was told as raised it is not told as raised again.
    #[serde(default = "default_cool_down", deserialize_with = "cool_down")]
    pub cool_down: Duration,
    /// Alerts that may wait.
    #[serde(default = "default_queue", deserialize_with = "queue")]
    pub queue: usize,
    /// How to speak to it.
    #[serde(default)]
    pub http: Http,
}

/// One of `[[notify.alertmanager]]`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Name, as the label `sink` has it.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Its instances, without /api/v2/alerts. Each is told everything.
    pub urls: Vec<Url>,
    /// Labels that every alert gets.
    #[serde(default, deserialize_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// Least severity that is told.
    #[serde(default = "default_severity")]
    pub severity: Severity,
    /// Time after which an alert that is still raised is told again.
    #[serde(default = "default_resend", deserialize_with = "resend")]
    pub resend: Duration,
    /// Cleared alerts that may wait.
    #[serde(default = "default_queue", deserialize_with = "queue")]
    pub queue: usize,
    /// How to speak to it.
    #[serde(default)]
    pub http: Http,
}

/// How to speak to an HTTP server. Files with secrets are read again for each request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// For one request, from the look-up of the name to the answer.
    #[serde(deserialize_with = "timeout")]
    pub timeout: Duration,
    /// Certificates that are trusted, PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// Holds a bearer token.
    pub bearer_token_file: Option<PathBuf>,
    /// For basic authentication.
    pub username: Option<String>,
    /// Holds its password.
    pub password_file: Option<PathBuf>,
    /// More headers, a `Name: value` a line.
    pub headers_file: Option<PathBuf>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { enabled: None, severity: default_severity(), queue: default_queue() }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            ca_file: None,
            bearer_token_file: None,
            username: None,
            password_file: None,
            headers_file: None,
        }
    }
}

fn default_severity() -> Severity {
    Severity::Info
}

fn default_group_wait() -> Duration {
    Duration::from_secs(5)
}

fn default_cool_down() -> Duration {
    Duration::from_secs(300)
}

fn default_resend() -> Duration {
    Duration::from_secs(60)
}

fn default_queue() -> usize {
    1_000
}

/// An address of an HTTP server. It holds no password: such a thing is refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

impl Url {
    /// Understands an address.
    ///
    /// # Errors
    ///
    /// When it is none of http or https, or holds more than a server and a path. The text itself is not in the message, for it
    /// may be a secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('#') {
            return Err("the address has a fragment (#)".to_owned());
        }
        let uri: Uri = text.parse().map_err(|error| format!("the address is none: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("the address does not begin with http:// or https://".to_owned());
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err("the address holds a user; use http.username and http.password_file".to_owned());
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("the address names no host".to_owned());
        }
        if uri.port().is_some_and(|port| port.as_u16() == 0) || authority.ends_with(':') {
            return Err("the address has no such port".to_owned());
        }
        Ok(Self(uri))
    }

    /// The same with a path behind it.
    ///
    /// # Errors
    ///
    /// When the two make no address, or this one has a query.
    pub fn join(&self, path: &str) -> Result<Self, String> {
        if self.0.query().is_some() {
            return Err("the address has a query (?)".to_owned());
        }
        let whole = self.0.to_string();
        Self::parse(&format!("{}/{path}", whole.trim_end_matches('/')))
    }

    /// As HTTP libraries have it.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Paths of webhooks are often secrets.
impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Url({})", self.0.authority().map_or("", |authority| authority.as_str()))
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What depends on several keys of one table.
trait Check {
    fn check(&self) -> Result<(), String>;
}

impl Check for Webhook {
    fn check(&self) -> Result<(), String> {
        if self.url.is_some() == self.url_file.is_some() {
            return Err(format!("notify.webhook {:?}: it needs one of url and url_file", self.name));
        }
        self.http.check().map_err(|error| format!("notify.webhook {:?}: {error}", self.name))
    }
}

impl Check for Alertmanager {
    fn check(&self) -> Result<(), String> {
        let named = |error: String| format!("notify.alertmanager {:?}: {error}", self.name);
        if !(1..=MOST_URLS).contains(&self.urls.len()) {
            return Err(named(format!("urls: there must be one to {MOST_URLS}")));
        }
        for url in &self.urls {
            url.join(ALERTS_PATH).map_err(|error| named(format!("urls: {error}")))?;
        }
        self.http.check().map_err(named)
    }
}

impl Http {
    fn check(&self) -> Result<(), String> {
        if self.username.is_some() != self.password_file.is_some() {
            return Err("http.username and http.password_file go together".to_owned());
        }
        if self.username.as_ref().is_some_and(|name| name.contains(':') || name.chars().any(char::is_control)) {
            return Err("http.username: it may hold no colon and no control characters".to_owned());
        }
        if self.username.is_some() && self.bearer_token_file.is_some() {
            return Err("http.bearer_token_file and http.username exclude each other".to_owned());
        }
        Ok(())
    }
}

/// Where an Alertmanager takes alerts.
pub const ALERTS_PATH: &str = "api/v2/alerts";
const MOST_URLS: usize = 16;
const MOST_SINKS: usize = 32;

impl Notify {
    /// Whether all of it goes together.
    ///
    /// # Errors
    ///
    /// Names the key.
    pub fn check(&self) -> Result<(), String> {
        let names: Vec<&str> = self
            .webhook
            .iter()
            .map(|sink| &*sink.name)
            .chain(self.alertmanager.iter().map(|sink| &*sink.name))
            .collect();
        if names.len() > MOST_SINKS {
            return Err(format!("notify: {} webhooks and Alertmanagers are more than {MOST_SINKS}", names.len()));
        }
        for (n, name) in names.iter().enumerate() {
            if *name == JOURNAL || names[..n].contains(name) {
                return Err(format!("notify: name: {name:?} is taken"));
            }
        }
        if let Some(page) = &self.runbook_url {
            // It is opened by people, who may want a section.
            let (page, _) = page.split_once('#').unwrap_or((page, ""));
            Url::parse(&page.replace("{class}", "class").replace("{alert}", "alert"))
                .map_err(|error| format!("notify.runbook_url: {error}"))?;
        }
        if self.instance.as_ref().is_some_and(String::is_empty) {
            return Err("notify.instance: it is empty".to_owned());
        }
        Ok(())
    }
}

/// The journal's name, as the label `sink` has it.
pub const JOURNAL: &str = "journal";

struct Checked<T>(T);

impl<'de, T: Deserialize<'de> + Check> Deserialize<'de> for Checked<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = T::deserialize(deserializer)?;
        value.check().map_err(D::Error::custom)?;
        Ok(Self(value))
    }
}

fn each_checked<'de, D: Deserializer<'de>, T: Deserialize<'de> + Check>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Checked<T>>::deserialize(deserializer)?.into_iter().map(|checked| checked.0).collect())
}

fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let is_good = (1..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_good { Ok(name) } else { Err(D::Error::custom("name: one to 40 letters, digits, - and _")) }
}

/// Labels that alerts have of themselves.
const OWN_LABELS: [&str; 7] = ["alertname", "class", "severity", "instance", "comm", "cgroup", "about"];

fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::<String, String>::deserialize(deserializer)?;
    for label in labels.keys() {
        let is_word = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_word || label.is_empty() || label.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(D::Error::custom(format!("labels: {label:?} is no name of a label")));
        }
        if OWN_LABELS.contains(&&**label) {
            return Err(D::Error::custom(format!("labels: mmscope itself sets {label}")));
        }
    }
    Ok(labels)
}

macro_rules! bounded {
    ($($key:ident: $least:expr => $most:expr;)*) => {
        $(fn $key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
            let value = duration(deserializer)?;
            within(stringify!($key), &value, &$least, &$most).map_err(D::Error::custom)?;
            Ok(value)
        })*
    };
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

bounded! {
    group_wait: Duration::ZERO => seconds(3_600);
    cool_down: Duration::ZERO => seconds(24 * 3_600);
    resend: seconds(1) => seconds(3_600);
    timeout: Duration::from_millis(100) => seconds(300);
}

fn queue<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let value = u64::deserialize(deserializer)?;
    within("queue", &value, &1, &100_000).map_err(D::Error::custom)?;
    usize::try_from(value).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn parse(text: &str) -> Result<Notify, String> {
        Config::parse(text).map(|config| config.notify)
    }

    #[test]
    fn nobody_is_told_by_default() {
        let notify = parse("").unwrap();
        assert_eq!(notify, Notify::default());
        assert!(notify.webhook.is_empty() && notify.alertmanager.is_empty() && notify.journal.enabled.is_none());
    }

    #[test]
    fn sinks_are_read() {
        let notify = parse(
            "[notify]\nrunbook_url = \"https://wiki/{alert}.md#{class}\"\n\
             [[notify.webhook]]\nname = \"ops\"\nurl = \"http://ops:80/hook?a=b\"\ncool_down = \"1h\"\n\
             http = { bearer_token_file = \"/token\", timeout = \"2s\" }\n\
             [[notify.webhook]]\nname = \"chat\"\nurl_file = \"/url\"\nseverity = \"critical\"\n\
             [[notify.alertmanager]]\nname = \"am\"\nurls = [\"https://a:9093\", \"http://[::1]:9093/am/\"]\n\
             labels = { cluster = \"x\" }\n",
        )
        .unwrap();
        assert_eq!(notify.webhook[0].cool_down, seconds(3_600));
        assert_eq!(notify.webhook[0].http.timeout, seconds(2));
        assert_eq!((notify.webhook[1].severity, notify.webhook[1].group_wait), (Severity::Critical, seconds(5)));
        let am = &notify.alertmanager[0];
        assert_eq!(am.urls[1].join(ALERTS_PATH).unwrap().to_string(), "http://[::1]:9093/am/api/v2/alerts");
        assert_eq!((am.resend, am.queue, &*am.labels["cluster"]), (seconds(60), 1_000, "x"));
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let wrong = |text: &str, parts: &[&str]| {
            let message = parse(text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{text}: {message}");
            assert!(!message.contains('\n'), "{message}");
        };
        let webhook = |more: &str| format!("[[notify.webhook]]\nname = \"w\"\nurl = \"http://h/\"\n{more}\n");
        wrong(&webhook("urls = []"), &["line 4", "urls"]);
        wrong(&webhook("group_wait = \"2h\""), &["line 4", "group_wait", "2h", "1h"]);
        wrong(&webhook("queue = 0"), &["line 4", "queue", "between 1 and"]);
        wrong(&webhook("severity = \"loud\""), &["line 4", "loud", "warning"]);
        wrong(&webhook("http = { timeout = \"1ms\" }"), &["line 4", "timeout", "100ms"]);
        wrong(&webhook("http = { username = \"u\" }"), &["line 1", "\"w\"", "http.password_file"]);
        wrong(&webhook("url_file = \"/u\""), &["line 1", "\"w\"", "one of url and url_file"]);
        wrong("\n[[notify.webhook]]\nname = \"a b\"\n", &["line 3", "name"]);
        wrong("[[notify.webhook]]\nurl = \"http://h/\"\n", &["line 1", "name"]);
        for (url, part) in [
            ("ftp://h/", "http://"),
            ("h:80", "http://"),
            ("http://", "none"),
            ("http://u:secret@h/", "http.username"),
            ("http://h/#a", "fragment"),
            ("http://h:0/", "port"),
        ] {
            let text = format!("[[notify.webhook]]\nname = \"w\"\nurl = \"{url}\"\n");
            wrong(&text, &["line 3", part]);
            assert!(!parse(&text).unwrap_err().contains("secret"));
        }
        let am = |more: &str| format!("[[notify.alertmanager]]\nname = \"am\"\n{more}\n");
        wrong(&am("urls = []"), &["line 1", "\"am\"", "urls"]);
        wrong(&am("urls = [\"http://h\"]\nlabels = { comm = \"x\" }"), &["line 4", "labels", "comm"]);
        wrong(&am("urls = [\"http://h\"]\nlabels = { \"a-b\" = \"x\" }"), &["line 4", "labels", "a-b"]);
        wrong(&am("urls = [\"http://h/?a\"]"), &["line 1", "urls", "query"]);
        wrong(&format!("{}{}", webhook(""), webhook("")), &["name", "\"w\" is taken"]);
        wrong("[[notify.webhook]]\nname = \"journal\"\nurl = \"http://h/\"\n", &["name", "\"journal\" is taken"]);
        wrong("[notify]\nrunbook_url = \"wiki\"\n", &["notify.runbook_url"]);
        wrong("[notify.journal]\nenabled = \"yes\"\n", &["line 2", "yes"]);
    }

    #[test]
    fn addresses_are_not_shown_where_they_may_be_secret() {
        let url = Url::parse("https://chat.example/hooks/T0KEN").unwrap();
        assert_eq!(format!("{url:?}"), "Url(chat.example)");
    }
}
