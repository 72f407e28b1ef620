//! The command line's side of the API.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use walrus_host::http::{Request, fetch};
use walrus_host::token::Token;

use super::ErrorView;
use crate::cli::{ApiArguments, Failure};

/// A Plan of ten thousand servers in fifty services is longer than any default.
const BODY_BYTES_MAX: usize = 256 << 20;
const TIMEOUT: Duration = Duration::from_secs(30);
/// For what signs zones before it answers: a million names take a minute, on a busy machine several.
const TIMEOUT_LONG: Duration = Duration::from_secs(3600);

/// Talks to one running system.
pub(crate) struct Client {
    base: String,
    token: Option<Token>,
    timeout: Duration,
}

impl Client {
    /// Without a token.
    fn new(api: &ApiArguments) -> Self {
        let base = api.api.trim_end_matches('/').to_owned();
        Self { base, token: None, timeout: TIMEOUT }
    }

    /// For what changes state: with the token from `--token-file`, `WALRUS_TOKEN_FILE` or the
    /// state directory.
    pub(crate) fn with_token(api: &ApiArguments) -> Result<Self, Failure> {
        let file: PathBuf = api.token_file.clone().unwrap_or_else(|| api.state.join("token"));
        let token = Token::read(&file).map_err(|error| {
            let error = walrus_host::log::chain(&error);
            Failure::CouldNot(format!("{error}; say where the token is with --token-file"))
        })?;
        Ok(Self { token: Some(token), ..Self::new(api) })
    }

    /// For what reads, and tells more to whoever has a token: with it if one was named, or if this machine's own
    /// is asked and the state directory's can be read. Elsewhere nobody is shown a token unasked.
    pub(crate) fn with_token_if_any(api: &ApiArguments) -> Result<Self, Failure> {
        if api.token_file.is_some() {
            return Self::with_token(api);
        }
        let own = is_loopback(&api.api).then(|| Token::read(&api.state.join("token")).ok());
        Ok(Self { token: own.flatten(), ..Self::new(api) })
    }

    /// The same for what may take long.
    pub(crate) fn patient(self) -> Self {
        Self { timeout: TIMEOUT_LONG, ..self }
    }

    /// GET a path.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.exchange(Request::get(format!("{}{path}", self.base)))
    }

    /// GET a path with a query.
    pub(crate) fn get_with<T: DeserializeOwned>(
        &self,
        path: &str,
        pairs: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.get(&with_query(path, pairs))
    }

    /// GET a text with a query.
    pub(crate) fn get_text(&self, path: &str, pairs: &[(&str, String)]) -> Result<String, Failure> {
        let url = format!("{}{}", self.base, with_query(path, pairs));
        let body = self.exchange_bytes(Request::get(url))?;
        Ok(String::from_utf8(body).context("the answer is no text")?)
    }

    /// POST a JSON body.
    pub(crate) fn post<T: DeserializeOwned, B: Serialize>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).context("the request as JSON")?;
        self.exchange(Request::post_json(format!("{}{path}", self.base), body))
    }

    fn exchange<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failure> {
        let body = serde_json::from_slice(&self.exchange_bytes(request)?);
        Ok(body.with_context(|| format!("{} answered something else", self.base))?)
    }

    fn exchange_bytes(&self, mut request: Request) -> Result<Vec<u8>, Failure> {
        request.timeout = self.timeout;
        request.body_max = BODY_BYTES_MAX;
        if let Some(token) = &self.token {
            let bearer = format!("Bearer {}", token.secret());
            request.headers.push(("authorization".to_owned(), bearer));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let response = runtime.block_on(fetch(request)).map_err(|error| {
            let error = anyhow::Error::from(error);
            Failure::CouldNot(format!(
                "no answer from {}: {error:#}; is it running? (--api URL says where)",
                self.base
            ))
        })?;
        if response.status == 200 {
            return Ok(response.body);
        }
        Err(refusal(response.status, &response.body))
    }
}

/// Whether a URL names an address of this machine alone.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let address = authority.parse::<SocketAddr>().map(|socket| socket.ip());
    let address = address.or_else(|_| authority.trim_matches(['[', ']']).parse());
    address.is_ok_and(|address: IpAddr| address.is_loopback())
        || authority.split(':').next() == Some("localhost")
}

/// What the system said no to, and whether it could have said yes.
fn refusal(status: u16, body: &[u8]) -> Failure {
    let view = serde_json::from_slice::<ErrorView>(body).unwrap_or_else(|_| ErrorView {
        error: format!("it answered with HTTP status {status}"),
        problems: Vec::new(),
    });
    match status {
        422 => Failure::Problems(view.problems),
        409 => Failure::No(view.error),
        400 | 404 => Failure::WrongUse(view.error),
        _ => Failure::CouldNot(view.error),
    }
}

fn with_query(path: &str, pairs: &[(&str, String)]) -> String {
    let encode = |(name, value): &(&str, String)| format!("{name}={}", percent_encode(value));
    let query: Vec<String> = pairs.iter().map(encode).collect();
    format!("{path}?{}", query.join("&"))
}

/// RFC 3986 section 2.1, everything but unreserved characters.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_known() {
        for (url, own) in [
            ("http://127.0.0.1:8053", true),
            ("http://127.3.2.1", true),
            ("http://[::1]:8053/", true),
            ("http://localhost:8053", true),
            ("http://192.0.2.1:8053", false),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com/", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(url), own, "{url}");
        }
    }
}
