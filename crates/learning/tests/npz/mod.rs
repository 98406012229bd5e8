//! A reader for uncompressed `.npz` files: a ZIP archive of `.npy` arrays, little endian, C order.

#![expect(unreachable_pub, reason = "a module of a test")]

use std::collections::BTreeMap;

/// The numeric arrays of a file.
pub struct Npz(BTreeMap<String, Vec<f64>>);

impl Npz {
    /// Parses what `numpy.savez` writes; panics on anything else.
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes.len() - 22;
        assert_eq!(
            bytes[end..end + 4],
            *b"PK\x05\x06",
            "end of central directory"
        );
        let mut arrays = BTreeMap::new();
        let mut entry = number(&bytes[end + 16..end + 20]);
        for _ in 0..number(&bytes[end + 10..end + 12]) {
            let header = &bytes[entry..];
            assert_eq!(number(&header[10..12]), 0, "entries are not compressed");
            let [size, name, extra, comment, local] =
                [20..24, 28..30, 30..32, 32..34, 42..46].map(|range| number(&header[range]));
            let path = String::from_utf8(header[46..46 + name].to_vec()).expect("names are text");
            let lengths =
                number(&bytes[local + 26..local + 28]) + number(&bytes[local + 28..local + 30]);
            let data = local + 30 + lengths;
            if let Some(values) = array(&bytes[data..data + size]) {
                arrays.insert(path.trim_end_matches(".npy").to_owned(), values);
            }
            entry += 46 + name + extra + comment;
        }
        Self(arrays)
    }

    /// The values of an array, row-major.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no array {name}"))
            .clone()
    }
}

/// The values of a `.npy` file of numbers; nothing of text.
fn array(npy: &[u8]) -> Option<Vec<f64>> {
    let start = 10 + number(&npy[8..10]);
    let header = String::from_utf8_lossy(&npy[10..start]).into_owned();
    assert!(header.contains("'fortran_order': False"));
    let data = &npy[start..];
    if header.contains("'<f4'") {
        Some(
            data.as_chunks()
                .0
                .iter()
                .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
                .collect(),
        )
    } else if header.contains("'<f8'") {
        Some(
            data.as_chunks()
                .0
                .iter()
                .map(|bytes| f64::from_le_bytes(*bytes))
                .collect(),
        )
    } else if header.contains("'<i8'") {
        Some(
            data.as_chunks()
                .0
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes) as f64)
                .collect(),
        )
    } else {
        None
    }
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | usize::from(*byte))
}
