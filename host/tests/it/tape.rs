//! A module that is a tape: it gives to each kind of request the answer that a test wrote down.

/// A module that gives the answer at place `n` to request `n` of the door; to request 15, which asks for a chunk, the answer at
/// place 15 plus the chunk's number.
pub(crate) fn module(answers: &[Vec<u8>]) -> Vec<u8> {
    let (table, data) = table(answers);
    let text = format!(
        r#"(module
            (memory (export "memory") 64)
            (data (i32.const 0) "{}")
            (data (i32.const 4096) "{}")
            (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 1048576))
            (func (export "__wbindgen_free") (param i32 i32 i32))
            (func (export "handle") (param $at i32) (param i32) (result i32 i32)
                (local $entry i32)
                (local.set $entry (i32.mul (i32.const 8) (i32.load8_u offset=1 (local.get $at))))
                (if (i32.eq (local.get $entry) (i32.const 120)) (then (local.set $entry
                    (i32.mul (i32.const 8) (i32.add (i32.const 15) (i32.load8_u offset=3 (local.get $at)))))))
                (i32.load (local.get $entry))
                (i32.load offset=4 (local.get $entry)))
            (func (export "panic_message") (result i32 i32) (i32.const 0) (i32.const 0)))"#,
        escaped(&table),
        escaped(&data)
    );
    wat::parse_str(text).unwrap()
}

/// A module that gives these answers in turn, whatever is asked.
pub(crate) fn in_turn(answers: &[Vec<u8>]) -> Vec<u8> {
    let (table, data) = table(answers);
    let text = format!(
        r#"(module
            (memory (export "memory") 64)
            (data (i32.const 0) "{}")
            (data (i32.const 4096) "{}")
            (global $entry (mut i32) (i32.const -8))
            (func (export "__wbindgen_malloc") (param i32 i32) (result i32) (i32.const 1048576))
            (func (export "__wbindgen_free") (param i32 i32 i32))
            (func (export "handle") (param i32) (param i32) (result i32 i32)
                (global.set $entry (i32.add (i32.const 8) (global.get $entry)))
                (i32.load (global.get $entry))
                (i32.load offset=4 (global.get $entry)))
            (func (export "panic_message") (result i32 i32) (i32.const 0) (i32.const 0)))"#,
        escaped(&table),
        escaped(&data)
    );
    wat::parse_str(text).unwrap()
}

/// Where each answer stands from byte 4,096 on, with its length; and the answers.
fn table(answers: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut data, mut at) = (Vec::new(), Vec::new(), 4_096_u32);
    for answer in answers {
        let length = u32::try_from(answer.len()).unwrap();
        table.extend([at.to_le_bytes(), length.to_le_bytes()].concat());
        data.extend(answer);
        at += length;
    }
    (table, data)
}

/// Bytes as a string of WebAssembly's text.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
