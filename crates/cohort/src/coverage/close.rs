//! Codes of the files that look like a feature's code which no event has.

use protocol::door::Coverage;

use super::codes::{LONGEST, shown};

/// Codes that are named for a feature.
const NAMED: usize = 3;

/// The most pairs of codes that are compared, the most frequent codes first.
const MOST_PAIRS: usize = 4_000_000;

/// The shortest code that is looked for inside of another.
const SHORTEST_PART: usize = 4;

/// Names close codes for each feature; `codes` are the files' own that no feature uses, the most frequent first.
pub(super) fn find(missing: Vec<&mut Coverage>, codes: &[(&[u8], u64)]) {
    let Some(most) = MOST_PAIRS.checked_div(missing.len()) else {
        return;
    };
    let codes = &codes[..codes.len().min(most)];
    let plain: Vec<String> = codes.iter().map(|(code, _)| plain(&shown(code))).collect();
    for coverage in missing {
        let want = plain_code(&coverage.code);
        let found = plain.iter().enumerate();
        let mut found: Vec<(Likeness, usize)> = found
            .filter_map(|(place, code)| Some((likeness(&want, code)?, place)))
            .collect();
        found.sort_unstable();
        let named = found.iter().take(NAMED);
        coverage.close = named.map(|(_, place)| shown(codes[*place].0)).collect();
    }
}

/// How alike two codes are, the most alike first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    /// But for case and punctuation they are the same.
    Letters,
    /// One is a part of the other: a vocabulary's name or a unit is missing or added.
    Part,
    /// So many letters are wrong, missing, too many, or swapped with the next.
    Typing(usize),
}

fn likeness(want: &str, code: &str) -> Option<Likeness> {
    if want.is_empty() || code.is_empty() {
        return None;
    }
    if want == code {
        return Some(Likeness::Letters);
    }
    let (short, long) = if want.len() < code.len() {
        (want, code)
    } else {
        (code, want)
    };
    if short.len() >= SHORTEST_PART && (long.starts_with(short) || long.ends_with(short)) {
        return Some(Likeness::Part);
    }
    let most = match want.len() {
        0..=2 => return None,
        3..=6 => 1,
        _ => 2,
    };
    if long.len() - short.len() > most {
        return None;
    }
    let wrong = strsim::osa_distance(want, code);
    (wrong <= most).then_some(Likeness::Typing(wrong))
}

/// Letters and digits alone, in lower case.
fn plain(code: &str) -> String {
    code.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

fn plain_code(code: &str) -> String {
    plain(&code.chars().take(LONGEST).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closest(want: &str, codes: &[&str]) -> Vec<String> {
        let mut coverage = Coverage {
            code: want.to_owned(),
            ..Coverage::default()
        };
        let codes: Vec<(&[u8], u64)> = codes.iter().map(|code| (code.as_bytes(), 1)).collect();
        find(vec![&mut coverage], &codes);
        coverage.close
    }

    #[test]
    fn spellings_vocabularies_and_typing_errors_are_found_the_likeliest_first() {
        let files = [
            "LOINC//8868-4",
            "8867-4",
            "loinc/8867-4",
            "LAB//50912//mg/dL",
            "SNOMED//271649006",
            "",
        ];
        assert_eq!(
            closest("LOINC//8867-4", &files),
            ["loinc/8867-4", "8867-4", "LOINC//8868-4"]
        );
        assert_eq!(closest("LAB//50912", &files), ["LAB//50912//mg/dL"]);
        assert_eq!(closest("SNOMED//271649060", &files), ["SNOMED//271649006"]);
        assert!(closest("HR", &["RR", "HZ", "WEIGHT"]).is_empty());
        assert!(closest("ICD10//I10", &files).is_empty());
        assert!(closest("//", &files).is_empty());
    }
}
