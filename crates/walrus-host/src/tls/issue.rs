//! A small authority for those who have none: its certificates say whose they are
//! (`URI:walrus:reporter/fra1`), and prove nothing else to anybody.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use sha2::{Digest as _, Sha256};
use walrus_core::message::CERTIFICATE_URI;
use walrus_core::world::{IdentityRole, Name};

use super::TlsError;

/// What authorities call themselves, with some digits of their key behind it: two of one name would have
/// certificates that seem to be the other's, badly signed.
const AUTHORITY_NAME: &str = "Walrus identities";
/// How long an authority's own certificate is valid.
const AUTHORITY_DAYS: u64 = 3653;
/// Clocks that are behind by so much believe a new certificate all the same.
const CLOCKS_BEHIND: Duration = Duration::from_secs(86_400);

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
    // What is beyond any calendar would not be added but panic.
    let now = Duration::from_secs(unix_s.min(u64::from(u32::MAX)));
    let days = Duration::from_secs(days.min(36_525) * 86_400);
    parameters.not_before = epoch + now.saturating_sub(CLOCKS_BEHIND);
    parameters.not_after = epoch + now + days;
}

fn made(error: rcgen::Error) -> TlsError {
    TlsError::Make(error.to_string())
}

/// A list that takes one certificate back.
#[cfg(test)]
pub(crate) fn revocation_list(authority_key: &str, certificate: &[u8], unix_s: u64) -> String {
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    let der = CertificateDer::from_pem_slice(certificate).unwrap();
    let parsed = webpki::EndEntityCert::try_from(&der).unwrap();
    let authority = KeyPair::from_pem(authority_key).unwrap();
    let issuer = Issuer::new(authority_parameters(&authority), authority);
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(unix_s);
    let list = CertificateRevocationListParams {
        this_update: now - CLOCKS_BEHIND,
        next_update: now + CLOCKS_BEHIND,
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from_slice(parsed.serial()),
            revocation_time: now - CLOCKS_BEHIND,
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(&issuer).unwrap().pem().unwrap()
}
