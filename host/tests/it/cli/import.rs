//! Tables that become MEDS.

use protocol::codec;
use protocol::door::{Counted, Imported, Part, Piece, Refusal, Response, Role};

use super::Desk;
use crate::tape;

#[test]
fn a_refusal_of_the_module_is_told() {
    let desk = Desk::new();
    let refusal = Refusal {
        reason: "labs.csv, row 7, column hr: `abc` is no number".to_owned(),
        fatal: false,
    };
    desk.module("client.wasm", &Response::Refused(refusal));
    std::fs::write(desk.path("labs.csv"), "hr\nabc\n").unwrap();
    std::fs::write(desk.path("map.toml"), "").unwrap();
    let told = desk.host(&[
        "import",
        "csv",
        "labs.csv",
        "--map",
        "map.toml",
        "--where",
        "site=a",
        "--module",
        "client.wasm",
        "--out",
        "data",
    ]);
    assert_eq!(told.status, 1);
    assert_eq!(
        told.stderr,
        "host: labs.csv, row 7, column hr: `abc` is no number\n"
    );
    assert!(!desk.path("data").exists());
}

/// An import of `roles`, as the module answers it.
fn imported(roles: &[Role]) -> Vec<u8> {
    let piece = Response::Read(Piece { file: 0, number: 0 });
    let part = |role: &Role| {
        Response::Part(Part {
            role: *role,
            bytes: b"parquet".to_vec().into(),
        })
    };
    let told = Response::Imported(Imported {
        rows: 5,
        dropped: 1,
        reasons: vec!["labs.csv, row 2, column hr: `abc` is not a number".to_owned()],
        kept: 2,
        passed: vec![Counted {
            what: "site is a".to_owned(),
            rows: 1,
        }],
        later: 1,
        dropped_by: vec![Counted {
            what: "column hr: not a number".to_owned(),
            rows: 1,
        }],
        unused: vec!["note".to_owned()],
        notes: vec!["2 empty lines are not counted as rows".to_owned()],
        ids: Some(b"subject_id,id\n1,\"a\"\n".to_vec().into()),
    });
    let parts = roles.iter().map(part);
    let answers = [piece].into_iter().chain(parts).chain([told]);
    let answers: Vec<Vec<u8>> = answers.map(|answer| codec::encode(&answer)).collect();
    tape::in_turn(&answers)
}

#[test]
fn imports_of_several_tables_stand_beside_each_other() {
    let desk = Desk::new();
    std::fs::write(desk.path("client.wasm"), imported(&[Role::Events])).unwrap();
    std::fs::write(
        desk.path("stays.wasm"),
        imported(&[Role::Labels, Role::Splits]),
    )
    .unwrap();
    std::fs::write(desk.path("labels.wasm"), imported(&[Role::Labels])).unwrap();
    std::fs::write(
        desk.path("map.toml"),
        "subject = { column = \"id\", as = \"text\" }",
    )
    .unwrap();
    let import = |csv: &str, module: &str, more: &[&str]| {
        std::fs::create_dir_all(desk.path(csv).parent().unwrap()).unwrap();
        std::fs::write(desk.path(csv), "id\n1\n").unwrap();
        let base = [
            "import", "csv", csv, "--map", "map.toml", "--module", module, "--out", "data",
        ];
        desk.host(&[&base[..], more].concat())
    };
    let first = import("labs.csv", "client.wasm", &[]);
    assert_eq!(first.status, 0, "{}", first.stderr);
    for told in [
        "made data/ids.key: keep it",
        "data/ids/labs.csv tells which number is which id\n",
        "2 rows  data\nof 5 rows in the file:\n  1 passed over by the filter: site is a\n  1 not the first of their \
         subject\n  1 rows left out\n    1: column hr: not a number\n  left out: labs.csv, row 2, column hr: `abc` is not \
         a number\ncolumns not used: note\nnote: 2 empty lines are not counted as rows\n",
    ] {
        assert!(first.stdout.contains(told), "{}", first.stdout);
    }
    let key = std::fs::read(desk.path("data/ids.key")).unwrap();
    let second = import("vitals.csv", "client.wasm", &[]);
    assert_eq!(second.status, 0, "{}", second.stderr);
    assert!(!second.stdout.contains("made"), "{}", second.stdout);
    assert_eq!(std::fs::read(desk.path("data/ids.key")).unwrap(), key);
    for name in ["labs", "vitals"] {
        assert!(
            desk.path(&format!("data/events.parquet/{name}.parquet"))
                .exists()
        );
    }
    let again = import("labs.csv", "client.wasm", &[]);
    let replaced = "replaced data/events.parquet/labs.parquet of an earlier import\n";
    assert!(again.stdout.contains(replaced), "{}", again.stdout);
    let other = import("ward/labs.csv", "client.wasm", &[]);
    assert_eq!(other.status, 1);
    assert!(
        other.stderr.contains("name this one with --source"),
        "{}",
        other.stderr
    );
    let named = import("ward/labs.csv", "client.wasm", &["--source", "ward-labs"]);
    assert_eq!(named.status, 0, "{}", named.stderr);

    let stays = import("stays.csv", "stays.wasm", &[]);
    assert!(
        stays.stdout.contains("as splits under [data]"),
        "{}",
        stays.stdout
    );
    let labels = import("new.csv", "labels.wasm", &[]);
    assert_eq!(labels.status, 1);
    assert!(
        labels.stderr.contains("splits of another import"),
        "{}",
        labels.stderr
    );
    assert!(!desk.path("data/labels.parquet/new.parquet").exists());

    std::fs::remove_file(desk.path("data/ids.key")).unwrap();
    let gone = import("labs.csv", "client.wasm", &[]);
    assert!(gone.stderr.contains("restore that file"), "{}", gone.stderr);
}
