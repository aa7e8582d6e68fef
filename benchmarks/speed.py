"""Seconds and memory of GAMOSampler beside SMOTE, each in a process of one thread.

``python -m benchmarks.speed figures`` prints, on made-up rows of 30 features unless it
says otherwise, and with ``--threads 2`` of two threads,

- ``fit_resample`` of 1,000,000 rows, a tenth of them minority, and SMOTE's,
- of a pandas frame of 40,000 rows, a twentieth of them minority, with 30 columns of
  numbers and 30 of ten categories each, and SMOTENC's, with their memory,
- of 1,000 x 20 and 10,000 x 30 rows, imbalance 20, and the fit of scikit-learn's
  MLPClassifier((64, 32)) on the same,
- a round of the game with 1,000 and with 1,000,000 minority rows,
- ``sample``, in values per second,
- the import of the package, after torch and imbalanced-learn.

``python -m benchmarks.speed growth --out ROWS`` times both samplers while one thing
grows, keeping what is in the file already, and ``python -m benchmarks.speed plot ROWS
--out PICTURE`` draws it. Memory is the greatest resident set above that before
`fit_resample` (Linux only). Values do not matter, so the rows are noise.
"""

import argparse
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import _safe_indexing

REPEATS = 3
METHODS = ("gamo", "smote")
TABLE = {"majority": 20_000, "minority": 1_000, "features": 30, "classes": 2}
# Rows of the largest class; of each smaller one; columns; classes.
GROWTH = {
    "rows": [
        {"majority": n - n // 20, "minority": n // 20}
        for n in (1_000, 10_000, 100_000, 1_000_000)
    ],
    "features": [{"features": d} for d in (3, 10, 30, 100, 300, 1_000)],
    "classes": [{"classes": c, "minority": 200} for c in (2, 5, 10, 20, 50)],
    "minority": [
        {"majority": 200_000, "minority": m} for m in (100, 1_000, 10_000, 100_000)
    ],
}
LABELS = {
    "rows": "rows, a twentieth of them minority",
    "features": "features, of 21,000 rows",
    "classes": "classes, 20,000 rows in one, 200 in each other",
    "minority": "minority rows, 200,000 others",
}


def table(majority, minority, features, classes):
    """float32 rows and shuffled labels."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), [majority, *[minority] * (classes - 1)])
    rng.shuffle(y)
    return rng.standard_normal((len(y), features), dtype=np.float32), y


def mixed_table(n=40_000, n_numbers=30, n_categories=30):
    """A frame of numbers and of categories, and shuffled labels."""
    import pandas as pd

    X, y = table(n - n // 20, n // 20, n_numbers, 2)
    numbers = pd.DataFrame(X.astype(float)).add_prefix("number_")
    codes = np.random.default_rng(1).integers(0, 10, (n_categories, n))
    categories = {
        f"category_{i}": pd.Categorical.from_codes(own, list("abcdefghij"))
        for i, own in enumerate(codes)
    }
    return numbers.assign(**categories), y


def sampler(method):
    from imblearn.over_sampling import SMOTE, SMOTENC

    from gamo_sampler import GAMOSampler

    makers = {
        "gamo": GAMOSampler,
        "smote": SMOTE,
        "smotenc": partial(SMOTENC, "auto"),
    }
    return makers[method](random_state=0)


# Measurements, each in a process of its own ------------------------------------


def resample(method, **sizes):
    """Seconds and memory of one `fit_resample`, and the size of what it returns."""
    output, fitted, used = resampled(method, *table(**sizes))
    kept = getattr(fitted, "provenance_", csr_array((0, 0)))
    return used | {
        "output_mib": mib(*output),
        "provenance_mib": mib(kept.data, kept.indices, kept.indptr),
    }


def resampled(method, X, y):
    """The output of `fit_resample`, the sampler, and what it used."""
    few = np.r_[np.flatnonzero(y == 0)[:200], np.flatnonzero(y == 1)[:50]]
    sampler(method).fit_resample(_safe_indexing(X, few), y[few])  # imports, first calls
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = memory("VmRSS"), time.perf_counter()
    fitted = sampler(method)
    output = fitted.fit_resample(X, y)
    seconds = time.perf_counter() - start
    used = {"seconds": seconds, "peak_mib": memory("VmHWM") - before}
    return output, fitted, used


def mixed(method):
    """Seconds and memory of one `fit_resample` of a frame with categories."""
    return resampled(method, *mixed_table())[-1]


def small(majority, minority, features):
    """Seconds of `fit_resample` and of MLPClassifier's fit, in turns, median.

    How long the latter takes depends on the values, so these are no noise.
    """
    from sklearn.datasets import make_classification
    from sklearn.neural_network import MLPClassifier

    n = majority + minority
    shares = [majority / n, minority / n]
    X, y = make_classification(
        n, features, n_informative=features // 2, weights=shares, random_state=0
    )
    mlp = MLPClassifier((64, 32), random_state=0)
    pairs = [
        (timed(sampler("gamo").fit_resample, X, y), timed(mlp.fit, X, y))
        for _ in range(REPEATS + 2)
    ]
    gamo, mlp = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    return {"gamo": gamo, "mlp": mlp}


def a_round(minority):
    """Seconds of one round, the least of three medians."""
    from tests.test_game import make_game_of

    X, y = table(1_100_000, minority, 30, 2)
    game = make_game_of(X, y)

    def play(index):
        game.play(game.draw_round(index))

    runs = [[timed(play, i) for i in game.batches(150)] for _ in range(3)]
    return {"seconds": min(statistics.median(run) for run in runs)}


def sampled():
    """Values per second that `sample` generates."""
    fitted = sampler("gamo")
    fitted.fit_resample(*table(20_000, 2_000, 30, 2))
    n = 300_000
    seconds = [timed(fitted.sample, {1: n}) for _ in range(REPEATS + 2)]
    return {"values_per_second": 30 * n / min(seconds)}


def imported():
    """Seconds of the import, where torch and imbalanced-learn are imported already."""
    importlib.import_module("torch")
    importlib.import_module("imblearn.over_sampling")
    return {"seconds": timed(importlib.import_module, "gamo_sampler")}


def timed(call, *arguments):
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


def mib(*arrays):
    return sum(array.nbytes for array in arrays) / 2**20


def memory(name):
    """A size of this process in MiB. `getrusage` would carry over the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status).group(1)) / 1024


