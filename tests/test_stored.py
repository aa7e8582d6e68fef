"""Values come back from JSON and tensors as they were, or are refused by name."""

import datetime
import json
import pathlib
from collections import OrderedDict
from decimal import Decimal
from inspect import signature

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch

from gamo_sampler import _stored_frames  # noqa: F401 - its codecs
from gamo_sampler._stored import CODECS, Reader, Writer

NAN = float("nan")
DAYS = [datetime.date(2020, 1, 1), None, datetime.date(2021, 6, 1)]
TIMES = pd.to_datetime(["2020-01-01 01:30", None, "2021-06-01 12:00"])


def through_json(value, path="x"):
    out = Writer()
    spec = json.loads(json.dumps(out.value(value, path), allow_nan=False))
    shared = json.loads(json.dumps(out.shared))
    return Reader(out.tensors, shared).value(spec)


def read(spec, **tensors):
    return Reader({n: torch.as_tensor(t) for n, t in tensors.items()}).value(spec)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**70),
        0.1,
        5e-324,
        -0.0,
        NAN,
        float("-inf"),
        "é \u2603 \ud800",
        [1, [2.5, None], "a"],
        (1, (2, [3])),
        {1: "a", "b": {(1, 2): None}, None: []},
        OrderedDict([("b", 1), ("a", 2)]),
        b"\x00\xff",
        pathlib.Path("a/b"),
        datetime.date(2024, 2, 29),
        datetime.datetime(2024, 2, 29, 1, 2, 3, 4),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.float32(0.1),
        np.float64(NAN),
        np.bool_(True),
        np.str_("é"),
        np.str_(""),
        pd.NA,
        pd.NaT,
        np.datetime64("2024-01-01T00", "h"),
        np.timedelta64("NaT", "25s"),
        torch.device("cuda:1"),
    ],
    ids=repr,
)
def test_values(value):
    again = through_json(value)
    assert type(again) is type(value)
    assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(24)[::-2],
        np.zeros((0, 3), np.float32),
        np.zeros((2, 0), "M8[s]"),
        np.array(1.5),
        np.array([True, False]),
        np.array([1, 2], dtype=">i4"),
        np.array([2**64 - 1], dtype=np.uint64),
        np.array([0.1], dtype=np.float16),
        np.array([0.1], dtype=np.longdouble),
        np.array([1 + 2j]),
        np.array(["a", "é \u2603", ""]),
        np.array([b"a", b"bc"]),
        np.array(["2024-01-01", "NaT"], dtype="M8[25s]"),
        np.array([1, None, "a", NAN, (1, 2)], dtype=object),
        np.array([[1, "a"], ["b", None]], dtype=object),
    ],
    ids=repr,
)
def test_arrays(array):
    array.setflags(write=False)
    again = through_json(array)
    assert again.dtype == array.dtype
    assert again.shape == array.shape
    assert repr(again.tolist()) == repr(array.tolist())
    if array.ndim == 2 and array.size:
        assert again.strides == array.strides
    assert again.flags.writeable


def test_arrays_under_names_that_look_alike():
    values = {1: np.zeros(2), "1": np.ones(2), "1'": np.ones(3)}
    again = through_json({"a": values})["a"]
    assert {k: v.tolist() for k, v in again.items()} == {
        k: v.tolist() for k, v in values.items()
    }


@pytest.mark.parametrize(
    "tensor",
    [torch.arange(6.0).view(2, 3), torch.arange(6).view(2, 3).T, torch.zeros(0, 2)],
)
def test_tensors(tensor):
    again = through_json(tensor)
    assert again.dtype == tensor.dtype
    assert again.stride() == tensor.stride()
    assert torch.equal(again, tensor)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_sparse(form, kind):
    rows = np.array([[0, 1.5, 0], [2, 0, 0]], dtype=np.float32)
    sparse = getattr(scipy.sparse, f"{form}_{kind}")(rows)
    again = through_json(sparse)
    assert type(again) is type(sparse)
    assert again.dtype == sparse.dtype
    assert (again.toarray() == rows).all()


def test_random_states():
    random_state = np.random.RandomState(1)
    random_state.normal()
    one, two = through_json([random_state, random_state])
    assert one is two
    draws = [(s.normal(), s.normal(), s.randint(100)) for s in (one, random_state)]
    assert draws[0] == draws[1]


def nan_strings(words):
    """Texts whose missing value is nan, which pandas has from 2.3 on."""
    if "na_value" not in signature(pd.StringDtype).parameters:
        return {}
    return {"python, nan": pd.array(words, pd.StringDtype("python", np.nan))}


