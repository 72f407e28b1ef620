//! The certificate that clients by TLS and HTTPS are shown; it may be replaced while they are served.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::ServerConfig;
use walrus_core::answer::Transport;
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

/// What the files hold, to be shown by [`crate::DirectorHandle::show_certificate`].
#[derive(Clone, Debug)]
pub struct NewCertificate {
    tls: Arc<ServerConfig>,
    https: Arc<ServerConfig>,
}

impl NewCertificate {
    /// Of the configured files; `None` without any.
    ///
    /// # Errors
    /// If they cannot be read, or do not belong together.
    pub fn read(dns: &DnsSettings) -> Result<Option<Self>, CertificateError> {
        let Some((certificate, key)) = dns.certificate.as_ref().zip(dns.key.as_ref()) else {
            return Ok(None);
        };
        let of = |protocols: &[&[u8]]| {
            server_config(certificate, key, protocols)
                .map_err(|source| CertificateError { path: certificate.clone(), source })
        };
        Ok(Some(Self { tls: of(DOT)?, https: of(DOH)? }))
    }
}

impl Certificates {
    /// Shows it to whoever begins to agree on TLS from now on.
    pub(crate) fn show(&self, new: NewCertificate) {
        self.tls.store(Some(new.tls));
        self.https.store(Some(new.https));
    }

    #[cfg(test)]
    pub(super) fn show_https(&self, config: Arc<ServerConfig>) {
        self.https.store(Some(config));
    }

    #[cfg(test)]
    pub(super) fn show_tls(&self, config: Arc<ServerConfig>) {
        self.tls.store(Some(config));
    }

    /// What is shown now; `None` where nothing is encrypted.
    pub(super) fn of(&self, transport: Transport) -> Option<Arc<ServerConfig>> {
        match transport {
            Transport::Tls => self.tls.load_full(),
            Transport::Https => self.https.load_full(),
            Transport::Udp | Transport::Tcp => None,
        }
    }
}