MEASUREMENTS = {
    f.__name__: f for f in (resample, mixed, small, a_round, sampled, imported)
}


def measured(name, threads=1, **arguments):
    """A measurement of the above in a process of its own, of so many threads."""
    command = [sys.executable, "-m", "benchmarks.speed", "measure", name]
    run = subprocess.run(
        [*command, json.dumps(arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    return json.loads(run.stdout)


def measure(name, arguments):
    print(json.dumps(MEASUREMENTS[name](**json.loads(arguments))))


# Commands ----------------------------------------------------------------------


def figures(threads):
    of = partial(measured, threads=threads)
    large = TABLE | {"majority": 900_000, "minority": 100_000}
    for method in METHODS:
        row = of("resample", method=method, **large)
        above = row["peak_mib"] - row["provenance_mib"]
        print(
            f"1,000,000 x 30, {method:6s} {row['seconds']:6.1f} s, peak "
            f"{above / row['output_mib']:.2f} x the output, provenance_ not counted"
        )
    for method in ("gamo", "smotenc"):
        row = of("mixed", method=method)
        print(
            f"40,000 x 60, half of them categories, {method:7s} "
            f"{row['seconds']:5.1f} s, peak {row['peak_mib']:.0f} MiB"
        )
    for majority, minority, features in (950, 50, 20), (9_500, 500, 30):
        row = of("small", majority=majority, minority=minority, features=features)
        print(
            f"{majority + minority:,} x {features}: {row['gamo']:.2f} s, "
            f"MLPClassifier {row['mlp']:.2f} s"
        )
    few, many = (of("a_round", minority=m)["seconds"] for m in (10**3, 10**6))
    print(
        f"round, 10^3 to 10^6 minority rows: {1000 * few:.2f} to {1000 * many:.2f} ms, "
        f"{many / few:.2f} times"
    )
    rate = of("sampled")["values_per_second"]
    print(f"sample: {rate / 1e6:.1f} million values per second")
    least = min(of("imported")["seconds"] for _ in range(REPEATS))
    print(f"import: {least:.2f} s")


def growth(out):
    """One row per axis, size and method, the seconds a median."""
    path = Path(out)
    lines = path.read_text().splitlines() if path.exists() else []
    done = [identity(json.loads(line)) for line in lines]
    for axis, all_sizes in GROWTH.items():
        for sizes in all_sizes:
            for method in METHODS:
                row = {"axis": axis, "method": method, **TABLE, **sizes}
                if identity(row) in done:
                    continue
                runs = [
                    measured("resample", method=method, **TABLE | sizes)
                    for _ in range(REPEATS)
                ]
                row |= {
                    name: round(statistics.median(run[name] for run in runs), 4)
                    for name in runs[0]
                }
                row["machine"] = platform.machine()
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(row, flush=True)


def identity(row):
    return tuple(row[name] for name in ("axis", "method", *TABLE))


def plot(path, out):
    """Seconds above, memory below, one column per axis."""
    import matplotlib.pyplot as plt
    import pandas as pd

    rows = pd.DataFrame(map(json.loads, Path(path).read_text().splitlines()))
    rows["rows"] = rows["majority"] + rows["minority"]
    figure, axes = plt.subplots(
        2, len(GROWTH), figsize=(13, 6), layout="constrained", sharex="col"
    )
    styles = {"gamo": ("GAMOSampler", "C0", "o-"), "smote": ("SMOTE", "C1", "s--")}
    for (axis, own), column in zip(
        rows.groupby("axis", sort=False), axes.T, strict=True
    ):
        for method, of_method in own.groupby("method"):
            label, color, style = styles[method]
            for name, ax in zip(("seconds", "peak_mib"), column, strict=True):
                x, values = of_method[axis], of_method[name]
                ax.loglog(x, values, style, color=color, label=label)
        output = own.drop_duplicates(axis)
        column[1].loglog(output[axis], output["output_mib"], "k:", label="the output")
        column[1].set_xlabel(LABELS[axis])
        column[1].set_xticks(output[axis], [f"{x:,}" for x in output[axis]])
        column[1].minorticks_off()
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("memory above the input, MiB")
    axes[0, 0].legend()
    axes[1, 0].legend()
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("figures").add_argument("--threads", type=int, default=1)
    commands.add_parser("growth").add_argument("--out", required=True)
    drawn = commands.add_parser("plot")
    drawn.add_argument("rows")
    drawn.add_argument("--out", required=True)
    one = commands.add_parser("measure")
    one.add_argument("name", choices=MEASUREMENTS)
    one.add_argument("arguments")
    given = vars(parser.parse_args())
    {"figures": figures, "growth": growth, "plot": plot, "measure": measure}[
        given.pop("command")
    ](**{{"rows": "path"}.get(name, name): value for name, value in given.items()})
