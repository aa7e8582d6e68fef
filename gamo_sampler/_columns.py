"""Single columns of a table, whatever library they come from, and tables of them."""

import narwhals as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.utils._missing import is_pandas_na

from ._frames import cast, is_frame
from ._warn import warn

EXACT_INTEGERS = 2**53
GREATEST_STEPS = np.nextafter(2.0**64, 0)


def is_sparse(X):
    """Whether it is a sparse matrix, or a pandas frame of columns that are mostly 0."""
    dtypes = X.dtypes if hasattr(X, "iloc") and is_frame(X) else [None]
    # Only sparse dtypes have a fill value, and pandas' own default is NaN.
    is_zero = [getattr(dtype, "fill_value", None) == 0 for dtype in dtypes]
    return issparse(X) or (bool(is_zero) and all(is_zero))


def is_mixed(X):
    """Whether it is a frame with columns of other things than plain numbers.

    Of another library than pandas: any frame.
    """
    if not is_frame(X) or not hasattr(X, "iloc"):
        return is_frame(X)
    kinds = [getattr(dtype, "kind", "O") for dtype in X.dtypes]
    return any(
        kind not in "biufc" or hasattr(dtype, "fill_value")
        for kind, dtype in zip(kinds, X.dtypes, strict=True)
    )


def columns_of(X):
    """The columns of a frame or of an array, and their names."""
    if not is_frame(X):
        return list(X.T), list(range(X.shape[1]))
    if hasattr(X, "iloc"):  # names need not be unique there
        columns = [_dense(X.iloc[:, i]) for i in range(X.shape[1])]
        return columns, X.columns.tolist()
    frame = nw.from_native(X, eager_only=True)
    return [column.to_native() for column in frame.iter_columns()], frame.columns


def is_auto(given):
    """Whether a user's `categorical_features` leaves it to the types of columns."""
    return isinstance(given, str) and given == "auto"


def categorical_mask(X, given):
    """(n_features,) bool, from what a user gave as `categorical_features`."""
    columns, names = columns_of(X)
    if is_auto(given):
        return np.array([is_frame(X) and not _is_number(c) for c in columns])
    given = _names_or_positions(given, len(names))
    if given.dtype == bool:
        return given
    by_position = given.dtype.kind in "iu"  # where names are integers, too
    positions = np.arange(len(names)) if by_position else np.array(names)
    unknown = [column for column in given.tolist() if column not in positions]
    if unknown:
        raise ValueError(
            f"categorical_features has {unknown}, but the columns of X are "
            f"{'by position ' if by_position else ''}{positions.tolist()}. Give names, "
            "positions, or a mask of all columns."
        )
    return np.isin(positions, given)


def _names_or_positions(given, n_columns):
    """(k,) names or positions, or a mask (n_columns,)."""
    try:
        columns = np.asarray(given)
    except ValueError:  # lists of different lengths
        columns = np.empty((0, 0))
    wrong_mask = columns.dtype == bool and len(columns) != n_columns
    if columns.ndim != 1 or wrong_mask:
        raise ValueError(
            "categorical_features must be names, positions, or a mask of all "
            f"{n_columns} columns, got {given!r}."
        )
    return columns


def warn_of_identifiers(X, categorical=False):
    """Say so where columns of numbers, by a mask, have integers too large for floats.

    They may be positions in a database; as categories they would keep their digits.
    """
    columns, names = columns_of(X)
    is_number = ~np.broadcast_to(categorical, len(names))
    large = [
        name
        for name, column, asked in zip(names, columns, is_number, strict=True)
        if asked and _has_large_integers(column)
    ]
    if large:
        warn(
            f"Columns {large} have integers above 2^53, which lose digits in weighted "
            "means. Leave identifiers out, or name them in categorical_features."
        )


def _has_large_integers(column):
    if isinstance(column, np.ndarray):
        is_long = column.dtype.kind in "iu" and column.dtype.itemsize > 4
    else:
        column = _series(column)
        is_long = column.dtype in (nw.Int64, nw.UInt64) and not column.is_null().all()
    return is_long and max(-int(column.min()), int(column.max())) > EXACT_INTEGERS


def taken(column, rows):
    """The values at some positions, in the type of the column."""
    if isinstance(column, np.ndarray):
        return column[rows]
    return _series(column)[rows].to_native()


def is_missing(column):
    """(n,) bool."""
    if isinstance(column, np.ndarray):
        return np.array([v is None or is_pandas_na(v) or v != v for v in column], bool)
    return _series(column).is_null().to_numpy()


def level_codes(column):
    """(n,) 0 for the most frequent value, 1 for the next. A missing one is a value."""
    is_array = isinstance(column, np.ndarray)
    values = column.tolist() if is_array else _series(column).to_list()
    found = {}
    pairs = zip(values, is_missing(column), strict=True)
    levels = [None if gone else _level(value) for value, gone in pairs]
    codes = [found.setdefault(level, len(found)) for level in levels]
    ranks = np.argsort(np.argsort(-np.bincount(codes), kind="stable"))
    return ranks[codes]


