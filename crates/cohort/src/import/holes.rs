//! Cells that are missing, and cells that may mean it and are kept: counted by column, for whoever made the map.

use std::collections::BTreeMap;

/// What other programs write where there is nothing, in lower case.
const WORDS: [&str; 17] = [
    "", "na", "n/a", "n.a.", "nan", "null", "(null)", "none", "nil", ".", "-", "--", "?", "#n/a",
    "#na", "<na>", "\\n",
];

/// Different cells of a column that are told of.
const CELLS_TOLD: usize = 6;

/// Whether a cell may mean missing.
pub(super) fn may_be_one(cell: &str) -> bool {
    cell.len() <= 6 && WORDS.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// The counts, by the place of the column.
#[derive(Debug, Default)]
pub(super) struct Holes {
    missing: BTreeMap<usize, Cells>,
    kept: BTreeMap<usize, Cells>,
}

/// Cells and how often each was seen; beyond a few different ones, they are counted alone.
#[derive(Debug, Default)]
struct Cells {
    count: u64,
    each: Vec<(String, u64)>,
}

impl Holes {
    /// Takes note of a cell that is missing.
    pub(super) fn missing(&mut self, column: usize, cell: &str) {
        self.missing.entry(column).or_default().note(cell);
    }

    /// Takes note of a cell that is kept, if it may mean missing.
    pub(super) fn kept(&mut self, column: usize, cell: &str) {
        if may_be_one(cell) {
            self.kept.entry(column).or_default().note(cell);
        }
    }

    /// What a person should know, of a table with these columns and so many rows that were kept.
    pub(super) fn notes(&self, columns: &[String], rows: u64) -> Vec<String> {
        let name = |place: usize| columns.get(place).map_or("", String::as_str);
        let missing = self.missing.iter().map(|(column, cells)| {
            format!(
                "column {}: {} of {rows} cells are missing ({cells})",
                name(*column),
                cells.count
            )
        });
        let kept = self.kept.iter().map(|(column, cells)| {
            format!(
                "column {}: {} of {rows} cells are kept that often mean missing ({cells}): where they do, add them to \
                 csv.missing or to the column's missing",
                name(*column),
                cells.count
            )
        });
        missing.chain(kept).collect()
    }
}

impl Cells {
    fn note(&mut self, cell: &str) {
        self.count += 1;
        let is_full = self.each.len() == CELLS_TOLD;
        match self.each.iter_mut().find(|(seen, _)| seen == cell) {
            Some((_, count)) => *count += 1,
            None if is_full => {}
            None => self.each.push((cell.to_owned(), 1)),
        }
    }
}

impl std::fmt::Display for Cells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each = self.each.iter().map(|(cell, count)| match cell.as_str() {
            "" => format!("{count} empty"),
            cell => format!("{count} `{cell}`"),
        });
        let told: u64 = self.each.iter().map(|(_, count)| count).sum();
        let others = self.count - told;
        let others = (others > 0).then(|| format!("{others} others"));
        f.write_str(&each.chain(others).collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_by_column_and_word() {
        let mut holes = Holes::default();
        for cell in ["", "NA", "", "-9"] {
            holes.missing(1, cell);
        }
        for cell in ["?", "A", "None", "nan", "na", "-", "N/A", "NULL"] {
            holes.kept(0, cell);
        }
        let notes = holes.notes(&["dx".to_owned(), "hb".to_owned()], 9);
        assert_eq!(
            notes[0],
            "column hb: 4 of 9 cells are missing (2 empty, 1 `NA`, 1 `-9`)"
        );
        assert!(
            notes[1].starts_with(
                "column dx: 7 of 9 cells are kept that often mean missing (1 `?`, 1 `None`"
            ) && notes[1].contains("1 others)"),
            "{notes:?}"
        );
        assert!(Holes::default().notes(&[], 0).is_empty());
    }
}
