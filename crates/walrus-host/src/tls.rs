//! TLS: who we say we are, and whom we believe.

mod clients;
mod dates;
mod expiry;
mod issue;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest as _, Sha256};
use walrus_core::config::GroupSettings;

use crate::state::{StateDirectory, StateError};

pub use clients::{ClientAuthority, PeerCertificate};
pub use expiry::{Expiry, Holds, expiries};
pub use issue::{
    Issued, Revoked, Serial, issue, new_authority, revocation_list, revoked_in, serial_issued,
};

/// Who a listener says it is.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    /// For accepting connections.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of its certificate, to be pinned by Reporters.
    pub fingerprint: String,
    /// Made by ourselves: nobody can know it but by its fingerprint.
    pub self_signed: bool,
}

impl ServerIdentity {
    /// The configured certificate, or a self-signed one for `names` (domain names and addresses)
    /// that is made at first start and kept in the state directory. Whoever connects is asked for a
    /// certificate if there is an authority for `clients`.
    ///
    /// # Errors
    /// If a file cannot be read or holds no certificate or key, they do not belong together, or a
    /// new one cannot be stored.
    pub fn load(
        settings: &GroupSettings,
        state: &StateDirectory,
        names: Vec<String>,
        clients: Option<&ClientAuthority>,
    ) -> Result<Self, TlsError> {
        match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => {
                let (chain, private) = (read(certificate)?, read(key)?);
                Self::new((certificate, &chain), (key, &private), clients, false)
            }
            (None, None) => {
                let in_state = |name| state.path().join(name);
                let (certificate, key) = match state.load_certificate() {
                    Some(pair) => pair,
                    None => make_self_signed(state, names)?,
                };
                let paths = (in_state("certificate.pem"), in_state("key.pem"));
                Self::new((&paths.0, &certificate), (&paths.1, &key), clients, true)
            }
            _ => Err(TlsError::HalfPair),
        }
    }

    fn new(
        (certificate_path, certificate): (&Path, &[u8]),
        (key_path, key): (&Path, &[u8]),
        clients: Option<&ClientAuthority>,
        self_signed: bool,
    ) -> Result<Self, TlsError> {
        let chain = certificates(certificate_path, certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsError::NoKey { path: key_path.to_owned() })?;
        let fingerprint = fingerprint(&chain[0]);
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map(|builder| match clients {
                Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
                None => builder.with_no_client_auth(),
            })
            .and_then(|builder| builder.with_single_cert(chain, key))
            .map_err(|error| TlsError::Unusable { path: certificate_path.to_owned(), error })?;
        Ok(Self { config: Arc::new(config), fingerprint, self_signed })
    }
}

fn make_self_signed(
    state: &StateDirectory,
    names: Vec<String>,
) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|error| TlsError::Make(error.to_string()))?;
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    state.store_certificate(&certificate, &key)?;
    Ok((certificate.into_bytes(), key.into_bytes()))
}

/// A server's configuration that asks clients for nothing: its certificate chain and key as PEM files,
/// and the protocols that it speaks (ALPN), if it names any.
///
/// # Errors
/// If a file cannot be read or holds no certificate or key, or they do not belong together.
pub fn server_config(
    certificate: &Path,
    key: &Path,
    protocols: &[&[u8]],
) -> Result<Arc<ServerConfig>, TlsError> {
    let (chain, private) = (read(certificate)?, read(key)?);
    let identity = ServerIdentity::new((certificate, &chain), (key, &private), None, false)?;
    let mut config = Arc::unwrap_or_clone(identity.config);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    // Whoever comes again need not agree on everything anew.
    config.ticketer = ring::Ticketer::new()
        .map_err(|error| TlsError::Unusable { path: certificate.to_owned(), error })?;
    Ok(Arc::new(config))
}

/// Whom a client believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whoever the public authorities vouch for.
    #[default]
    Public,
    /// Whoever these vouch for: PEM certificates in a file.
    Authority(PathBuf),
    /// The one certificate with this SHA-256, whatever name it carries.
    Fingerprint(String),
    /// Anybody: for probes that ask whether a server answers, not who it is.
    Anybody,
}

