"""What the commands read from files comes back as it was written there."""

import warnings

import numpy as np
import pandas as pd
import pytest

from gamo_sampler import _cli
from gamo_sampler.__main__ import main
from gamo_sampler._files import MISSING, longer, new_file, read, typed, write

RNG = np.random.default_rng(0)
LINES = [
    "zip,card,country,visits,score,fraud",
    *(
        f"{('08505', '10115')[i % 2]},{'' if i == 3 else 4000123412341234567 + i},"
        f"{('NA', 'DE', 'None', '')[i % 4]},{'' if i == 5 else 20 + i % 9},"
        f"{('1.50', 'NA', '0.250')[i % 3]},{'NA' if i % 5 == 0 else 'no'}"
        for i in range(40)
    ),
]


@pytest.fixture
def csv(tmp_path):
    """40 rows, 8 of them labelled NA, of values that a reader may spoil."""
    path = tmp_path / "cards.csv"
    path.write_bytes("\n".join(LINES).encode())  # without a last line break
    return path


def resample(source, out, *words, target="fraud"):
    words = ["--target", target, "--out", out, "--seed", 1, *words]
    main(["resample", str(source), *map(str, words)])


def refused(capsys, *words, **more):
    with pytest.raises(SystemExit):
        resample(*words, **more)
    return capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:Columns .'card'.:UserWarning")
def test_rows_of_a_csv_stay_as_they_were_written(csv, tmp_path):
    out = tmp_path / "out.csv"
    resample(csv, out)
    assert out.read_bytes().startswith(csv.read_bytes() + b"\n")
    text = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert len(text) == 64
    made = text[40:]
    assert set(made["zip"]) <= {"08505", "10115"}
    assert set(made["country"]) <= {"NA", "DE", "None", ""}
    assert made["visits"].str.fullmatch("[0-9]*").all()
    assert made["card"].str.fullmatch("400012341234[0-9]{7}").all()
    assert made["score"][made["score"] != ""].astype(float).between(0.25, 1.5).all()
    assert (made["fraud"] == "NA").all()


@pytest.mark.filterwarnings("ignore:Columns .'card'.:UserWarning")
def test_a_csv_as_parquet_has_types(csv, tmp_path):
    out = tmp_path / "out.parquet"
    resample(csv, out)
    found = pd.read_parquet(out)
    text = str(pd.Series(["a"]).dtype)  # "object" before pandas 3
    types = [text, "Int64", text, "Int64", "float64", text]
    assert found.dtypes.map(str).tolist() == types
    assert found["card"].iloc[[2, 3]].isna().tolist() == [False, True]
    assert found["card"].iloc[2] == 4000123412341234569
    assert found["score"].isna().iloc[:3].tolist() == [False, True, False]


def test_line_ends_and_quotes_are_kept(csv, tmp_path):
    text = csv.read_text().replace("DE", '"D,E"').replace("fraud", '"fraud"')
    csv.write_bytes("\ufeff".encode() + text.replace("\n", "\r\n").encode())
    out = tmp_path / "out.csv"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Columns .'card'.")
        resample(csv, out)
    assert out.read_bytes().startswith(csv.read_bytes() + b"\r\n")
    assert out.read_bytes().count(b"\n") == out.read_bytes().count(b"\r\n") == 65
    assert len(read(out, "fraud")) == 64


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["28", "3"], pd.array([28, 3], "int64")),
        ([" 28", "3 "], pd.array([28, 3], "int64")),
        (["28", None], pd.array([28, None], "Int64")),
        (["9007199254740993", "NA"], pd.array([9007199254740993, None], "Int64")),
        (["1.50", "2"], pd.array([1.5, 2.0], "float64")),
        (["-.5", "1.e3"], pd.array([-0.5, 1000.0], "float64")),
        (["-0", "n/a"], pd.array([-0.0, np.nan], "float64")),
        (["Inf", "1"], pd.array([np.inf, 1.0], "float64")),
        ([None, None], pd.array([np.nan, np.nan], "float64")),
    ],
)
def test_numbers(words, numbers):
    found = typed(pd.Series(words, dtype=str), MISSING)
    pd.testing.assert_series_equal(found, pd.Series(numbers))


@pytest.mark.parametrize(
    "words",
    [
        ["08505", "1"],
        ["00.5", "1"],
        ["+49", "1"],
        ["9223372036854775808", "1"],
        ["9" * 25, "1"],
        ["NA", "x"],
        ["1", "."],
        ["True", "False"],
    ],
)
def test_codes_and_words_are_text(words):
    text = pd.Series(words, dtype=str)
    assert typed(text, MISSING) is text


