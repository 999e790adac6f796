//! The file of `--web.config.file`, in the format of Prometheus's exporter-toolkit:
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>. Knows nothing of rustls.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A configuration is short: a larger file is the wrong one.
const LARGEST: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WebConfig {
    #[serde(rename = "tls_server_config", deserialize_with = "tls")]
    pub(super) tls: Option<Tls>,
    #[serde(rename = "http_server_config")]
    pub(super) http: Http,
    #[serde(rename = "rate_limit")]
    pub(super) rate: RateLimit,
    /// Hashes by name.
    #[serde(rename = "basic_auth_users", deserialize_with = "users")]
    pub(super) users: BTreeMap<String, String>,
}

/// `tls_server_config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    /// PEM in the file itself, instead of another file.
    pub(super) cert: String,
    pub(super) key: Secret,
    pub(super) client_ca: String,
    /// None: no certificates are asked for.
    #[serde(deserialize_with = "client_auth")]
    pub(super) client_auth_type: Option<ClientAuth>,
    pub(super) client_ca_file: PathBuf,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    #[serde(deserialize_with = "version")]
    pub(super) min_version: Version,
    #[serde(deserialize_with = "version")]
    pub(super) max_version: Version,
    pub(super) cipher_suites: Vec<String>,
    #[serde(deserialize_with = "curves")]
    pub(super) curve_preferences: Vec<Curve>,
    pub(super) prefer_server_cipher_suites: bool,
}

/// Text that is in no log.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(pub(super) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

/// Which clients have to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    IfGiven,
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// A group of key exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    X25519,
}

/// `http_server_config`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) http2: bool,
    #[serde(deserialize_with = "headers")]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

/// `rate_limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    pub(super) burst: u32,
    /// Between two requests, on average; none: no limit.
    #[serde(deserialize_with = "interval")]
    pub(super) interval: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self { http2: true, headers: Vec::new() }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert_file: PathBuf::new(),
            key_file: PathBuf::new(),
            cert: String::new(),
            key: Secret::default(),
            client_ca: String::new(),
            client_auth_type: None,
            client_ca_file: PathBuf::new(),
            client_allowed_sans: None,
            min_version: Version::Tls12,
            max_version: Version::Tls13,
            cipher_suites: Vec::new(),
            curve_preferences: Vec::new(),
            prefer_server_cipher_suites: true,
        }
    }
}

impl WebConfig {
    /// Reads it; paths in it are from its folder on.
    ///
    /// # Errors
    ///
    /// When it cannot be read or says what it cannot; the message names line or key, and nothing of a secret.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if length > LARGEST {
            return Err("it is too large".to_owned());
        }
        let mut config = Self::parse(&fs::read_to_string(path).map_err(|error| error.to_string())?)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in
            config.tls.iter_mut().flat_map(|tls| [&mut tls.cert_file, &mut tls.key_file, &mut tls.client_ca_file])
        {
            if !file.as_os_str().is_empty() {
                *file = folder.join(&*file);
            }
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let config: Self = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map(|location| location.line());
            // What it says of the place is in the line already.
            let message = error.without_snippet().to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message.split_once(" at line ").map_or(message, |(message, _)| message);
            line.map_or_else(|| message.to_owned(), |line| format!("line {line}: {message}"))
        })?;
        if let Some(tls) = &config.tls {
            tls.check()?;
        }
        if config.rate.interval > Duration::ZERO && config.rate.burst == 0 {
            return Err("rate_limit.burst: with none nothing would ever be answered".to_owned());
        }
        Ok(config)
    }

    /// The files that it names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let of_tls = self.tls.iter().flat_map(|tls| [&tls.cert_file, &tls.key_file, &tls.client_ca_file]);
        of_tls.filter(|file| !file.as_os_str().is_empty()).cloned().collect()
    }
}

impl Tls {
    fn check(&self) -> Result<(), String> {
        let is_given = |text: &str, file: &Path| !text.is_empty() || !file.as_os_str().is_empty();
        let wrong = [
            (!is_given(&self.cert, &self.cert_file), "cert_file: it is missing, and so is cert"),
            (!is_given(&self.key.0, &self.key_file), "key_file: it is missing, and so is key"),
            (!self.cert.is_empty() && !self.cert_file.as_os_str().is_empty(), "cert: there is a cert_file too"),
            (!self.key.0.is_empty() && !self.key_file.as_os_str().is_empty(), "key: there is a key_file too"),
            (self.has_client_ca() && self.client_auth_type.is_none(), "client_auth_type: client_ca_file needs one"),
            (!self.has_client_ca() && self.client_auth_type.is_some(), "client_ca_file: client_auth_type needs it"),
            (
                self.client_allowed_sans.is_some() && self.client_auth_type != Some(ClientAuth::Required),
                "client_allowed_sans: they need the client_auth_type RequireAndVerifyClientCert",
            ),
            (self.max_version < self.min_version, "max_version: it is below min_version"),
        ];
        match wrong.into_iter().find(|(is_wrong, _)| *is_wrong) {
            Some((_, what)) => Err(format!("tls_server_config.{what}")),
            None => Ok(()),
        }
    }

