//! Certificates of those who connect: whose are believed, and what names are in them.

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

use super::dates::{CertificateWords, ListWords, name_of};
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
    /// What has run out is taken: it lets nobody in, and a name server must start all the same.
    ///
    /// # Errors
    /// If a file cannot be read or holds no certificate, or an authority's list of revocations is missing.
    pub fn load(settings: &GroupSettings) -> Result<Option<Self>, TlsError> {
        let Some(path) = &settings.client_authority else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        let mut digest = Sha256::new();
        let authorities = certificates(path, &read(path)?)?;
        for certificate in &authorities {
            digest.update(Sha256::digest(certificate));
            roots
                .add(certificate.clone())
                .map_err(|error| TlsError::Unusable { path: path.clone(), error })?;
        }
        let lists = match &settings.client_revocations {
            Some(lists) => revocations(lists, (path, &authorities))?,
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

/// The lists to go by. Only the newest of each authority is one, since the first that fits would be taken.
///
/// Which authority a list is of is known by its name and by its signature: one that is missing or another's means
/// that no certificate of that authority is believed, and to hear of that from everybody who is refused is late.
fn revocations(
    path: &Path,
    authorities: (&Path, &[CertificateDer<'_>]),
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let lists: Result<Vec<_>, _> =
        CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect();
    let none = || TlsError::NoRevocations { path: path.to_owned() };
    let lists = lists.map_err(|_| none())?;
    let mut newest: Vec<(ListWords<'_>, bool, &CertificateRevocationListDer<'static>)> = Vec::new();
    for list in &lists {
        let words = ListWords::read(list).ok_or_else(none)?;
        let parsed = BorrowedCertRevocationList::from_der(list).map_err(|_| none())?;
        // Of a list that was made in parts each part counts.
        let is_part = CertRevocationList::from(parsed).issuing_distribution_point().is_some();
        let same = newest.iter_mut().find(|it| !is_part && !it.1 && it.0.issuer == words.issuer);
        match same {
            Some(before) if before.0.valid < words.valid => *before = (words, is_part, list),
            Some(_) => {}
            None => newest.push((words, is_part, list)),
        }
    }
    if newest.is_empty() {
        return Err(none());
    }
    let words: Vec<ListWords<'_>> = newest.iter().map(|(words, ..)| *words).collect();
    check_whose(path, &words, authorities)?;
    Ok(newest.into_iter().map(|(.., list)| list.clone()).collect())
}

/// Each authority has a list of its own, or is there to vouch for another one.
fn check_whose(
    path: &Path,
    lists: &[ListWords<'_>],
    (authorities_path, authorities): (&Path, &[CertificateDer<'_>]),
) -> Result<(), TlsError> {
    let unusable =
        |reason: String| TlsError::Authority { path: authorities_path.to_owned(), reason };
    let words: Option<Vec<_>> = authorities.iter().map(CertificateWords::read).collect();
    let words = words.ok_or_else(|| unusable("its dates or key cannot be read".to_owned()))?;
    let mut of_others = false;
    for list in lists {
        let named: Vec<_> = words.iter().filter(|it| it.subject == list.issuer).collect();
        let name = || name_of(list.issuer);
        match named.split_first() {
            // Of an authority in between, whose certificate clients show.
            None => of_others = true,
            Some((first, more)) if more.iter().any(|it| !it.has_the_key_of(first)) => {
                return Err(unusable(format!(
                    "two keys have the name `{}`, and a list of revocations is known by its name: \
                     leave the older one out",
                    name()
                )));
            }
            Some((first, _)) if !first.signed(list) => {
                let path = path.to_owned();
                return Err(TlsError::ForeignRevocations { path, name: name() });
            }
            Some(_) => {}
        }
    }
    let lacking = words.iter().find(|it| {
        let has_one = lists.iter().any(|list| list.issuer == it.subject);
        let stands_above =
            words.iter().any(|other| other.issuer == it.subject && other.subject != it.subject);
        !has_one && !stands_above && !of_others
    });
    match lacking {
        Some(authority) => Err(TlsError::NoRevocationsOf {
            path: path.to_owned(),
            name: name_of(authority.subject),
        }),
        None => Ok(()),
    }
}