def pandas_columns():
    words = ["x", None, "y"]
    return {
        "int8": np.array([1, 2, 3], "i1"),
        "float": [1.5, NAN, -0.0],
        "bool": [True, False, True],
        "object": np.array(["x", None, 3], dtype=object),
        "str": pd.array(words, "str"),
        "string": pd.array(words, "string"),
        "python": pd.array(words, pd.StringDtype("python")),
        **nan_strings(words),
        "ordered": pd.Categorical(words, ["y", "x", "never"], ordered=True),
        "bins": pd.cut([1, 2, 3], 2),
        "Int64": pd.array([1, None, 2**62 + 1], "Int64"),
        "UInt8": pd.array([1, None, 3], "UInt8"),
        "Float32": pd.array([1.5, None, 3], "Float32"),
        "boolean": pd.array([True, None, False], "boolean"),
        "time": TIMES,
        "zone": TIMES.tz_localize("Europe/Berlin"),
        "utc": TIMES.tz_localize("UTC"),
        "span": pd.to_timedelta([1, None, 3], "D"),
        "period": pd.PeriodIndex(["2020-01", "NaT", "2021-02"], freq="M"),
        "sparse": pd.arrays.SparseArray([0.0, NAN, 1]),
        "sparse, 0": pd.arrays.SparseArray([0, 0, 1], fill_value=0),
        "arrow": pd.array([1, None, 3], pd.ArrowDtype(pa.float64())),
        "arrow text": pd.array(words, pd.ArrowDtype(pa.string())),
        "arrow time": pd.array(TIMES, pd.ArrowDtype(pa.timestamp("ns", "UTC"))),
        "days": DAYS,
    }


@pytest.mark.parametrize("name", pandas_columns())
@pytest.mark.parametrize("rows", [slice(None), slice(0)])
def test_pandas_columns(name, rows):
    series = pd.Series(pandas_columns()[name], name=name)[rows]
    again = through_json(series)
    pd.testing.assert_series_equal(again, series, check_exact=True)
    assert again.dtype == series.dtype
    assert repr(again.tolist()) == repr(series.tolist())


OBJECTS = {
    "text": ["x", "y", "z"],
    "None": ["x", None, "y"],
    "nan": ["x", NAN, "y"],
    "NA": ["x", pd.NA, "y"],
    "NaT": ["x", pd.NaT, "y"],
    "numpy": [np.str_("x"), np.str_(""), np.float64(NAN)],
    "numbers": [1, np.int8(2), True],
    "all missing": [None, NAN, pd.NA],
}


@pytest.mark.parametrize("values", OBJECTS.values(), ids=OBJECTS)
def test_pandas_objects(values):
    series = pd.Series(values, name="city", dtype=object)
    frame = series.to_frame().assign(float=1.5)
    index = pd.Index(values, dtype=object)
    again = through_json(series), through_json(frame)["city"], through_json(index)
    for found in again:
        assert found.dtype == object
        assert list(map(type, found)) == list(map(type, values))
        assert repr(found.tolist()) == repr(values)
    assert again[0].name == "city"


INDEXES = [
    pd.RangeIndex(5, 11, 2, name="n"),
    pd.Index([1, 5, 2], dtype="int16"),
    pd.Index(["a", "b", None]),
    pd.Index(["a", 1, None], dtype=object),
    pd.Index([1.5, 2, 3], name=("t", 1)),
    pd.Index(pd.array([1, 2, None], "Int64")),
    pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 1)], names=["x", None]),
    pd.CategoricalIndex(list("abc")),
    pd.date_range("2020-01-01", periods=3, freq="D"),
    pd.date_range("2020-01-01", periods=3, freq="h", tz="UTC"),
    pd.timedelta_range("1D", periods=3),
    pd.period_range("2020", periods=3, freq="M"),
    pd.interval_range(0, 3),
]


@pytest.mark.parametrize("index", INDEXES, ids=repr)
def test_pandas_frames(index):
    frame = pd.DataFrame(pandas_columns()).set_axis(index)
    numbers = pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=index)
    for given in (frame, frame.iloc[:0], numbers, frame[["float", "float"]]):
        again = through_json(given)
        pd.testing.assert_frame_equal(again, given, check_exact=True)
        assert again.index.identical(given.index)
        assert again.columns.identical(given.columns)


