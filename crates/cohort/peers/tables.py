"""CSV files as the world writes them, and what pandas reads of each: for the test `import_peers`.

    python tables.py FOLDER SEED COUNT   # files, and tables.jsonl: one case a line

A case names a file, the map for it, and `want`: subject, microseconds, code and bits of the value of each event. Bytes are
written by Python's `csv` from random cells; values, texts and times are what `pandas.read_csv` and `pandas.to_datetime` read
of these bytes by the settings that the map states, never the cells themselves.
"""

import csv
import io
import json
import random
import struct
import sys
from pathlib import Path

import pandas as pd

WORDS = ["", "NA", "N/A", "nan", "NULL", "None", ".", "-", "?", "#N/A", "-9", "999", "-9.5", "k. A."]
# Encodings by their names in Python and on the web, with letters that they have.
ENCODINGS = [
    ("utf-8", None, "äé✓漢"),
    ("utf-8-sig", None, "äé✓漢"),
    ("utf-16", None, "äé✓漢"),
    ("utf-16-le", "utf-16le", "äé✓漢"),
    ("utf-16-be", "utf-16be", "äé✓漢"),
    ("cp1252", "windows-1252", "äé€"),
    ("iso8859-15", "iso-8859-15", "äé€"),
    ("iso8859-2", "iso-8859-2", "ąłé"),
    ("cp1251", "windows-1251", "жя"),
    ("shift_jis", "shift_jis", "漢字カ"),
    ("gb18030", "gb18030", "漢字é"),
]
# Decimals and groups of digits, as in different countries.
DIGITS = [(".", None), (".", None), (",", None), (",", "."), (".", ","), (".", " "), (",", " "), (".", "'")]
# Formats of times by their names in a map, and for Python.
TIMES = [
    ("iso", "%Y-%m-%d"),
    ("iso", "%Y-%m-%d %H:%M"),
    ("iso", "%Y-%m-%dT%H:%M:%S.%f"),
    ("day-month-year", "%d.%m.%Y"),
    ("day-month-year", "%d/%m/%Y %H:%M:%S"),
    ("month-day-year", "%m/%d/%Y"),
    ("month-day-year", "%m-%d-%Y %I:%M %p"),
    ("compact", "%Y%m%d"),
    ("compact", "%Y%m%d%H%M%S"),
    ("epoch-seconds", None),
    ("epoch-milliseconds", None),
    ("%d-%b-%Y", "%d-%b-%Y"),
    ("%d.%m.%y %H:%M", "%d.%m.%y %H:%M"),
]


