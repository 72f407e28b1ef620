//! What a connection brings: messages with their length in front, of which the last may still be coming.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use walrus_dns::query::HEADER_LEN;

use super::{QUERY_SIZE_MAX, UPDATE_SIZE_MAX};
use crate::zones::HandOff;

/// What a connection brought and is not yet answered: at most one message and what came with it.
pub(super) struct Input {
    bytes: Vec<u8>,
    /// The longest message that is taken.
    size_max: usize,
    /// Where the next message begins.
    place: usize,
}

impl Input {
    /// Of a connection that has brought nothing, and may bring queries.
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), place: 0, size_max: QUERY_SIZE_MAX }
    }

    /// Reads more; 0 at the end.
    pub(super) async fn read(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<usize> {
        self.forget_taken();
        // An unfinished message has at most this, so there is always room to read.
        let mut limited = stream.take((2 + self.size_max) as u64);
        limited.read_buf(&mut self.bytes).await
    }

    /// Whether `next` has something to say.
    pub(super) fn has_message(&self) -> bool {
        match self.length() {
            // Too long for a query. An update, which says so in its third byte, waits until it has brought more than a
            // query does.
            Some(length) if length > self.size_max => {
                const OPCODE: u8 = 0x78;
                const UPDATE: u8 = 5 << 3;
                let flags = self.rest().get(4);
                flags.is_some_and(|flags| flags & OPCODE != UPDATE) || self.is_more_than_a_query()
            }
            Some(length) => self.rest().len() >= 2 + length,
            None => false,
        }
    }

    /// Whether there is an update that is longer than queries are, and as much of it as these have: who only says how
    /// long it will be holds no place.
    pub(super) fn is_large_update(&self, hand_off: &HandOff) -> bool {
        let header = self.rest().get(2..2 + HEADER_LEN);
        self.length().is_some_and(|length| length > QUERY_SIZE_MAX)
            && self.is_more_than_a_query()
            && header.is_some_and(|header| hand_off.wants(header))
    }

    /// Whether as much has come as the longest query has, with its length.
    fn is_more_than_a_query(&self) -> bool {
        self.rest().len() >= 2 + QUERY_SIZE_MAX
    }

    /// Takes the update that is coming, however long it may be.
    pub(super) fn take_large(&mut self) {
        self.size_max = UPDATE_SIZE_MAX;
    }

    /// Takes only queries again.
    pub(super) fn take_queries(&mut self) {
        self.size_max = QUERY_SIZE_MAX;
    }

    /// Drops what was answered.
    fn forget_taken(&mut self) {
        self.bytes.drain(..self.place);
        self.place = 0;
    }

    /// Gives back the room that a large update took.
    pub(super) fn shrink(&mut self) {
        self.forget_taken();
        if self.bytes.capacity() > 2 * QUERY_SIZE_MAX {
            self.bytes.shrink_to(QUERY_SIZE_MAX);
        }
    }

    /// The next whole message; an error if it is longer than allowed.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > self.size_max {
            if self.place > 0 {
                // It is looked at again when what came before it is answered.
                return Ok(None);
            }
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.rest().len() < 2 + length {
            return Ok(None);
        }
        let message = self.place + 2..self.place + 2 + length;
        self.place = message.end;
        Ok(Some(&self.bytes[message]))
    }

    fn length(&self) -> Option<usize> {
        let length = self.rest().first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*length)))
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.place..]
    }
}
