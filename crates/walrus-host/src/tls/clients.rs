//! Certificates of those who connect: whose are believed, and what names are in them.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use walrus_core::config::GroupSettings;
use walrus_core::message::CertificateNames;

use super::{TlsError, certificates, provider, read};

/// Names of one certificate that are looked at; nobody's has more.
const NAMES_MAX: usize = 64;

/// The authorities whose certificates prove who connects.
#[derive(Clone, Debug)]
pub struct ClientAuthority {
    verifier: Arc<dyn ClientCertVerifier>,
}

/// The certificate that somebody showed, with those between it and its authority.
pub type PeerCertificate = Vec<CertificateDer<'static>>;

impl ClientAuthority {
    /// As configured; `None` without `client_authority`. Who shows no certificate is let through to
    /// prove itself by a token.
    ///
    /// # Errors
    /// If a file cannot be read or holds no certificate, or no list of revocations.
    pub fn load(settings: &GroupSettings) -> Result<Option<Self>, TlsError> {
        let Some(path) = &settings.client_authority else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, &read(path)?)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable { path: path.clone(), error })?;
        }
        let lists = match &settings.client_revocations {
            Some(path) => revocations(path)?,
            None => Vec::new(),
        };
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(lists)
            // Lists of the authorities above an intermediate one are seldom at hand.
            .only_check_end_entity_revocation()
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Authority {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        Ok(Some(Self { verifier }))
    }

    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        self.verifier.clone()
    }

    /// The names in a certificate that is valid now; one that was shown long ago may have expired or been
    /// taken back since.
    ///
    /// # Errors
    /// If it is not, or no longer, from one of the authorities.
    pub fn names_in(&self, certificate: &PeerCertificate) -> Result<CertificateNames, TlsError> {
        let (end, between) = certificate.split_first().ok_or(TlsError::NoPeerCertificate)?;
        self.verifier
            .verify_client_cert(end, between, UnixTime::now())
            .map_err(TlsError::PeerCertificate)?;
        let parsed = webpki::EndEntityCert::try_from(end)
            .map_err(|_| TlsError::PeerCertificate(rustls::CertificateError::BadEncoding.into()))?;
        let domains = parsed.valid_dns_names().filter(|name| !name.starts_with('*'));
        Ok(CertificateNames {
            uris: parsed.valid_uri_names().take(NAMES_MAX).map(ToOwned::to_owned).collect(),
            domains: domains.take(NAMES_MAX).filter_map(|name| name.parse().ok()).collect(),
        })
    }
}

fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Result<Vec<_>, _> =
        CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok(lists),
        _ => Err(TlsError::NoRevocations { path: path.to_owned() }),
    }
}
