//! What is read from files: tokens, passwords, headers, certificates. Nothing of them is kept longer than a request, but for
//! certificates, and nothing of them is in an error.

use std::{
    fmt,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::deliver::Failed;
use crate::{config, model::sinks::Reason};

/// A secret is short: a larger file is the wrong one.
const LARGEST: u64 = 64 * 1024;

/// Where the headers of a request come from.
pub(super) struct Secrets {
    bearer_token: Option<PathBuf>,
    basic: Option<(String, PathBuf)>,
    headers: Option<PathBuf>,
}

impl Secrets {
    pub(super) fn of(http: &config::Http) -> Self {
        Self {
            bearer_token: http.bearer_token_file.clone(),
            basic: http.username.clone().zip(http.password_file.clone()),
            headers: http.headers_file.clone(),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// When a file cannot be used; the message names it, and a line of it.
    pub(super) fn headers(&self) -> Result<HeaderMap, Failed> {
        let mut headers = match &self.headers {
            Some(path) => parse_headers(&read(path)?).map_err(|error| unusable(path, error))?,
            None => HeaderMap::new(),
        };
        let authorization = match (&self.bearer_token, &self.basic) {
            (Some(path), _) => Some((format!("Bearer {}", line(path)?), path)),
            (None, Some((name, path))) => {
                Some((format!("Basic {}", STANDARD.encode(format!("{name}:{}", line(path)?))), path))
            }
            (None, None) => None,
        };
        if let Some((text, path)) = authorization {
            let mut value = HeaderValue::from_str(&text).map_err(|_| unusable(path, "it holds what no header can"))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

fn unusable(path: &Path, error: impl fmt::Display) -> Failed {
    Failed::new(Reason::File, format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<String, Failed> {
    let failed = |error| unreadable(path, &error);
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(unusable(path, "it is too large"));
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// The one line of a file.
///
/// # Errors
///
/// When there is none, or more; the message names the file.
pub(super) fn line(path: &Path) -> Result<String, Failed> {
    let text = read(path)?;
    let line = text.trim();
    if line.is_empty() || line.contains('\n') {
        return Err(unusable(path, "it does not hold one line"));
    }
    Ok(line.to_owned())
}

/// A `Name: value` a line; empty lines and those that begin with # are left out.
fn parse_headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (n, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            Some((HeaderName::try_from(name.trim()).ok()?, HeaderValue::from_str(value.trim()).ok()?))
        });
        let Some((name, mut value)) = header else { return Err(format!("line {}: it is no header", n + 1)) };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Whom to trust: the certificates of a file, or those of the system.
///
/// # Errors
///
/// When there are none.
pub(super) fn tls(file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            let failed = |error: String| format!("{}: {error}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("it holds no certificate".to_owned()));
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err("https: no certificates of the system were found; name some with http.ca_file".to_owned());
            }
        }
    }
    // The provider is named: another crate's choice of a default does not matter then.
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("set TLS up: {error}"))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// An error of the file system, as it is told.
fn unreadable(path: &Path, error: &io::Error) -> Failed {
    let what = if error.kind() == ErrorKind::NotFound { "there is no such file".to_owned() } else { error.to_string() };
    Failed::new(Reason::File, format!("{}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn headers_are_read_anew_and_are_no_text_of_a_log() {
        let (token, more) = (file("s3cret\n"), file("# for the gateway\nX-Scope: a\n\nX-Key : b: c \n"));
        let http = config::Http {
            bearer_token_file: Some(token.path().to_owned()),
            headers_file: Some(more.path().to_owned()),
            ..config::Http::default()
        };
        let secrets = Secrets::of(&http);
        let headers = secrets.headers().unwrap();
        assert_eq!(headers["authorization"], "Bearer s3cret");
        assert_eq!((&headers["x-scope"], &headers["x-key"]), (&"a".parse().unwrap(), &"b: c".parse().unwrap()));
        assert!(!format!("{headers:?}").contains("s3cret"));
        std::fs::write(token.path(), "other").unwrap();
        assert_eq!(secrets.headers().unwrap()["authorization"], "Bearer other");
    }

    #[test]
    fn a_name_and_a_password_are_basic_authentication() {
        let password = file("open sesame");
        let http = config::Http {
            username: Some("Aladdin".to_owned()),
            password_file: Some(password.path().to_owned()),
            ..config::Http::default()
        };
        // The example of RFC 7617 is "Aladdin:open sesame".
        let headers = Secrets::of(&http).headers().unwrap();
        assert_eq!(headers["authorization"], "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn errors_name_the_file_and_nothing_of_what_it_holds() {
        let says = |path: &Path, part: &str| {
            let http = config::Http { bearer_token_file: Some(path.to_owned()), ..config::Http::default() };
            let failed = Secrets::of(&http).headers().unwrap_err();
            assert!(failed.message.starts_with(&*path.to_string_lossy()), "{failed}");
            assert!(failed.message.contains(part) && !failed.message.contains("s3cret"), "{failed}");
            assert_eq!(failed.reason, Reason::File);
        };
        says(Path::new("/nonexistent/token"), "no such file");
        says(file("s3cret\ns3cret").path(), "one line");
        says(file("").path(), "one line");
        says(file("s3cret\u{1}").path(), "no header");
        assert!(parse_headers("A: b\ns3cret").unwrap_err().contains("line 2"));
        let not_pem = file("s3cret");
        let error = tls(Some(not_pem.path())).unwrap_err();
        assert!(error.contains("no certificate") && !error.contains("s3cret"), "{error}");
    }
}
