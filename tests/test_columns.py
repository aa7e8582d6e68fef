"""Single columns: values as floats and back, categories, what is missing."""

import datetime
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from gamo_sampler._columns import (
    as_floats,
    categorical_mask,
    columns_of,
    from_floats,
    is_frame,
    is_missing,
    is_mixed,
    is_sparse,
    level_codes,
    table_of,
    taken,
    warn_of_identifiers,
)
from gamo_sampler._frames import template

DAY = pd.Timedelta(1, "D")


def instants(*days):
    return pd.Series([pd.Timestamp("2024-03-30 12:00") + day * DAY for day in days])


# A column, and the mean of its values with weights 1/4 and 3/4.
MEANS = {
    "float": (pd.Series([0.0, 4]), 3.0),
    "single": (pd.Series([0, 4], dtype="float32"), 3.0),
    "int": (pd.Series([0, 5]), 4),
    "byte": (pd.Series([0, 255], dtype="uint8"), 191),
    "bool": (pd.Series([False, True]), True),
    "Int64": (pd.Series([0, 5], dtype="Int64"), 4),
    "UInt8": (pd.Series([0, 255], dtype="UInt8"), 191),
    "Float32": (pd.Series([0, 4], dtype="Float32"), 3.0),
    "boolean": (pd.Series([True, False], dtype="boolean"), False),
    "arrow int": (pd.Series([0, 5], dtype="int64[pyarrow]"), 4),
    "arrow float": (pd.Series([0, 4.0], dtype="double[pyarrow]"), 3.0),
    "sparse": (pd.Series([0, 4.0], dtype=pd.SparseDtype(float, 0.0)), 3.0),
    "instant": (instants(0, 2), pd.Timestamp("2024-04-01 00:00")),
    "in seconds": (
        instants(0, 2).astype("datetime64[s]"),
        pd.Timestamp("2024-04-01 00:00"),
    ),
    # The clock was moved forward at that night.
    "with a zone": (
        instants(0, 2).dt.tz_localize("Europe/Berlin"),
        pd.Timestamp("2024-04-01 00:15", tz="Europe/Berlin"),
    ),
    "arrow instant": (
        instants(0, 2).astype("timestamp[us][pyarrow]"),
        pd.Timestamp("2024-04-01 00:00"),
    ),
    "arrow day": (
        instants(0, 4).astype("date32[pyarrow]"),
        datetime.date(2024, 4, 2),
    ),
    "arrow duration": (
        (pd.Series([0, 4]) * DAY).astype("duration[us][pyarrow]"),
        3 * DAY,
    ),
    "duration": (pd.Series([0, 4]) * DAY, 3 * DAY),
    "polars int": (pl.Series([0, 5]), 4),
    "polars byte": (pl.Series([0, 255], dtype=pl.UInt8), 191),
    "polars bool": (pl.Series([False, True]), True),
    "polars float": (pl.Series([0, 4], dtype=pl.Float32), 3.0),
    "polars instant": (
        pl.Series([datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 3)]),
        datetime.datetime(2024, 4, 2),
    ),
    "polars with a zone": (
        pl.Series(
            [datetime.datetime(2024, 3, 30), datetime.datetime(2024, 4, 3)]
        ).dt.replace_time_zone("UTC"),
        datetime.datetime(2024, 4, 2, tzinfo=datetime.UTC),
    ),
    "polars day": (
        pl.Series([datetime.date(2024, 3, 30), datetime.date(2024, 4, 3)]),
        datetime.date(2024, 4, 2),
    ),
    "polars duration": (
        pl.Series([datetime.timedelta(0), datetime.timedelta(4)]),
        datetime.timedelta(3),
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_means_keep_the_type(name):
    column, expected = MEANS[name]
    values, origin = as_floats(column, name)
    empty = template(column)
    found = from_floats(np.array([0.25, 0.75]) @ values[:, None], origin, empty)
    assert found.dtype == column.dtype
    assert list(found) == [expected]


@pytest.mark.parametrize("name", MEANS)
def test_there_and_back(name):
    column, _ = MEANS[name]
    values, origin = as_floats(column, name)
    back = from_floats(values, origin, template(column))
    assert list(back) == list(column)


@pytest.mark.parametrize("years", [100, 300, 500, 584])
@pytest.mark.parametrize("w", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["datetime64[ns]", "timedelta64[ns]"])
def test_instants_centuries_apart(years, w, kind):
    first = np.iinfo(np.int64).min + 1
    last = first + min(years * 31_556_952 * 10**9, 2**64 - 2)
    column = pd.Series(np.array([first, last], np.int64).view(kind))
    values, origin = as_floats(column, "long ago")
    mean = from_floats(np.array([1 - w, w]) @ values[:, None], origin, column[:0])
    found = int(mean.astype("int64")[0])
    assert first <= found <= last
    assert abs(found - round(first + w * (last - first))) <= 2**12  # nanoseconds


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, np.nan]),
        pd.Series([datetime.date(2024, 3, 30), None], dtype="date32[pyarrow]"),
        pd.Series([instants(0)[0], None], dtype="timestamp[us][pyarrow]"),
        pd.Series([pd.Timedelta(1, "D"), None], dtype="duration[us][pyarrow]"),
        pd.Series([1, None], dtype="Int8"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([instants(0)[0], pd.NaT]),
        pd.Series([pd.Timedelta(1), pd.NaT]),
        pd.Series([1, None], dtype="int64[pyarrow]"),
        pl.Series([1, None]),
        pl.Series([1.5, None]),
        pl.Series([datetime.datetime(2024, 3, 30), None]),
        pl.Series([datetime.date(2024, 3, 30), None]),
        np.array([1, None]),
        np.array([1.5, pd.NA]),
        np.array([1.5, np.nan]),
    ],
    ids=str,
)
def test_missing_values_there_and_back(column):
    assert_array_equal(is_missing(column), [False, True])
    values, origin = as_floats(column, "x")
    assert_array_equal(np.isnan(values), [False, True])
    back = from_floats(values, origin, template(column))
    assert back.dtype == column.dtype
    back = back if isinstance(back, np.ndarray | pl.Series) else pd.Series(back)
    assert_array_equal(is_missing(back), [False, True])
    assert back[0] == column[0]


