//! Diabetes 130-US cut into simulated hospitals: the file names none.
//!
//! A patient belongs to one hospital with all stays, by where the first stay came from: the emergency room, a referral,
//! a transfer, or unknown. So hospitals differ in size and in who comes to them, and a patient is at one of them alone,
//! as the promise of privacy has it. The folds are by patient too: nobody is on both sides.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use flate2::read::MultiGzDecoder;

use super::hospitals::Stays;
use crate::shell::{root, say};

/// The file of stays.
pub(super) const STAYS: &str = "diabetic_data.csv.gz";

/// Five folds, by patient.
pub(super) const FOLDS: &str = "folds5_grouped.csv.gz";

/// The map of the file of stays.
pub(super) const MAP: &str = "maps/diabetes130.toml";

/// The simulated hospitals, by where a patient's first stay came from.
pub(super) const SITES: [&str; 4] = [
    "simulated-emergency",
    "simulated-referral",
    "simulated-transfer",
    "simulated-unknown",
];

/// Stays with their hospital and split, and the map that reads them.
pub(super) struct Cut {
    pub(super) stays: PathBuf,
    pub(super) map: PathBuf,
}

/// Writes the stays of `data` with two more columns, `site` and `split`: held out is `fold`.
pub(super) fn cut(data: &Path, fold: u8, stays: Stays, folder: &Path) -> Result<Cut> {
    say(&format!(
        "cutting Diabetes 130-US into simulated hospitals, fold {fold} held out"
    ));
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let folds = folds(&data.join(FOLDS))?;
    let sites = sites(&data.join(STAYS))?;
    let cut = Cut {
        stays: folder.join("stays.csv"),
        map: folder.join("map.toml"),
    };
    let mut table = Table::open(&data.join(STAYS))?;
    let (stay, patient) = (table.column("encounter_id")?, table.column("patient_nbr")?);
    let mut writer = csv::Writer::from_path(&cut.stays)
        .with_context(|| format!("writing {}", cut.stays.display()))?;
    table.header.push_field("site");
    table.header.push_field("split");
    writer.write_record(&table.header)?;
    for record in table.reader.records() {
        let mut record = record?;
        let held_out = *folds
            .get(&record[stay])
            .with_context(|| format!("stay {} is in no fold", &record[stay]))?
            == fold;
        let site = sites[&record[patient]].site;
        record.push_field(site);
        record.push_field(if held_out { "held_out" } else { "train" });
        writer.write_record(&record)?;
    }
    writer.flush().context("writing the stays")?;
    let map = root().join(MAP);
    let mut text =
        std::fs::read_to_string(&map).with_context(|| format!("reading {}", map.display()))?;
    text.push_str("\n[split]\ncolumn = \"split\"\n");
    if stays == Stays::Survived {
        text.push_str(SURVIVED);
    }
    std::fs::write(&cut.map, text).with_context(|| format!("writing {}", cut.map.display()))?;
    Ok(cut)
}

/// Expired, or discharged to hospice: those patients cannot be readmitted.
const SURVIVED: &str = r#"
[[filter]]
column = "discharge_disposition_id"
not = ["11", "13", "14", "19", "20", "21"]
"#;

/// A packed CSV file.
struct Table {
    header: csv::StringRecord,
    reader: csv::Reader<MultiGzDecoder<File>>,
    path: PathBuf,
}

impl Table {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
        let mut reader = csv::Reader::from_reader(MultiGzDecoder::new(file));
        let header = reader
            .headers()
            .with_context(|| format!("reading {}", path.display()))?
            .clone();
        Ok(Self {
            header,
            reader,
            path: path.to_path_buf(),
        })
    }

    fn column(&self, name: &str) -> Result<usize> {
        self.header
            .iter()
            .position(|column| column == name)
            .with_context(|| format!("{} has no column {name}", self.path.display()))
    }
}

/// The fold of each stay.
fn folds(path: &Path) -> Result<HashMap<String, u8>> {
    let mut table = Table::open(path)?;
    let (stay, fold) = (table.column("encounter_id")?, table.column("fold")?);
    let mut folds = HashMap::new();
    for record in table.reader.records() {
        let record = record?;
        let fold: u8 = record[fold].parse().context("reading a fold")?;
        ensure!(fold < 5, "{} has a fold {fold}", path.display());
        folds.insert(record[stay].to_owned(), fold);
    }
    Ok(folds)
}

/// A patient's first stay so far, and the hospital that follows from it.
struct First {
    stay: u64,
    site: &'static str,
}

/// The simulated hospital of each patient.
fn sites(path: &Path) -> Result<HashMap<String, First>> {
    let mut table = Table::open(path)?;
    let stay = table.column("encounter_id")?;
    let patient = table.column("patient_nbr")?;
    let source = table.column("admission_source_id")?;
    let mut sites: HashMap<String, First> = HashMap::new();
    for record in table.reader.records() {
        let record = record?;
        let first = First {
            stay: record[stay].parse().context("reading a stay's number")?,
            site: site(&record[source]),
        };
        match sites.get_mut(&record[patient]) {
            Some(known) if known.stay <= first.stay => {}
            Some(known) => *known = first,
            None => {
                sites.insert(record[patient].to_owned(), first);
            }
        }
    }
    Ok(sites)
}

/// The hospital for an `admission_source_id`, as the data's `IDs_mapping.csv` explains it.
fn site(admission_source: &str) -> &'static str {
    match admission_source {
        "7" => SITES[0],
        "1" | "2" | "3" => SITES[1],
        "4" | "5" | "6" | "10" | "18" | "19" | "22" | "25" | "26" => SITES[2],
        _ => SITES[3],
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(path: &Path, text: &str) {
        let file = File::create(path).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }

    #[test]
    fn a_patient_is_at_the_hospital_of_the_first_stay_with_all_stays() {
        let folder = tempfile::tempdir().unwrap();
        packed(
            &folder.path().join(STAYS),
            "encounter_id,patient_nbr,admission_source_id\n20,1,7\n10,1,4\n11,2,1\n12,3,17\n",
        );
        packed(
            &folder.path().join(FOLDS),
            "encounter_id,patient_nbr,fold\n20,1,3\n10,1,3\n11,2,0\n12,3,1\n",
        );
        let out = folder.path().join("out");
        let cut = cut(folder.path(), 3, Stays::Survived, &out).unwrap();
        assert_eq!(
            std::fs::read_to_string(cut.stays).unwrap(),
            "encounter_id,patient_nbr,admission_source_id,site,split\n\
             20,1,7,simulated-transfer,held_out\n10,1,4,simulated-transfer,held_out\n\
             11,2,1,simulated-referral,train\n12,3,17,simulated-unknown,train\n"
        );
        let map = std::fs::read_to_string(cut.map).unwrap();
        assert!(map.contains("column = \"split\"") && map.ends_with(SURVIVED));
    }
}
