//! Tables as hospitals write them: what is read of them, and what is said of those that cannot be read for sure.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

#[path = "support/imported.rs"]
mod imported;
#[path = "support/table.rs"]
mod table;

use imported::imported;
use proptest::prelude::*;
use protocol::door::{BadRows, Role};
use table::{codes, events, labels};

const MAP: &str = r#"
subject = { column = "pid" }
prediction = { column = "when" }
label = { column = "y", class = "integer" }
column = [{ name = "hb" }, { name = "dx", as = "level" }]
"#;

/// `MAP` with more lines of `[csv]`.
fn map(csv: &str) -> String {
    format!("{MAP}\n[csv]\nmissing = [\"\", \"NA\", \"-9\"]\n{csv}\n")
}

fn refused(map: &str, csv: impl AsRef<[u8]>) -> String {
    let error = imported(map, csv.as_ref(), BadRows::Stop).unwrap_err();
    // Not one row that is bad, but a file of which nothing is sure.
    assert_eq!(
        imported(map, csv.as_ref(), BadRows::Drop).unwrap_err(),
        error
    );
    error
}

/// Thirty patients, with a cell of one replaced.
fn wards(row: usize, note: &str) -> String {
    let mut csv = "pid,when,y,hb,dx,note\n".to_owned();
    for patient in 1..=30 {
        let note = if patient == row { note } else { "ok" };
        csv += &format!("{patient},2024-01-02,{},7.1,A,{note}\n", patient % 2);
    }
    csv
}

#[test]
fn a_stray_quote_takes_no_rows_with_it() {
    let never = refused(&map(""), wards(7, "\"pain 5"));
    assert!(
        never.starts_with("t.csv, row 7: a quote opens and never closes"),
        "{never}"
    );
    let twice =
        wards(7, "\"cut 5").replace("12,2024-01-02,0,7.1,A,ok", "12,2024-01-02,0,7.1,A,\"cut 5");
    let twice = refused(&map(""), twice);
    assert!(
        twice.starts_with("t.csv, row 7: text follows the closing quote"),
        "{twice}"
    );
    let closed =
        wards(7, "\"cut 5").replace("12,2024-01-02,0,7.1,A,ok", "12,2024-01-02,0,7.1,A,cut 5\"");
    let rows = refused(&map(""), &closed);
    assert!(
        rows.starts_with("t.csv, row 7: a quoted cell spans 6 lines"),
        "{rows}"
    );
    let header = refused(&map(""), "pid,\"when,y\n1,2\n");
    assert!(
        header.starts_with("t.csv, the header line: a quote opens"),
        "{header}"
    );

    let plain = imported(&map("quote = \"\""), &closed, BadRows::Stop).unwrap();
    assert_eq!(
        (plain.kept, plain.unused.clone()),
        (30, vec!["note".to_owned()])
    );
    let inside = imported(&map(""), wards(7, "5\" nodule"), BadRows::Stop).unwrap();
    assert_eq!(inside.kept, 30);
    let lines = imported(&map(""), wards(7, "\"one, two\nthree\""), BadRows::Stop).unwrap();
    assert_eq!(lines.kept, 30);
    assert!(lines.notes[0].contains("row 7"), "{:?}", lines.notes);
}

#[test]
fn names_that_could_mean_two_columns_are_refused() {
    let twice = refused(&map(""), "pid,when,y,hb,dx,hb\n1,2024-01-02,0,7,A,8\n");
    assert!(
        twice.contains("two columns hb, the columns 4 and 6"),
        "{twice}"
    );
    // A name that the map does not use may be there twice.
    let unused = "pid,when,y,hb,dx,x,x,\n1,2024-01-02,0,7,A,,,\n";
    let unused = imported(&map(""), unused, BadRows::Stop)
        .unwrap()
        .unused
        .clone();
    assert_eq!(unused, ["x", "x", "(column 8, without a name)"]);
    let map = MAP.replace("{ name = \"hb\" }", "{ name = \"hb\" }, { name = \"hb\" }");
    assert!(refused(&map, "pid\n1\n").contains("twice"));
    let levels = MAP.replace(
        "class = \"integer\"",
        "class = { levels = { \"1\" = 1, \"1.0\" = 0 } }",
    );
    assert!(
        refused(&levels, "pid,when,y,hb,dx\n1,2024-01-02,0,7,A\n").contains("lists `1.0` twice")
    );
}

