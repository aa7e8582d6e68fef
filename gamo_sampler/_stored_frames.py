"""Frames and series as JSON and tensors: of pandas, Polars and Arrow, column by column.

What comes out is compared with what went in before anything is written, so that a type
which is not kept to the last detail is refused.
"""

from contextlib import contextmanager

import numpy as np

from ._stored import CODECS, Reader, codec, field, require


def _refuse(path, what, error=None):
    raise ValueError(f"{path} is {what}, which cannot be saved as it is.") from error


class _Checked:
    """A codec that reads back what it wrote."""

    def write(self, value, out, path):
        spec = self.written(value, out, path)
        what = f"a {type(value).__name__} of {_kinds(value)}"
        try:
            same = self.same(self.read(spec, Reader(out.tensors)), value)
        except Exception as error:
            _refuse(path, what, error)
        if not same:
            _refuse(path, what)
        return spec


def _kinds(value):
    kinds = getattr(value, "dtypes", None)
    if kinds is None:
        kinds = getattr(value, "dtype", getattr(value, "type", type(value)))
    kinds = kinds.tolist() if hasattr(kinds, "tolist") else kinds
    return ", ".join(map(str, kinds)) if isinstance(kinds, list) else str(kinds)


# pandas ---------------------------------------------------------------------------


@contextmanager
def _advice(name):
    """Add to errors which column it is, and how it can be saved."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            f"{error} Cast column {name!r} to 'string', or the strings to 'category', "
            "before the fit."
        ) from error


def _column(array, index, name=None):
    """A series of the array's dtype, which pandas would infer where it is object."""
    import pandas as pd

    return pd.Series(array, index=index, name=name, dtype=array.dtype)


def _types(column):
    """Types of objects: pandas takes different missing values for equal."""
    return list(map(type, column)) if column.dtype == object else None


@codec("pandas.DataFrame")
class _Frame(_Checked):
    def written(self, value, out, path):
        values = []
        for i, (name, column) in enumerate(value.items()):
            with _advice(name):
                values.append(_values(column, out, f"{path}.{i}"))
        return {
            "columns": out.value(value.columns, f"{path}.columns"),
            "index": out.value(value.index, f"{path}.index"),
            "values": values,
        }

    def read(self, spec, source):
        import pandas as pd

        index = source.field(spec, "index", pd.Index)
        columns = source.field(spec, "columns", pd.Index)
        arrays = [_array(values, source) for values in field(spec, "values", list)]
        data = {i: _column(a, index) for i, a in enumerate(arrays)}
        return pd.DataFrame(data, index=index).set_axis(columns, axis=1)

    def same(self, a, b):
        import pandas as pd

        pd.testing.assert_frame_equal(
            a, b, check_exact=True, check_index_type="exact", check_column_type="exact"
        )
        pairs = zip(a.items(), b.items(), strict=True)
        same = all(_types(c) == _types(d) for (_, c), (_, d) in pairs)
        return same and a.columns.identical(b.columns) and a.index.identical(b.index)


@codec("pandas.Series")
class _Series(_Checked):
    def write(self, value, out, path):
        with _advice(value.name):
            return super().write(value, out, path)

    def written(self, value, out, path):
        return {
            "name": out.value(value.name, f"{path}.name"),
            "index": out.value(value.index, f"{path}.index"),
            "values": _values(value, out, path),
        }

    def read(self, spec, source):
        import pandas as pd

        index = source.field(spec, "index", pd.Index)
        name = source.field(spec, "name", object)
        return _column(_array(spec["values"], source), index, name)

    def same(self, a, b):
        import pandas as pd

        pd.testing.assert_series_equal(a, b, check_exact=True, check_index_type="exact")
        return _types(a) == _types(b) and a.index.identical(b.index)


@codec("pandas.RangeIndex")
class _Range:
    def write(self, value, out, path):
        return {
            "range": [value.start, value.stop, value.step],
            "name": out.value(value.name, f"{path}.name"),
        }

    def read(self, spec, source):
        import pandas as pd

        start, stop, step = field(spec, "range", list)
        name = source.field(spec, "name", object)
        return pd.RangeIndex(start, stop, step, name=name)


@codec("pandas.MultiIndex")
class _Levels(_Checked):
    def written(self, value, out, path):
        return {
            "levels": out.value(list(value.levels), f"{path}.levels"),
            "codes": out.value([np.array(c) for c in value.codes], f"{path}.codes"),
            "names": out.value(list(value.names), f"{path}.names"),
        }

    def read(self, spec, source):
        import pandas as pd

        parts = {n: source.field(spec, n, list) for n in ("levels", "codes", "names")}
        return pd.MultiIndex(**parts)

    def same(self, a, b):
        return a.identical(b)


