"""The benchmark of speed, on tiny tables: what it measures, resumes and draws."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.image import imread

from benchmarks import speed

SIZES = {"majority": 400, "minority": 60, "features": 3, "classes": 3}


def test_tables_have_the_sizes_asked_for():
    X, y = speed.table(**SIZES)
    assert X.shape == (520, 3)
    assert X.dtype == np.float32
    assert np.bincount(y).tolist() == [400, 60, 60]
    frame, y = speed.mixed_table(200, 2, 3)
    kinds = [kind.kind for kind in frame.dtypes]
    assert kinds == ["f", "f", "O", "O", "O"]
    assert np.bincount(y).tolist() == [190, 10]


@pytest.mark.parametrize("method", speed.METHODS)
def test_resample_in_numbers(method, capsys):
    speed.measure("resample", json.dumps({"method": method, **SIZES}))
    used = json.loads(capsys.readouterr().out)
    assert used["seconds"] > 0
    assert used["peak_mib"] >= 0
    # 1,200 rows of three float32 and an int64.
    assert used["output_mib"] == 1200 * (3 * 4 + 8) / 2**20
    # Of each generated row two float64 and int32, and where they begin.
    n = 680 if method == "gamo" else 0
    assert used["provenance_mib"] == (n * 2 * (8 + 4) + (n + 1) * 4) / 2**20


@pytest.mark.parametrize("method", ["gamo", "smotenc"])
def test_mixed(method, monkeypatch):
    small = speed.mixed_table(1200, 2, 2)
    monkeypatch.setattr(speed, "mixed_table", lambda: small)
    used = speed.mixed(method)
    assert set(used) == {"seconds", "peak_mib"}
    assert used["seconds"] > 0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_small(monkeypatch):
    monkeypatch.setattr(speed, "REPEATS", -1)  # one pair
    assert all(seconds > 0 for seconds in speed.small(190, 10, 4).values())


def test_a_measurement_in_a_process_of_its_own():
    assert 0 < speed.measured("imported")["seconds"] < 60


def test_a_measurement_has_as_many_threads_as_asked_for(monkeypatch):
    seen = []

    def run(command, env, **others):
        seen.append(env["OMP_NUM_THREADS"])
        return SimpleNamespace(stdout="{}")

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(speed.subprocess, "run", run)
    speed.measured("imported")
    speed.measured("imported", threads=2)
    assert seen == ["1", "2"]


def test_figures(monkeypatch, capsys):
    used = {"seconds": 0.5, "peak_mib": 12, "provenance_mib": 2, "output_mib": 5}
    used |= {"gamo": 0.25, "mlp": 0.75, "values_per_second": 3e6}
    monkeypatch.setattr(speed, "measured", lambda name, **arguments: used)
    speed.figures(1)
    assert capsys.readouterr().out.splitlines() == [
        "1,000,000 x 30, gamo      0.5 s, peak 2.00 x the output, "
        "provenance_ not counted",
        "1,000,000 x 30, smote     0.5 s, peak 2.00 x the output, "
        "provenance_ not counted",
        "40,000 x 60, half of them categories, gamo      0.5 s, peak 12 MiB",
        "40,000 x 60, half of them categories, smotenc   0.5 s, peak 12 MiB",
        "1,000 x 20: 0.25 s, MLPClassifier 0.75 s",
        "10,000 x 30: 0.25 s, MLPClassifier 0.75 s",
        "round, 10^3 to 10^6 minority rows: 500.00 to 500.00 ms, 1.00 times",
        "sample: 3.0 million values per second",
        "import: 0.50 s",
    ]


def test_growth_goes_on_with_rows_that_are_missing(tmp_path, monkeypatch):
    """A row is the median of its runs, and is run once."""
    asked = []

    def measured(name, method, **sizes):
        asked.append((name, method, sizes["features"]))
        return {"seconds": len(asked) % 3, "peak_mib": 7.0}

    growth = {"features": [{"features": 3}, {"features": 10}]}
    monkeypatch.setattr(speed, "measured", measured)
    monkeypatch.setattr(speed, "GROWTH", growth)
    path = tmp_path / "rows.jsonl"
    speed.growth(path)
    lines = path.read_text().splitlines()
    each = [("resample", m, d) for d in (3, 10) for m in speed.METHODS]
    assert asked == [one for one in each for _ in range(speed.REPEATS)]
    row = json.loads(lines[0])
    assert (row["axis"], row["method"], row["features"]) == ("features", "gamo", 3)
    assert (row["seconds"], row["peak_mib"]) == (1, 7.0)
    asked.clear()
    speed.growth(path)
    assert not asked
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    speed.growth(path)
    assert asked == [("resample", "smote", 3)] * speed.REPEATS
    assert sorted(path.read_text().splitlines()) == sorted(lines)


def test_plot(tmp_path):
    used = {"seconds": 1.0, "peak_mib": 2.0, "output_mib": 1.0}
    rows = [
        {"axis": axis, "method": method, **speed.TABLE, **sizes, **used}
        for axis, all_sizes in speed.GROWTH.items()
        for sizes in all_sizes[:2]
        for method in speed.METHODS
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    speed.plot(path, tmp_path / "growth.png")
    assert imread(tmp_path / "growth.png").shape[:2] == (600, 1300)
