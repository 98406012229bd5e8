//! A file's bytes as text: encodings, and files that are no CSV at all.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::ImportError;
use super::records::Goes;

/// A file's bytes on their way to UTF-8, without the byte order mark.
pub(super) struct Text {
    file: String,
    /// None where bytes are taken as they are.
    decoder: Option<Decoder>,
    /// Bytes of the mark that are still to be left out.
    mark: usize,
    /// Whether the bytes are UTF-8 after all, where they are read one byte a character.
    twin: Option<Twin>,
}

/// A look at bytes as UTF-8.
#[derive(Default)]
struct Twin {
    /// The beginning of a character that goes on in the next bytes.
    begun: Vec<u8>,
    beyond_ascii: bool,
    broken: bool,
}

impl Twin {
    fn push(&mut self, bytes: &[u8]) {
        self.beyond_ascii |= !bytes.is_ascii();
        if self.broken || !self.beyond_ascii {
            return;
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        if let Err(error) = std::str::from_utf8(&all) {
            self.broken = error.error_len().is_some();
            self.begun = all[error.valid_up_to()..].to_owned();
        }
    }
}

impl Text {
    /// The text of a file that begins with these bytes.
    ///
    /// A byte order mark says UTF-8 or UTF-16; what has none is in the map's encoding, or else UTF-8. Bytes that are not
    /// UTF-8 are left in place where the map names no encoding, for only the cells that are read need be.
    ///
    /// # Errors
    ///
    /// A file of another kind, and an encoding that the map's name is not one of.
    pub(super) fn of(file: &str, head: &[u8], encoding: Option<&str>) -> Result<Self, ImportError> {
        let refuse = |problem: String| ImportError::Unreadable {
            file: file.to_owned(),
            problem,
        };
        if head.is_empty() {
            return Err(refuse("it is empty".to_owned()));
        }
        if let Some(kind) = other_kind(head) {
            return Err(refuse(kind.to_owned()));
        }
        let named = encoding.map(by_name).transpose()?;
        let (encoding, mark) = match (Encoding::for_bom(head), named) {
            (Some((marked, _)), Some(named)) if marked != named => {
                return Err(refuse(format!(
                    "its byte order mark says {}, and the map's csv.encoding {}: take csv.encoding out",
                    marked.name(),
                    named.name()
                )));
            }
            (Some(marked), _) => marked,
            (None, Some(named)) => (named, 0),
            (None, None) => match without_mark(head) {
                Some(encoding) => {
                    return Err(refuse(format!(
                        "it holds NUL bytes as {0} has them, without a byte order mark: set csv.encoding = \"{0}\" in the map",
                        encoding.name().to_lowercase()
                    )));
                }
                None => (UTF_8, 0),
            },
        };
        let decoder = (encoding != UTF_8).then(|| encoding.new_decoder_without_bom_handling());
        Ok(Self {
            file: file.to_owned(),
            decoder,
            mark,
            twin: encoding.is_single_byte().then(Twin::default),
        })
    }

    /// At the end of the file, what a person should know of its encoding.
    pub(super) fn note(&self) -> Option<String> {
        let (twin, decoder) = (self.twin.as_ref()?, self.decoder.as_ref()?);
        let is_utf8 = twin.beyond_ascii && !twin.broken && twin.begun.is_empty();
        is_utf8.then(|| {
            format!(
                "the file was read as {}, as csv.encoding says, but all that is not ASCII in it is UTF-8 (`ä` becomes `Ã¤`): \
                 take csv.encoding out of the map, unless the texts are right",
                decoder.encoding().name()
            )
        })
    }

    /// Adds the text of the next bytes to `out`.
    ///
    /// # Errors
    ///
    /// Bytes that are not of the encoding.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        goes: Goes,
        out: &mut Vec<u8>,
    ) -> Result<(), ImportError> {
        let bytes = &bytes[std::mem::take(&mut self.mark).min(bytes.len())..];
        if let Some(twin) = &mut self.twin {
            twin.push(bytes);
        }
        let Some(decoder) = &mut self.decoder else {
            out.extend_from_slice(bytes);
            return Ok(());
        };
        let most = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        let mut text = String::with_capacity(most.unwrap_or(0));
        let last = goes == Goes::NoFurther;
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, last);
        if result != DecoderResult::InputEmpty {
            return Err(ImportError::Unreadable {
                file: self.file.clone(),
                problem: format!(
                    "it is not written in {}, as its byte order mark or the map's csv.encoding says",
                    decoder.encoding().name()
                ),
            });
        }
        out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

fn by_name(label: &str) -> Result<&'static Encoding, ImportError> {
    Encoding::for_label(label.as_bytes()).ok_or(ImportError::Setting {
        setting: "csv.encoding",
        problem: "want the name of an encoding of the web, such as utf-8, utf-16le, windows-1252 or latin1",
    })
}

