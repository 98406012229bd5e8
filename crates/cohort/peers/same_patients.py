"""The same patients in four forms, for the test that all of them are read alike.

    same_patients.py FOLDER

- wide.csv: a row a stay, decimal commas, ids that are UUIDs;
- long.csv and long-labels.csv: a row an event, UTF-16, the same ids;
- polars/: MEDS as polars writes it, with the numbers that the ids have under the key of the test;
- meds-extract/: what MEDS-extract makes of raw tables with these numbers.
"""

import csv
import datetime
import os
import random
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import blake3
import polars as pl

PATIENTS = 60
KEY = bytes([7] * 32)
MESSY = """
etl:
  dataset_name: SAME
  raw_dataset_version: "1"
events:
  _defaults:
    subject_id: $patient
  measurement:
    code: $what
    time: $when::"%Y-%m-%d %H:%M:%S"
    numeric_value: $result
"""


def number(identifier):
    """The number of an id of text (docs/IMPORT.md)."""
    digest = blake3.blake3(b"wardround subject 1" + identifier.encode(), key=KEY).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def patients():
    dice = random.Random(12)
    for place in range(PATIENTS):
        when = datetime.datetime(2024, 1, 1 + dice.randrange(28), dice.randrange(24), dice.randrange(60))
        yield {
            "id": str(uuid.UUID(int=dice.getrandbits(128), version=4)),
            "when": when,
            "class": place % 3,
            "ward": dice.choice(["A1", "B2", "0012"]),
            "LOINC//8867-4": dice.choice([None, round(dice.uniform(40, 160), 1)]),
            "LOINC//59408-5": round(dice.uniform(80, 100), 2),
        }


MEASURED = ["LOINC//8867-4", "LOINC//59408-5"]


def events(patient):
    """Time, code and value, a day before the discharge."""
    time = patient["when"] - datetime.timedelta(days=1)
    for code in MEASURED:
        if patient[code] is not None:
            yield time, code, patient[code]
    yield time, f"WARD//{patient['ward']}", None


def comma(value):
    return "" if value is None else str(value).replace(".", ",")


def table(path, header, rows, **settings):
    encoding = settings.pop("encoding", "utf-8")
    with open(path, "w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, **settings)
        writer.writerow(header)
        writer.writerows(rows)


def write(folder):
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    all_patients = list(patients())
    numbered = [(number(patient["id"]), patient) for patient in all_patients]
    rows = [[p["id"], p["when"], p["class"], p["ward"], *(comma(p[code]) for code in MEASURED)] for p in all_patients]
    table(folder / "wide.csv", ["patient", "discharged", "class", "ward", "rate", "saturation"], rows, delimiter=";")
    long = [(p["id"], *event) for p in all_patients for event in events(p)]
    random.Random(3).shuffle(long)
    header = ["patient", "when", "what", "result"]
    table(folder / "long.csv", header, long, encoding="utf-16", delimiter="\t")
    labels = [[p["id"], p["when"], p["class"]] for p in all_patients]
    table(folder / "long-labels.csv", ["patient", "when", "class"], labels, encoding="utf-16")
    with_polars(folder / "polars", numbered)
    with_meds_extract(folder / "meds-extract", numbered)


def label_file(path, numbered):
    path.parent.mkdir(parents=True)
    labels = pl.DataFrame({
        "subject_id": [subject for subject, _ in numbered],
        "prediction_time": [patient["when"] for _, patient in numbered],
        "integer_value": [patient["class"] for _, patient in numbered],
    })
    labels.with_columns(pl.col("prediction_time").cast(pl.Datetime("us"))).write_parquet(path)


def with_polars(folder, numbered):
    rows = [(subject, *event) for subject, patient in numbered for event in events(patient)]
    schema = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    data = pl.DataFrame(rows, schema=schema, orient="row").sort("subject_id", "time", maintain_order=True)
    (folder / "data").mkdir(parents=True)
    data.write_parquet(folder / "data" / "0.parquet")
    label_file(folder / "labels" / "0.parquet", numbered)


def with_meds_extract(folder, numbered):
    raw = folder / "raw"
    raw.mkdir(parents=True)
    rows = [(subject, *event) for subject, patient in numbered for event in events(patient)]
    table(raw / "events.csv", ["patient", "when", "what", "result"], rows)
    (folder / "messy.yaml").write_text(MESSY)
    bin = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    command = [bin / "meds-extract-run", f"spec={folder}/messy.yaml", f"input_dir={raw}"]
    command += [f"output_dir={folder}/out", "do_download=false"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stdout[-3000:] + run.stderr[-3000:])
    label_file(folder / "labels" / "0.parquet", numbered)


write(Path(sys.argv[1]))
