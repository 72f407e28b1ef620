//! Certificates of those who connect: whose are believed, and what names are in them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use sha2::{Digest as _, Sha256};
use walrus_core::config::GroupSettings;
use walrus_core::message::CertificateNames;
use webpki::{BorrowedCertRevocationList, CertRevocationList};

use super::{TlsError, certificates, provider, read};

/// Names of one certificate that are looked at; nobody's has more.
const NAMES_MAX: usize = 64;

/// The authorities whose certificates prove who connects.
#[derive(Clone, Debug)]
pub struct ClientAuthority {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Of all that it was made of.
    digest: [u8; 32],
}

impl PartialEq for ClientAuthority {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for ClientAuthority {}

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
        let mut digest = Sha256::new();
        for certificate in certificates(path, &read(path)?)? {
            digest.update(Sha256::digest(&certificate));
            roots
                .add(certificate)
                .map_err(|error| TlsError::Unusable { path: path.clone(), error })?;
        }
        let lists = match &settings.client_revocations {
            Some(path) => revocations(path, &roots)?,
            None => Vec::new(),
        };
        lists.iter().for_each(|list| digest.update(Sha256::digest(list)));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(lists)
            // Lists of the authorities above an intermediate one are seldom at hand.
            .only_check_end_entity_revocation()
            // Else a list that nobody renews any more is good for ever.
            .enforce_revocation_expiration()
            .allow_unauthenticated()
            .build()
            .map_err(|error| TlsError::Authority {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        Ok(Some(Self { verifier, digest: digest.finalize().into() }))
    }

    /// Whether both were loaded at once, and not only of the same files.
    pub(crate) fn is_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.verifier, &other.verifier)
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

/// One for each authority at least: certificates of one without are not believed.
fn revocations(
    path: &Path,
    roots: &RootCertStore,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Result<Vec<_>, _> =
        CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect();
    let none = || TlsError::NoRevocations { path: path.to_owned() };
    let lists = lists.map_err(|_| none())?;
    if lists.is_empty() {
        return Err(none());
    }
    let mut issuers = BTreeSet::new();
    for list in &lists {
        let list = BorrowedCertRevocationList::from_der(list).map_err(|_| none())?;
        issuers.insert(CertRevocationList::from(list).issuer().to_vec());
    }
    // Counted and not named: lists may also be of authorities in between.
    let authorities: BTreeSet<&[u8]> = roots.roots.iter().map(|it| it.subject.as_ref()).collect();
    if issuers.len() < authorities.len() {
        return Err(TlsError::TooFewRevocations {
            path: path.to_owned(),
            lists: issuers.len(),
            authorities: authorities.len(),
        });
    }
    Ok(lists)
}