@pytest.mark.parametrize(
    "column", [instants(0).where([False]), pl.Series([None], dtype=pl.Datetime)]
)
def test_nothing_but_missing_instants(column):
    back = from_floats(*as_floats(column, "x"), template(column))
    assert back.dtype == column.dtype
    assert_array_equal(is_missing(back), [True])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["s", "ms", "us"]),
)
@example([datetime.datetime(1700, 1, 1), datetime.datetime(1700, 1, 1, 0, 0, 1)], "us")
def test_instants_near_each_other_keep_their_digits(found, unit):
    column = pd.Series(found).astype(f"datetime64[{unit}]")
    close = column.iloc[0] + (column - column.iloc[0]) / 1000
    close = close.astype(column.dtype)
    back = from_floats(*as_floats(close, "x"), template(close))
    pd.testing.assert_series_equal(pd.Series(back), close, check_names=False)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["b", "a", None, "b"]),
        pd.Series(["b", "a", None, "b"], dtype="category"),
        pd.Series(["b", "a", np.nan, "b"], dtype=object),
        pd.Series(["b", "a", pd.NA, "b"], dtype="string"),
        pl.Series(["b", "a", None, "b"]),
        pl.Series(["b", "a", None, "b"], dtype=pl.Categorical),
        np.array(["b", "a", None, "b"]),
        np.array(["b", "a", float("nan"), "b"], dtype=object),
        np.array(["b", "a", pd.NA, "b"]),
    ],
    ids=lambda column: f"{type(column).__module__} {column.dtype}",
)
def test_categories(column):
    assert_array_equal(level_codes(column), [0, 1, 2, 0])
    assert_array_equal(is_missing(column), [False, False, True, False])
    rows = taken(column, np.array([3, 2]))
    assert rows.dtype == column.dtype
    assert next(iter(rows)) == "b"
    assert_array_equal(is_missing(rows), [False, True])


def test_missing_values_of_any_kind_are_one_category():
    column = pd.Series([None, np.nan, pd.NA, pd.NaT, "a"], dtype=object)
    assert_array_equal(level_codes(column), [0, 0, 0, 0, 1])
    assert_array_equal(level_codes(column.to_numpy()), [0, 0, 0, 0, 1])


