//! Values in Parquet's delta encodings and in split bytes, put into plain form.
//!
//! The Parquet reader's own decoders of these panic on wrong lengths, or allocate what a page says. These here are
//! total: what they take is bounded by [`MOST_PAGE`].
//!
//! Source: the Apache Parquet format's `Encodings.md`.

use parquet::basic::{Encoding, Type};

use super::codec::MOST_PAGE;

/// What is wrong with a page.
type Wrong = &'static str;

const SHORT: Wrong = "a page ends in the middle of its values";
const LARGE: Wrong = "a page holds more than 128 MiB of values; write it with smaller pages";

/// The plain form of a page's values, at most `most` of them; nothing for an encoding that the type does not have, or
/// that is none of these.
///
/// `width` is the length of a fixed-length value in bytes.
pub(super) fn plain(
    encoding: Encoding,
    physical: Type,
    width: usize,
    values: &[u8],
    most: usize,
) -> Option<Result<Vec<u8>, Wrong>> {
    let width = match physical {
        Type::INT32 | Type::FLOAT => 4,
        Type::INT64 | Type::DOUBLE => 8,
        _ => width,
    };
    Some(match (encoding, physical) {
        (Encoding::DELTA_BINARY_PACKED, Type::INT32 | Type::INT64) => numbers(values, width, most),
        (Encoding::DELTA_LENGTH_BYTE_ARRAY, Type::BYTE_ARRAY) => texts(values, most),
        (Encoding::DELTA_BYTE_ARRAY, Type::BYTE_ARRAY) => with_prefixes(values, None, most),
        (Encoding::DELTA_BYTE_ARRAY, Type::FIXED_LEN_BYTE_ARRAY) => {
            with_prefixes(values, Some(width), most)
        }
        (
            Encoding::BYTE_STREAM_SPLIT,
            Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE | Type::FIXED_LEN_BYTE_ARRAY,
        ) => joined(values, width),
        _ => return None,
    })
}

/// `DELTA_BINARY_PACKED`.
fn numbers(values: &[u8], width: usize, most: usize) -> Result<Vec<u8>, Wrong> {
    let mut packed = Packed::open(values, most)?;
    if packed.left.saturating_mul(width) > MOST_PAGE {
        return Err(LARGE);
    }
    let mut plain = Vec::with_capacity(packed.left * width);
    packed.read(|value| {
        plain.extend_from_slice(&value.to_le_bytes()[..width]);
        Ok(())
    })?;
    Ok(plain)
}

/// `DELTA_LENGTH_BYTE_ARRAY`: lengths, then the texts one after the other.
fn texts(values: &[u8], most: usize) -> Result<Vec<u8>, Wrong> {
    let (lengths, mut rest) = lengths(values, most)?;
    let mut plain = Vec::with_capacity(rest.len() + 4 * lengths.len());
    for length in lengths {
        let (text, tail) = rest.split_at_checked(length).ok_or(SHORT)?;
        push_text(&mut plain, text)?;
        rest = tail;
    }
    Ok(plain)
}

/// `DELTA_BYTE_ARRAY`: what each text has in common with the one before, then the rest of each.
fn with_prefixes(values: &[u8], width: Option<usize>, most: usize) -> Result<Vec<u8>, Wrong> {
    let (prefixes, rest) = lengths(values, most)?;
    let (suffixes, mut rest) = lengths(rest, most)?;
    if prefixes.len() != suffixes.len() {
        return Err("a page has more beginnings of texts than ends");
    }
    let (mut plain, mut text) = (Vec::new(), Vec::new());
    for (prefix, suffix) in prefixes.into_iter().zip(suffixes) {
        let (suffix, tail) = rest.split_at_checked(suffix).ok_or(SHORT)?;
        rest = tail;
        if prefix > text.len() {
            return Err("a text has more in common with the one before than that is long");
        }
        text.truncate(prefix);
        text.extend_from_slice(suffix);
        match width {
            None => push_text(&mut plain, &text)?,
            Some(width) if width == text.len() => push(&mut plain, &text)?,
            Some(_) => return Err("a value has another length than its type"),
        }
    }
    Ok(plain)
}

/// `BYTE_STREAM_SPLIT`: the first bytes of all values, then their second bytes, and so on.
fn joined(values: &[u8], width: usize) -> Result<Vec<u8>, Wrong> {
    if width == 0 || !values.len().is_multiple_of(width) {
        return Err(SHORT);
    }
    let count = values.len() / width;
    let mut plain = Vec::with_capacity(values.len());
    for place in 0..count {
        plain.extend(values[place..].iter().step_by(count));
    }
    Ok(plain)
}