#[test]
fn every_row_is_accounted_for() {
    let filter = "filter = [{ column = \"dx\", is = [\"A\", \"B\"] }, { complete = [\"hb\"] }]\n";
    let map = format!("{filter}{}", map(""));
    let csv = "pid,when,y,hb,dx\n\n1,2024-01-02,0,7,A\n2,2024-01-02,0,x,A\n3,2024-01-02,0,NA,B\n\n4,2024-01-02,0,7,C\n\
               5,2024-01-02,0\n6,soon,0,7,B\n7,2024-01-02,0,7\0,B\n1,2024-01-02,1,7,A\n";
    let imported = imported(&map, csv, BadRows::Drop).unwrap();
    assert_eq!((imported.rows, imported.kept, imported.dropped), (8, 1, 5));
    let counts = |counted: &[protocol::door::Counted]| -> Vec<String> {
        let texts = counted
            .iter()
            .map(|counted| format!("{} {}", counted.rows, counted.what));
        texts.collect()
    };
    assert_eq!(
        counts(&imported.passed),
        ["1 dx is A or B", "1 none missing of hb"]
    );
    assert_eq!(
        counts(&imported.dropped_by),
        [
            "1 column hb: a NUL byte",
            "1 column hb: another number of cells than the table has columns",
            "1 column hb: not a number",
            "1 column pid: the subject already has a row",
            "1 column when: not a time",
        ]
    );
    assert!(
        imported
            .notes
            .contains(&"2 empty lines are not counted as rows".to_owned())
    );
}

#[test]
fn an_import_of_nothing_says_why() {
    assert_eq!(
        refused(&map(""), "pid,when,y,hb,dx\n"),
        "t.csv has no rows of data: nothing follows its header line"
    );
    let bad = "pid,when,y,hb,dx\n1,31/01/2024,0,7,A\n2,31/01/2024,0,7,A\n";
    let bad = imported(&map(""), bad, BadRows::Drop).unwrap_err();
    assert!(bad.contains("2 left out, column when: not a time"), "{bad}");
    assert!(bad.contains("time-format = \"day-month-year\""), "{bad}");
}

#[test]
fn one_rule_compares_cells_everywhere() {
    let map = r#"
        subject = { column = "pid" }
        prediction = { at = "2024-01-02" }
        label = { column = "y", class = { levels = { "1" = 1, "-2.0" = 0 } } }
        split = { column = "part", levels = { "1" = "train", "2" = "held_out" } }
        csv = { missing = ["-9"] }
        column = [
            { name = "hb", numbers = { "-1" = 75 }, missing = ["99"] },
            { name = "dx", as = "level", levels = [{ level = "one", is = ["-1"] }, { level = "other" }] },
        ]
        filter = [{ column = "site", is = ["-1"] }]
    "#;
    let csv = "pid,y,part,hb,dx,site\n-5,1,1,-1,-1,-1\n-6.0,1.0,1.0,-1.0,-1.0,-1.0\n+7.00,+1,1.,-1.00,-1.00,-1.00\n\
               8,-2,2.0,-9.0,-9,-1.\n9,-2.00,2,99.0,1,-1\n10,1,1,5,5,1\n";
    let imported = imported(map, csv, BadRows::Stop).unwrap();
    let found: Vec<_> = events(&imported)
        .into_iter()
        .map(|(subject, _, code, value)| (subject, code, value))
        .collect();
    let one = |subject| (subject, "dx//one".to_owned(), None);
    let hb = |subject| (subject, "hb".to_owned(), Some(75.0));
    let other = (9, "dx//other".to_owned(), None);
    assert_eq!(
        found,
        [hb(-6), one(-6), hb(-5), one(-5), hb(7), one(7), other]
    );
    let classes: Vec<_> = labels(&imported)
        .iter()
        .map(|label| (label.0, label.2))
        .collect();
    assert_eq!(classes, [(-6, 1), (-5, 1), (7, 1), (8, 0), (9, 0)]);
}

