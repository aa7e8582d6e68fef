"""The commands on files, as a user types them."""

import argparse
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from gamo_sampler import GAMOSampler, _cli
from gamo_sampler.__main__ import main


@pytest.fixture(scope="module")
def frame():
    """120 benign cells and 15 malignant ones: numbers, categories, dates, gaps."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = np.concatenate([np.flatnonzero(y == 1)[:120], np.flatnonzero(y == 0)[:15]])
    rng = np.random.default_rng(0)
    frame = X.iloc[rows, :3].assign(
        kind=np.where(y.iloc[rows], "benign", "malignant"),
        site=rng.choice(["east, north", "west"], len(rows)),
        visits=rng.poisson(4, len(rows)),
    )
    frame.loc[frame.index[::7], "mean texture"] = np.nan
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.fixture
def csv(frame, tmp_path):
    frame.to_csv(tmp_path / "cells.csv", index=False)
    return tmp_path / "cells.csv"


@pytest.fixture
def parquet(frame, tmp_path):
    frame = frame.assign(
        seen=pd.Timestamp("2024-01-01") + pd.to_timedelta(frame.index, "D")
    )
    frame["site"] = frame["site"].astype("category")
    frame.to_parquet(tmp_path / "cells.parquet")
    return tmp_path / "cells.parquet"


def run(*words):
    main([str(word) for word in words])


def resample(source, out, *words):
    run("resample", source, "--target", "kind", "--out", out, *words)


def refused(capsys, *words):
    """The message with which a command line is refused."""
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_csv_to_parquet(frame, csv, tmp_path, capsys):
    out = tmp_path / "balanced.parquet"
    resample(csv, out, "--seed", 3)
    found = pd.read_parquet(out)
    pd.testing.assert_frame_equal(found[:135], frame, check_exact=True)
    assert found["kind"].value_counts().to_dict() == {"benign": 120, "malignant": 120}
    assert list(found) == list(frame)
    assert (found["kind"][135:] == "malignant").all()
    printed, bar = capsys.readouterr()
    assert "malignant: 15, 120" in printed
    assert "epoch" in bar


def test_parquet_to_csv(parquet, tmp_path):
    out = tmp_path / "balanced.csv"
    resample(parquet, out, "--seed", 3)
    found = pd.read_csv(out, parse_dates=["seen"])
    assert len(found) == 240
    assert found["visits"].dtype.kind == "i"
    generated = found[135:]
    real = found[:135][found["kind"][:135] == "malignant"]
    assert set(generated["site"]) <= {"east, north", "west"}
    assert generated["seen"].between(real["seen"].min(), real["seen"].max()).all()


def test_parquet_keeps_its_types(parquet, tmp_path):
    out = tmp_path / "balanced.parquet"
    resample(parquet, out)
    assert pd.read_parquet(out).dtypes.equals(pd.read_parquet(parquet).dtypes)


def test_it_is_the_sampler_with_the_seed(frame, csv, tmp_path):
    out = tmp_path / "half.csv"
    resample(csv, out, "--strategy", "0.5", "--seed", 7)
    sampler = GAMOSampler(sampling_strategy=0.5, missing="propagate", random_state=7)
    X, _ = sampler.fit_resample(frame.drop(columns="kind"), frame["kind"])
    found = pd.read_csv(out, dtype=str)  # pandas 2 reads floats but for a last bit
    numbers = found.drop(columns="kind").astype(X.dtypes)
    pd.testing.assert_frame_equal(numbers, X, check_exact=True)
    assert len(found) == 135 + 60 - 15


def test_the_command_in_the_report_repeats_it(csv, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out, report = tmp_path / "out.csv", tmp_path / "report.html"
    resample(csv.name, out.name, "--report", report.name)
    command = report.read_text().split("<pre>")[1].split("</pre>")[0]
    before = {path: path.read_bytes() for path in (out, report)}
    for path in before:
        path.unlink()
    main(command.removeprefix("python -m gamo_sampler ").split())
    assert out.read_bytes() == before[out]
    sections = [
        text.split("<h2>To repeat")[0]
        for text in (before[report].decode(), report.read_text())
    ]
    assert sections[0] == sections[1]


def test_seeds_differ_where_none_is_given():
    drawn = [_cli.seed_of(argparse.Namespace(seed=None)) for _ in range(3)]
    assert len(set(drawn)) == 3


@pytest.mark.filterwarnings("ignore:No class is below:UserWarning")
def test_balanced_classes_are_copied_and_said(frame, tmp_path, capsys):
    half = frame.groupby("kind").head(15).reset_index(drop=True)
    half.to_csv(tmp_path / "even.csv", index=False)
    report = tmp_path / "even.html"
    resample(tmp_path / "even.csv", tmp_path / "out.csv", "--report", report)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), half)
    assert "benign: 15, 15" in capsys.readouterr().out
    assert "Nothing was generated" in report.read_text()


@pytest.mark.parametrize("name", ["out.csv", "report.html"])
def test_nothing_is_overwritten(csv, tmp_path, name, capsys):
    there = tmp_path / name
    there.write_text("mine")
    words = ["--out", tmp_path / "out.csv", "--report", tmp_path / "report.html"]
    message = refused(capsys, "resample", csv, "--target", "kind", *words)
    assert f"{name} exists, and is not overwritten" in message
    assert there.read_text() == "mine"
    assert not {"out.csv", "report.html"} - {name} & {
        p.name for p in tmp_path.iterdir()
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--target", "kid", "--out", "o.csv"],
            "has no column 'kid'. Its columns: mean ",
        ),
        (
            ["--target", "mean texture", "--out", "o.csv"],
            "'mean texture' misses 20 labels",
        ),
        (["--target", "mean area", "--out", "o.csv"], "has no column 'mean area'"),
        (["--target", "kind", "--out", "o.xls"], "o.xls ends neither in .csv nor in"),
        (["--target", "kind", "--out", "no/o.csv"], "There is no folder "),
        (
            ["--target", "kind", "--out", "o.csv", "--report", "r.pdf"],
            "does not end in",
        ),
        (
            ["--target", "kind", "--out", "o.csv", "--strategy", "most"],
            "'most' is none of",
        ),
        (
            ["--target", "kind", "--out", "o.csv", "--strategy", "1.5"],
            "'1.5' is none of",
        ),
        (
            ["--target", "kind", "--out", "o.csv", "--strategy", "0.05"],
            "Raise it above",
        ),
        (["--out", "o.csv"], "required: --target"),
    ],
)
def test_what_cannot_be_done_is_said(csv, words, message, capsys, monkeypatch):
    monkeypatch.chdir(csv.parent)
    assert message in refused(capsys, "resample", csv, *words)
    assert not (csv.parent / "o.csv").exists()


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "table.xls"])
def test_no_such_file(name, tmp_path, capsys):
    message = refused(capsys, "compare", tmp_path / name, "--target", "kind")
    assert name in message


def test_without_pandas(csv, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    message = refused(capsys, "compare", csv, "--target", "kind")
    assert "pip install 'gamo_sampler[cli]'" in message


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("auto", "auto"),
        ("minority", "minority"),
        ("all", "all"),
        ("0.5", 0.5),
        ("1", 1.0),
    ],
)
def test_strategies(text, strategy):
    assert _cli.parse_strategy(text) == strategy


def test_compare_passes_the_table_on(frame, csv, capsys, monkeypatch):
    seen = {}

    def recorded(X, y, **parameters):
        seen.update(X=X, y=y, **parameters)
        return "Do nothing."

    monkeypatch.setattr(_cli, "compare", recorded)
    run("compare", csv, "--target", "kind", "--seed", 5, "--jobs", 2)
    pd.testing.assert_frame_equal(seen["X"], frame.drop(columns="kind"))
    assert seen["y"].equals(frame["kind"])
    assert (seen["random_state"], seen["n_jobs"], seen["verbose"]) == (5, 2, 1)
    printed = capsys.readouterr().out
    assert "Do nothing." in printed
    assert "seed 5" in printed


def test_a_true_process(csv, tmp_path):
    out = tmp_path / "out.parquet"
    words = [
        "resample",
        csv,
        "--target",
        "kind",
        "--out",
        out,
        "--strategy",
        "minority",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "gamo_sampler", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "malignant: 15, 120" in done.stdout
    assert len(pd.read_parquet(out)) == 240
