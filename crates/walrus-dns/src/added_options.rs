//! Options that are added to a reply which stands already: they depend on query and server, not on
//! what is answered.

use crate::cookie::GivenCookie;
use crate::edns;

/// Option code of the server's identifier (NSID, RFC 5001).
pub(crate) const OPTION_NSID: u16 = 3;
/// Option code of cookies (RFC 7873).
pub(crate) const OPTION_COOKIE: u16 = 10;
/// Option code of `edns-tcp-keepalive` (RFC 7828).
pub(crate) const OPTION_KEEPALIVE: u16 = 11;
/// Option code of padding (RFC 7830).
pub(crate) const OPTION_PADDING: u16 = 12;

/// Replies are padded to a multiple of so many bytes (RFC 8467 section 4.1).
const PADDED_TO: usize = 468;
/// Code and length of an option.
const HEAD_LEN: usize = 4;

/// What is added.
#[derive(Clone, Copy, Debug, Default)]
pub struct AddedOptions<'a> {
    /// Which server this is.
    pub nsid: Option<&'a [u8]>,
    /// The client's part of its cookie and ours.
    pub cookie: Option<GivenCookie>,
    /// For how long an idle connection is kept, in units of 100 ms.
    pub keepalive: Option<u16>,
    /// Filled up, so that its length tells nothing of what it says.
    pub padded: bool,
}

impl AddedOptions<'_> {
    /// Room to be kept for them, in bytes; padding takes what is left.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        let nsid = self.nsid.map_or(0, |nsid| HEAD_LEN + nsid.len());
        let cookie = self.cookie.map_or(0, |cookie| HEAD_LEN + cookie.data.len());
        let keepalive = if self.keepalive.is_some() { HEAD_LEN + 2 } else { 0 };
        nsid + cookie + keepalive
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.nsid.is_none() && self.cookie.is_none() && self.keepalive.is_none() && !self.padded
    }

    /// Adds them to the OPT record that begins at `opt_at` and ends the reply of `len` bytes; tells
    /// the reply's new length. What does not fit into `reply` is left out.
    #[must_use]
    pub fn append(&self, reply: &mut [u8], len: usize, opt_at: usize) -> usize {
        let mut to = Appending { reply, len };
        if let Some(nsid) = self.nsid {
            to.push(OPTION_NSID, nsid);
        }
        if let Some(cookie) = &self.cookie {
            to.push(OPTION_COOKIE, &cookie.data);
        }
        if let Some(keepalive) = self.keepalive {
            to.push(OPTION_KEEPALIVE, &keepalive.to_be_bytes());
        }
        if self.padded {
            to.pad();
        }
        let Appending { reply, len } = to;
        let options_len = len.saturating_sub(opt_at + edns::OPT_LEN) as u16;
        if let Some(place) = reply.get_mut(opt_at + edns::OPT_LEN - 2..opt_at + edns::OPT_LEN) {
            place.copy_from_slice(&options_len.to_be_bytes());
        }
        len
    }
}

struct Appending<'r> {
    reply: &'r mut [u8],
    len: usize,
}

impl Appending<'_> {
    fn push(&mut self, code: u16, data: &[u8]) {
        let Some(place) = self.take(code, data.len()) else { return };
        place.copy_from_slice(data);
    }

    fn pad(&mut self) {
        let wanted = (self.len + HEAD_LEN).next_multiple_of(PADDED_TO).min(self.reply.len());
        let Some(len) = wanted.checked_sub(self.len + HEAD_LEN) else { return };
        if let Some(place) = self.take(OPTION_PADDING, len) {
            place.fill(0);
        }
    }

    /// Writes an option's head and gives the place for its data; `None` if there is no room.
    fn take(&mut self, code: u16, data_len: usize) -> Option<&mut [u8]> {
        let end = self.len + HEAD_LEN + data_len;
        let place = self.reply.get_mut(self.len..end)?;
        let (head, data) = place.split_first_chunk_mut::<HEAD_LEN>()?;
        let [code_high, code_low] = code.to_be_bytes();
        let [len_high, len_low] = (data_len as u16).to_be_bytes();
        *head = [code_high, code_low, len_high, len_low];
        self.len = end;
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_OPTIONS: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];

    #[test]
    fn options_stand_behind_those_that_are_there() {
        let cookie = GivenCookie { data: [7; 24], is_known: true };
        let added = AddedOptions {
            nsid: Some(b"ns1"),
            cookie: Some(cookie),
            keepalive: Some(100),
            padded: false,
        };
        let mut reply = [0; 100];
        reply[..3].copy_from_slice(b"abc");
        reply[3..14].copy_from_slice(&NO_OPTIONS);
        reply[13] = 6;
        reply[14..20].copy_from_slice(&[0, 15, 0, 2, 0, 14]);
        let len = added.append(&mut reply, 20, 3);
        assert_eq!(len, 20 + added.len());
        assert_eq!(reply[12..14], [0, 6 + 7 + 28 + 6]);
        assert_eq!(reply[20..27], *b"\0\x03\0\x03ns1");
        assert_eq!(reply[27..33], [0, 10, 0, 24, 7, 7]);
        assert_eq!(reply[55..61], [0, 11, 0, 2, 0, 100]);
    }

    #[test]
    fn padding_fills_up_blocks_and_no_more_than_there_is() {
        for (len, room, expected) in
            [(20, 2000, 468), (464, 2000, 468), (465, 2000, 936), (465, 500, 500), (465, 468, 465)]
        {
            let mut reply = vec![9; room];
            reply[..11].copy_from_slice(&NO_OPTIONS);
            let padded = AddedOptions { padded: true, ..AddedOptions::default() };
            let padded = padded.append(&mut reply, len, 0);
            assert_eq!(padded, expected, "{len} in {room}");
            let options = u16::from_be_bytes([reply[9], reply[10]]);
            assert_eq!(usize::from(options), padded - 11);
        }
    }
}