@pytest.mark.parametrize("of", [np.array, pd.Series])
def test_equal_values_of_other_types_are_other_levels(of):
    column = of([1, True, 1.0, 1, np.True_, "1", np.str_("1")], dtype=object)
    codes = level_codes(column)
    assert codes[0] == codes[3]
    assert codes[1] == codes[4]
    assert codes[5] == codes[6]
    assert len(set(codes.tolist())) == 4


def test_integers_are_positions_where_names_are_integers_too():
    X = pd.DataFrame(np.zeros((2, 3)), columns=[2, 4, 6])
    assert_array_equal(categorical_mask(X, [2]), [False, False, True])
    with pytest.raises(ValueError, match=r"has \[4\], .* are by position \[0, 1, 2\]"):
        categorical_mask(X, [4])


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12))
def test_codes_name_the_values_by_their_number(values):
    codes = level_codes(pd.Series(values))
    pairs = set(zip(values, codes.tolist(), strict=True))
    assert len(pairs) == len(set(values)) == codes.max() + 1
    counts = np.bincount(codes)
    assert (np.diff(counts) <= 0).all()
    for value, code in pairs:
        assert counts[code] == values.count(value)


# Which columns are categories ---------------------------------------------


@pytest.fixture
def frame():
    n = 4
    return pd.DataFrame(
        {
            "float": np.arange(n) / 2,
            "int": pd.array([1, 2, 3, None], dtype="Int64"),
            "bool": [True, False, True, True],
            "date": pd.date_range("2024", periods=n, tz="UTC"),
            "duration": pd.timedelta_range("1s", periods=n),
            "str": list("abca"),
            "object": pd.Series(list("abca"), dtype=object),
            "category": pd.Categorical([1, 2, 1, 1]),
            "period": pd.period_range("2024", periods=n, freq="M"),
        }
    )


def test_auto_takes_what_is_neither_a_number_nor_a_date(frame):
    found = categorical_mask(frame, "auto")
    assert frame.columns[found].tolist() == [
        *("bool", "str", "object", "category", "period")
    ]
    assert not categorical_mask(frame[["int", "float"]].to_numpy(), "auto").any()


def test_auto_of_polars():
    frame = pl.DataFrame(
        {
            "a": [1],
            "b": ["x"],
            "c": [datetime.date(2024, 1, 1)],
            "d": [datetime.time(1)],
            "e": pl.Series(["x"], dtype=pl.Enum(["x", "y"])),
        }
    )
    assert_array_equal(categorical_mask(frame, "auto"), [0, 1, 0, 1, 1])


@pytest.mark.parametrize(
    "chosen",
    [
        ["str", "int"],
        np.array(["int", "str", "str"]),
        pd.Index(["int", "str"]),
        [1, 5],
        np.array([5, 1], dtype=np.uint8),
        [False, True, False, False, False, True, False, False, False],
        pd.Series(np.isin(np.arange(9), [1, 5])),
    ],
    ids=str,
)
def test_names_positions_and_masks(frame, chosen):
    found = categorical_mask(frame, chosen)
    assert frame.columns[found].tolist() == ["int", "str"]


def test_none_chosen(frame):
    assert not categorical_mask(frame, []).any()


@pytest.mark.parametrize(
    ("chosen", "wrong"),
    [
        (["str", "nowhere"], "'nowhere'"),
        ([1, 9], "9"),
        ([-1], "-1"),
        ([1.0, 5.0], "1.0, 5.0"),
    ],
    ids=str,
)
def test_other_choices_are_refused(frame, chosen, wrong):
    message = (
        rf"has \[{wrong}\], but the columns of X are .*names, positions, or a mask"
    )
    with pytest.raises(ValueError, match=message):
        categorical_mask(frame, chosen)


@pytest.mark.parametrize("chosen", [[True, False], [[0, 1]], [[0], 1], 3], ids=str)
@pytest.mark.parametrize("names", [range(9), list("abcdefghi")])
def test_masks_of_another_length_and_lists_in_lists_are_refused(frame, names, chosen):
    """True is no name of column 1."""
    message = re.escape(f"or a mask of all 9 columns, got {chosen!r}.")
    with pytest.raises(ValueError, match=message):
        categorical_mask(frame.set_axis(names, axis=1), chosen)


