//! What a request by HTTPS asks (RFC 8484 section 4.1): a query in the address's parameter `dns`, or one that is
//! the request's body.

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

/// Where queries go (RFC 8484 section 4.1.1 leaves it open; this is what all use).
const PATH: &str = "/dns-query";
const GET: &str = "GET";
/// What queries and replies are (RFC 8484 section 6).
pub const MEDIA_TYPE: &str = "application/dns-message";

/// The parts of a request that say what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpsRequest<'a> {
    /// `GET`, `POST` or something else.
    pub method: &'a str,
    /// The address's path.
    pub path: &'a str,
    /// What stands behind the `?` in it; empty without one.
    pub parameters: &'a str,
    /// The header `Content-Type`.
    pub content_type: Option<&'a [u8]>,
}

/// Where the query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpsQuery {
    /// In the address: so many bytes of it were decoded.
    Decoded(usize),
    /// In the body.
    Body,
}

/// Why a request asks nothing; what it says is for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HttpsQueryError {
    /// Another path.
    #[error("queries go to /dns-query")]
    Elsewhere,
    /// No parameter `dns`, one that is not encoded so, or longer than the room.
    #[error("dns= wants a query in base64url without padding")]
    Encoding,
    /// The body is something else, or does not say what it is.
    #[error("a query is posted as application/dns-message")]
    MediaType,
    /// Neither `GET` nor `POST`.
    #[error("GET or POST")]
    Method,
}

impl<'a> HttpsRequest<'a> {
    /// So many bytes of room [`Self::query`] needs: nothing where the query is the body.
    #[must_use]
    pub fn room_len(&self) -> usize {
        let is_get = self.method == GET;
        self.encoded().filter(|_| is_get).map_or(0, |text| text.len() / 4 * 3 + text.len() % 4)
    }

    fn encoded(&self) -> Option<&'a str> {
        self.parameters.split('&').find_map(|it| it.strip_prefix("dns="))
    }

    /// Finds the query; one in the address is decoded into `room`, which is as long as a query may be, or as
    /// [`Self::room_len`] says.
    ///
    /// # Errors
    /// If the request asks nothing.
    pub fn query(&self, room: &mut [u8]) -> Result<HttpsQuery, HttpsQueryError> {
        if self.path != PATH {
            return Err(HttpsQueryError::Elsewhere);
        }
        match self.method {
            GET => {
                let length =
                    self.encoded().and_then(|text| decode_base64url(text.as_bytes(), room));
                length.map(HttpsQuery::Decoded).ok_or(HttpsQueryError::Encoding)
            }
            "POST" if self.content_type.is_some_and(is_query) => Ok(HttpsQuery::Body),
            "POST" => Err(HttpsQueryError::MediaType),
            _ => Err(HttpsQueryError::Method),
        }
    }
}

/// Whether a header names the media type of queries; parameters and case do not count (RFC 9110 section
/// 8.3.1).
fn is_query(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(MEDIA_TYPE.as_bytes())
}

/// Decodes base64url without padding (RFC 4648 section 5) and tells the length; `None` if the text is
/// something else, or longer than the room.
fn decode_base64url(text: &[u8], room: &mut [u8]) -> Option<usize> {
    let length = BASE64URL_NOPAD.decode_len(text.len()).ok()?;
    BASE64URL_NOPAD.decode_mut(text, room.get_mut(..length)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Option<Vec<u8>> {
        let mut room = [0; 6];
        decode_base64url(text.as_bytes(), &mut room).map(|length| room[..length].to_vec())
    }

    #[test]
    fn base64url() {
        // RFC 4648 section 10, without padding; and the two characters that differ from base64.
        for (text, bytes) in [
            ("", &b""[..]),
            ("Zg", b"f"),
            ("Zm8", b"fo"),
            ("Zm9v", b"foo"),
            ("Zm9vYg", b"foob"),
            ("Zm9vYmE", b"fooba"),
            ("Zm9vYmFy", b"foobar"),
            ("-_-_", &[0xfb, 0xff, 0xbf]),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
        // Padded, of the other alphabet, of one character, with bits that no byte has, longer than the room.
        for text in ["Zg==", "Zm8=", "+/+/", "Z", "Zm9vY", "Zh", "Zm9", "Zm 8", "Zm9vYmFyZg"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn where_a_query_is() {
        use HttpsQuery::{Body, Decoded};
        use HttpsQueryError::{Elsewhere, Encoding, MediaType, Method};
        let media_type = Some("application/dns-message");
        for (method, target, content_type, expected) in [
            ("GET", "/dns-query?dns=Zm8", None, Ok(Decoded(2))),
            ("GET", "/dns-query?ct=x&dns=Zm8&dns=Zg", None, Ok(Decoded(2))),
            ("GET", "/dns-query?dns=", None, Ok(Decoded(0))),
            ("GET", "/dns-query?dns=Z$", None, Err(Encoding)),
            ("GET", "/dns-query?DNS=Zg", None, Err(Encoding)),
            ("GET", "/dns-query", media_type, Err(Encoding)),
            ("GET", "/dns-query/?dns=Zg", None, Err(Elsewhere)),
            ("get", "/dns-query?dns=Zg", None, Err(Method)),
            ("HEAD", "/dns-query?dns=Zg", None, Err(Method)),
            ("POST", "/", media_type, Err(Elsewhere)),
            ("POST", "/dns-query", media_type, Ok(Body)),
            ("POST", "/dns-query?dns=Z", Some("Application/DNS-message ; q=1"), Ok(Body)),
            ("POST", "/dns-query", Some("application/dns-json"), Err(MediaType)),
            ("POST", "/dns-query", Some(""), Err(MediaType)),
            ("POST", "/dns-query", None, Err(MediaType)),
        ] {
            let (path, parameters) = target.split_once('?').unwrap_or((target, ""));
            let content_type = content_type.map(str::as_bytes);
            let request = HttpsRequest { method, path, parameters, content_type };
            assert_eq!(request.query(&mut [0; 8]), expected, "{method} {target}");
            let mut room = vec![0; request.room_len()];
            assert_eq!(request.query(&mut room), expected, "{method} {target}");
            assert!(room.is_empty() || method == "GET", "{method} {target}");
        }
    }
}