/// A client's configuration. [`Trust::Public`] and [`Trust::Anybody`] are made once and shared.
///
/// # Errors
/// If the authority's file cannot be read or holds no certificate, or the fingerprint is none.
pub fn client_config(trust: &Trust) -> Result<Arc<ClientConfig>, TlsError> {
    static PUBLIC: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static ANYBODY: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    match trust {
        Trust::Public => Ok(PUBLIC
            .get_or_init(|| with_roots(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()))
            .clone()),
        Trust::Anybody => Ok(ANYBODY.get_or_init(|| with_pin(None)).clone()),
        Trust::Fingerprint(text) => Ok(with_pin(Some(parse_fingerprint(text)?))),
        Trust::Authority(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, &read(path)?)? {
                roots
                    .add(certificate)
                    .map_err(|error| TlsError::Unusable { path: path.clone(), error })?;
            }
            Ok(with_roots(roots))
        }
    }
}

/// The same for a client that shows a certificate of its own: the paths of its PEM file and its key's.
///
/// # Errors
/// As [`client_config`], and if certificate or key cannot be read or do not belong together.
pub fn client_config_as(
    trust: &Trust,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let config = client_config(trust)?;
    let Some((certificate, key)) = identity else { return Ok(config) };
    let unusable = |error| TlsError::Unusable { path: certificate.to_owned(), error };
    let chain = certificates(certificate, &read(certificate)?)?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?)
        .map_err(|_| TlsError::NoKey { path: key.to_owned() })?;
    let signer = ring::sign::any_supported_type(&private).map_err(unusable)?;
    let own = CertifiedKey::new(chain, signer);
    own.keys_match().map_err(unusable)?;
    let mut config = Arc::unwrap_or_clone(config);
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(own));
    Ok(Arc::new(config))
}

/// The name that a certificate must be valid for: a domain name or an address.
///
/// # Errors
/// If the text is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsError::Name(host.to_owned()))
}

/// SHA-256 of a certificate as 64 hex digits.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 64 hex digits in either case; colons (as `openssl x509 -fingerprint` writes) do not count.
fn parse_fingerprint(text: &str) -> Result<[u8; 32], TlsError> {
    let wrong = || TlsError::Fingerprint(text.to_owned());
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        // `from_str_radix` would take a sign.
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(bytes)
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(ring::default_provider())).clone()
}

fn with_roots(roots: RootCertStore) -> Arc<ClientConfig> {
    Arc::new(client_builder().with_root_certificates(roots).with_no_client_auth())
}

fn with_pin(pin: Option<[u8; 32]>) -> Arc<ClientConfig> {
    let algorithms = provider().signature_verification_algorithms;
    let verifier = Arc::new(Pinned { pin, algorithms });
    let config = client_builder()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Arc::new(config)
}

fn client_builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap_or_else(|_| unreachable!("the ring provider knows TLS 1.2 and 1.3"))
}

/// Believes one certificate, or any. The signature is checked either way, so that the peer holds
/// the certificate's key.
#[derive(Debug)]
struct Pinned {
    pin: Option<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.pin {
            Some(pin) if Sha256::digest(certificate)[..] != pin => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

/// At least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(TlsError::NoCertificate { path: path.to_owned() }),
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file without a certificate.
    #[error("{path} holds no PEM certificate (`-----BEGIN CERTIFICATE-----`)", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A file without a private key.
    #[error("{path} holds no PEM private key (`-----BEGIN PRIVATE KEY-----`)", path = path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be used, or not with this key.
    #[error("the certificate in {path} cannot be used", path = path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: rustls::Error,
    },
    /// Authorities that cannot be used to verify those who connect.
    #[error("the authority in {path} cannot be used: {reason}", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file without a list of revocations.
    #[error("{path} holds no list of revocations (`-----BEGIN X509 CRL-----`)", path = path.display())]
    NoRevocations {
        /// The file.
        path: PathBuf,
    },
    /// An authority without a list, whose certificates would not be believed.
    #[error(
        "{path} holds no list of revocations of `{name}`, which `client_authority` names, so no \
         certificate of it would be believed: add one, be it empty", path = path.display()
    )]
    NoRevocationsOf {
        /// The file of the lists.
        path: PathBuf,
        /// The authority.
        name: String,
    },
    /// A list that somebody else of that name signed.
    #[error(
        "the list of revocations of `{name}` in {path} is not signed with the key of the `{name}` in \
         `client_authority`: take the one that belongs to it", path = path.display()
    )]
    ForeignRevocations {
        /// The file of the lists.
        path: PathBuf,
        /// The authority.
        name: String,
    },
    /// A list that is none of the authority's.
    #[error("it holds no list of revocations (`-----BEGIN X509 CRL-----`) of this authority")]
    NotItsList,
    /// A certificate that is none of the authority's.
    #[error("it is no certificate of this authority: it is taken back by the one that made it")]
    NotItsCertificate,
    /// Somebody's certificate is not, or no longer, believed.
    #[error("the certificate is not believed (`client_authority` of [group]): {0}")]
    PeerCertificate(rustls::Error),
    /// A chain of no certificates.
    #[error("no certificate was shown")]
    NoPeerCertificate,
    /// A certificate without a key, or the other way round.
    #[error("[group] needs both `certificate` and `key`, or neither")]
    HalfPair,
    /// A pin that is none.
    #[error("`{0}` is not a SHA-256 fingerprint: write its 64 hex digits")]
    Fingerprint(String),
    /// Neither a domain name nor an address.
    #[error("`{0}` is neither a domain name nor an address")]
    Name(String),
    /// No self-signed certificate could be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
    /// It could not be kept.
    #[error(transparent)]
    State(#[from] StateError),
}