def polars_frame():
    numbers = pl.Series([1, None, 3])
    words = pl.Series(["a", None, "b"])
    return pl.DataFrame(
        {
            "int": numbers,
            "u8": numbers.cast(pl.UInt8),
            "f32": pl.Series([0.1, None, NAN]).cast(pl.Float32),
            "word": words,
            "bool": [True, None, False],
            "null": [None] * 3,
            "day": DAYS,
            "time": numbers.cast(pl.Time),
            "instant": numbers.cast(pl.Datetime("ns", "Europe/Berlin")),
            "span": numbers.cast(pl.Duration("us")),
            "category": words.cast(pl.Categorical),
            "enum": words.cast(pl.Enum(["b", "a", "never"])),
            "decimal": numbers.cast(pl.Decimal(10, 2)),
        }
    )


@pytest.mark.parametrize("rows", [slice(None), slice(0)])
def test_polars(rows):
    frame = polars_frame()[rows]
    again = through_json(frame)
    assert again.schema == frame.schema
    assert again.equals(frame)
    for column in frame:
        assert through_json(column).equals(column, check_dtypes=True, check_names=True)


def arrow_table():
    kinds = [pa.uint8(), pa.int64(), pa.float64(), pa.time32("s"), pa.time64("ns")]
    kinds += [pa.date64(), pa.duration("us"), pa.timestamp("ms")]
    kinds += [pa.timestamp("ns", "Asia/Tokyo")]
    columns = {str(kind): pa.array([0, None, 0]).cast(kind) for kind in kinds[:3]}
    for kind in kinds[3:]:
        columns[str(kind)] = pa.array([86_400_000, None, 0], pa.int64()).cast(
            pa.int32() if kind == pa.time32("s") else pa.int64()
        )
    columns["time32[s]"] = pa.array([5, None, 0], pa.time32("s"))
    columns["time64[ns]"] = pa.array([5, None, 0], pa.time64("ns"))
    for kind in kinds[5:]:
        columns[str(kind)] = columns[str(kind)].cast(kind)
    words = ["a", None, "b"]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        columns[str(kind)] = pa.array(words, kind)
    columns["half"] = pa.array(np.array([0.5, 1, NAN], np.float16))
    columns["day"] = pa.array(DAYS)
    columns["coded"] = pa.array(words).dictionary_encode()
    columns["bool"] = pa.array([True, None, False])
    columns["null"] = pa.nulls(3)
    table = pa.table(columns, metadata={"who": "me"})
    whole = pa.field("whole", pa.int8(), nullable=False, metadata={"k": "v"})
    return table.append_column(whole, pa.array([1, 2, 3], pa.int8()))


@pytest.mark.parametrize("rows", [slice(None), slice(0)])
def test_arrow(rows):
    table = arrow_table()[rows]
    again = through_json(table)
    assert again.schema.equals(table.schema, check_metadata=True)
    assert str(again.to_pylist()) == str(table.to_pylist())
    for column in table.columns:
        assert through_json(column).type == column.type
    parts = pa.concat_tables([table, table])
    assert str(through_json(parts).to_pylist()) == str(parts.to_pylist())


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ({1, 2}, "builtins.set"),
        (1 + 2j, "complex"),
        (lambda: None, "function"),
        ([1, (2, {"a": object()})], r"x.1.1.a is of type builtins.object"),
        (np.random.default_rng(), "Generator"),
        (np.ma.array([1]), "MaskedArray"),
        (np.zeros(1, dtype="i4,i4"), "dtype"),
        (np.array([object()]), "builtins.object"),
        (np.complex128(1), "complex128"),
        (np.random.RandomState(np.random.PCG64()), "PCG64"),
        (datetime.datetime.now(datetime.UTC), "time zones"),
        (scipy.sparse.coo_array([1, 2]), "1 dimensions"),
        (pd.Series([{1}]), "builtins.set"),
        (pd.Series([Decimal(1)]), "Decimal"),
        (pd.Series([pd.Timestamp("2020", tz="UTC")], dtype=object), "Timestamp"),
        (pl.Series([[1]]), r"List\(Int64\)"),
        (pl.Series([{"a": 1}]), "Struct"),
        (pl.Series([b"x"]), "Binary"),
        (pa.chunked_array([[[1]]]), "list<item: int64>"),
        (pa.chunked_array([[b"x"]]), "binary"),
    ],
)
def test_what_is_refused(value, what):
    with pytest.raises(ValueError, match=what) as info:
        through_json(value, "x")
    assert str(info.value).startswith("x")


def test_what_does_not_come_back_the_same_is_refused(monkeypatch):
    codec = CODECS["pandas.Series"]
    monkeypatch.setattr(codec, "read", lambda spec, source: pd.Series([9.0]))
    with pytest.raises(ValueError, match="x is a Series of float64"):
        through_json(pd.Series([1.0]))


