//! Files that come to the module in pieces.

use minicbor::{Decode, Encode};

use super::{Request, Response};

/// Bytes of a piece of a file: little beside a computer's memory, much beside the cost of a request.
pub const PIECE: usize = 4 << 20;

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Piece {
    /// The place of the file in the request, from 0.
    #[n(0)]
    pub file: u32,
    /// Which piece: it begins at [`PIECE`] times this byte.
    #[n(1)]
    pub number: u64,
}

/// A piece of a file's bytes, by its number: empty behind the end.
#[must_use]
pub fn piece(bytes: &[u8], number: u64) -> &[u8] {
    let number = usize::try_from(number).ok();
    let begin = number.and_then(|number| number.checked_mul(PIECE));
    let rest = begin
        .and_then(|begin| bytes.get(begin..))
        .unwrap_or_default();
    &rest[..rest.len().min(PIECE)]
}

/// Asks a module, and gives it the pieces that it wants until it answers something else.
///
/// # Errors
///
/// Those of `ask` and of `read`.
pub fn ask_with_pieces<E>(
    request: &Request,
    mut ask: impl FnMut(&Request) -> Result<Response, E>,
    mut read: impl FnMut(Piece) -> Result<Vec<u8>, E>,
) -> Result<Response, E> {
    let mut response = ask(request)?;
    while let Response::Read(piece) = response {
        response = ask(&Request::Piece(read(piece)?.into()))?;
    }
    Ok(response)
}
