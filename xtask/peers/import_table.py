"""A long table as MEDS events by polars or by MEDS-extract: what a user would take instead of `host import csv`.

    import_table.py polars TABLE.csv FOLDER
    import_table.py meds-extract TABLE.csv FOLDER

Prints one line of JSON: rows, seconds, and the most memory of the process or of a child, in MiB.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

MESSY = """
etl:
  dataset_name: BENCH
  raw_dataset_version: "1"
  n_subjects_per_shard: 100000
table:
  _defaults:
    subject_id: $patient
  measurement:
    code: $what
    time: $when::"%Y-%m-%d %H:%M:%S"
    numeric_value: $result
"""


def with_polars(table, folder):
    import polars as pl

    events = pl.scan_csv(table).select(
        pl.col("patient").alias("subject_id"),
        pl.col("when").str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us").alias("time"),
        pl.col("what").alias("code"),
        pl.col("result").cast(pl.Float32).alias("numeric_value"),
    )
    events = events.sort("subject_id", "time", maintain_order=True)
    events.sink_parquet(folder / "events.parquet")
    return pl.scan_parquet(folder / "events.parquet").select(pl.len()).collect().item()


def with_meds_extract(table, folder):
    import pyarrow.parquet as pq

    raw, out = folder / "raw", folder / "out"
    raw.mkdir()
    (raw / "table.csv").symlink_to(table.resolve())
    (folder / "messy.yaml").write_text(MESSY)
    bin = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    command = [bin / "meds-extract-run", f"spec={folder}/messy.yaml", f"input_dir={raw}"]
    command += [f"output_dir={out}", "do_download=false"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stdout[-2000:] + run.stderr[-2000:])
    return sum(pq.read_metadata(file).num_rows for file in (out / "data").rglob("*.parquet"))


def main():
    way, table, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True)
    begin = time.monotonic()
    rows = {"polars": with_polars, "meds-extract": with_meds_extract}[way](table, folder)
    seconds = time.monotonic() - begin
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(json.dumps({"rows": rows, "seconds": seconds, "memory_mib": max(used) / 1024}))


main()