@codec("pandas.Index", "pandas.DatetimeIndex", "pandas.TimedeltaIndex")
@codec("pandas.CategoricalIndex", "pandas.PeriodIndex", "pandas.IntervalIndex")
class _Index(_Checked):
    def written(self, value, out, path):
        return {
            "name": out.value(value.name, f"{path}.name"),
            "freq": getattr(value, "freqstr", None),
            "values": _values(value, out, path),
        }

    def read(self, spec, source):
        import pandas as pd

        array = _array(spec["values"], source)
        name = source.field(spec, "name", object)
        index = pd.Index(array, dtype=array.dtype, name=name)
        freq = field(spec, "freq", str, type(None))
        if freq is not None and index.freqstr != freq:
            index.freq = freq
        return index

    def same(self, a, b):
        same = a.identical(b) and _types(a) == _types(b)
        return same and getattr(a, "freq", None) == getattr(b, "freq", None)


def _values(column, out, path):
    """Values of a series or an index, by a codec named after their type."""
    dtype = column.dtype
    kind = "pandas.numpy" if isinstance(dtype, np.dtype) else _kind(dtype)
    if kind not in CODECS:
        _refuse(path, f"of dtype {dtype}")
    return {"type": kind, **CODECS[kind].write(column, out, path)}


def _kind(dtype):
    return f"pandas.{type(dtype).__name__}"


def _array(spec, source):
    require(str(spec.get("type")).startswith("pandas."), "a column has no type.")
    return source.value(spec)


@codec("pandas.numpy")
class _Plain:
    def write(self, column, out, path):
        return {"array": out.value(column.to_numpy(), path)}

    def read(self, spec, source):
        import pandas as pd

        array = source.field(spec, "array", np.ndarray)
        return pd.Series(array, dtype=array.dtype).array


@codec("pandas.NAType", "pandas.NaTType")
class _Missing:
    """Those of pandas, among objects."""

    def write(self, value, out, path):
        return {}

    def read(self, spec, source):
        import pandas as pd

        return pd.NA if spec["type"] == "pandas.NAType" else pd.NaT


@codec("pandas.CategoricalDtype")
class _Categories:
    def write(self, column, out, path):
        array = column.array
        return {
            "categories": out.value(array.categories, f"{path}.categories"),
            "ordered": bool(array.ordered),
            "codes": out.value(np.array(array.codes), f"{path}.codes"),
        }

    def read(self, spec, source):
        import pandas as pd

        categories = source.field(spec, "categories", pd.Index)
        dtype = pd.CategoricalDtype(categories, field(spec, "ordered", bool))
        codes = source.field(spec, "codes", np.ndarray)
        return pd.Categorical.from_codes(codes, dtype=dtype)


MASKED = [f"{sign}Int{n}Dtype" for sign in ("", "U") for n in (8, 16, 32, 64)]
MASKED += ["Float32Dtype", "Float64Dtype", "BooleanDtype"]


@codec(*(f"pandas.{name}" for name in MASKED))
class _Nullable:
    def write(self, column, out, path):
        missing = column.isna()
        values = np.where(missing, 0, column.array.astype(object))
        plain = values.astype(column.dtype.numpy_dtype)
        return {
            "array": out.value(plain, path),
            "missing": out.value(np.array(missing), f"{path}.missing"),
        }

    def read(self, spec, source):
        import pandas as pd

        name = spec["type"].removeprefix("pandas.").removesuffix("Dtype")
        dtype = pd.api.types.pandas_dtype("boolean" if name == "Boolean" else name)
        array = source.field(spec, "array", np.ndarray)
        values = pd.array(array.astype(dtype.numpy_dtype), dtype=dtype)
        missing = source.field(spec, "missing", np.ndarray)
        require(missing.dtype == bool, "missing values are told by booleans.")
        values[missing] = pd.NA
        return values


@codec("pandas.StringDtype")
class _Strings:
    def write(self, column, out, path):
        texts = [None if v is column.dtype.na_value else v for v in column]
        return {
            "storage": column.dtype.storage,
            "na_value": out.value(_na(column.dtype), path),
            "values": out.text(texts, path),
        }

    def read(self, spec, source):
        import pandas as pd

        # Before 2.3, pandas knows no choice of the missing value.
        na_value = () if spec.get("na_value") is None else (np.nan,)
        dtype = pd.StringDtype(field(spec, "storage", str), *na_value)
        return pd.array(source.text(spec), dtype=dtype)


