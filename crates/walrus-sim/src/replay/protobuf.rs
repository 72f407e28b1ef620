//! As much of Protocol Buffers' wire format as dnstap needs: fields one after the other.

/// A field's value. Groups, which nobody writes any more, end the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Wire type 0, and what has a fixed length.
    Number(u64),
    /// Wire type 2: bytes, text, or a message.
    Bytes(&'a [u8]),
}

/// The fields of a message, by number; an error where the bytes are none.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            5 => Value::Number(u32::from_le_bytes(*self.take(4)?.first_chunk()?).into()),
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).ok()?)?)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for (place, byte) in self.0.iter().take(10).enumerate() {
            // The tenth byte has room for one bit; what lies above is dropped, as all readers do.
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read().ok_or_else(|| "no Protocol Buffers message".to_owned());
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Appends a field with a number.
    pub(crate) fn put_number(message: &mut Vec<u8>, field: u64, value: u64) {
        put_varint(message, field << 3);
        put_varint(message, value);
    }

    /// Appends a field with bytes.
    pub(crate) fn put_bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
        put_varint(message, field << 3 | 2);
        put_varint(message, value.len() as u64);
        message.extend_from_slice(value);
    }

    fn put_varint(message: &mut Vec<u8>, mut number: u64) {
        while number > 0x7f {
            message.push(number as u8 | 0x80);
            number >>= 7;
        }
        message.push(number as u8);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(fields: Vec<(u32, u64, Vec<u8>)>) {
            let mut message = Vec::new();
            let mut expected = Vec::new();
            for (field, number, bytes) in &fields {
                put_number(&mut message, (*field).into(), *number);
                put_bytes(&mut message, (*field).into(), bytes);
                expected.push(Ok(((*field).into(), Value::Number(*number))));
                expected.push(Ok(((*field).into(), Value::Bytes(bytes))));
            }
            prop_assert_eq!(Fields::of(&message).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            let read: Vec<_> = Fields::of(&bytes).collect();
            prop_assert!(read.len() <= bytes.len());
        }
    }

    #[test]
    fn fixed_lengths_are_numbers_and_groups_are_refused() {
        let fixed = [&[0x0d, 1, 0, 0, 0, 0x11][..], &2_u64.to_le_bytes()].concat();
        let read: Vec<_> = Fields::of(&fixed).collect();
        assert_eq!(read, [Ok((1, Value::Number(1))), Ok((2, Value::Number(2)))]);
        assert!(Fields::of(&[0x0b]).all(|field| field.is_err()));
        assert!(Fields::of(&[0x80; 11]).all(|field| field.is_err()));
    }
}
