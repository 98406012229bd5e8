"""Files as pyarrow and polars write them, and what is right to read in each: for the tests of `cohort::meds`.

    python files.py write FOLDER   # files, and cases.jsonl: one case a line
    python files.py seeds FOLDER   # small files for fuzzing: fuzz/seeds
    python files.py check FOLDER   # what Wardround wrote there, against MEDS's own schemas

A case names a file, the use of the column under test, and `want`: one value a row as text ("null", "bad" for a row that
must be refused), or "refused" where no row can be read. Values come from Python's own numbers, not from Wardround's table.
"""

import datetime as dt
import decimal
import json
import os
import random
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
DAY = 86_400_000_000


def column(use, array):
    """A table whose column for `use` is `array`."""
    rows = len(array)
    subjects = pa.array(range(rows), pa.int64())
    times = pa.array([None] * rows, pa.timestamp("us"))
    if use in ("boolean", "integer"):
        return pa.table({"subject_id": subjects, "prediction_time": times, f"{use}_value": array})
    events = {
        "subject_id": subjects,
        "time": times,
        "code": pa.array([f"C{row}" for row in range(rows)]),
        "numeric_value": pa.array([1.0] * rows),
    }
    events[{"id": "subject_id", "time": "time", "text": "code", "number": "numeric_value"}[use]] = array
    return pa.table(events)