#[test]
fn one_number_is_one_cell_and_codes_are_texts() {
    let map = r#"
        subject = { column = "pid" }
        prediction = { at = "2024-01-02" }
        label = { column = "y", class = { levels = { "0.50" = 1, "1" = 0 } } }
        csv = { missing = ["", "999", "-9.5"] }
        column = [
            { name = "hb", missing = ["1e3"], numbers = { "2" = 75 } },
            { name = "dx", as = "level", verbatim = true, levels = [{ level = "yes", is = ["038", "250.00"] }, { level = "no" }] },
            { name = "ward", as = "level", levels = [{ level = "one", is = ["1.50"] }, { level = "other" }] },
        ]
        filter = [{ column = "site", not = ["38"] }, { column = "hb", not = ["5"] }, { column = "icd", verbatim = true, not = ["250"] }]
    "#;
    let csv = "pid,y,hb,dx,ward,site,icd\n\
               1,.5,9.99e2,038,1.5,038,250.00\n2,0.5,0999,38,1.500,1,1\n3,5e-1,-9.50,250.00,1.51,1,1\n\
               4,1.0,1000,250,01.5,1,1\n5,1,02.0,250.0,15e-1,1,1\n6,1,1,A,A,38.0,1\n7,1,0005,A,A,1,1\n8,1,1,A,A,1,250\n";
    let imported = imported(map, csv, BadRows::Stop).unwrap();
    let of = |code: &str| -> Vec<i64> {
        let events = events(&imported).into_iter();
        let found = events.filter(|event| event.2 == code);
        found.map(|event| event.0).collect()
    };
    assert_eq!(imported.kept, 5, "three rows are passed over");
    assert_eq!(of("hb"), [5], "the others are missing");
    assert_eq!(of("dx//yes"), [1, 3], "codes are texts");
    assert_eq!(of("ward//one"), [1, 2, 5], "zeros in front make a code");
    let classes: Vec<_> = labels(&imported).iter().map(|label| label.2).collect();
    assert_eq!(classes, [1, 1, 1, 0, 0]);
}

