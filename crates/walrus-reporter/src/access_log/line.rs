//! Whose request a line of an access log is. Pure.
//!
//! Both the common and the combined format begin with the client's address, which is all that is
//! taken: `192.0.2.7 - - [22/Nov/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 612`. No path, no user, no
//! browser is looked at, but for requests of the Reporter itself.

use std::net::IpAddr;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A request of this client.
    Request(IpAddr),
    /// The Reporter's own look at the status page.
    Own,
    /// Nothing at all, as after the end of a file that was cut.
    Empty,
    /// It does not begin with an address.
    Broken,
}

/// The longest text of an address, with a zone or an IPv4 address at its end.
const ADDRESS_MAX: usize = 64;

/// Reads a line without its end. `own_page` is the path and query of the status page.
pub(crate) fn read(line: &[u8], own_page: Option<&str>) -> Line {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Line::Empty;
    }
    let start = &line[..line.len().min(ADDRESS_MAX)];
    let Some(end) = start.iter().position(u8::is_ascii_whitespace) else { return Line::Broken };
    let address = std::str::from_utf8(&start[..end]).ok().and_then(|text| text.parse().ok());
    match address {
        None => Line::Broken,
        Some(_) if own_page.is_some_and(|page| asks_for(line, page)) => Line::Own,
        Some(address) => Line::Request(address),
    }
}

/// Whether the line's request is a GET of exactly this page.
fn asks_for(line: &[u8], page: &str) -> bool {
    let Some(quote) = line.iter().position(|byte| *byte == b'"') else { return false };
    let rest = line[quote + 1..].strip_prefix(b"GET ");
    let rest = rest.and_then(|rest| rest.strip_prefix(page.as_bytes()));
    rest.is_some_and(|rest| rest.first() == Some(&b' '))
}

/// Path and query of a URL.
pub(crate) fn page_of(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let page = after_scheme.find('/').map_or("/", |slash| &after_scheme[slash..]);
    page.split('#').next().unwrap_or(page).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Line {
        read(text.as_bytes(), Some("/server-status?auto"))
    }

    fn from(address: &str) -> Line {
        Line::Request(address.parse().unwrap())
    }

    #[test]
    fn lines() {
        const REST: &str = "- - [22/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 200 612";
        const COMBINED: &str = "\"https://www.example.com/\" \"Browser/1.0 (X11; \\\"odd\\\")\"";
        for (line, expected) in [
            (format!("192.0.2.7 {REST}"), from("192.0.2.7")),
            (format!("192.0.2.7 {REST} {COMBINED}\r"), from("192.0.2.7")),
            (format!("2001:db8::7 {REST}"), from("2001:db8::7")),
            (format!("::ffff:192.0.2.7 {REST}"), from("::ffff:192.0.2.7")),
            ("198.51.100.1 - alice [x] \"\\x16\\x03\\x01\" 400 0".to_owned(), from("198.51.100.1")),
            ("198.51.100.1 -".to_owned(), from("198.51.100.1")),
            (
                "198.51.100.1 - - [x] \"GET /server-status?auto HTTP/1.1\" 200 9".to_owned(),
                Line::Own,
            ),
            (
                "198.51.100.1 - - [x] \"GET /server-status?automatic HTTP/1.1\" 200 9".to_owned(),
                from("198.51.100.1"),
            ),
            (
                "198.51.100.1 - - [x] \"POST /server-status?auto HTTP/1.1\" 200 9".to_owned(),
                from("198.51.100.1"),
            ),
            (String::new(), Line::Empty),
            ("  \r".to_owned(), Line::Empty),
            ("\0\0\0\0".to_owned(), Line::Broken),
            ("client.example.com - - [x]".to_owned(), Line::Broken),
            ("www.example.com 192.0.2.7 - -".to_owned(), Line::Broken),
            ("192.0.2.7".to_owned(), Line::Broken),
            ("192.0.2.256 - -".to_owned(), Line::Broken),
            ("- - - [x] \"GET / HTTP/1.1\"".to_owned(), Line::Broken),
            ("{\"remote_addr\":\"192.0.2.7\"}".to_owned(), Line::Broken),
            ("x".repeat(100_000), Line::Broken),
        ] {
            assert_eq!(of(&line), expected, "{line:.100}");
        }
    }

    #[test]
    fn the_page_of_a_url() {
        for (url, page) in [
            ("http://127.0.0.1/server-status?auto", "/server-status?auto"),
            ("http://127.0.0.1:8080", "/"),
            ("http://[::1]:80/a/b#c", "/a/b"),
        ] {
            assert_eq!(page_of(url), page);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes, Some("/"));
            read(&bytes, None);
        }

        #[test]
        fn any_address_is_found(address: IpAddr, rest in " .*") {
            let line = format!("{address}{rest}-");
            prop_assert_eq!(read(line.as_bytes(), None), Line::Request(address));
        }
    }
}