#[cfg(test)]
#[path = "tls/revocation_tests.rs"]
mod revocation_tests;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn state() -> (tempfile::TempDir, StateDirectory) {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(parent.path()).unwrap();
        (parent, state)
    }

    #[test]
    fn a_self_signed_certificate_is_made_once() {
        let (parent, state) = state();
        let names = || vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let settings = GroupSettings::default();
        let first = ServerIdentity::load(&settings, &state, names(), None).unwrap();
        let second = ServerIdentity::load(&settings, &state, names(), None).unwrap();
        assert!(first.self_signed);
        assert_eq!(first.fingerprint, second.fingerprint);
        let mode = std::fs::metadata(parent.path().join("key.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let brought = GroupSettings {
            certificate: Some(parent.path().join("certificate.pem")),
            key: Some(parent.path().join("key.pem")),
            ..GroupSettings::default()
        };
        let third = ServerIdentity::load(&brought, &state, vec![], None).unwrap();
        assert_eq!((third.fingerprint, third.self_signed), (first.fingerprint, false));
    }

    #[test]
    fn files_that_will_not_do_are_named() {
        let (parent, state) = state();
        let file = |name: &str, text: &str| {
            std::fs::write(parent.path().join(name), text).unwrap();
            Some(parent.path().join(name))
        };
        let load = |certificate, key| {
            let settings = GroupSettings { certificate, key, ..GroupSettings::default() };
            ServerIdentity::load(&settings, &state, vec![], None).unwrap_err().to_string()
        };
        let empty = file("empty.pem", "nothing here");
        assert!(load(empty.clone(), empty.clone()).contains("empty.pem holds no PEM certificate"));
        assert!(load(empty, None).contains("both"));
        let absent = Some(parent.path().join("absent.pem"));
        assert!(load(absent.clone(), absent).contains("cannot read"));
        let own = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
        let certificate = file("a.pem", &own.cert.pem());
        assert!(load(certificate.clone(), certificate.clone()).contains("no PEM private key"));
        let key = file("b.pem", &other.signing_key.serialize_pem());
        assert!(load(certificate, key).contains("cannot be used"));
    }

    #[test]
    fn fingerprints_are_read_as_tools_write_them() {
        let hex = "0123456789abcdef".repeat(4);
        let colons: Vec<String> =
            hex.as_bytes().chunks(2).map(|c| String::from_utf8_lossy(c).to_uppercase()).collect();
        assert_eq!(parse_fingerprint(&hex).unwrap(), parse_fingerprint(&colons.join(":")).unwrap());
        for bad in ["", "00", &"zz".repeat(32), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(parse_fingerprint(bad).is_err(), "{bad}");
        }
        assert!(client_config(&Trust::Public).is_ok());
        assert!(server_name("[::1]").is_ok() && server_name("a.example").is_ok());
        assert!(server_name("a b").is_err());
    }
}
