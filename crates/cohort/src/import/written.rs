//! How a column of levels writes its cells: as codes, or as whole numbers with a `.0` that says nothing.
//!
//! A program that keeps numbers writes `1.0` for 1 in a column with holes; in a column of codes `250.0` and `250` are two
//! codes. So a level is the cell as it is written, but in a column that holds whole numbers alone, each without
//! decimals or with the single decimal 0, and none with zeros before it: there `.0` is left out, and a note says so. One
//! cell such as `250.00`, `038.0`, `401.1` or `V10.0` makes it a column of codes, at every row of it.

/// How a level is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// As the cell is.
    AsIs,
    /// Whole numbers without their `.0`.
    Whole,
}

impl Written {
    /// The level of a cell.
    pub(super) fn of(self, cell: &str) -> &str {
        match self {
            Self::AsIs => cell,
            Self::Whole => match cell.split_once('.') {
                Some((whole, decimals))
                    if is_whole(whole) && decimals.bytes().all(|byte| byte == b'0') =>
                {
                    whole
                }
                _ => cell,
            },
        }
    }
}

/// What was seen of a column's cells.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// A cell with decimals that no program writes for a whole number.
    codes: bool,
    /// Cells that end in `.0`, and the first of them.
    decimals: u64,
    first: String,
}

impl Seen {
    pub(super) fn note(&mut self, cell: &str) {
        let Some((whole, decimals)) = cell.split_once('.') else {
            return;
        };
        let digits = !decimals.is_empty() && decimals.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = whole.strip_prefix(['+', '-']).unwrap_or(whole);
        let zeros_before = unsigned.len() > 1 && unsigned.starts_with('0');
        if is_whole(whole) && decimals == "0" && !zeros_before {
            self.decimals += 1;
            if self.first.is_empty() {
                cell.clone_into(&mut self.first);
            }
        } else if digits {
            self.codes = true;
        }
    }

    pub(super) fn written(&self) -> Written {
        if self.codes || self.decimals == 0 {
            Written::AsIs
        } else {
            Written::Whole
        }
    }

    /// What a person should know of the column.
    pub(super) fn note_for(&self, column: &str) -> Option<String> {
        (self.written() == Written::Whole).then(|| {
            format!(
                "column {column}: {} cells such as `{}` become levels without their decimal; where they are codes, set \
                 verbatim = true for the column",
                self.decimals, self.first
            )
        })
    }
}

/// Whether a text is a whole number.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels<'a>(cells: &[&'a str]) -> Vec<&'a str> {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.note(cell));
        cells.iter().map(|cell| seen.written().of(cell)).collect()
    }

    #[test]
    fn a_decimal_of_zero_is_left_out_of_columns_of_whole_numbers_alone() {
        assert_eq!(levels(&["1.0", "-2.0", "3", "a"]), ["1", "-2", "3", "a"]);
        for codes in [
            ["250.00", "401.0", "300"],
            ["038.0", "401.0", "300"],
            ["401.1", "401.0", "300"],
            ["V10.0", "401.0", "300"],
        ] {
            assert_eq!(levels(&codes), codes);
        }
        assert_eq!(levels(&["a", "4", "4."]), ["a", "4", "4."]);
    }
}
