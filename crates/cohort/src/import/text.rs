//! A file's bytes as text: encodings, and files that are no CSV at all.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::ImportError;

/// A file as UTF-8, without its byte order mark.
///
/// A byte order mark says UTF-8 or UTF-16; what has none is in the map's encoding, or else UTF-8. Bytes that are not
/// UTF-8 are left in place where the map names no encoding, for only the cells that are read need be.
///
/// # Errors
///
/// A file of another kind, an encoding that the map's name is not one of, and bytes that are not of it.
pub(super) fn decode<'a>(
    file: &str,
    bytes: &'a [u8],
    encoding: Option<&str>,
) -> Result<Cow<'a, [u8]>, ImportError> {
    let refuse = |problem: String| ImportError::Unreadable {
        file: file.to_owned(),
        problem,
    };
    if bytes.is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    if let Some(kind) = other_kind(bytes) {
        return Err(refuse(kind.to_owned()));
    }
    let named = match encoding {
        None => None,
        Some(label) => {
            Some(Encoding::for_label(label.as_bytes()).ok_or(ImportError::Setting {
                setting: "csv.encoding",
                problem: "want the name of an encoding of the web, such as utf-8, utf-16le, windows-1252 or latin1",
            })?)
        }
    };
    let marked = Encoding::for_bom(bytes);
    let (encoding, mark) = match (marked, named) {
        (Some((marked, _)), Some(named)) if marked != named => {
            return Err(refuse(format!(
                "its byte order mark says {}, and the map's csv.encoding {}: take csv.encoding out",
                marked.name(),
                named.name()
            )));
        }
        (Some(marked), _) => marked,
        (None, Some(named)) => (named, 0),
        (None, None) => match without_mark(bytes) {
            Some(encoding) => {
                return Err(refuse(format!(
                    "it holds NUL bytes as {0} has them, without a byte order mark: set csv.encoding = \"{0}\" in the map",
                    encoding.name().to_lowercase()
                )));
            }
            None => return Ok(Cow::Borrowed(bytes)),
        },
    };
    let body = &bytes[mark..];
    if encoding == encoding_rs::UTF_8 {
        return Ok(Cow::Borrowed(body));
    }
    let text = encoding
        .decode_without_bom_handling_and_without_replacement(body)
        .ok_or_else(|| {
            refuse(format!(
                "it is not written in {}, as its byte order mark or the map's csv.encoding says",
                encoding.name()
            ))
        })?;
    Ok(Cow::Owned(text.into_owned().into_bytes()))
}

/// What a file is that is no table of text.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| bytes.starts_with(mark);
    let text = bytes.trim_ascii_start();
    let is_page = |tag: &[u8]| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag))
    };
    if begins(b"PK\x03\x04") {
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

    fn told(bytes: &[u8], encoding: Option<&str>) -> String {
        match decode("t.csv", bytes, encoding) {
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
            decode("t.csv", b"a\xff", None).unwrap().as_ref(),
            b"a\xff",
            "only the cells that are read must be text"
        );
    }

    #[test]
    fn what_is_no_text_is_named() {
        for (bytes, encoding, message) in [
            (b"".as_slice(), None, "it is empty"),
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
