//! The map's compiled form: bytes that load in milliseconds, kept by digest in the state directory.
//!
//! Layout, all integers big-endian: magic, format, the digest of the inputs (32 hex digits), the
//! number of areas, then for IPv4 and IPv6 the number of ranges, their starts and their areas, and
//! last the digest of everything before it. A file of another format, of other inputs or with one
//! bit changed is refused and the caller builds anew: nothing is lost but time.

use super::ranges::{Bits, Ranges};
use super::{HOLE, Map};
use crate::world::Digest;

/// The version of the compiled form.
pub(super) const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"walrusmp";

/// Hex digits of a digest.
const DIGEST_LEN: usize = 32;

impl Map {
    /// The compiled form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let size = 64 + DIGEST_LEN + 6 * self.ipv4.len() + 18 * self.ipv6.len();
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_be_bytes());
        bytes.extend_from_slice(self.digest.as_str().as_bytes());
        bytes.extend_from_slice(&self.areas.to_be_bytes());
        write_ranges(&mut bytes, &self.ipv4, |start| start.to_be_bytes());
        write_ranges(&mut bytes, &self.ipv6, |start| start.to_be_bytes());
        let seal = Digest::of([bytes.as_slice()]);
        bytes.extend_from_slice(seal.as_str().as_bytes());
        bytes
    }

    /// The map in these bytes, if it was made from inputs of this digest
    /// ([`Map::digest_of`] tells it without building).
    ///
    /// # Errors
    /// If the bytes are no compiled map, of another format, made from other inputs or damaged.
    pub fn from_bytes(bytes: &[u8], expected: &Digest) -> Result<Self, CompiledError> {
        let mut input = Input(bytes);
        if input.take(MAGIC.len())? != MAGIC {
            return Err(CompiledError::NotAMap);
        }
        let format = u32::from_be_bytes(input.array()?);
        if format != FORMAT {
            return Err(CompiledError::Format(format));
        }
        if input.take(DIGEST_LEN)? != expected.as_str().as_bytes() {
            return Err(CompiledError::OtherInputs);
        }
        let Some((sealed, seal)) = bytes.split_last_chunk::<DIGEST_LEN>() else {
            return Err(CompiledError::Damaged("it is cut short"));
        };
        if Digest::of([sealed]).as_str().as_bytes() != seal {
            return Err(CompiledError::Damaged("its content does not fit its seal"));
        }
        let areas = u16::from_be_bytes(input.array()?);
        let ipv4 = read_ranges(&mut input, areas, u32::from_be_bytes)?;
        let ipv6 = read_ranges(&mut input, areas, u128::from_be_bytes)?;
        if input.0.len() != DIGEST_LEN {
            return Err(CompiledError::Damaged("something follows its end"));
        }
        Ok(Self { digest: expected.clone(), areas, ipv4, ipv6 })
    }
}

/// Why bytes are no compiled map; build it anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompiledError {
    /// Something else.
    #[error("this is no compiled map")]
    NotAMap,
    /// Written by another version of the program.
    #[error("the compiled map has format {0}, this program reads {FORMAT}")]
    Format(u32),
    /// Areas or databases have changed since.
    #[error("the compiled map was made from other areas or databases")]
    OtherInputs,
    /// Changed or cut since it was written.
    #[error("the compiled map is damaged: {0}")]
    Damaged(&'static str),
}

fn write_ranges<A: Bits, const N: usize>(
    bytes: &mut Vec<u8>,
    ranges: &Ranges<A>,
    encode: impl Fn(A) -> [u8; N],
) {
    bytes.extend_from_slice(&u32::try_from(ranges.len()).unwrap_or(u32::MAX).to_be_bytes());
    for (start, _) in ranges.iter() {
        bytes.extend_from_slice(&encode(start));
    }
    for (_, value) in ranges.iter() {
        bytes.extend_from_slice(&value.to_be_bytes());
    }
}

fn read_ranges<A: Bits, const N: usize>(
    input: &mut Input<'_>,
    areas: u16,
    decode: impl Fn([u8; N]) -> A,
) -> Result<Ranges<A>, CompiledError> {
    const CUT: CompiledError = CompiledError::Damaged("it is cut short");
    let count = u32::from_be_bytes(input.array()?) as usize;
    let starts = input.take(count.checked_mul(N).ok_or(CUT)?)?.as_chunks::<N>().0;
    let values = input.take(count.checked_mul(2).ok_or(CUT)?)?.as_chunks::<2>().0;
    let boundaries: Vec<(A, u16)> = starts
        .iter()
        .zip(values)
        .map(|(start, value)| (decode(*start), u16::from_be_bytes(*value)))
        .collect();
    if boundaries.first().is_none_or(|first| first.0 != A::ZERO) {
        return Err(CompiledError::Damaged("its ranges do not begin at zero"));
    }
    if !boundaries.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(CompiledError::Damaged("its ranges are not sorted"));
    }
    if boundaries.iter().any(|range| range.1 != HOLE && range.1 >= areas) {
        return Err(CompiledError::Damaged("it names an area that there is not"));
    }
    Ok(Ranges::new(boundaries))
}

/// What is not yet read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CompiledError> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(CompiledError::Damaged("it is cut short"));
        };
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CompiledError> {
        let (taken, rest) =
            self.0.split_first_chunk().ok_or(CompiledError::Damaged("it is cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }
}
