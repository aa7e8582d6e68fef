"""Seconds and peak memory of `resample_parquet` on many rows.

``python -m benchmarks.stream --rows 20000000`` makes a folder of Parquet files with 30
float32 columns, of which one row in 51 is of the rarer of two classes, balances it, and
prints seconds, sizes and the greatest resident set (Linux only). The rows are noise
about a centre for each class: cost does not depend on their values.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.step import peak_resident_set
from gamo_sampler import GAMOSampler
from gamo_sampler.data import resample_parquet

N_FEATURES = 30
IMBALANCE = 50
ROWS_PER_GROUP = 100_000
GROUPS_PER_FILE = 20


def make_source(folder, n_rows):
    """Write the files, a row group at a time."""
    rng = np.random.default_rng(0)
    starts = range(0, n_rows, ROWS_PER_GROUP)
    for first in range(0, len(starts), GROUPS_PER_FILE):
        tables = (
            table(min(ROWS_PER_GROUP, n_rows - start), rng)
            for start in starts[first : first + GROUPS_PER_FILE]
        )
        write(folder / f"part-{first:06d}.parquet", tables)


def write(path, tables):
    schema = pa.schema({f"x{j}": pa.float32() for j in range(N_FEATURES)})
    schema = schema.append(pa.field("label", pa.int8()))
    with pq.ParquetWriter(path, schema) as writer:
        for rows in tables:
            writer.write_table(rows)


def table(n, rng):
    y = (rng.random(n) < 1 / (IMBALANCE + 1)).astype(np.int8)
    X = rng.normal(size=(n, N_FEATURES)).astype(np.float32) + y[:, None]
    columns = {f"x{j}": X[:, j] for j in range(N_FEATURES)}
    return pa.table(columns | {"label": y})


def report(folder, n_rows):
    source, target = folder / "source", folder / "target"
    source.mkdir()
    make_source(source, n_rows)
    before = peak_resident_set()
    start = time.perf_counter()
    counts = resample_parquet(
        source, target, label="label", sampler=GAMOSampler(random_state=0)
    )
    seconds = time.perf_counter() - start
    for name, path in (("before", source), ("after", target)):
        files = list(path.iterdir())
        n = sum(pq.read_metadata(file).num_rows for file in files)
        size = sum(file.stat().st_size for file in files) / 2**30
        print(f"{name}: {n:,} rows {counts[name]} in {size:.2f} GiB of files")
    print(
        f"{seconds:.0f} s on {torch.get_num_threads()} thread(s); peak memory "
        f"{peak_resident_set():.0f} MiB, of which imports and making the files "
        f"{before:.0f} MiB"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument(
        "--folder", type=Path, help="where to put the files for a while"
    )
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as folder:
        report(Path(folder), arguments.rows)
