//! Pages of a column, checked before they are decoded.
//!
//! The Parquet reader takes some lengths of a page as they are, and panics or allocates without bound where they are
//! wrong. So pages are unpacked here, delta and split encodings are put into plain form, and lengths are checked; what
//! passes is decoded, or refused by the reader.

use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::ColumnDescriptor;

use super::codec::Codec;
use super::delta;
use super::parquet_file::Nullable;

/// A length that no page has: read behind the last value, it ends decoding with an error.
const BEYOND: [u8; 4] = i32::MAX.to_le_bytes();

/// The pages of a column.
pub(super) struct CheckedPages {
    /// Packed as they are in the file.
    pages: Box<dyn PageReader>,
    codec: Codec,
    column: String,
    physical: Type,
    /// Bytes of a value of [`Type::FIXED_LEN_BYTE_ARRAY`].
    width: usize,
    nullable: Nullable,
    dictionary: Dictionary,
}

/// Whether a column has given its dictionary yet.
#[derive(PartialEq, Eq)]
enum Dictionary {
    Unseen,
    Seen,
}

impl CheckedPages {
    pub(super) fn new(
        pages: Box<dyn PageReader>,
        codec: Codec,
        column: &ColumnDescriptor,
        nullable: Nullable,
    ) -> Self {
        Self {
            pages,
            codec,
            column: column.name().to_owned(),
            physical: column.physical_type(),
            width: usize::try_from(column.type_length()).unwrap_or(0),
            nullable,
            dictionary: Dictionary::Unseen,
        }
    }

    fn check(&mut self, page: Page) -> Result<Page> {
        match page {
            Page::DictionaryPage {
                buf,
                num_values,
                encoding,
                is_sorted,
            } => {
                let buf = self.codec.unpack(&buf)?;
                let room = self.room(&buf)?;
                if usize::try_from(num_values).is_ok_and(|count| count <= room) {
                    self.dictionary = Dictionary::Seen;
                    Ok(Page::DictionaryPage {
                        buf,
                        num_values,
                        encoding,
                        is_sorted,
                    })
                } else {
                    Err(self.refuse("a dictionary is shorter than it says"))
                }
            }
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => {
                let buf = self.codec.unpack(&buf)?;
                let levels = match self.nullable {
                    Nullable::No => 0,
                    Nullable::Yes if def_level_encoding == Encoding::RLE => self.levels_v1(&buf)?,
                    Nullable::Yes => return Err(self.unsupported(def_level_encoding)),
                };
                let (buf, encoding) = self.values(buf, levels, encoding, num_values)?;
                Ok(Page::DataPage {
                    buf,
                    num_values,
                    encoding,
                    def_level_encoding,
                    rep_level_encoding,
                    statistics,
                })
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                statistics,
            } => {
                let levels = u64::from(def_levels_byte_len) + u64::from(rep_levels_byte_len);
                let levels = usize::try_from(levels).unwrap_or(usize::MAX);
                let buf = if is_compressed {
                    self.unpack_behind(&buf, levels)?
                } else {
                    buf
                };
                let (buf, encoding) = self.values(buf, levels, encoding, num_values)?;
                Ok(Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed: false,
                    statistics,
                })
            }
        }
    }

    /// A version 2 page, whose levels are not packed.
    fn unpack_behind(&self, buf: &Bytes, levels: usize) -> Result<Bytes> {
        if levels > buf.len() {
            return Err(self.refuse("levels are longer than their page"));
        }
        if self.codec == Codec::Plain {
            return Ok(buf.clone());
        }
        let values = self.codec.unpack(&buf.slice(levels..))?;
        Ok([&buf[..levels], values.as_ref()].concat().into())
    }

    /// Checks the values of a page, which follow `levels` bytes of levels; gives the page, and how the values are encoded.
    fn values(
        &self,
        buf: Bytes,
        levels: usize,
        encoding: Encoding,
        num_values: u32,
    ) -> Result<(Bytes, Encoding)> {
        let most = usize::try_from(num_values).unwrap_or(usize::MAX);
        let (head, values) = buf
            .split_at_checked(levels)
            .ok_or_else(|| self.refuse("levels are longer than their page"))?;
        let plain = match encoding {
            Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY => {
                return match self.dictionary {
                    Dictionary::Seen => Ok((buf, encoding)),
                    Dictionary::Unseen => {
                        Err(self.refuse("a page uses a dictionary that is not there"))
                    }
                };
            }
            Encoding::PLAIN | Encoding::RLE => None,
            other => {
                let plain = delta::plain(other, self.physical, self.width, values, most)
                    .ok_or_else(|| self.unsupported(other))?;
                Some(plain.map_err(|problem| self.refuse(problem))?)
            }
        };
        let (values, encoding) = plain
            .as_deref()
            .map_or((values, encoding), |plain| (plain, Encoding::PLAIN));
        let texts = encoding == Encoding::PLAIN && self.physical == Type::BYTE_ARRAY;
        let tail: &[u8] = if texts && self.room(values)? < most {
            // Some of the rows may have no value; if the page lies, the reader runs into this.
            &BEYOND
        } else {
            &[]
        };
        if plain.is_none() && tail.is_empty() {
            return Ok((buf, encoding));
        }
        Ok(([head, values, tail].concat().into(), encoding))
    }

    /// Bytes of the levels of a version 1 page, with their length in front.
    fn levels_v1(&self, buf: &[u8]) -> Result<usize> {
        let length = buf.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let length = length.and_then(|length| usize::try_from(length).ok());
        let end = length.and_then(|length| length.checked_add(BEYOND.len()));
        end.filter(|end| *end <= buf.len())
            .ok_or_else(|| self.refuse("levels are longer than their page"))
    }

    /// The number of plain values that `bytes` holds.
    fn room(&self, bytes: &[u8]) -> Result<usize> {
        match self.physical {
            Type::BOOLEAN => Ok(bytes.len() * 8),
            Type::INT32 | Type::FLOAT => Ok(bytes.len() / 4),
            Type::INT64 | Type::DOUBLE => Ok(bytes.len() / 8),
            Type::BYTE_ARRAY => {
                texts(bytes).ok_or_else(|| self.refuse("a text is longer than its page"))
            }
            Type::FIXED_LEN_BYTE_ARRAY => bytes
                .len()
                .checked_div(self.width)
                .ok_or_else(|| self.refuse("its values have no bytes")),
            Type::INT96 => Err(self.refuse("the type is not supported")),
        }
    }

    fn unsupported(&self, encoding: Encoding) -> ParquetError {
        self.refuse(&format!(
            "the encoding {encoding} is not supported; write it as PLAIN or with a dictionary"
        ))
    }

    fn refuse(&self, problem: &str) -> ParquetError {
        ParquetError::General(format!("column {}: {problem}", self.column))
    }
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.pages
            .get_next_page()?
            .map(|page| self.check(page))
            .transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

/// The number of texts in `bytes`, each with its length in front; nothing where they do not fill it exactly.
fn texts(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut count = 0;
    while let Some((length, tail)) = rest.split_first_chunk() {
        rest = tail.get(usize::try_from(u32::from_le_bytes(*length)).ok()?..)?;
        count += 1;
    }
    rest.is_empty().then_some(count)
}