/// Lengths in `DELTA_BINARY_PACKED`, and what follows them.
fn lengths(values: &[u8], most: usize) -> Result<(Vec<usize>, &[u8]), Wrong> {
    let mut packed = Packed::open(values, most)?;
    if packed.left > MOST_PAGE / size_of::<usize>() {
        return Err(LARGE);
    }
    let mut lengths = Vec::with_capacity(packed.left);
    packed.read(|value| {
        let [a, b, c, d, ..] = value.to_le_bytes();
        let length = i32::from_le_bytes([a, b, c, d]);
        lengths.push(usize::try_from(length).map_err(|_| "a length is below 0")?);
        Ok(())
    })?;
    Ok((lengths, packed.rest))
}

fn push_text(plain: &mut Vec<u8>, text: &[u8]) -> Result<(), Wrong> {
    let length = u32::try_from(text.len()).map_err(|_| LARGE)?;
    push(plain, &length.to_le_bytes())?;
    push(plain, text)
}

fn push(plain: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Wrong> {
    if plain.len() + bytes.len() > MOST_PAGE {
        return Err(LARGE);
    }
    plain.extend_from_slice(bytes);
    Ok(())
}

/// Numbers as differences in blocks: each block has a least difference, and miniblocks of bits above it.
struct Packed<'a> {
    rest: &'a [u8],
    /// Miniblocks of a block.
    miniblocks: usize,
    /// Numbers of a miniblock.
    per_miniblock: usize,
    /// Numbers that are still to be read.
    left: usize,
    /// The first number.
    first: i64,
}

impl<'a> Packed<'a> {
    fn open(values: &'a [u8], most: usize) -> Result<Self, Wrong> {
        let mut rest = values;
        let block = size(&mut rest)?;
        let miniblocks = size(&mut rest)?;
        let left = size(&mut rest)?;
        let first = zigzag(&mut rest)?;
        let per_miniblock = block.checked_div(miniblocks).unwrap_or(0);
        if !block.is_multiple_of(128)
            || per_miniblock == 0
            || !per_miniblock.is_multiple_of(32)
            || block != per_miniblock * miniblocks
        {
            return Err("a page has blocks of an impossible size");
        }
        if left > most {
            return Err("a page has more values than it says");
        }
        Ok(Self {
            rest,
            miniblocks,
            per_miniblock,
            left,
            first,
        })
    }

    /// Gives all numbers; 32-bit ones are right in their lower 32 bits.
    fn read(&mut self, mut each: impl FnMut(i64) -> Result<(), Wrong>) -> Result<(), Wrong> {
        if self.left == 0 {
            return Ok(());
        }
        let mut value = self.first;
        each(value)?;
        self.left -= 1;
        while self.left > 0 {
            let least = zigzag(&mut self.rest)?;
            let (widths, rest) = self.rest.split_at_checked(self.miniblocks).ok_or(SHORT)?;
            self.rest = rest;
            for width in widths {
                if self.left == 0 {
                    break;
                }
                let width = usize::from(*width);
                if width > 64 {
                    return Err("a difference has more than 64 bits");
                }
                let bytes = self.per_miniblock / 8 * width;
                let count = self.per_miniblock.min(self.left);
                // The last miniblock may be cut off behind its last number.
                let (bits, rest) = self.rest.split_at(bytes.min(self.rest.len()));
                if (count * width).div_ceil(8) > bits.len() {
                    return Err(SHORT);
                }
                for place in 0..count {
                    let above = bits_at(bits, place * width, width);
                    value = value.wrapping_add(least).wrapping_add(above.cast_signed());
                    each(value)?;
                }
                self.left -= count;
                self.rest = rest;
            }
        }
        Ok(())
    }
}

/// `width` bits from bit `start` on, the lowest first; there are as many.
fn bits_at(bytes: &[u8], start: usize, width: usize) -> u64 {
    let end = (start + width).div_ceil(8).min(bytes.len());
    let spanned = bytes.get(start / 8..end).unwrap_or_default();
    let wide = spanned
        .iter()
        .rev()
        .fold(0_u128, |wide, byte| wide << 8 | u128::from(*byte));
    let mask = (1_u128 << width) - 1;
    u64::try_from(wide >> (start % 8) & mask).unwrap_or(u64::MAX)
}

/// An unsigned LEB128 number.
fn leb128(rest: &mut &[u8]) -> Result<u64, Wrong> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(SHORT)?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number has more than 64 bits")
}

fn size(rest: &mut &[u8]) -> Result<usize, Wrong> {
    let value = u32::try_from(leb128(rest)?).map_err(|_| LARGE)?;
    usize::try_from(value).map_err(|_| LARGE)
}

fn zigzag(rest: &mut &[u8]) -> Result<i64, Wrong> {
    let value = leb128(rest)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}
