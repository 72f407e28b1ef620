//! Requests by HTTPS: bytes in, a panic if a promise is broken.

use walrus_core::answer::Transport;
use walrus_dns::{HttpsQuery, HttpsRequest};

use super::{query_by, speaking, tables};

/// As the streams take it.
const QUERY_SIZE_MAX: usize = 4096;

/// A request as a line `METHOD ADDRESS CONTENT-TYPE` (the last may be missing) and its body behind: no panic; what
/// an address holds is no longer than a query may be, and encoded again the same; what is asked is answered as
/// other queries are.
pub fn https_query(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut text = || str::from_utf8(words.next().unwrap_or_default()).ok();
    let (Some(method), Some(address)) = (text(), text()) else { return };
    let (path, parameters) = address.split_once('?').unwrap_or((address, ""));
    let request = HttpsRequest { method, path, parameters, content_type: words.next() };
    let mut room = vec![0xaa; QUERY_SIZE_MAX];
    let query = match request.query(&mut room) {
        Ok(HttpsQuery::Decoded(length)) => {
            let encoded = format!("dns={}", encode_base64url(&room[..length]));
            assert!(parameters.split('&').any(|it| it == encoded), "it says otherwise");
            &room[..length]
        }
        Ok(HttpsQuery::Body) => &body[..body.len().min(QUERY_SIZE_MAX)],
        Err(error) => {
            assert!(room.len() == QUERY_SIZE_MAX && !error.to_string().is_empty());
            return;
        }
    };
    for table in tables() {
        query_by(table, query, [(Transport::Https, speaking())]);
    }
}

/// RFC 4648 section 5, without padding.
fn encode_base64url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=group.len() {
            text.push(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63].into());
        }
    }
    text
}