def _level(value):
    """What tells True, 1 and 1.0 apart, but not a string of numpy from another."""
    value = value.item() if isinstance(value, np.generic) else value
    return type(value), value


def as_floats(column, name):
    """Values (n,), NaN where one is missing, from an origin on, and that origin.

    The origin of instants is their first; of numbers 0.
    """
    try:
        values = numbers_or_instants(column)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"Column {name!r} has values that are no numbers ({error}). Name it in "
            "categorical_features, or leave it out."
        ) from error
    if values.dtype.kind in "mM":
        missing = np.isnat(values)
        known = np.zeros(1, values.dtype) if missing.all() else values[~missing]
        origin = known.min()
        return np.where(missing, np.nan, _steps(values, origin)), origin
    if np.isinf(values).any():
        raise ValueError(f"Input X contains infinity in column {name!r}.")
    return values, 0.0


def numbers_or_instants(column):
    """(n,) floats, or instants or durations of numpy; missing ones are NaN or NaT."""
    if not isinstance(column, np.ndarray):
        column = _numpy(_series(column))
    elif column.dtype == object:
        column = np.where(is_missing(column), np.nan, column)
    return column if column.dtype.kind in "mM" else column.astype(float)


def _steps(column, origin):
    """Units of time from an origin on, as floats that are never above them."""
    # Differences may exceed int64, but wrap to what is right in uint64.
    steps = column.astype(np.int64).view(np.uint64) - _whole(origin)
    values = steps.astype(float).clip(max=GREATEST_STEPS)
    return np.where(values.astype(np.uint64) > steps, np.nextafter(values, 0), values)


def _whole(instant):
    return instant.astype(np.int64).astype(np.uint64)


def from_floats(values, origin, like):
    """`values` from an origin on, NaN where one is missing, as a column like `like`."""
    if isinstance(origin, np.datetime64 | np.timedelta64):
        missing = np.isnan(values)
        steps = np.rint(np.where(missing, 0, values)).astype(np.uint64)
        values = (steps + _whole(origin)).view(np.int64).view(origin.dtype)
        values[missing] = "NaT"
    if isinstance(like, np.ndarray):
        return (
            values.astype(object) if like.dtype == object else cast(values, like.dtype)
        )
    if hasattr(like, "iloc"):
        return _pandas(values, like)
    return _other(values, _series(like))


def table_of(columns, like):
    """A table of the kind of `like` from columns that came from it."""
    if isinstance(like, np.ndarray):
        return np.stack(columns, 1).astype(like.dtype, copy=False)
    if hasattr(like, "iloc"):
        typed = zip(columns, like.dtypes, strict=True)
        data = {i: _pandas_column(c, dtype) for i, (c, dtype) in enumerate(typed)}
        return type(like)(data).set_axis(like.columns, axis=1)
    frame = nw.from_native(like, eager_only=True)
    named = zip(frame.columns, map(_series, columns), strict=True)
    return nw.from_dict(dict(named)).to_native()


def _dense(column):
    """A pandas column as it is, or without its sparse dtype, which narwhals lacks."""
    return column.sparse.to_dense() if hasattr(column.dtype, "fill_value") else column


def _pandas_column(column, dtype):
    import pandas as pd

    if hasattr(dtype, "fill_value"):
        return pd.arrays.SparseArray(np.asarray(column), dtype=dtype)
    # Series of strings as objects stay so, their arrays would not.
    return column.reset_index(drop=True) if hasattr(column, "iloc") else column


def _series(column):
    return nw.from_native(column, series_only=True)


def _is_number(column):
    dtype = _series(column).dtype
    return dtype.is_numeric() or (dtype.is_temporal() and dtype != nw.Time)


def _numpy(series):
    if series.dtype == nw.Date:  # those of Arrow in pandas would be objects
        return series.cast(nw.Datetime("us")).to_numpy().astype("datetime64[D]")
    if series.dtype.is_temporal():
        return series.to_numpy()
    if not series.is_null().any():
        return series.to_numpy()
    if _is_number(series):
        return series.cast(nw.Float64).to_numpy().astype(float)
    # Text, that may be of numbers, or objects.
    return np.where(series.is_null().to_numpy(), np.nan, series.to_numpy().astype("O"))


def _pandas(values, like):
    import pandas as pd

    if values.dtype.kind not in "mM":
        return cast(values, like.dtype)
    series = pd.Series(values)
    zone = getattr(like.dtype, "tz", None)
    if zone is not None:
        series = series.dt.tz_localize("UTC").dt.tz_convert(zone)
    return series.astype(like.dtype)


def _other(values, like):
    series = nw.new_series(like.name, values, backend=like.implementation)
    if values.dtype.kind == "f":
        series = series.fill_nan(None)
    if like.dtype.is_integer():
        series = series.round()
    zone = getattr(like.dtype, "time_zone", None)
    if zone is not None:
        series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return series.cast(like.dtype).to_native()
