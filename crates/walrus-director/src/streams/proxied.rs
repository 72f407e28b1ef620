//! Connections that a proxy in front passes on: whom its PROXY header names is the client.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use walrus_dns::{ProxiedAddresses, ProxyHeader, ProxyHeaderError};

/// The longest header that is read: proxies that tell of certificates write some hundred bytes.
const SIZE_MAX: usize = 4096;

/// Reads the header and nothing behind it; `None` if the proxy asks for itself.
///
/// # Errors
/// If there is none that can be read, or the connection ends before.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<ProxiedAddresses>> {
    let mut bytes = Vec::new();
    loop {
        let needed = match ProxyHeader::read(&bytes) {
            Ok(header) => return Ok(header.asked),
            Err(ProxyHeaderError::Cut(needed)) if needed <= SIZE_MAX => needed,
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        // Whatever came is looked at: who writes something else is not waited for.
        let lacks = (needed - bytes.len()) as u64;
        if (&mut *stream).take(lacks).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
