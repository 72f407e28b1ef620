//! A small authority for those who have none: its certificates say whose they are
//! (`URI:walrus:reporter/fra1`), and prove nothing else to anybody; and its lists take them back.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use sha2::{Digest as _, Sha256};
use walrus_core::message::CERTIFICATE_URI;
use walrus_core::world::{IdentityRole, Name};

use webpki::BorrowedCertRevocationList;

use super::TlsError;
use super::dates::{CertificateWords, ListWords};

/// What authorities call themselves, with some digits of their key behind it: two of one name would have
/// certificates that seem to be the other's, badly signed.
const AUTHORITY_NAME: &str = "Walrus identities";
/// How long an authority's own certificate is valid.
const AUTHORITY_DAYS: u64 = 3653;
/// Clocks that are behind by so much believe a new certificate all the same.
const CLOCKS_BEHIND_S: u64 = 86_400;

/// A certificate and its private key, as PEM.
pub struct Issued {
    /// For everybody.
    pub certificate: String,
    /// For nobody but its owner.
    pub key: String,
}

/// Not the key.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").finish_non_exhaustive()
    }
}

/// A new authority, valid for ten years from now (Unix seconds).
///
/// # Errors
/// If no key can be made.
pub fn new_authority(unix_s: u64) -> Result<Issued, TlsError> {
    let key = KeyPair::generate().map_err(made)?;
    let mut parameters = authority_parameters(&key);
    valid_for(&mut parameters, unix_s, AUTHORITY_DAYS);
    let certificate = parameters.self_signed(&key).map_err(made)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// A certificate of an authority made by [`new_authority`], of which only the key is needed, for so many
/// days from now (Unix seconds).
///
/// # Errors
/// If the authority's key is none, or no key can be made.
pub fn issue(
    authority_key: &str,
    (role, name): (IdentityRole, &Name),
    unix_s: u64,
    days: u64,
) -> Result<Issued, TlsError> {
    let authority = KeyPair::from_pem(authority_key).map_err(made)?;
    let issuer = Issuer::new(authority_parameters(&authority), authority);
    let key = KeyPair::generate().map_err(made)?;
    let mut parameters = CertificateParams::default();
    let uri = format!("{CERTIFICATE_URI}{}/{name}", role.as_str());
    parameters.distinguished_name = named(&format!("{} {name}", role.as_str()));
    parameters.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(made)?)];
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.use_authority_key_identifier_extension = true;
    valid_for(&mut parameters, unix_s, days);
    let certificate = parameters.signed_by(&key, &issuer).map_err(made)?;
    Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
}

/// All that an authority's certificates take from it; its key is enough to know it by.
fn authority_parameters(key: &KeyPair) -> CertificateParams {
    let digest = Sha256::digest(key.public_key_raw());
    let digits: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = named(&format!("{AUTHORITY_NAME} {digits}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn valid_for(parameters: &mut CertificateParams, unix_s: u64, days: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    parameters.not_before = epoch + since_epoch(unix_s.saturating_sub(CLOCKS_BEHIND_S));
    parameters.not_after = epoch + since_epoch(unix_s) + days_long(days);
}

/// What is beyond any calendar would not be added but panic.
fn since_epoch(unix_s: u64) -> Duration {
    Duration::from_secs(unix_s.min(u64::from(u32::MAX)))
}

fn days_long(days: u64) -> Duration {
    Duration::from_secs(days.min(36_525) * 86_400)
}

fn made(error: rcgen::Error) -> TlsError {
    TlsError::Make(error.to_string())
}

/// A certificate that is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Which of its authority's.
    pub serial: Serial,
    /// Since when, Unix seconds.
    pub unix_s: u64,
}

/// The list of all that an authority takes back, as PEM, for so many days from now (Unix seconds). The
/// newest has the highest number, since that is the time.
///
/// # Errors
/// If the authority's key is none.
pub fn revocation_list(
    authority_key: &str,
    revoked: &[Revoked],
    unix_s: u64,
    days: u64,
) -> Result<String, TlsError> {
    let authority = KeyPair::from_pem(authority_key).map_err(made)?;
    let issuer = Issuer::new(authority_parameters(&authority), authority);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let revoked_certs = revoked.iter().map(|revoked| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&revoked.serial.0),
        revocation_time: epoch + since_epoch(revoked.unix_s),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: epoch + since_epoch(unix_s),
        next_update: epoch + since_epoch(unix_s) + days_long(days),
        crl_number: SerialNumber::from(unix_s),
        issuing_distribution_point: None,
        revoked_certs: revoked_certs.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).and_then(|list| list.pem()).map_err(made)
}