class Text(np.str_):
    """Equal to the numpy string that would come back."""


@pytest.mark.parametrize(
    "made",
    [
        lambda column: column,
        lambda column: column.to_frame(),
        lambda column: pd.Index(column),
    ],
)
def test_other_types_of_equal_objects_are_refused(made):
    value = made(pd.Series([Text("x")], name="city", dtype=object))
    with pytest.raises(ValueError, match=r"^x is a .* of object"):
        through_json(value)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([Text("x")], dtype=object),
        pd.Series(["x", frozenset([1])]),
        pd.Series([Decimal(1)]),
        pd.Series([Decimal(1)], dtype="category"),
        pd.Series([pd.Timestamp("2020")], dtype=object),
        pd.Series([[1]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    ],
    ids=repr,
)
def test_advice_for_columns_that_are_refused(column):
    column = column.rename("city")
    match = "^x.* Cast column 'city' to 'string', or the strings to 'category'"
    with pytest.raises(ValueError, match=match):
        through_json(column)
    text = column.astype(object).map(str).astype("string")
    for cast in (text, text.astype("category")):
        pd.testing.assert_series_equal(through_json(cast), cast)


def test_advice_for_columns_of_frames():
    frame = pd.DataFrame({"a": [1], "city": [Decimal(1)]})
    with pytest.raises(ValueError, match=r"^x\.1\.0 is .* Cast column 'city' to"):
        through_json(frame)


def array(**other):
    spec = {"type": "numpy.ndarray", "dtype": "<f8", "shape": [2], "order": "C"}
    return {**spec, "tensor": "t", **other}


ROWS = {"type": "scipy.csr_array", "shape": [1, 2]}


def rows(data, indices, indptr):
    """A sparse row whose parts are as a file may have them."""
    tensors = {
        name: torch.tensor(values, dtype=dtype)
        for name, values, dtype in [
            ("data", data, torch.float64),
            ("indices", indices, torch.int32),
            ("indptr", indptr, torch.int32),
        ]
    }
    specs = {
        name: array(
            dtype="<f8" if name == "data" else "<i4", shape=[len(t)], tensor=name
        )
        for name, t in tensors.items()
    }
    return {**ROWS, **specs}, tensors


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"type": None},
        {"type": []},
        {"type": "os.system"},
        {"type": "shared", "index": 0},
        {"type": "shared", "index": -1},
        {"type": "shared", "index": True},
        {"type": "given", "name": "x"},
        {"type": "builtins.tuple", "items": {"type": "builtins.dict", "items": []}},
        {"type": "builtins.float", "value": 1},
        array(tensor="nothing"),
        array(dtype="|O"),
        array(dtype="f8,f8"),
        array(dtype="|V8"),
        array(dtype="<U0"),
        array(dtype="nonsense"),
        array(shape=[3]),
        array(shape=[-1]),
        array(shape=[True, 2]),
        array(shape=2),
        array(order="K"),
        array(dtype="|b1", shape=[16]),
        array(dtype="<U2"),
        {"type": "numpy.generic", "dtype": "|O", "value": 1},
        {"type": "numpy.generic", "dtype": "<i8", "value": "a"},
        {"type": "torch.device", "value": 1},
        {"type": "gamo_sampler.Scaling", "center": 1.0, "scale": 1.0},
        {"type": "pathlib.Path"},
    ],
    ids=repr,
)
def test_hostile_values(spec):
    kinds = (ValueError, TypeError, RuntimeError)
    with pytest.raises(kinds):
        read(spec, t=np.array([NAN, -1.5]))


@pytest.mark.parametrize(
    ("data", "indices", "indptr"),
    [
        ([1.0], [2], [0, 1]),
        ([1.0], [-1], [0, 1]),
        ([1.0], [0], [0, 9]),
        ([1.0], [0], [5, 1]),
        ([1.0, 1.0], [0], [0, 2]),
        ([1.0], [0], [0, 1, 1]),
    ],
)
def test_sparse_rows_that_point_beyond(data, indices, indptr):
    spec, tensors = rows([1.0], [1], [0, 1])
    assert read(spec, **tensors).toarray().tolist() == [[0, 1]]
    spec, tensors = rows(data, indices, indptr)
    with pytest.raises(ValueError, match=r"ind|data|rows"):
        read(spec, **tensors)


def test_bool_bytes_of_other_values_are_refused():
    spec = array(dtype="|b1")
    assert read(spec, t=torch.tensor([True, False])).tolist() == [True, False]
    with pytest.raises(ValueError, match="booleans"):
        read(spec, t=torch.tensor([1, 2], dtype=torch.uint8))
