"""`datasets` and pandas at the other end of a file, for tests/python.rs.

    python_peer.py write FOLDER     writes data sets in every form, and prints the rows of each as JSON
    python_peer.py read FILE...     prints the rows of each file as `datasets` and as pandas read them
"""

import datetime
import decimal
import json
import sys
from pathlib import Path

import datasets
import pandas
import pyarrow
import pyarrow.feather
import pyarrow.parquet

datasets.disable_progress_bars()

LABELS = ["negative", "positive"]


def rows():
    texts = ["A tender, funny film.", "", None, 'two\nlines, "quoted" é \U0001f600', "dull"]
    for number in range(50):
        yield {
            "text": texts[number % 5],
            "label": number % 2,
            "id": 2**63 + number,
            "score": number / 8,
            "good": number % 3 == 0,
            "words": ["so"] * (number % 4),
            "pair": {"a": number, "b": "x"},
        }


def features():
    return datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=LABELS),
            "id": datasets.Value("uint64"),
            "score": datasets.Value("float64"),
            "good": datasets.Value("bool"),
            "words": datasets.List(datasets.Value("string")),
            "pair": {"a": datasets.Value("int32"), "b": datasets.Value("string")},
        }
    )


def write(folder):
    # Not from_list, for which whole numbers end at 2**63.
    table = pyarrow.Table.from_pylist(list(rows()), schema=features().arrow_schema)
    data = datasets.Dataset(datasets.table.InMemoryTable(table))
    shown = {}

    def add(name, expected=data):
        shown[name] = list(expected)

    data.to_parquet(folder / "datasets.parquet")
    add("datasets.parquet")
    data.save_to_disk(folder / "saved", num_shards=3)
    add("saved")
    shuffled = data.shuffle(seed=7).select(range(20))
    shuffled.save_to_disk(folder / "selected")
    add("selected", shuffled)
    datasets.DatasetDict(train=data, test=shuffled).save_to_disk(folder / "splits")
    add("splits/train")
    add("splits/test", shuffled)

    frame = pandas.DataFrame(list(rows()))
    for name, options in [("snappy", {}), ("zstd", {"compression": "zstd"}), ("gzip", {"compression": "gzip"})]:
        frame.to_parquet(folder / f"{name}.parquet", **options)
        add(f"{name}.parquet")
    for name in ["lz4", "zstd", "uncompressed"]:
        frame.to_feather(folder / f"{name}.feather", compression=name)
        add(f"{name}.feather")

    schema = pyarrow.Schema.from_pandas(frame)
    whole = pyarrow.Table.from_pandas(frame, schema=schema)
    with pyarrow.parquet.ParquetWriter(folder / "empty_groups.parquet", schema) as writer:
        for part in [whole.slice(0, 0), whole, whole.slice(0, 0)]:
            writer.write_table(part)
    add("empty_groups.parquet")

    table = pyarrow.table(
        {
            "text": pyarrow.array(["a", None, "a"]).dictionary_encode(),
            "day": [datetime.date(2024, 2, 29)] * 3,
            "time": pandas.to_datetime(["2024-02-29 12:00:00.5"] * 3).tz_localize("Europe/Berlin"),
            "price": [decimal.Decimal("12.50"), None, decimal.Decimal("-0.05")],
            "bytes": [b"\xff\x00", b"", None],
            "none": pyarrow.nulls(3),
        }
    )
    expected = [
        {"text": "a", "day": "2024-02-29", "time": "2024-02-29T11:00:00.500Z", "price": "12.50", "bytes": "/wA=", "none": None},
        {"text": None, "day": "2024-02-29", "time": "2024-02-29T11:00:00.500Z", "price": None, "bytes": "", "none": None},
        {"text": "a", "day": "2024-02-29", "time": "2024-02-29T11:00:00.500Z", "price": "-0.05", "bytes": None, "none": None},
    ]
    pyarrow.parquet.write_table(table, folder / "types.parquet")
    pyarrow.feather.write_feather(table, folder / "types.feather")
    with pyarrow.ipc.new_stream(folder / "types.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ["types.parquet", "types.feather", "types.arrow"]:
        shown[name] = expected
    return shown


def read(path):
    kind = "parquet" if path.endswith(".parquet") else "arrow"
    data = datasets.load_dataset(kind, data_files=path, split="train", cache_dir=str(Path(path).parent / "cache"))
    frame = pandas.read_parquet(path) if kind == "parquet" else pandas.read_feather(path)
    label = data.features.get("label")
    return {
        "datasets": list(data),
        "pandas": json.loads(frame.to_json(orient="records", double_precision=15)),
        "names": getattr(label, "names", None),
    }


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    found = write(Path(rest[0])) if command == "write" else [read(path) for path in rest]
    json.dump(found, sys.stdout)
