//! The one encoding of messages: CBOR (RFC 8949), each type in exactly one way.
//!
//! Decoding is total: any bytes give a value or a [`DecodeError`]. Bytes left over, and bytes that would not
//! be written that way by [`encode`], are refused, so a signature over a value is a signature over its bytes.

use minicbor::{Decode, Encode};

/// The bytes of `value`.
///
/// # Panics
///
/// Never: writing into memory cannot fail.
#[must_use]
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing CBOR into memory cannot fail")
}

/// The value that [`encode`] writes as exactly `bytes`.
///
/// # Errors
///
/// Bytes that are no CBOR, of another type, longer than the value, or not in the one form that [`encode`] writes.
pub fn decode<'b, T: Encode<()> + Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, DecodeError> {
    let value: T =
        minicbor::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    if encode(&value) == bytes {
        Ok(value)
    } else {
        Err(DecodeError::NotCanonical)
    }
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no CBOR of the type.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The bytes are longer than the value, or are another way to write it.
    #[error("the message is not in its one canonical form")]
    NotCanonical,
}
