//! `client_allowed_sans`: of the clients whose certificate a CA of ours has signed, those with one of these names.

use std::{net::IpAddr, sync::Arc};

use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use webpki::EndEntityCert;

/// Names of which a certificate has to have one.
#[derive(Debug)]
pub(super) struct Allowed(Vec<String>);

impl Allowed {
    /// # Errors
    ///
    /// When one is of a kind that is not read from a certificate.
    pub(super) fn of(names: &[String]) -> Result<Self, String> {
        // An address of mail has an @, and so may a URI have.
        match names.iter().find(|name| name.contains('@') && !name.contains(':')) {
            Some(mail) => Err(format!(
                "tls_server_config.client_allowed_sans: {mail:?}: addresses of mail are not supported; \
                 names of hosts, IP addresses and URIs are"
            )),
            None => Ok(Self(names.to_vec())),
        }
    }

    fn has_one_of(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
        let is_allowed = |name: &str| self.0.iter().any(|allowed| allowed == name);
        // As in the toolkit, a name with a star is that name, and no pattern.
        certificate.valid_dns_names().any(is_allowed)
            || certificate.valid_uri_names().any(is_allowed)
            || self
                .0
                .iter()
                .filter_map(|name| name.parse::<IpAddr>().ok())
                .any(|address| certificate.verify_is_valid_for_subject_name(&ServerName::from(address)).is_ok())
    }
}

/// Asks another verifier first, and for a name then.
#[derive(Debug)]
pub(super) struct OnlyAllowed {
    verifier: Arc<dyn ClientCertVerifier>,
    allowed: Allowed,
}

impl OnlyAllowed {
    pub(super) fn new(verifier: Arc<dyn ClientCertVerifier>, allowed: Allowed) -> Self {
        Self { verifier, allowed }
    }
}

impl ClientCertVerifier for OnlyAllowed {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now)?;
        if !self.allowed.has_one_of(end_entity) {
            return Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