class Table:
    """The settings of one file, and its cells."""

    def __init__(self, chance):
        self.chance = chance
        pick = chance.choice
        self.encoding, self.label, self.letters = pick(ENCODINGS)
        self.decimal, self.thousands = pick(DIGITS)
        self.delimiter = pick([sign for sign in ",;\t|" if sign not in (self.decimal, self.thousands)])
        self.quote = pick(['"', '"', '"', "'", None]) if self.thousands != "'" else pick(['"', None])
        self.quoting = pick([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]) if self.quote else csv.QUOTE_NONE
        self.end = pick(["\n", "\r\n", "\r"])
        self.title = pick([0, 0, 1, 2]) if self.end != "\r" else 0
        self.header = pick([True, True, True, False])
        self.blank = pick([0.0, 0.0, 0.1])
        self.last = pick([True, True, False])
        self.missing = chance.sample(WORDS, chance.randrange(1, 6))
        self.time, self.pattern = pick(TIMES)
        self.long = pick([True, False])
        self.columns = ["pid", "when", "code", "result", "remark"] if self.long else ["pid", "when", "hb", "crp", "dx", "note"]
        self.names = list(self.columns)
        if chance.random() < 0.3:
            self.names[3] = self.letters[:2] + " x"

    def number(self):
        chance = self.chance
        value = chance.choice([0, chance.randrange(-20, 20), chance.uniform(-1e3, 1e3), chance.uniform(-1e9, 1e9), chance.gauss(7, 2)])
        if self.thousands is None and chance.random() < 0.1:
            return f"{value:.{chance.randrange(9)}e}".replace(".", self.decimal)
        text = f"{value:{chance.choice(['', '+'])},.{chance.randrange(7)}f}"
        return text.translate({ord(","): self.thousands, ord("."): self.decimal})

    def text(self):
        chance = self.chance
        signs = "abcXYZ0189.+-_/()% " + self.letters * 2
        if self.quote:
            signs += self.delimiter + "\"'\n"
        else:
            signs += "\"'"
        inner = "".join(chance.choice(signs) for _ in range(chance.randrange(7)))
        ends = "aZ5)" + self.letters
        text = chance.choice(ends) + inner + chance.choice(ends)
        text = text if self.quote else text.replace(self.delimiter, "_")
        # Python 3.11 quotes a cell for the end of line of the file alone.
        return text.replace("\n", self.end)

    def date(self):
        moment = pd.Timestamp(self.chance.randrange(-(10**9), 4 * 10**9), unit="s")
        if "%y" in self.time:
            moment = pd.Timestamp(self.chance.randrange(0, 19 * 10**8), unit="s")
        if self.pattern:
            return moment.strftime(self.pattern)
        return str(moment.value // (10**9 if self.time == "epoch-seconds" else 10**6))

    def cell(self, kind):
        if self.chance.random() < 0.2:
            return self.chance.choice(self.missing)
        return getattr(self, kind)()

    def rows(self):
        for patient in range(1, self.chance.randrange(2, 30)):
            if self.long:
                yield [str(patient), self.date(), "C" + self.text(), self.cell("number"), self.cell("text")]
            else:
                yield [str(patient), self.date(), self.cell("number"), self.cell("number"), self.cell("text"), self.text()]

    def bytes(self):
        out = io.StringIO()
        for _ in range(self.title):
            out.write("Report of 2024" + self.end)
        form = {"quotechar": self.quote} if self.quote else {"escapechar": None, "quotechar": None}
        writer = csv.writer(out, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.end, **form)
        if self.header:
            writer.writerow(self.names)
        for row in self.rows():
            writer.writerow(row)
            if self.chance.random() < self.blank:
                out.write(self.end)
        text = out.getvalue()
        if not self.last and not text.endswith(self.end * 2):
            text = text[: -len(self.end)]
        return text.encode(self.encoding)

    def map(self):
        quoted = json.dumps
        lines = ['subject = { column = "pid" }', f"time-format = {quoted(self.time)}"]
        if self.long:
            lines.append(f"event = {{ time = \"when\", code = \"code\", value = {quoted(self.names[3])} }}")
        else:
            lines += [
                "lead-days = 0",
                'prediction = { column = "when" }',
                f"column = [{{ name = \"hb\" }}, {{ name = {quoted(self.names[3])}, code = \"crp\" }}, "
                '{ name = "dx", as = "level", verbatim = true }]',
            ]
        lines += [
            "[csv]",
            f"delimiter = {quoted(self.delimiter)}",
            f"quote = {quoted(self.quote or '')}",
            f"decimal = {quoted(self.decimal)}",
            f"skip-lines = {self.title}",
            f"missing = {quoted(self.missing, ensure_ascii=False)}",
            'lines-in-cells = "any"',
        ]
        if self.thousands:
            lines.append(f"thousands = {quoted(self.thousands)}")
        if self.label:
            lines.append(f"encoding = {quoted(self.label)}")
        if not self.header:
            lines.append(f"columns = {quoted(self.names, ensure_ascii=False)}")
        return "\n".join(lines) + "\n"

    def read(self, path):
        """The table as pandas reads it, by the settings that the map has."""
        numbers = ["result"] if self.long else ["hb", "crp"]
        types = {name: str for name in self.columns if name not in numbers} | {"pid": "int64"}
        types |= {name: "float64" for name in numbers}
        form = {"quotechar": self.quote} if self.quote else {"quoting": csv.QUOTE_NONE}
        return pd.read_csv(
            path,
            sep=self.delimiter,
            decimal=self.decimal,
            thousands=self.thousands,
            encoding=self.encoding,
            skiprows=self.title + self.header,
            header=None,
            names=self.columns,
            dtype=types,
            keep_default_na=False,
            na_values={name: self.missing for name in self.columns if name in numbers + ["dx"]},
            **form,
        )

    def want(self, path):
        table = self.read(path)
        if self.pattern:
            times = pd.to_datetime(table["when"], format=self.pattern)
        else:
            unit = "s" if self.time == "epoch-seconds" else "ms"
            times = pd.to_datetime(table["when"].astype("int64"), unit=unit)
        events = []
        for row, time in zip(table.itertuples(), times.astype("datetime64[us]").astype("int64")):
            if self.long:
                events.append([row.pid, time, row.code.strip(), bits(row.result)])
                continue
            for code in ("hb", "crp"):
                if bits(getattr(row, code)) is not None:
                    events.append([row.pid, time, code, bits(getattr(row, code))])
            if isinstance(row.dx, str):
                events.append([row.pid, time, f"dx//{row.dx.strip()}", None])
        return events


def bits(value):
    """The bits of a number in 32 bits; nothing for a missing one."""
    return None if value != value else struct.pack(">f", value).hex()


def main():
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tables.jsonl").open("w") as cases:
        for place in range(count):
            table = Table(random.Random(f"{seed} {place}"))
            file = folder / f"{place}.csv"
            file.write_bytes(table.bytes())
            case = {"file": file.name, "map": table.map(), "want": table.want(file)}
            cases.write(json.dumps(case, default=int) + "\n")
    print(count, "tables")


main()
