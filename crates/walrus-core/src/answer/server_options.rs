//! What replies say of the server to whoever asks for it: its identifier, a cookie, for how long it
//! keeps connections, padding. None of it depends on what is answered.

use std::time::Duration;

use walrus_dns::edns::{Asked, Edns};
use walrus_dns::{AddedOptions, CookieSecrets};

use super::request::{ClientCookie, Request, Transport};

/// How a server presents itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// Which server it is (NSID, RFC 5001).
    pub nsid: Option<Box<[u8]>>,
    /// Cookies are given with these (RFC 7873); without them the option is ignored.
    pub cookies: Option<CookieSecrets>,
    /// For how long an idle connection is kept (RFC 7828).
    pub idle: Duration,
    /// What `id.server.` and `hostname.bind.` are answered with in the class CH (RFC 4892).
    pub id: Option<Box<str>>,
    /// The same for `version.server.` and `version.bind.`.
    pub version: Option<Box<str>>,
}

impl ServerOptions {
    /// A server that says nothing of itself.
    pub const SILENT: &'static Self =
        &Self { nsid: None, cookies: None, idle: Duration::ZERO, id: None, version: None };

    /// What is added to the reply to a query with this OPT record.
    #[inline]
    pub(super) fn added<'s>(
        &'s self,
        request: &Request<'_>,
        edns: Option<&Edns>,
    ) -> AddedOptions<'s> {
        match edns {
            Some(edns) if !edns.asked.is_nothing() => self.added_to(request, &edns.asked),
            _ => AddedOptions::default(),
        }
    }

    fn added_to<'s>(&'s self, request: &Request<'_>, asked: &Asked) -> AddedOptions<'s> {
        let transport = request.transport;
        let cookie = asked
            .cookie
            .as_ref()
            .zip(self.cookies.as_ref())
            .map(|(cookie, secrets)| secrets.give(cookie, request.client, request.unix_secs));
        AddedOptions {
            nsid: self.nsid.as_deref().filter(|_| asked.nsid),
            cookie,
            // A datagram's sender keeps nothing open, and HTTP has its own ways (RFC 8484 section 5.2).
            keepalive: (asked.keepalive && matches!(transport, Transport::Tcp | Transport::Tls))
                .then(|| u16::try_from(self.idle.as_millis() / 100).unwrap_or(u16::MAX)),
            padded: asked.padding && transport.is_encrypted(),
        }
    }

    /// The text that a question of the class CH is answered with.
    pub(super) fn of_chaos(&self, name: &[u8]) -> Option<&str> {
        match name {
            b"\x02id\x06server\0" | b"\x08hostname\x04bind\0" => self.id.as_deref(),
            b"\x07version\x06server\0" | b"\x07version\x04bind\0" => self.version.as_deref(),
            _ => None,
        }
    }
}

impl ClientCookie {
    pub(super) fn of(added: &AddedOptions<'_>) -> Self {
        match added.cookie {
            None => Self::None,
            Some(cookie) if cookie.is_known => Self::Known,
            Some(_) => Self::New,
        }
    }
}
