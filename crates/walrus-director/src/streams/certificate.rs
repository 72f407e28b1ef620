//! The certificate that clients by TLS and HTTPS are shown; it may be replaced while they are served.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use walrus_core::config::DnsSettings;
use walrus_host::tls::{TlsError, server_config};

/// The protocol's name for TLS (RFC 7858 section 3.1 asks for none; some clients name it).
const DOT: &[&[u8]] = &[b"dot"];
/// For HTTPS (RFC 8484 section 5.2).
const DOH: &[&[u8]] = &[b"h2", b"http/1.1"];

/// What is shown from now on; nothing where neither is spoken.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    tls: ArcSwapOption<ServerConfig>,
    https: ArcSwapOption<ServerConfig>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[error("[dns] certificate {}", path.display())]
pub struct CertificateError {
    path: PathBuf,
    source: TlsError,
}

impl Certificates {
    /// Of the configured files.
    ///
    /// # Errors
    /// If they cannot be read, or do not belong together. What was loaded before then stays.
    pub(crate) fn load(&self, dns: &DnsSettings) -> Result<(), CertificateError> {
        let Some((certificate, key)) = dns.certificate.as_ref().zip(dns.key.as_ref()) else {
            return Ok(());
        };
        let of = |protocols: &[&[u8]]| {
            server_config(certificate, key, protocols)
                .map_err(|source| CertificateError { path: certificate.clone(), source })
        };
        let (tls, https) = (of(DOT)?, of(DOH)?);
        self.tls.store(Some(tls));
        self.https.store(Some(https));
        Ok(())
    }

    pub(super) fn for_tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.load_full()
    }

    pub(super) fn for_https(&self) -> Option<Arc<ServerConfig>> {
        self.https.load_full()
    }
}