    fn has_client_ca(&self) -> bool {
        !self.client_ca.is_empty() || !self.client_ca_file.as_os_str().is_empty()
    }
}

/// One without any key is none, as in the toolkit.
fn tls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tls>, D::Error> {
    Option::<Tls>::deserialize(deserializer)
}

fn client_auth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ClientAuth>, D::Error> {
    let name = String::deserialize(deserializer)?;
    match &*name {
        "" | "NoClientCert" => Ok(None),
        "VerifyClientCertIfGiven" => Ok(Some(ClientAuth::IfGiven)),
        "RequireAndVerifyClientCert" => Ok(Some(ClientAuth::Required)),
        "RequestClientCert" | "RequireAnyClientCert" | "RequireClientCert" => Err(D::Error::custom(format!(
            "client_auth_type {name} asks for a certificate that nobody verifies: it is not supported, \
             RequireAndVerifyClientCert is"
        ))),
        _ => Err(D::Error::custom(format!("client_auth_type {name:?} is none that there is"))),
    }
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
    let name = String::deserialize(deserializer)?;
    match &*name {
        "TLS12" => Ok(Version::Tls12),
        "TLS13" => Ok(Version::Tls13),
        "TLS10" | "TLS11" => Err(D::Error::custom(format!("{name} is not spoken here: TLS12 and TLS13 are"))),
        _ => Err(D::Error::custom(format!("{name:?} is no version of TLS: TLS12 and TLS13 are"))),
    }
}

fn curves<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Curve>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let curve = |name: &String| match &**name {
        "CurveP256" => Ok(Curve::P256),
        "CurveP384" => Ok(Curve::P384),
        "X25519" => Ok(Curve::X25519),
        "CurveP521" => Err("curve CurveP521 is not spoken here: CurveP256, CurveP384 and X25519 are".to_owned()),
        _ => Err(format!("{name:?} is no curve: CurveP256, CurveP384 and X25519 are")),
    };
    names.iter().map(curve).collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// As Go writes durations: `1s`, `100ms`, `1m30s`.
fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    humantime::parse_duration(&text).map_err(|error| D::Error::custom(format!("{text:?} is no duration: {error}")))
}

/// Headers that the format allows, with the values that it allows.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(HeaderName, HeaderValue)>, D::Error> {
    let texts = Option::<BTreeMap<String, String>>::deserialize(deserializer)?.unwrap_or_default();
    let header = |(name, value): (String, String)| {
        let known = HEADERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        let (_, values) = known.ok_or_else(|| format!("header {name:?} is none that can be set"))?;
        if !values.is_empty() && !values.iter().any(|known| known.eq_ignore_ascii_case(&value)) {
            return Err(format!("header {name}: {value:?} is not one of {}", values.join(", ")));
        }
        let name_of = HeaderName::try_from(&name).map_err(|_| format!("header {name:?} is none that can be set"))?;
        let value_of = HeaderValue::try_from(&value).map_err(|_| format!("header {name}: its value is none"))?;
        Ok((name_of, value_of))
    };
    texts.into_iter().map(header).collect::<Result<_, String>>().map_err(D::Error::custom)
}

/// Costs of bcrypt that a scrape can wait for: each step doubles it, and 16 takes some seconds.
const COSTS: std::ops::RangeInclusive<u32> = 4..=16;

fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let users = Option::<BTreeMap<String, Secret>>::deserialize(deserializer)?.unwrap_or_default();
    let user = |(name, Secret(hash)): (String, Secret)| {
        if name.contains(':') {
            return Err(format!("user {name:?}: a name has no colon"));
        }
        let parts: bcrypt::HashParts =
            hash.parse().map_err(|_| format!("user {name:?}: what stands there is no bcrypt hash"))?;
        if !COSTS.contains(&parts.get_cost()) {
            let cost = parts.get_cost();
            return Err(format!(
                "user {name:?}: a cost of {cost} is not between {} and {}",
                COSTS.start(),
                COSTS.end()
            ));
        }
        Ok((name, hash))
    };
    users.into_iter().map(user).collect::<Result<_, String>>().map_err(D::Error::custom)
}