# Tables -------------------------------------------------------------------


def test_kinds_of_tables(frame):
    numbers = frame[["float", "int"]]
    zeros = pd.DataFrame(np.eye(2)).astype(pd.SparseDtype(float, 0.0))
    gaps = pd.DataFrame(np.eye(2)).astype(pd.SparseDtype(float, np.nan))
    assert [is_mixed(X) for X in (frame, numbers, gaps, np.eye(2), [[1]])] == [
        *(True, False, True, False, False)
    ]
    assert is_mixed(pl.DataFrame({"a": [1.0]}))
    assert [is_sparse(X) for X in (zeros, gaps, csr_array(np.eye(2)), frame)] == [
        *(True, False, True, False)
    ]
    assert not is_sparse(zeros.assign(dense=1.0))
    assert is_frame(pl.LazyFrame())


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame])
def test_tables_of_columns(kind):
    X = kind({"b": [1.5, 2], "a": ["x", "y"]})
    columns, names = columns_of(X)
    assert list(names) == ["b", "a"]
    again = table_of([taken(c, np.array([1, 0])) for c in columns], template(X))
    assert list(again.columns) == ["b", "a"]
    assert list(again["a"]) == ["y", "x"]
    assert list(again.dtypes) == list(X.dtypes)


def test_tables_of_arrays():
    X = np.array([[1, "x"], [2, "y"]], dtype=object)
    columns, names = columns_of(X)
    assert names == [0, 1]
    assert_array_equal(table_of(columns, X), X)


# Identifiers --------------------------------------------------------------

LARGE = [2**53 + 1, 0, 3]


@pytest.mark.parametrize(
    ("X", "names"),
    [
        (np.array([LARGE, [1, 2, 3]]).T, r"\[0\]"),
        (-np.array([LARGE]).T, r"\[0\]"),
        (np.array([LARGE], dtype=np.uint64).T, r"\[0\]"),
        (np.array([[np.iinfo(np.int64).min, 0]]), r"\[0\]"),
        (pd.DataFrame({"n": [1, 2, 3], "key": LARGE}), r"\['key'\]"),
        (pd.DataFrame({"key": pd.array([*LARGE, None], "Int64")}), r"\['key'\]"),
        (pl.DataFrame({"key": [*LARGE, None]}), r"\['key'\]"),
    ],
    ids=str,
)
def test_identifiers_are_named(X, names):
    with pytest.warns(UserWarning, match=f"{names} have integers above 2\\^53") as seen:
        warn_of_identifiers(X)
    assert len(seen) == 1
    assert seen[0].filename == __file__


@pytest.mark.parametrize(
    "X",
    [
        np.array([[2**53, -(2**53)]]),
        np.array([[1e300]]),
        pd.DataFrame({"a": [2**53], "b": ["x"]}),
        pd.DataFrame({"a": pd.array([None], dtype="Int64")}),
        pl.DataFrame({"a": pl.Series([None], dtype=pl.Int64)}),
    ],
    ids=str,
)
def test_other_numbers_pass(X):
    warn_of_identifiers(X)


def test_identifiers_as_categories_pass():
    warn_of_identifiers(pd.DataFrame({"a": [1], "key": [2**60]}), [False, True])


def test_values_that_are_no_numbers():
    with pytest.raises(ValueError, match=r"'x' has values that are no numbers .*'a'"):
        as_floats(pd.Series(["1", "a"], dtype=object), "x")
    for column in (pd.Series(["a", None]), pl.Series(["a", None])):  # one missing
        with pytest.raises(ValueError, match=r"'x' has values that are no .*'a'"):
            as_floats(column, "x")
    values, _ = as_floats(pl.Series(["1", None]), "x")
    assert_array_equal(values, [1, np.nan])
    with pytest.raises(TypeError, match="'x' has values that are no numbers"):
        as_floats(pd.Series([1, {}], dtype=object), "x")
    with pytest.raises(ValueError, match="infinity in column 'x'"):
        as_floats(pd.Series([1, np.inf]), "x")