def _na(dtype):
    return "nan" if isinstance(dtype.na_value, float) else None


@codec("pandas.DatetimeTZDtype")
class _Zoned:
    def write(self, column, out, path):
        instants = column.array.tz_convert("UTC").tz_localize(None)
        array = out.value(np.asarray(instants), path)
        return {"zone": str(column.dtype.tz), "array": array}

    def read(self, spec, source):
        import pandas as pd

        array = pd.array(source.field(spec, "array", np.ndarray))
        return array.tz_localize("UTC").tz_convert(field(spec, "zone", str))


@codec("pandas.PeriodDtype")
class _Periods:
    def write(self, column, out, path):
        return {
            "freq": str(column.dtype)[len("period[") : -1],
            "array": out.value(np.array(column.array.asi8), path),
        }

    def read(self, spec, source):
        import pandas as pd

        ordinals = source.field(spec, "array", np.ndarray)
        return pd.PeriodIndex.from_ordinals(
            ordinals, freq=field(spec, "freq", str)
        ).array


@codec("pandas.IntervalDtype")
class _Intervals:
    def write(self, column, out, path):
        array = column.array
        return {
            "closed": array.closed,
            "left": out.value(array.left, f"{path}.left"),
            "right": out.value(array.right, f"{path}.right"),
        }

    def read(self, spec, source):
        import pandas as pd

        ends = (source.field(spec, n, pd.Index) for n in ("left", "right"))
        closed = field(spec, "closed", str)
        return pd.arrays.IntervalArray.from_arrays(*ends, closed=closed)


@codec("pandas.SparseDtype")
class _SparseColumn:
    def write(self, column, out, path):
        return {
            "fill": out.value(column.dtype.fill_value, f"{path}.fill"),
            "array": out.value(np.asarray(column.array.to_dense()), path),
        }

    def read(self, spec, source):
        import pandas as pd

        array = source.field(spec, "array", np.ndarray)
        dtype = pd.SparseDtype(array.dtype, source.field(spec, "fill", object))
        return pd.arrays.SparseArray(array, dtype=dtype)


@codec("pandas.ArrowDtype")
class _ArrowColumn:
    def write(self, column, out, path):
        import pyarrow as pa

        chunks = pa.chunked_array(column.array.__arrow_array__())
        return {"array": out.value(chunks, path)}

    def read(self, spec, source):
        import pandas as pd
        import pyarrow as pa

        array = source.field(spec, "array", pa.ChunkedArray)
        return pd.arrays.ArrowExtensionArray(array)


# Polars ---------------------------------------------------------------------------

POLARS = dict.fromkeys(
    [f"{sign}Int{n}" for sign in ("", "U") for n in (8, 16, 32, 64)]
    + ["Float32", "Float64", "Boolean", "String", "Date", "Time", "Null"],
    (),
) | {
    "Datetime": ("time_unit", "time_zone"),
    "Duration": ("time_unit",),
    "Decimal": ("precision", "scale"),
    "Categorical": (),
    "Enum": ("categories",),
}
AS_TEXT = ("Decimal", "Categorical", "Enum")


@codec("polars.DataFrame")
class _PolarsFrame(_Checked):
    def written(self, value, out, path):
        return {"columns": [out.value(c, f"{path}.{c.name}") for c in value]}

    def read(self, spec, source):
        import polars as pl

        return pl.DataFrame(source.field(spec, "columns", list))

    def same(self, a, b):
        return a.schema == b.schema and a.equals(b)


@codec("polars.Series")
class _PolarsSeries(_Checked):
    def written(self, value, out, path):
        name = value.dtype.base_type().__name__
        if name not in POLARS:
            _refuse(path, f"of dtype {value.dtype}")
        arguments = [getattr(value.dtype, a) for a in POLARS[name]]
        arguments = [a.to_list() if hasattr(a, "to_list") else a for a in arguments]
        return {
            "name": value.name,
            "dtype": name,
            "arguments": arguments,
            "values": out.text(_as_known(value, name).to_list(), path),
        }

    def read(self, spec, source):
        import polars as pl

        name = field(spec, "dtype", str)
        require(name in POLARS, f"Polars' {name!r} is unknown.")
        dtype = getattr(pl, name)(*field(spec, "arguments", list))
        known = _as_known(pl.Series([], dtype=dtype), name).dtype
        name = field(spec, "name", str)
        return pl.Series(name, source.text(spec), known).cast(dtype)

    def same(self, a, b):
        return a.dtype == b.dtype and a.name == b.name and a.equals(b)