/// What is on this authority's own list, a PEM text.
///
/// # Errors
/// If it is no list, or another authority's.
pub fn revoked_in(authority_key: &str, list: &str) -> Result<Vec<Revoked>, TlsError> {
    let certificate = certificate_of(authority_key)?;
    let own = CertificateWords::read(&certificate).ok_or(TlsError::NotItsList)?;
    let list = CertificateRevocationListDer::from_pem_slice(list.as_bytes());
    let list = list.map_err(|_| TlsError::NotItsList)?;
    let words = ListWords::read(&list).filter(|words| own.signed(words));
    words.ok_or(TlsError::NotItsList)?;
    let parsed = BorrowedCertRevocationList::from_der(&list).map_err(|_| TlsError::NotItsList)?;
    let revoked = parsed.into_iter().map(|revoked| {
        let revoked = revoked.map_err(|_| TlsError::NotItsList)?;
        let unix_s = revoked.revocation_date.as_secs();
        Ok(Revoked { serial: Serial::new(revoked.serial_number), unix_s })
    });
    revoked.collect()
}

/// The number of this authority's own certificate, the first in a PEM text.
///
/// # Errors
/// If it is no certificate, or another authority's.
pub fn serial_issued(authority_key: &str, certificate: &str) -> Result<Serial, TlsError> {
    let own = certificate_of(authority_key)?;
    let own = CertificateWords::read(&own).ok_or(TlsError::NotItsCertificate)?;
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
    let certificate = certificate.map_err(|_| TlsError::NotItsCertificate)?;
    let words = CertificateWords::read(&certificate).filter(|words| own.issued(words));
    words.map(|words| Serial::new(words.serial)).ok_or(TlsError::NotItsCertificate)
}

/// A certificate of the authority's own with its name and key.
fn certificate_of(authority_key: &str) -> Result<CertificateDer<'static>, TlsError> {
    let authority = KeyPair::from_pem(authority_key).map_err(made)?;
    let certificate = authority_parameters(&authority).self_signed(&authority).map_err(made)?;
    Ok(certificate.der().clone())
}

/// A certificate's number, unique among those of its authority.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Bytes that an authority may use (RFC 5280, section 4.1.2.2).
    const LENGTH_MAX: usize = 20;

    /// Without zeros before it, which stand there where its first bit would make it negative.
    fn new(bytes: &[u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes[zeros..].to_vec())
    }

    /// Of the first certificate in a PEM text; `None` if there is none.
    #[must_use]
    pub fn of(certificate: &str) -> Option<Self> {
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).ok()?;
        Some(Self::new(CertificateWords::read(&certificate)?.serial))
    }

    /// Without zeros before it.
    #[must_use]
    pub fn length_bytes(&self) -> usize {
        self.0.len()
    }

    /// From hex digits, with colons or without.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text
            .chars()
            .filter(|it| *it != ':')
            .map(|it| it.to_digit(16))
            .collect::<Option<_>>()?;
        let is_one = !digits.is_empty()
            && digits.len().is_multiple_of(2)
            && digits.len() / 2 <= Self::LENGTH_MAX;
        let byte = |pair: &[u32]| u8::try_from(pair[0] << 4 | pair[1]).unwrap_or(u8::MAX);
        is_one.then(|| Self::new(&digits.chunks_exact(2).map(byte).collect::<Vec<u8>>()))
    }

    /// As hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