/// What a file is that is no table of text.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    let text = bytes.trim_ascii_start();
    let is_page = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    if begins(b"\xff\xfe\0\0") || begins(b"\0\0\xfe\xff") || is_utf32(bytes) {
        Some("it is UTF-32, which is not read: save it as UTF-8")
    } else if begins(b"PK\x03\x04") {
        Some("it is a ZIP file, as Excel's .xlsx is: save the sheet as CSV, or unpack it")
    } else if begins(b"\xd0\xcf\x11\xe0") {
        Some("it is a file of an older Excel (.xls): save the sheet as CSV")
    } else if begins(b"PAR1") {
        Some("it is a Parquet file: MEDS Parquet needs no import")
    } else if begins(b"\x1f\x8b") || begins(b"\x28\xb5\x2f\xfd") {
        Some("it is compressed: unpack it first")
    } else if begins(b"%PDF") {
        Some("it is a PDF file: export the table as CSV")
    } else if is_page(b"<!doctype html") || is_page(b"<html") {
        Some("it is a web page, not a table: was it downloaded from a sign-in page?")
    } else if is_page(b"<?xml") {
        Some("it is an XML file: export the table as CSV")
    } else {
        None
    }
}

/// UTF-32 without a byte order mark: of four bytes of the beginning, three are NUL.
fn is_utf32(bytes: &[u8]) -> bool {
    let mut fours = bytes[..bytes.len().min(64)].chunks_exact(4).peekable();
    let little = |four: &[u8]| four[0] != 0 && four[1..] == [0; 3];
    let big = |four: &[u8]| four[3] != 0 && four[..3] == [0; 3];
    fours.peek().is_some() && (fours.clone().all(little) || fours.all(big))
}

/// UTF-16 without a byte order mark: every second byte of the beginning is NUL.
fn without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let begin = &bytes[..bytes.len().min(64) / 2 * 2];
    let nul = |place: usize| begin.iter().skip(place).step_by(2).all(|byte| *byte == 0);
    match (nul(0), nul(1)) {
        _ if begin.is_empty() => None,
        (false, true) => Some(UTF_16LE),
        (true, false) => Some(UTF_16BE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: Option<&str>) -> Result<Vec<u8>, ImportError> {
        let mut text = Text::of("t.csv", bytes, encoding)?;
        let mut out = Vec::new();
        // Any cut, inside of a character or of the mark's end.
        let (one, other) = bytes.split_at(bytes.len().min(5));
        text.push(one, Goes::On, &mut out)?;
        text.push(other, Goes::NoFurther, &mut out)?;
        Ok(out)
    }

    fn told(bytes: &[u8], encoding: Option<&str>) -> String {
        match decoded(bytes, encoding) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn encodings_are_told_by_their_mark_or_by_the_map() {
        let utf16 =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        for (bytes, encoding) in [
            ("größe".as_bytes().to_vec(), None),
            ("\u{feff}größe".as_bytes().to_vec(), Some("utf-8")),
            (utf16("\u{feff}größe"), None),
            (utf16("größe"), Some("utf-16le")),
            (b"gr\xf6\xdfe".to_vec(), Some("latin1")),
            (b"gr\xf6\xdfe".to_vec(), Some("windows-1252")),
        ] {
            assert_eq!(told(&bytes, encoding), "größe", "{encoding:?}");
        }
        assert_eq!(
            decoded(b"a\xff", None).unwrap(),
            b"a\xff",
            "only the cells that are read must be text"
        );
    }

    #[test]
    fn utf_8_that_is_read_as_another_encoding_is_told() {
        let note = |bytes: &[u8], encoding, cut: usize| {
            let mut text = Text::of("t.csv", bytes, encoding).unwrap();
            let mut out = Vec::new();
            text.push(&bytes[..cut], Goes::On, &mut out).unwrap();
            text.push(&bytes[cut..], Goes::NoFurther, &mut out).unwrap();
            text.note().is_some()
        };
        for (bytes, encoding, told) in [
            ("größe".as_bytes(), Some("windows-1252"), true),
            ("größe".as_bytes(), Some("iso-8859-15"), true),
            ("größe".as_bytes(), None, false),
            (b"gr\xf6\xdfe", Some("windows-1252"), false),
            (b"gr\xc3\xb6\xdfe", Some("windows-1252"), false),
            (b"gr\xc3", Some("windows-1252"), false),
            (b"size", Some("windows-1252"), false),
        ] {
            for cut in 0..=bytes.len() {
                assert_eq!(note(bytes, encoding, cut), told, "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, encoding, message) in [
            (b"".as_slice(), None, "it is empty"),
            (b"\xff\xfe\0\0a\0\0\0", None, "UTF-32"),
            (b"\0\0\xfe\xff\0\0\0a", None, "UTF-32"),
            (b"a\0\0\0,\0\0\0", None, "UTF-32"),
            (b"\0\0\0a\0\0\0,", Some("utf-16be"), "UTF-32"),
            (b"PK\x03\x04", None, ".xlsx"),
            (b"<!DOCTYPE html><p>", None, "web page"),
            (b"a\0,\0b\0", None, "csv.encoding = \"utf-16le\""),
            (b"a,b", Some("ebcdic"), "csv.encoding"),
            (
                b"\xff\xfea\0",
                Some("utf-8"),
                "byte order mark says UTF-16LE",
            ),
            (b"\xff\xfea\0b", None, "not written in UTF-16LE"),
        ] {
            assert!(told(bytes, encoding).contains(message), "{message}");
        }
    }
}