def test_a_label_may_be_any_word(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("a,y\nNA,NA\n2,1\n")
    frame = read(path, "y")
    assert frame["y"].tolist() == ["NA", "1"]
    assert frame["a"].isna().tolist() == [True, False]


def test_one_type_for_a_column_however_long(tmp_path):
    path = tmp_path / "long.csv"
    n = 300_000
    path.write_text("a,b\n" + "1,2\n" * n + "x,y\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = read(path, "b")
    assert frame["a"].map(type).eq(str).all()


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([f"r{i}" for i in range(40)], name="row"),
        pd.date_range("2024-01-01", periods=40, name="day"),
        pd.MultiIndex.from_product([list("abcd"), range(10)], names=["shop", "day"]),
    ],
    ids=["words", "dates", "two levels"],
)
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_index_is_kept(index, kind, tmp_path, capsys):
    source, out = tmp_path / "in.parquet", tmp_path / f"out.{kind}"
    frame = pd.DataFrame({"a": RNG.normal(size=40)}, index=index)
    frame.assign(y=np.repeat([0, 1], [30, 10])).to_parquet(source)
    resample(source, out, target="y")
    assert "Generated rows have no label in the index" in capsys.readouterr().err
    if kind == "csv":
        found = pd.read_csv(out, dtype=str)[index.names]
        expected = index.to_frame(index=False).astype(str)
        pd.testing.assert_frame_equal(found[:40], expected, check_dtype=False)
        return
    found = pd.read_parquet(out).index
    assert found[:40].tolist() == index.tolist()
    assert found[40:].to_frame().isna().all(axis=None)
    assert len(found) == 60


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_an_index_of_integers_goes_on(kind, tmp_path, capsys):
    source, out = tmp_path / "in.parquet", tmp_path / f"out.{kind}"
    index = pd.Index([*range(100, 180, 2)], name="id")
    frame = pd.DataFrame({"a": RNG.normal(size=40)}, index=index)
    frame.assign(y=np.repeat([0, 1], [30, 10])).to_parquet(source)
    resample(source, out, target="y")
    assert "no label" not in capsys.readouterr().err
    found = pd.read_csv(out) if kind == "csv" else pd.read_parquet(out).reset_index()
    assert found["id"].tolist() == [*index, *range(179, 199)]


def test_a_default_index_is_not_written(tmp_path):
    write(pd.DataFrame({"a": [1, 2]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n"


def test_longer_keeps_the_kind_of_index():
    days = longer(pd.date_range("2024-01-01", periods=2, name="day"), 3)
    assert days.dtype.kind == "M"
    assert days.name == "day"
    assert days.isna().tolist() == [False, False, True]


def untrained(*_):
    raise AssertionError("was trained")


def test_what_cannot_be_written_is_found_before_training(csv, capsys, monkeypatch):
    def without_pyarrow(*_):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", without_pyarrow)
    monkeypatch.setattr(_cli.GAMOSampler, "fit_resample", untrained)
    assert "no pyarrow" in refused(capsys, csv, csv.with_name("out.parquet"))
    assert [path.name for path in csv.parent.iterdir()] == ["cards.csv"]


@pytest.mark.filterwarnings("ignore:Columns .'card'.:UserWarning")
def test_nothing_is_left_where_the_report_fails(csv, capsys, monkeypatch):
    def failing(*_):
        raise ValueError("no report")

    monkeypatch.setattr(_cli, "write_report", failing)
    words = [csv.with_name("out.csv"), "--report", csv.with_name("report.html")]
    assert "no report" in refused(capsys, csv, *words)
    assert [path.name for path in csv.parent.iterdir()] == ["cards.csv"]


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out.csv"
    new = new_file(path)
    new.__enter__().write_text("ours")
    path.write_text("theirs")
    with pytest.raises(FileExistsError, match="not overwritten"):
        new.__exit__(None, None, None)
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_on_a_large_constant(tmp_path):
    frame = pd.DataFrame({"a": RNG.normal(size=40), "b": 1e17})
    frame.assign(y=np.repeat([0, 1], [30, 10])).to_csv(tmp_path / "a.csv", index=False)
    report = tmp_path / "report.html"
    resample(tmp_path / "a.csv", tmp_path / "o.csv", "--report", report, target="y")
    assert "<figcaption>b<small>" in report.read_text()


def test_suffixes_in_upper_case(tmp_path):
    frame = pd.DataFrame({"a": RNG.normal(size=40)})
    frame.assign(y=np.repeat([0, 1], [30, 10])).to_csv(tmp_path / "UP.CSV", index=False)
    words = [tmp_path / "OUT.PARQUET", "--report", tmp_path / "R.HTML"]
    resample(tmp_path / "UP.CSV", *words, target="y")
    assert len(pd.read_parquet(words[0])) == 60
    assert words[2].exists()


@pytest.mark.filterwarnings("default:Columns .'card'.:UserWarning")
def test_warnings_are_plain_and_put_back(csv, tmp_path, capsys):
    shown = warnings.showwarning
    resample(csv, tmp_path / "out.csv")
    error = capsys.readouterr().err
    assert "\nWarning: Columns ['card'] have integers above 2^53" in "\n" + error
    assert ".py:" not in error
    assert warnings.showwarning is shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,y\n\xfc,1\n", "in.csv is not in UTF-8"),
        (b"a;c;y\n1,5;2;0\n", "in.csv seems to be separated by ';'. Save it with"),
        (b"a\ty\n1\t0\n", r"in.csv seems to be separated by '\t'"),
        (b"", "in.csv is empty"),
        (b"a,y\n1,2\n1,2,3\n", "in.csv is not a table with commas: "),
        (b"a,y\n1,2,3\n", "in.csv has more columns than names in its first line"),
        (b"a,y\n1,0.25\n2,0.5\n", "'y' holds no classes, but continuous values such "),
        (b"a,y\n1,x\n2,x\n", "'y' has one class, 'x'. It takes two."),
        (b"a,y\n1,x\n2,\n", "'y' misses 1 labels"),
    ],
)
def test_messages_name_the_file_or_the_column(content, message, tmp_path, capsys):
    (tmp_path / "in.csv").write_bytes(content)
    found = refused(capsys, tmp_path / "in.csv", tmp_path / "o.csv", target="y")
    assert message in found
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series([True, False]),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series(["a", "b"], dtype="category"),
        pd.Series([1.0, 2.0]),
    ],
)
def test_labels_of_any_type(labels):
    _cli.check_labels(labels)