#[test]
fn missing_cells_are_counted_and_cells_that_may_be_are_told() {
    let csv = "pid,when,y,hb,dx\n1,2024-01-02,0,,A\n2,2024-01-02,0,NA,?\n3,2024-01-02,0,-9.0,None\n4,2024-01-02,0,7,\n\
               5,soon,0,NA,NA\n";
    let wide = imported(&map(""), csv, BadRows::Drop).unwrap();
    assert_eq!(
        wide.notes,
        [
            "column hb: 3 of 4 cells are missing (1 empty, 1 `NA`, 1 `-9.0`)",
            "column dx: 1 of 4 cells are missing (1 empty)",
            "column dx: 2 of 4 cells are kept that often mean missing (1 `?`, 1 `None`): where they do, add them to \
             csv.missing or to the column's missing",
        ]
    );
    let listed = MAP.replace(
        "as = \"level\"",
        "as = \"level\", levels = [{ level = \"not asked\", is = [\"?\", \"None\"] }, { level = \"other\" }]",
    );
    let listed = format!("{listed}\n[csv]\nmissing = [\"\", \"NA\", \"-9\"]\n");
    let told = imported(&listed, csv, BadRows::Drop).unwrap().notes.clone();
    assert!(
        !told.iter().any(|note| note.contains("often mean")),
        "{told:?}"
    );

    let long = r#"
        subject = { column = "pid" }
        event = { time = "when", code = "code", value = "result", text = "result" }
    "#;
    let csv = "pid,when,code,result\n1,2024-01-02,CRP,7.5\n2,,CRP,\n3,2024-01-02,NA,none\n";
    assert_eq!(
        imported(long, csv, BadRows::Stop).unwrap().notes,
        [
            "column when: 1 of 3 cells are missing (1 empty)",
            "column result: 1 of 3 cells are missing (1 empty)",
            "column code: 1 of 3 cells are kept that often mean missing (1 `NA`): where they do, add them to csv.missing \
             or to the column's missing",
            "column result: 1 of 3 cells are kept that often mean missing (1 `none`): where they do, add them to \
             csv.missing or to the column's missing",
        ]
    );
    let number = long.replace(", text = \"result\"", "");
    let error = imported(&number, csv, BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 3, column result: `none` is not a number; where it means missing, add it in the map: \
         csv.missing = [\"\", \"none\"]"
    );
}

#[test]
fn a_number_at_the_limit_is_not_above_it() {
    for tenths in 1..=200 {
        let limit = format!("{}.{}", tenths / 10, tenths % 10);
        let map = MAP.replace("\"integer\"", &format!("{{ above = {limit} }}"));
        let csv = format!(
            "pid,when,y,hb,dx\n1,2024-01-02,{limit},1,A\n2,2024-01-02,{limit}0001,1,A\n3,2024-01-02,{limit}0,1,A\n"
        );
        let labels = labels(&imported(&map, csv, BadRows::Stop).unwrap());
        let classes: Vec<_> = labels.iter().map(|label| label.2).collect();
        assert_eq!(classes, [0, 1, 0], "{limit}");
    }
}

#[test]
fn codes_are_kept_as_they_are_written_in_wide_and_long_tables() {
    let wide = |dx: &[&str], verbatim: &str| {
        let map = MAP.replace("as = \"level\"", &format!("as = \"level\"{verbatim}"));
        let mut csv = "pid,when,y,hb,dx\n".to_owned();
        for (place, dx) in dx.iter().enumerate() {
            csv += &format!("{place},2024-01-02,0,,{dx}\n");
        }
        codes(&imported(&map, csv, BadRows::Stop).unwrap())
    };
    let icd = ["250.00", "401.0", "300", "042.0", "V10.0"];
    let kept = icd.map(|code| format!("dx//{code}"));
    assert_eq!(wide(&icd, ""), kept);
    assert_eq!(
        wide(&["1.0", "", "2.0", "unknown"], ""),
        ["dx//1", "dx//2", "dx//unknown"]
    );
    assert_eq!(
        wide(&["401.0", "250.0"], ", verbatim = true"),
        ["dx//401.0", "dx//250.0"]
    );

    let long = r#"
        subject = { column = "pid" }
        event = { time = "when", code = "dx", prefix = "dx//" }
    "#;
    let mut csv = "pid,when,dx\n".to_owned();
    for (place, dx) in icd.iter().enumerate() {
        csv += &format!("{place},2024-01-02,{dx}\n");
    }
    assert_eq!(codes(&imported(long, csv, BadRows::Stop).unwrap()), kept);
}

#[test]
fn results_of_a_long_table_are_numbers_or_texts() {
    let map = r#"
        subject = { column = "pid" }
        event = { time = "when", code = "code", value = "result", text = "result" }
    "#;
    let csv = "pid,when,code,result\n1,2024-01-02,CRP,7.5\n2,2024-01-02,CULTURE,positive\n3,2024-01-02,SEEN,\n";
    let both = imported(map, csv, BadRows::Stop).unwrap();
    let found: Vec<_> = events(&both)
        .into_iter()
        .map(|event| (event.2, event.3))
        .collect();
    let event = |code: &str, value| (code.to_owned(), value);
    assert_eq!(
        found,
        [
            event("CRP", Some(7.5)),
            event("CULTURE//positive", None),
            event("SEEN", None)
        ]
    );
    let numbers = map.replace(", text = \"result\"", "");
    let error = imported(&numbers, csv, BadRows::Stop).unwrap_err();
    assert_eq!(
        error,
        "t.csv, row 2, column result: `positive` is not a number"
    );
    for odd in ["inf", "nan", "-Infinity"] {
        let csv = csv.replace("7.5", odd);
        assert!(
            imported(&numbers, csv, BadRows::Stop)
                .unwrap_err()
                .contains("not a number")
        );
    }
}

#[test]
fn ids_join_and_never_merge() {
    let two = refused(
        &map(""),
        "pid,when,y,hb,dx\n0012,2024-01-02,0,7,A\n12,2024-01-02,1,8,B\n",
    );
    assert!(two.contains("`0012` (row 1) and `12` (row 2)"), "{two}");
    let first = format!("first-by = \"y\"\n{MAP}");
    let first = refused(
        &first,
        "pid,when,y,hb,dx\n0012,2024-01-02,0,7,A\n12,2024-02-02,1,8,B\n",
    );
    assert!(first.contains("`0012` (row 1)"), "{first}");
    let text = MAP.replace("\"pid\"", "\"pid\", as = \"text\"");
    let uuid = "f4db39b1-693d-e301-0a1f-41d26d3ced36";
    let csv = format!(
        "pid,when,y,hb,dx\n0012,2024-01-02,0,7,A\n12.0,2024-01-02,1,8,B\n{uuid},2024-01-02,1,8,B\n"
    );
    let wide = imported(&text, csv, BadRows::Stop).unwrap();
    let subjects: Vec<i64> = labels(&wide).iter().map(|label| label.0).collect();
    assert_eq!(subjects.len(), 3);
    assert!(subjects.iter().all(|subject| *subject >= 0));
    let ids = String::from_utf8(wide.ids.clone().unwrap().to_vec()).unwrap();
    assert!(
        ids.contains(&format!(",\"{uuid}\"\n")) && ids.contains(",\"0012\"\n"),
        "{ids}"
    );
    let long =
        "subject = { column = \"id\", as = \"text\" }\nevent = { time = \"t\", code = \"c\" }";
    let long = imported(
        long,
        format!("id,t,c\n 12 ,2024-01-01,A\n{uuid},2024-01-01,A\n"),
        BadRows::Stop,
    );
    let others: Vec<i64> = events(&long.unwrap()).iter().map(|event| event.0).collect();
    assert!(
        others.iter().all(|subject| subjects.contains(subject)),
        "tables join"
    );
}

#[test]
fn times_with_and_without_zones_do_not_mix() {
    let csv = "pid,when,y,hb,dx\n1,2024-03-01 10:00:00,0,7,A\n2,2024-03-01 10:00:00+01:00,1,8,B\n";
    let mixed = refused(&map(""), csv);
    assert!(
        mixed.contains("row 2 names its zone and the one in row 1 does not"),
        "{mixed}"
    );
    for zone in ["Europe/Berlin", "+01:00"] {
        let map = format!("zone = \"{zone}\"\n{MAP}");
        let times: Vec<i64> = labels(&imported(&map, csv, BadRows::Stop).unwrap())
            .iter()
            .map(|label| label.1)
            .collect();
        // 2024-03-01 10:00 on the hospital's clocks.
        assert_eq!(times, [1_709_287_200_000_000; 2], "{zone}");
    }
}

#[test]
fn minutes_since_admission_become_times() {
    let map = r#"
        subject = { column = "stay" }
        event = { offset = { column = "offset", unit = "minutes", since = "2000-01-01" }, code = "name", value = "result" }
    "#;
    let csv = "stay,offset,name,result\n1,-90,K,4.1\n1,30.5,K,4.2\n1,,K,4.3\n";
    let times = |map: &str, csv: &str| -> Vec<Option<i64>> {
        let imported = imported(map, csv, BadRows::Stop).unwrap();
        events(&imported).iter().map(|event| event.1).collect()
    };
    let midnight = 946_684_800_000_000_i64;
    let want = [
        None,
        Some(midnight - 5_400_000_000),
        Some(midnight + 1_830_000_000),
    ];
    assert_eq!(times(map, csv), want);
    let column = map.replace("since = \"2000-01-01\"", "since-column = \"admitted\"");
    let csv = "stay,offset,name,result,admitted\n1,60,K,4.1,2000-01-01 01:00\n";
    assert_eq!(times(&column, csv), [Some(midnight + 7_200_000_000)]);
    let both = map.replace("code =", "time = \"t\", code =");
    assert!(
        imported(&both, csv, BadRows::Stop)
            .unwrap_err()
            .contains("`time` or `offset`")
    );
}

#[test]
fn utf_8_read_as_another_encoding_is_told() {
    let csv = "pid,when,y,hb,dx\n1,2024-01-02,0,7,größer\n";
    let latin = imported(&map("encoding = \"windows-1252\""), csv, BadRows::Stop).unwrap();
    assert!(
        latin.notes[0].contains("take csv.encoding out"),
        "{:?}",
        latin.notes
    );
    let utf_8 = imported(&map(""), csv, BadRows::Stop).unwrap();
    assert!(utf_8.notes.is_empty());
    let names = MAP.replace("\"hb\"", "\"größe\"");
    let names = format!("{names}\n[csv]\nencoding = \"latin1\"\n");
    let error = refused(&names, csv.replace("hb", "größe"));
    assert!(error.contains("UTF-8 that is read as latin1"), "{error}");
}

#[test]
fn a_file_that_the_map_does_not_fit_says_what_it_may_be() {
    let plain = "pid,when,y,hb,dx\n1,2024-01-02,0,7,A\n";
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (csv, hint) in [
        (
            plain.replace(',', ";").into_bytes(),
            "csv.delimiter = \";\"",
        ),
        (
            plain.replace(',', "\t").into_bytes(),
            "csv.delimiter = \"\\t\"",
        ),
        (
            format!("Report of 2024\n\n{plain}").into_bytes(),
            "csv.skip-lines = 2",
        ),
        (
            plain.replace("pid", "PID").into_bytes(),
            "`PID` differs in capitals alone",
        ),
        (
            plain.replace("pid", "patient").into_bytes(),
            "its columns: `patient`, `when`",
        ),
        (b"gr\xf6\xdfe,when\n1,2\n".to_vec(), "csv.encoding"),
        (utf16, "csv.encoding = \"utf-16le\""),
        (b"PK\x03\x04".to_vec(), ".xlsx"),
        (b"<html>".to_vec(), "web page"),
        (Vec::new(), "it is empty"),
    ] {
        let error = refused(&map(""), &csv);
        assert!(error.contains(hint), "{error}");
    }
    let skipped = format!("Report of 2024\n\n{plain}");
    assert_eq!(
        imported(&map("skip-lines = 2"), skipped, BadRows::Stop)
            .unwrap()
            .kept,
        1
    );
    let sep = format!("sep=;\r\n{}", plain.replace(',', ";"));
    assert_eq!(imported(&map(""), &sep, BadRows::Stop).unwrap().kept, 1);
    assert!(refused(&map("delimiter = \"|\""), &sep).contains("sep=;"));
    for (setting, value) in [("delimiter", "é"), ("quote", "ab"), ("decimal", "5")] {
        let error = refused(&map(&format!("{setting} = \"{value}\"")), plain);
        assert!(
            error.starts_with(&format!("the map's csv.{setting}")),
            "{error}"
        );
    }
}

/// Writes a year, a month and a day.
type Day = fn(i64, i64, i64) -> String;

/// How a table is written.
#[derive(Clone, Debug)]
struct Dialect {
    delimiter: char,
    line: &'static str,
    quoted: bool,
    decimal: char,
    thousands: Option<char>,
    encoding: &'static str,
    title: usize,
    dates: (&'static str, Day),
    wide: bool,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let dates: [(&str, Day); 5] = [
        ("iso", |year, month, day| {
            format!("{year}-{month:02}-{day:02}")
        }),
        ("day-month-year", |year, month, day| {
            format!("{day}.{month}.{year}")
        }),
        ("month-day-year", |year, month, day| {
            format!("{month:02}/{day:02}/{year}")
        }),
        ("compact", |year, month, day| {
            format!("{year}{month:02}{day:02}")
        }),
        ("%d-%m-%y", |year, month, day| {
            format!("{day:02}-{month:02}-{:02}", year % 100)
        }),
    ];
    (
        prop::sample::select(vec![',', ';', '\t', '|']),
        prop::sample::select(vec!["\n", "\r\n", "\r"]),
        any::<bool>(),
        prop::sample::select(vec![
            ('.', None),
            (',', None),
            (',', Some('.')),
            ('.', Some(' ')),
        ]),
        prop::sample::select(vec![
            "utf-8",
            "utf-8 bom",
            "utf-16 bom",
            "utf-16be",
            "windows-1252",
        ]),
        0..3_usize,
        prop::sample::select(dates.to_vec()),
        any::<bool>(),
    )
        .prop_map(
            |(delimiter, line, quoted, (decimal, thousands), encoding, title, dates, wide)| {
                Dialect {
                    delimiter,
                    // Lines before the header are counted by their line feeds.
                    line: if title > 0 && line == "\r" {
                        "\n"
                    } else {
                        line
                    },
                    quoted: quoted || delimiter == decimal,
                    decimal,
                    thousands,
                    encoding,
                    title,
                    dates,
                    wide,
                }
            },
        )
}

/// One patient: the id, a day of a few years, tenths of a value if it is known, a level.
type Patient = (i64, (i64, i64, i64), Option<i64>, String);

fn patients() -> impl Strategy<Value = Vec<Patient>> {
    let day = (2001..2060_i64, 1..=12_i64, 1..=28_i64);
    let level = "[A-Zäöü][a-z\",;é ]{0,6}[a-zß]";
    let patient = (
        any::<i64>(),
        day,
        prop::option::of(-99_999_999..99_999_999_i64),
        level,
    );
    let unique = |patients: Vec<Patient>| -> Vec<Patient> {
        let ids: std::collections::BTreeMap<i64, Patient> = patients
            .into_iter()
            .map(|patient| (patient.0, patient))
            .collect();
        ids.into_values().collect()
    };
    prop::collection::vec(patient, 1..8).prop_map(unique)
}

impl Dialect {
    fn number(&self, tenths: i64) -> String {
        let digits = (tenths.abs() / 10).to_string();
        let mut whole = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                whole.extend(self.thousands);
            }
            whole.push(digit);
        }
        let sign = if tenths < 0 { "-" } else { "" };
        format!("{sign}{whole}{}{}", self.decimal, tenths.abs() % 10)
    }

    fn cell(&self, text: &str) -> String {
        let must = text.contains(['"', '\n', '\r', self.delimiter]);
        if must || self.quoted {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    }

    fn text(&self, patients: &[Patient]) -> String {
        let mut text = String::new();
        for _ in 0..self.title {
            text += &format!("Auszug{}", self.line);
        }
        let mut row = |cells: &[&str]| {
            let cells: Vec<String> = cells.iter().map(|cell| self.cell(cell)).collect();
            text += &cells.join(&self.delimiter.to_string());
            text += self.line;
        };
        row(if self.wide {
            &["pid", "wann", "größe", "dx"]
        } else {
            &["pid", "wann", "code", "wert"]
        });
        for (id, (year, month, day), value, level) in patients {
            let (id, day) = (id.to_string(), (self.dates.1)(*year, *month, *day));
            let value = value.map_or("NA".to_owned(), |value| self.number(value));
            if self.wide {
                row(&[&id, &day, &value, level]);
            } else {
                row(&[&id, &day, "größe", &value]);
                row(&[&id, &day, &format!("dx//{level}"), ""]);
            }
        }
        text
    }

    fn bytes(&self, text: &str) -> Vec<u8> {
        let utf16 =
            |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        match self.encoding {
            "utf-8" => text.into(),
            "utf-8 bom" => format!("\u{feff}{text}").into(),
            "utf-16 bom" => utf16(&format!("\u{feff}{text}"), u16::to_le_bytes),
            "utf-16be" => utf16(text, u16::to_be_bytes),
            // All characters of these tables are in Latin-1.
            _ => text
                .chars()
                .map(|character| u8::try_from(character).unwrap())
                .collect(),
        }
    }

    fn map(&self) -> String {
        let encoding = match self.encoding {
            named @ ("utf-16be" | "windows-1252") => format!("encoding = \"{named}\""),
            _ => String::new(),
        };
        let thousands = self
            .thousands
            .map(|sign| format!("thousands = \"{sign}\""))
            .unwrap_or_default();
        let body = if self.wide {
            "lead-days = 0\nprediction = { column = \"wann\" }\n\
             column = [{ name = \"größe\" }, { name = \"dx\", as = \"level\" }]"
        } else {
            "event = { time = \"wann\", code = \"code\", value = \"wert\" }"
        };
        format!(
            "subject = {{ column = \"pid\" }}\ntime-format = \"{}\"\n{body}\n[csv]\nmissing = [\"\", \"NA\"]\n\
             delimiter = \"{}\"\ndecimal = \"{}\"\nskip-lines = {}\n{thousands}\n{encoding}\n",
            self.dates.0,
            self.delimiter.escape_default(),
            self.decimal,
            self.title,
        )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "as MEDS holds values"
)]
fn truth(patients: &[Patient]) -> Vec<table::Event> {
    let mut events = Vec::new();
    for (id, (year, month, day), value, level) in patients {
        let day = cohort::meds::Timestamp::midnight(*year, *month, *day).unwrap();
        if let Some(value) = value {
            events.push((
                *id,
                Some(day.0),
                "größe".to_owned(),
                Some((*value as f64 / 10.0) as f32),
            ));
        }
        events.push((*id, Some(day.0), format!("dx//{level}"), None));
    }
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        // `PROPTEST_CASES=100000` for a long one.
        ProptestConfig::default().cases.max(1_000)
    ))]

    /// Whatever the dialect, the events are those of the patients.
    #[test]
    fn a_table_says_the_same_in_every_dialect(dialect in dialects(), patients in patients()) {
        let bytes = dialect.bytes(&dialect.text(&patients));
        let imported = imported(&dialect.map(), bytes, BadRows::Stop).unwrap();
        let mut found = events(&imported);
        if !dialect.wide {
            // A row without a value is an event without one.
            found.retain(|event| event.2 != "größe" || event.3.is_some());
        }
        prop_assert_eq!(found, truth(&patients));
        prop_assert!(imported.files.iter().all(|file| file.role == Role::Events));
    }

    /// A table with one byte more or less is read or refused, and never panics.
    #[test]
    fn a_damaged_table_is_read_or_refused(
        dialect in dialects(),
        patients in patients(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = dialect.bytes(&dialect.text(&patients));
        let place = place.index(bytes.len());
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] = byte;
        }
        for bad_rows in [BadRows::Stop, BadRows::Drop] {
            let _ = imported(&dialect.map(), &bytes, bad_rows);
        }
    }
}