def ends():
    """Every type of Arrow that Parquet can hold, with values at its ends."""
    yield "null", pa.array([None, None], pa.null())
    yield "bool", pa.array([True, False, None])
    for bits in (8, 16, 32, 64):
        top = 2 ** (bits - 1)
        yield f"int{bits}", pa.array([-top, -1, 0, None, top - 1], getattr(pa, f"int{bits}")())
        yield f"uint{bits}", pa.array([0, None, top - 1, top, 2 * top - 1], getattr(pa, f"uint{bits}")())
    halves = [struct.unpack("<e", struct.pack("<H", bits))[0] for bits in (0x0001, 0x03FF, 0x7BFF, 0xFBFF, 0x8000, 0x7C00, 0x7E00)]
    import numpy

    yield "float16", pa.array([numpy.float16(value) for value in halves] + [None], pa.float16())
    for name, form in (("float32", "<f"), ("float64", "<d")):
        least = {"<f": 2.0**-149, "<d": 5e-324}[form]
        most = {"<f": 3.4028234663852886e38, "<d": sys.float_info.max}[form]
        values = [0.0, -0.0, least, most, -most, float("inf"), float("-inf"), float("nan"), None]
        yield name, pa.array(values, getattr(pa, name)())
    for bits, digits in ((32, 9), (64, 18), (128, 38), (256, 76)):
        for scale in sorted({0, 1, 2, digits // 2, min(digits, 38)}):
            of = getattr(pa, f"decimal{bits}")(digits, scale)
            unscaled = [0, 1, -1, 420, -550, 10**digits - 1, 1 - 10**digits, 10**scale, 7 * 10**scale]
            unscaled = [value for value in unscaled if abs(value) < 10**digits]
            with decimal.localcontext(decimal.Context(prec=100)):
                values = [decimal.Decimal(value).scaleb(-scale) for value in unscaled]
            yield f"decimal{bits}_{digits}_{scale}", pa.array([*values, None], of)
    yield "date32", pa.array([0, -1, 19_000, None, 2**31 - 1, -(2**31)], pa.date32())
    yield "date64", pa.array([0, -DAY // 1000, None], pa.date64())
    for unit in ("s", "ms", "us", "ns"):
        for zone in (None, "UTC", "America/New_York"):
            values = [0, 1, -1, 1_700_000_000, None]
            if unit != "s":
                values += [2**62, -(2**62)]
            yield f"timestamp_{unit}_{zone and zone.split('/')[-1]}", pa.array(values, pa.timestamp(unit, zone))
    yield "time32", pa.array([0, 86_399_999, None], pa.time32("ms"))
    yield "time64_us", pa.array([0, 5, None], pa.time64("us"))
    yield "time64_ns", pa.array([0, 5, None], pa.time64("ns"))
    yield "string", pa.array(["", "é", "x" * 300, None])
    yield "large_string", pa.array(["a", None], pa.large_string())
    yield "binary", pa.array([b"", b"a", None])
    yield "dictionary", pa.array(["a", "b", "a", None]).dictionary_encode()
    yield "fixed", pa.array([b"abcd", None], pa.binary(4))
    yield "uuid", pa.array([b"0123456789abcdef", None], pa.uuid())
    yield "json", pa.array(["{}", None], pa.json_())
    yield "list", pa.array([[1], [], None], pa.list_(pa.int64()))
    yield "struct", pa.array([{"a": 1}, None])


def number(value):
    value = float(value)
    return "nan" if value != value else struct.pack(">d", value).hex()


def want(use, name, array):
    """What is right to read, by the type and by Python's own numbers."""
    kind = array.type
    values = None if pa.types.is_time(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind) else array.to_pylist()
    integer, exact = pa.types.is_integer(kind), pa.types.is_decimal(kind)

    def each(read):
        return ["null" if value is None else read(value) for value in values]

    def whole(value):
        if value != int(value):
            return "bad"
        return str(int(value)) if -(2**63) <= value < 2**63 else "bad"

    if pa.types.is_null(kind):
        # Rows without subject, and labels without value, have no reading of their own.
        return "refused" if use == "id" else ["null"] * len(array)
    if exact and use in ("number", "id", "integer"):
        fits = lambda value: abs(value.scaleb(array.type.scale, decimal.Context(prec=100))) < 2**127
        return each(lambda value: (number(value) if use == "number" else whole(value)) if fits(value) else "bad")
    if integer:
        return each(number if use == "number" else whole) if use in ("number", "id", "integer") else "refused"
    if use == "number" and pa.types.is_floating(kind):
        return each(number)
    if use == "boolean" and pa.types.is_boolean(kind):
        return each(lambda value: str(value).lower())
    if use == "text" and name in ("string", "large_string", "dictionary"):
        return each(str)
    if use == "text" and name == "binary":
        return each(bytes.decode)
    if use == "time" and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raw = array.cast(pa.int32() if kind == pa.date32() else pa.int64()).to_pylist()
        scale = {"date32": (DAY, 1), "date64": (1000, 1)}.get(name)
        scale = scale or {"s": (10**6, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}[kind.unit]
        micros = [None if value is None else value * scale[0] // scale[1] for value in raw]
        first, end = (int(dt.datetime(year, 1, 1, tzinfo=dt.timezone.utc).timestamp()) * 10**6 for year in (1800, 2301))
        return ["null" if at is None else str(at) if first <= at < end else "bad" for at in micros]
    return "refused"


class Cases:
    def __init__(self, folder):
        self.folder, self.lines = folder, []

    def add(self, name, use, want, write):
        file = f"{name}-{use}.parquet"
        write(self.folder / file)
        self.lines.append(json.dumps({"file": file, "use": use, "want": want}))


def types(cases):
    for name, array in ends():
        for use in ("number", "id", "integer", "boolean", "text", "time"):
            table = column(use, array)
            right = want(use, name, array)
            for form, options in (
                ("", {}),
                ("-integers", {"store_decimal_as_integer": True}),
                ("-v1", {"version": "1.0"}),
            ):
                if form == "-integers" and "decimal" not in name:
                    continue
                if form == "-v1" and name.startswith("timestamp_ns"):
                    continue
                cases.add(
                    f"type-{name}{form}", use, right, lambda path: pq.write_table(table, path, **options)
                )
    old = pa.array([0, 1], pa.timestamp("us"))
    cases.add(
        "type-int96", "time", "refused",
        lambda path: pq.write_table(column("time", old), path, use_deprecated_int96_timestamps=True),
    )


def forms(cases, chance):
    """Codecs, encodings and page versions, over columns of many rows."""
    rows = 5_000
    holes = [chance.random() < 0.1 for _ in range(rows)]
    arrays = {
        "int64": [chance.choice((chance.randrange(50), chance.randrange(-(2**63), 2**63))) for _ in range(rows)],
        "int32": [chance.choice((chance.randrange(50), chance.randrange(-(2**31), 2**31))) for _ in range(rows)],
        "float32": [struct.unpack("<f", struct.pack("<f", chance.gauss(70, 15)))[0] for _ in range(rows)],
        "float64": [chance.gauss(70, 15) for _ in range(rows)],
        "string": [chance.choice(("LOINC//", "ICD10CM//")) + str(chance.randrange(10**6)) for _ in range(rows)],
    }
    encodings = {
        "int64": ["DICT", "PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
        "int32": ["DICT", "PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"],
        "float32": ["DICT", "PLAIN", "BYTE_STREAM_SPLIT"],
        "float64": ["DICT", "PLAIN", "BYTE_STREAM_SPLIT"],
        "string": ["DICT", "PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"],
    }
    for kind, values in arrays.items():
        values = [None if hole else value for value, hole in zip(values, holes)]
        use = "text" if kind == "string" else "number"
        array = pa.array(values, getattr(pa, kind)())
        right = ["null" if value is None else value if use == "text" else number(value) for value in values]
        table, name = column(use, array), "code" if use == "text" else "numeric_value"
        for encoding in encodings[kind]:
            for page in ("1.0", "2.0"):
                for codec in CODECS:
                    options = {"compression": codec, "data_page_version": page, "row_group_size": 2_100, "data_page_size": 3_000}
                    if encoding == "DICT":
                        options["use_dictionary"] = [name]
                    else:
                        options |= {"use_dictionary": False, "column_encoding": {name: encoding}}
                    cases.add(
                        f"form-{kind}-{encoding}-{page}-{codec}", use, right,
                        lambda path: pq.write_table(table, path, **options),
                    )
        frame = pl.from_arrow(table)
        for codec in ("uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4"):
            cases.add(f"polars-{kind}-{codec}", use, right, lambda path: frame.write_parquet(path, compression=codec))
    dense = pa.array(range(rows), pa.int64())
    required = column("number", dense)
    fields = [field.with_nullable(field.name == "time") for field in required.schema]
    required = required.cast(pa.schema(fields))
    for page in ("1.0", "2.0"):
        cases.add(
            f"form-required-{page}", "number", [number(value) for value in range(rows)],
            lambda path: pq.write_table(required, path, data_page_version=page, compression="zstd"),
        )


def write(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cases = Cases(folder)
    types(cases)
    forms(cases, random.Random(12))
    (folder / "cases.jsonl").write_text("\n".join(cases.lines) + "\n")
    print(f"{len(cases.lines)} cases")


def seeds(folder):
    """Events of a small hospital, one file a codec, with the encodings that Wardround's own writer does not use."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(subject, day) for subject in range(6) for day in range(12)]
    values = [None if day % 5 == 0 else 96 + day for _, day in rows]
    codes = pa.array([("LOINC//59408-5", "LOINC//8867-4")[day % 2] for _, day in rows])
    table = pa.table({
        "subject_id": pa.array([subject for subject, _ in rows], pa.int64()),
        "time": pa.array([day * DAY for _, day in rows], pa.timestamp("us")),
        "code": codes,
        "numeric_value": pa.array(values, pa.float32()),
    })
    exact = table.set_column(3, "numeric_value", pa.array(values, pa.decimal128(9, 2)))
    for name, table, codec, texts, numbers in (
        ("zstd-delta", table, "zstd", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN"),
        ("gzip-split", table, "gzip", "PLAIN", "BYTE_STREAM_SPLIT"),
        ("brotli-prefixes", table, "brotli", "DELTA_BYTE_ARRAY", "PLAIN"),
        ("lz4-decimal", exact, "lz4", "PLAIN", "DELTA_BYTE_ARRAY"),
    ):
        pq.write_table(
            table, folder / f"{name}.parquet", compression=codec, use_dictionary=False, store_schema=False,
            write_statistics=False, data_page_version="2.0" if codec != "gzip" else "1.0",
            column_encoding={
                "subject_id": "DELTA_BINARY_PACKED", "time": "DELTA_BINARY_PACKED", "code": texts, "numeric_value": numbers,
            },
        )


def check(folder):
    import meds

    for name, schema in (
        ("events", meds.DataSchema),
        ("labels", meds.LabelSchema),
        ("splits", meds.SubjectSplitSchema),
    ):
        table = pq.read_table(folder / f"written-{name}.parquet")
        schema.validate(table)
        print(f"{name}: {table.num_rows} rows are as MEDS {meds.__version__} wants them")
    run_stage(folder)


def run_stage(folder):
    """A stage of MEDS-transforms that keeps patients with a measurement: all of what was written."""
    place = folder / "meds-transforms"
    shutil.rmtree(place, ignore_errors=True)
    data = place / "in" / "data" / "train"
    data.mkdir(parents=True)
    shutil.copy(folder / "written-events.parquet", data / "0.parquet")
    pipeline = place / "pipeline.yaml"
    stage = "filter_subjects:\n      min_measurements_per_subject: 1"
    pipeline.write_text(
        f"input_dir: {place}/in\noutput_dir: {place}/out\ndescription: patients with a measurement\nstages:\n  - {stage}\n"
    )
    bin = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}"}
    subprocess.run([bin / "MEDS_transform-pipeline", pipeline], env=environment, check=True)
    got = pl.read_parquet(place / "out" / "data" / "train" / "0.parquet")
    want = pl.read_parquet(data / "0.parquet")
    assert got.equals(want), f"MEDS-transforms gives {got} for {want}"
    print(f"events: {got.height} rows went through a stage of MEDS-transforms")


if __name__ == "__main__":
    {"write": write, "seeds": seeds, "check": check}[sys.argv[1]](Path(sys.argv[2]))
