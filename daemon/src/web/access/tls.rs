//! From the file to rustls. What rustls cannot do of it is an error that says so.

use std::{fs, path::Path, sync::Arc};

use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedCipherSuite,
    crypto::{CryptoProvider, SupportedKxGroup, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
    server::danger::ClientCertVerifier,
    version::{TLS12, TLS13},
};

use super::{
    clients::{Allowed, OnlyAllowed},
    file::{ClientAuth, Curve, Tls, Version},
};

/// What a handshake needs.
///
/// # Errors
///
/// When a file cannot be used, or rustls cannot do what is asked for; the message names file or key.
pub(super) fn server(tls: &Tls, http2: bool) -> Result<ServerConfig, String> {
    let provider = Arc::new(provider(tls)?);
    let versions = [(&TLS12, Version::Tls12), (&TLS13, Version::Tls13)];
    let versions = versions.into_iter().filter(|(_, version)| (tls.min_version..=tls.max_version).contains(version));
    let versions: Vec<_> = versions.map(|(version, _)| version).collect();
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| format!("tls_server_config: {error}"))?;
    let builder = match verifier(tls, provider)? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(certificates(&tls.cert, &tls.cert_file, "cert")?, key(tls)?)
        .map_err(|error| format!("tls_server_config: cert_file and key_file: {error}"))?;
    config.ignore_client_order = tls.prefer_server_cipher_suites;
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    // Without memory of earlier sessions a changed certificate, or one that clients show, counts from the next handshake on.
    config.session_storage = Arc::new(tokio_rustls::rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn provider(tls: &Tls) -> Result<CryptoProvider, String> {
    let mut provider = ring::default_provider();
    if !tls.cipher_suites.is_empty() {
        // As in Go, those of TLS 1.3 are not for choice.
        let mut suites: Vec<_> =
            ring::ALL_CIPHER_SUITES.iter().copied().filter(|suite| suite.tls13().is_some()).collect();
        for name in &tls.cipher_suites {
            let suite = suite(name)?;
            if !suites.contains(&suite) {
                suites.push(suite);
            }
        }
        provider.cipher_suites = suites;
    }
    if !tls.curve_preferences.is_empty() {
        provider.kx_groups = tls.curve_preferences.iter().map(group).collect();
    }
    Ok(provider)
}

/// By its name in Go: that of the RFCs, with one older one.
fn suite(name: &str) -> Result<SupportedCipherSuite, String> {
    let full = match name {
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => format!("{name}_SHA256"),
        _ => name.to_owned(),
    };
    let name_of = |suite: &SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
    let known = ring::ALL_CIPHER_SUITES;
    known.iter().find(|suite| name_of(suite) == full).copied().ok_or_else(|| {
        let names: Vec<String> = known.iter().map(name_of).collect();
        format!("tls_server_config.cipher_suites: {name:?} is not spoken here; these are: {}", names.join(", "))
    })
}

fn group(curve: &Curve) -> &'static dyn SupportedKxGroup {
    match curve {
        Curve::P256 => ring::kx_group::SECP256R1,
        Curve::P384 => ring::kx_group::SECP384R1,
        Curve::X25519 => ring::kx_group::X25519,
    }
}

fn verifier(tls: &Tls, provider: Arc<CryptoProvider>) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let Some(client_auth) = tls.client_auth_type else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.client_ca, &tls.client_ca_file, "client_ca")? {
        roots.add(certificate).map_err(|error| format!("tls_server_config.client_ca_file: {error}"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if client_auth == ClientAuth::IfGiven { verifier.allow_unauthenticated() } else { verifier };
    let verifier = verifier.build().map_err(|error| format!("tls_server_config.client_ca_file: {error}"))?;
    Ok(Some(match &tls.client_allowed_sans {
        Some(names) => Arc::new(OnlyAllowed::new(verifier, Allowed::of(names)?)),
        None => verifier,
    }))
}

fn read(text: &str, file: &Path) -> Result<Vec<u8>, String> {
    if text.is_empty() {
        return fs::read(file).map_err(|error| format!("{}: {error}", file.display()));
    }
    Ok(text.as_bytes().to_vec())
}

fn named(file: &Path, key: &str) -> String {
    if file.as_os_str().is_empty() { format!("tls_server_config.{key}") } else { file.display().to_string() }
}

fn certificates(text: &str, file: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(text, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| format!("{}: {error}", named(file, key)))?;
    if found.is_empty() {
        return Err(format!("{}: it holds no certificate", named(file, key)));
    }
    Ok(found)
}

fn key(tls: &Tls) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read(&tls.key.0, &tls.key_file)?;
    // What the parser says of a key may quote it.
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| format!("{}: it holds no private key in PEM", named(&tls.key_file, "key")))
}
