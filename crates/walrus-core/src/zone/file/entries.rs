//! Cuts a zone file into entries: logical lines, with parentheses and quotes (RFC 1035 section 5.1).

/// One entry: a record or a directive.
pub(super) struct Entry<'a> {
    /// Its text, comments included, without the last line feed.
    pub text: &'a [u8],
    /// The line where it begins, from 1.
    pub line: u32,
    /// How many line feeds stand inside it.
    pub inner_lines: u32,
    /// A quote or parenthesis is never closed.
    pub open: Option<Open>,
}

/// What an entry leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    /// A quoted string runs over the end of its line.
    Quote,
    /// The file ends inside parentheses.
    Parenthesis,
}

/// Goes through a text line by line, or over several lines of one entry at once.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    line: u32,
}

impl<'a> Entries<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text, line: 1 }
    }

    /// What was not gone through yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The number of the line that comes next, from 1.
    pub(super) const fn line(&self) -> u32 {
        self.line
    }

    /// Passes over a line of so many bytes, with its line feed.
    pub(super) fn skip_line(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
        self.line = self.line.saturating_add(1);
    }

    /// The entry that begins here; `None` for a blank line or a comment.
    pub(super) fn step(&mut self) -> Option<Entry<'a>> {
        let extent = measure(self.rest);
        let (text, rest) = self.rest.split_at(extent.len);
        let line = self.line;
        self.rest = rest.get(1..).unwrap_or_default();
        self.line = line.saturating_add(extent.inner_lines).saturating_add(1);
        let Extent { inner_lines, open, .. } = extent;
        extent.has_token.then_some(Entry { text, line, inner_lines, open })
    }
}

struct Extent {
    /// Bytes up to the line feed that ends it, or all.
    len: usize,
    inner_lines: u32,
    has_token: bool,
    open: Option<Open>,
}

fn measure(text: &[u8]) -> Extent {
    let mut extent = Extent { len: text.len(), inner_lines: 0, has_token: false, open: None };
    let (mut depth, mut quoted, mut comment) = (0_u32, false, false);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\n' if quoted => {
                extent.open = Some(Open::Quote);
                extent.len = at;
                return extent;
            }
            b'\n' if depth == 0 => {
                extent.len = at;
                return extent;
            }
            b'\n' => {
                extent.inner_lines = extent.inner_lines.saturating_add(1);
                comment = false;
            }
            _ if comment => {}
            b'\\' => {
                extent.has_token = true;
                // Not over a line feed: the scanner is to complain of that.
                at += usize::from(text.get(at + 1).is_some_and(|next| *next != b'\n'));
            }
            b'"' => {
                extent.has_token = true;
                quoted = !quoted;
            }
            _ if quoted => {}
            b';' => comment = true,
            b'(' => depth = depth.saturating_add(1),
            // One too many is left to the scanner.
            b')' => {
                extent.has_token |= depth == 0;
                depth = depth.saturating_sub(1);
            }
            b' ' | b'\t' | b'\r' => {}
            _ => extent.has_token = true,
        }
        at += 1;
    }
    if quoted {
        extent.open = Some(Open::Quote);
    } else if depth > 0 {
        extent.open = Some(Open::Parenthesis);
        extent.has_token = true;
    }
    extent
}
