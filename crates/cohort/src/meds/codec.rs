//! The codecs of pages, bounded whatever a page holds.
//!
//! The Parquet reader's own would take as much memory as a page says or as its bytes unpack to: a gigabyte of zeros is a
//! megabyte of gzip. None of these is C, so the module stays the same wherever it is built.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};
use ruzstd::decoding::StreamingDecoder;

/// Most bytes of a page: writers make pages of a megabyte, `DuckDB` up to 100.
pub(super) const MOST_PAGE: usize = 128 << 20;

/// How a column's pages are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Plain,
    Snappy,
    Gzip,
    Brotli,
    Lz4,
    Zstd,
}

impl Codec {
    /// The codec, if it can be unpacked.
    pub(super) fn of(compression: Compression) -> Option<Self> {
        match compression {
            Compression::UNCOMPRESSED => Some(Self::Plain),
            Compression::SNAPPY => Some(Self::Snappy),
            Compression::GZIP(_) => Some(Self::Gzip),
            Compression::BROTLI(_) => Some(Self::Brotli),
            Compression::LZ4_RAW => Some(Self::Lz4),
            Compression::ZSTD(_) => Some(Self::Zstd),
            // LZ4 here is Hadoop's framing, which is deprecated since writers disagreed on it.
            Compression::LZO | Compression::LZ4 => None,
        }
    }

    /// The bytes that were packed.
    ///
    /// # Errors
    ///
    /// Bytes that are not of this codec, and more than [`MOST_PAGE`] of them.
    pub(super) fn unpack(self, packed: &Bytes) -> Result<Bytes> {
        // A page without a value may have no bytes at all.
        if packed.is_empty() {
            return Ok(Bytes::new());
        }
        let unpacked = match self {
            Self::Plain => return Ok(packed.clone()),
            Self::Snappy => snappy(packed)?,
            Self::Gzip => bounded(&mut MultiGzDecoder::new(packed.as_ref()), Vec::new())?,
            Self::Brotli => {
                let mut reader = brotli_decompressor::Decompressor::new(packed.as_ref(), BUFFER);
                bounded(&mut reader, Vec::new())?
            }
            Self::Lz4 => lz4(packed)?,
            Self::Zstd => zstd(packed)?,
        };
        Ok(unpacked.into())
    }
}

/// Bytes that brotli reads ahead.
const BUFFER: usize = 4_096;

/// All that `reader` gives, behind what there is.
fn bounded(reader: &mut dyn Read, mut unpacked: Vec<u8>) -> Result<Vec<u8>> {
    let room = MOST_PAGE - unpacked.len().min(MOST_PAGE);
    let most = u64::try_from(room).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(most)
        .read_to_end(&mut unpacked)
        .map_err(|error| refuse(&error.to_string()))?;
    if unpacked.len() > MOST_PAGE {
        Err(too_large())
    } else {
        Ok(unpacked)
    }
}

fn snappy(packed: &[u8]) -> Result<Vec<u8>> {
    let length = snap::raw::decompress_len(packed).map_err(|error| refuse(&error.to_string()))?;
    if length > MOST_PAGE {
        return Err(too_large());
    }
    snap::raw::Decoder::new()
        .decompress_vec(packed)
        .map_err(|error| refuse(&error.to_string()))
}

/// A block of LZ4 does not say how long it is.
fn lz4(packed: &[u8]) -> Result<Vec<u8>> {
    let mut room = packed.len().saturating_mul(4).clamp(1_024, MOST_PAGE);
    loop {
        let mut unpacked = vec![0; room];
        match lz4_flex::block::decompress_into(packed, &mut unpacked) {
            Ok(length) => {
                unpacked.truncate(length);
                return Ok(unpacked);
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < MOST_PAGE => {
                room = room.saturating_mul(4).min(MOST_PAGE);
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) => {
                return Err(too_large());
            }
            Err(error) => return Err(refuse(&error.to_string())),
        }
    }
}

/// One frame, or several.
fn zstd(packed: &[u8]) -> Result<Vec<u8>> {
    let (mut rest, mut unpacked) = (packed, Vec::new());
    while !rest.is_empty() {
        let mut frame =
            StreamingDecoder::new(&mut rest).map_err(|error| refuse(&error.to_string()))?;
        unpacked = bounded(&mut frame, unpacked)?;
    }
    Ok(unpacked)
}

fn refuse(problem: &str) -> ParquetError {
    ParquetError::General(format!("a page cannot be unpacked: {problem}"))
}

fn too_large() -> ParquetError {
    ParquetError::General(
        "a page unpacks to more than 128 MiB; write it with smaller pages or row groups".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A frame of Zstandard that is `blocks` runs of 128 KiB of one byte (RFC 8878, section 3.1.1).
    fn runs(blocks: usize) -> Bytes {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
        for block in 1..=blocks {
            let header = (131_072_u32 << 3) | (1 << 1) | u32::from(block == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(7);
        }
        frame.into()
    }

    /// `length` zeros in gzip.
    fn zeros(length: usize) -> Bytes {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let piece = vec![0; 1 << 20];
        for _ in 0..length >> 20 {
            packer.write_all(&piece).unwrap();
        }
        packer.finish().unwrap().into()
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_and_what_fits_is_not() {
        let most = MOST_PAGE / 131_072;
        assert_eq!(Codec::Zstd.unpack(&runs(most)).unwrap().len(), MOST_PAGE);
        assert_eq!(
            Codec::Gzip.unpack(&zeros(MOST_PAGE)).unwrap().len(),
            MOST_PAGE
        );
        // The most that a block of LZ4 can say: one zero, and then the byte before again and again.
        let lz4 = [&[0x1f, 0, 1, 0][..], &vec![0xff; 600_000], &[0, 0]].concat();
        // 2^31 bytes that are not there.
        let snappy = vec![0x80, 0x80, 0x80, 0x80, 0x08, 0x00];
        for (codec, packed) in [
            (Codec::Zstd, runs(most + 1)),
            (Codec::Gzip, zeros(MOST_PAGE + (1 << 20))),
            (Codec::Lz4, lz4.into()),
            (Codec::Snappy, snappy.into()),
        ] {
            let error = codec.unpack(&packed).unwrap_err().to_string();
            assert!(error.contains("more than 128 MiB"), "{codec:?}: {error}");
        }
    }

    #[test]
    fn what_is_cut_off_or_of_another_codec_is_refused() {
        for (codec, packed) in [
            (Codec::Zstd, runs(3)),
            (Codec::Gzip, zeros(1 << 20)),
            (Codec::Snappy, Bytes::from_static(&[3, 8, b'a', b'b', b'c'])),
            (Codec::Lz4, Bytes::from_static(&[0x30, b'a', b'b', b'c'])),
        ] {
            assert!(codec.unpack(&packed).is_ok(), "{codec:?}");
            for length in 1..packed.len() {
                let cut = codec.unpack(&packed.slice(..length));
                assert!(cut.is_err(), "{codec:?}, {length} bytes");
            }
            assert!(codec.unpack(&Bytes::from_static(b"PAR1 is none")).is_err());
        }
        assert!(Codec::Brotli.unpack(&Bytes::from_static(b"PAR1")).is_err());
    }
}
