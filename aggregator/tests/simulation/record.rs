//! Records of rounds, compared.

use protocol::api::RoundRecord;

/// Whether a record is `want`, or what is read back of `want` after a restart: JSON numbers can then differ in the last bit.
pub(crate) fn is_same(got: &RoundRecord, want: &RoundRecord) -> bool {
    let text = serde_json::to_string(want).expect("a record is JSON");
    let read_back: RoundRecord = serde_json::from_str(&text).expect("it is read back");
    // As words, in which numbers that are none are equal.
    let got = format!("{got:?}");
    got == format!("{want:?}") || got == format!("{read_back:?}")
}