def _as_known(series, name):
    """As text, numbers or booleans."""
    import polars as pl

    return series.cast(pl.String) if name in AS_TEXT else series.to_physical()


# Arrow ----------------------------------------------------------------------------

UNITS = ("s", "ms", "us", "ns")
ARROW = [f"{sign}int{n}" for sign in ("", "u") for n in (8, 16, 32, 64)]
ARROW += ["halffloat", "float", "double", "bool", "null"]
ARROW += ["string", "large_string", "string_view", "date32[day]", "date64[ms]"]
ARROW += [f"time32[{unit}]" for unit in UNITS[:2]]
ARROW += [f"time64[{unit}]" for unit in UNITS[2:]]
ARROW += [f"{kind}[{unit}]" for kind in ("timestamp", "duration") for unit in UNITS]


@codec("pyarrow.Table")
class _ArrowTable(_Checked):
    def written(self, value, out, path):
        columns = enumerate(value.columns)
        return {
            "metadata": out.value(value.schema.metadata, path),
            "fields": [_field(f, out, path) for f in value.schema],
            "columns": [out.value(c, f"{path}.{i}") for i, c in columns],
        }

    def read(self, spec, source):
        import pyarrow as pa

        columns = source.field(spec, "columns", list)
        fields = zip(columns, field(spec, "fields", list), strict=True)
        metadata = source.field(spec, "metadata", dict, type(None))
        named = [_named(column.type, f, source) for column, f in fields]
        return pa.Table.from_arrays(columns, schema=pa.schema(named, metadata))

    def same(self, a, b):
        return a.schema.equals(b.schema, check_metadata=True)  # columns are checked


def _field(field, out, path):
    return {
        "name": field.name,
        "nullable": field.nullable,
        "metadata": out.value(field.metadata, path),
    }


def _named(dtype, spec, source):
    import pyarrow as pa

    metadata = source.field(spec, "metadata", dict, type(None))
    name, nullable = field(spec, "name", str), field(spec, "nullable", bool)
    return pa.field(name, dtype, nullable, metadata)


@codec("pyarrow.ChunkedArray")
class _ArrowArray(_Checked):
    def written(self, value, out, path):
        import pyarrow as pa

        array = value.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # as it is where there are no rows
            array = pa.array([], value.type)
        if not pa.types.is_dictionary(value.type):
            return _arrow_values(array, out, path)
        return {
            "ordered": value.type.ordered,
            "indices": _arrow_values(array.indices, out, f"{path}.indices"),
            "values": _arrow_values(array.dictionary, out, f"{path}.values"),
        }

    def read(self, spec, source):
        import pyarrow as pa

        if "indices" not in spec:
            return pa.chunked_array([_arrow_array(spec, source)])
        indices, values = (
            _arrow_array(field(spec, n, dict), source) for n in ("indices", "values")
        )
        ordered = field(spec, "ordered", bool)
        array = pa.DictionaryArray.from_arrays(indices, values, ordered=ordered)
        return pa.chunked_array([array])

    def same(self, a, b):
        # As text, where nan is nan.
        return a.type == b.type and str(a.to_pylist()) == str(b.to_pylist())


def _arrow_values(array, out, path):
    name, zone = str(array.type), getattr(array.type, "tz", None)
    if zone is not None:
        name = f"timestamp[{array.type.unit}]"
    if name not in ARROW:
        _refuse(path, f"of type {array.type}")
    values = array.cast(_arrow_plain(array.type)).to_pylist()
    return {"name": name, "zone": zone, "plain": out.text(values, path)}


def _arrow_array(spec, source):
    import pyarrow as pa

    name = field(spec, "name", str)
    require(name in ARROW, f"Arrow's {name!r} is unknown.")
    dtype = pa.type_for_alias(name)
    zone = field(spec, "zone", str, type(None))
    if zone is not None:
        dtype = pa.timestamp(dtype.unit, zone)
    return pa.array(source.text(spec, "plain"), _arrow_plain(dtype)).cast(dtype)


def _arrow_plain(dtype):
    """The type of the numbers that instants are."""
    import pyarrow as pa

    if pa.types.is_float16(dtype):
        return pa.float32()
    if not pa.types.is_temporal(dtype):
        return dtype
    return pa.int32() if dtype.bit_width == 32 else pa.int64()
