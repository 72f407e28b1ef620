//! Which types there are at a name, as NSEC and NSEC3 records say it (RFC 4034 section 4.1.2).

/// The bitmap of these types, in any order.
pub(super) fn type_bitmap(types: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let mut types: Vec<u16> = types.into_iter().collect();
    types.sort_unstable();
    let mut bitmap = Vec::new();
    for window in types.chunk_by(|one, other| one >> 8 == other >> 8) {
        let mut bits = [0_u8; 32];
        let mut len = 0;
        for low in window.iter().map(|number| (number & 0xff) as u8) {
            let at = usize::from(low / 8);
            bits[at] |= 0x80 >> (low % 8);
            len = at + 1;
        }
        bitmap.extend_from_slice(&[(window[0] >> 8) as u8, len as u8]);
        bitmap.extend_from_slice(&bits[..len]);
    }
    bitmap
}

/// The types of a bitmap in ascending order, as far as it can be read.
#[must_use]
pub fn types_of_bitmap(bitmap: &[u8]) -> Vec<u16> {
    let mut types = Vec::new();
    let mut rest = bitmap;
    while let [window, len, behind @ ..] = rest {
        let Some((bits, behind)) = behind.split_at_checked(usize::from(*len)) else { break };
        for (byte, at) in bits.iter().zip(0_u16..32) {
            let set = (0..8).filter(|bit| byte & (0x80 >> bit) != 0);
            types.extend(set.map(|bit| u16::from(*window) << 8 | (at * 8 + bit)));
        }
        rest = behind;
    }
    types
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4034 section 4.3.
    #[test]
    fn the_rfcs_example() {
        let mut expected = vec![0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(type_bitmap([1234, 47, 46, 15, 1]), expected);
        assert!(type_bitmap([]).is_empty());
    }

    proptest! {
        #[test]
        fn types_come_back(types in proptest::collection::btree_set(any::<u16>(), 0..40)) {
            let types: Vec<u16> = types.into_iter().collect();
            let shuffled = types.iter().rev().copied();
            prop_assert_eq!(types_of_bitmap(&type_bitmap(shuffled)), types);
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(types_of_bitmap(&bytes).len() <= bytes.len() * 8);
        }
    }
}
