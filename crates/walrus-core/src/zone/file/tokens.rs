//! The tokens of one entry, as `domain`'s scanner cuts them, with their places.

/// One word or quoted string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// As it is written, quotes and escapes included.
    pub text: &'a [u8],
    /// Where it begins in its entry.
    pub start: usize,
    /// Blanks stand before it: the first token is then no owner.
    pub after_blank: bool,
}

/// The tokens of an entry that leaves nothing open. Comments and parentheses are passed over.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let mut after_blank = false;
        let mut comment = false;
        loop {
            match *self.text.get(self.at)? {
                b'\n' => comment = false,
                _ if comment => {}
                b' ' | b'\t' | b'\r' => after_blank = true,
                b';' => comment = true,
                b'(' | b')' => {}
                _ => break,
            }
            self.at += 1;
        }
        let start = self.at;
        let rest = &self.text[start..];
        let len = if rest.starts_with(b"\"") { quoted_len(rest) } else { word_len(rest) };
        self.at = start + len;
        Some(Token { text: &rest[..len], start, after_blank })
    }
}

/// With both quotes.
fn quoted_len(text: &[u8]) -> usize {
    let mut escaped = true;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'"' => return at + 1,
            b'\\' => escaped = true,
            _ => {}
        }
    }
    text.len()
}

fn word_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        // A line feed is never escaped, as in `Entries`.
        let ends = *byte == b'\n' || !escaped && b" \t\r;()\"".contains(byte);
        escaped = !escaped && *byte == b'\\';
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_cut_like_the_scanners() {
        let cases: [(&str, &[&str]); 9] = [
            ("a 1h A 192.0.2.1", &["a", "1h", "A", "192.0.2.1"]),
            ("a(1h\n\tA);1d\r", &["a", "1h", "A"]),
            ("a ( ; 1h ( \"\n A )", &["a", "A"]),
            ("\"1h\" x", &["\"1h\"", "x"]),
            ("a\"1 ;\\\"h\"b", &["a", "\"1 ;\\\"h\"", "b"]),
            ("a\\ b\\\\ c", &["a\\ b\\\\", "c"]),
            ("\\", &["\\"]),
            ("(a\\\nb)", &["a\\", "b"]),
            (" ;", &[]),
        ];
        for (text, expected) in cases {
            let tokens: Vec<Token<'_>> = Tokens::new(text.as_bytes()).collect();
            let texts: Vec<&str> =
                tokens.iter().map(|it| std::str::from_utf8(it.text).unwrap()).collect();
            assert_eq!(texts, expected, "{text:?}");
            for token in &tokens {
                assert!(text.as_bytes()[token.start..].starts_with(token.text));
            }
        }
    }

    #[test]
    fn an_owner_follows_no_blank() {
        for (text, after_blank) in
            [("a A", false), (" a", true), ("(a", false), ("( a", true), ("(;  \na", false)]
        {
            let first = Tokens::new(text.as_bytes()).next().unwrap();
            assert_eq!(first.after_blank, after_blank, "{text:?}");
        }
    }
}
