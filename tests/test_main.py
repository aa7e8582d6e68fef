"""The command line, as a user types it."""

import subprocess
import sys

import numpy as np
import pytest

from gamo_sampler import __main__ as command


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(command, "DIGITS_ROUNDS", 30)
    monkeypatch.setattr(command, "FILE_ROUNDS", 30)


@pytest.fixture
def archive(tmp_path):
    """Nine classes of 20 images, named by letters."""
    rng = np.random.default_rng(0)
    y = np.repeat(list("abcdefghi"), 20)
    X = rng.integers(0, 256, size=(180, 6, 5), dtype=np.uint8)
    path = tmp_path / "data.npz"
    np.savez(path, x_train=X, y_train=y, x_test=X[::3], y_test=y[::3])
    return path


def table_of(out):
    """Cells of the table by the label of their row."""
    lines = out[out.index("recall of") :].split("\n\n")[0].splitlines()[1:]
    rows = [line.split() for line in lines]
    return {" ".join(r[:2]) if r[0] == "class" else r[0]: r for r in rows}


def test_demonstration_on_digits(capsys):
    command.main([])
    out, err = capsys.readouterr()
    table = table_of(out)
    assert list(table) == [*(f"class {i}" for i in range(10)), "ACSA", "GM", "s"]
    assert [table[f"class {i}"][2] for i in (0, 9)] == ["120", "8"]
    for column in (-1, -2, -3):
        recalls = [float(table[f"class {i}"][column]) for i in range(10)]
        acsa, gm = float(table["ACSA"][column]), float(table["GM"][column])
        assert acsa == pytest.approx(np.mean(recalls), abs=1e-3)
        assert gm == pytest.approx(np.prod(recalls) ** 0.1, abs=2e-3)
    assert "Each takes 30 updates" in out
    assert err.count("2/2") >= 2  # the progress bars


def test_images_from_a_file_with_counts(archive, capsys):
    command.main(["--data", str(archive), "--counts", "20,9,9,9,9,9,9,9,5"])
    out = capsys.readouterr().out
    assert "88 training rows in 9 classes of 20 to 5, 60 test rows." in out
    assert table_of(out)["class i"][2] == "5"


def test_a_class_of_one_row_leaves_smote_out(archive, capsys):
    command.main(["--data", str(archive), "--counts", "20,9,9,9,9,9,9,9,1"])
    out = capsys.readouterr().out
    assert "SMOTE+CN is left out" in out
    assert len(table_of(out)["ACSA"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--counts", "3,x"], "'3,x' is not a list of positive integers"),
        (["--counts", "3,0"], "'3,0' is not a list of positive integers"),
        (["--counts", "3,4"], "--counts has 2 numbers, but there are 10 classes"),
        (["--data", "nowhere.npz"], "nowhere.npz"),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_more_rows_than_there_are(archive, capsys):
    with pytest.raises(SystemExit):
        command.main(["--data", str(archive), "--counts", "21,9,9,9,9,9,9,9,1"])
    assert "should be less or equal" in capsys.readouterr().err


def test_missing_arrays(tmp_path, capsys):
    path = tmp_path / "half.npz"
    np.savez(path, x_train=np.eye(3), y_train=[0, 0, 1])
    with pytest.raises(SystemExit):
        command.main(["--data", str(path)])
    assert "half.npz has no array x_test, y_test." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": np.zeros((60, 6, 4))}, "rows or images of one shape"),
        ({"x_train": np.zeros(180)}, "rows or images of one shape"),
        ({"x_test": np.full((60, 6, 5), np.nan)}, "Input x_test contains NaN"),
        ({"y_test": np.repeat("a", 60)}, "must hold the same labels"),
        ({"y_test": np.repeat("a", 59)}, "inconsistent numbers of samples"),
        ({"y_train": np.eye(9)[np.arange(180) // 20]}, "y_train must be one-dim"),
        ({"y_test": np.array("a")}, "y_test must be one-dimensional"),
        ({"x_train": np.zeros((180, 6, 5), dtype="M8[s]")}, "x_train holds dates"),
        (
            {"x_train": np.zeros((180, 3, 5, 3)), "x_test": np.zeros((60, 3, 5, 3))},
            "cannot be read as images",
        ),
        (
            {"x_train": np.full((180, 6, 5), "x")},
            "not compatible with arrays of bytes/strings",
        ),
    ],
)
def test_wrong_arrays_are_found_before_training(archive, change, message, capsys):
    with np.load(archive) as arrays:
        np.savez(archive, **dict(arrays) | change)
    with pytest.raises(SystemExit):
        command.main(["--data", str(archive)])
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


def test_no_archive(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit):
        command.main(["--data", str(path)])
    assert "data.csv is not an .npz file" in capsys.readouterr().err


def test_smote_in_bytes_does_not_wrap_around():
    rng = np.random.default_rng(0)
    X = rng.integers(100, 140, size=(30, 4, 4), dtype=np.uint8)
    X_out, y_out = command.smote(X, np.repeat([0, 1], [22, 8]))
    assert X_out.shape == (44, 4, 4)
    assert (y_out == 1).sum() == 22
    assert X_out.min() >= 100
    assert X_out.max() < 140


def test_help():
    shown = subprocess.run(
        [sys.executable, "-m", "gamo_sampler", "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "--data FILE.npz" in shown
