//! Files of lines, each one JSON value (JSON Lines).

use serde::Serialize;

/// A line as it is written, with its end.
///
/// # Panics
///
/// A value that JSON cannot hold: a map whose keys are not text.
pub(crate) fn line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("a line has no key that JSON lacks");
    text.push('\n');
    text
}
