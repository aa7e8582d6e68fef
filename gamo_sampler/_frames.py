"""Tables in and out: generated rows in the container and dtypes of the caller."""

from copy import deepcopy
from itertools import chain

import narwhals as nw
import numpy as np
from narwhals.dependencies import is_into_dataframe, is_into_series
from scipy.sparse import issparse, vstack


def import_pandas(who):
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            f"{who} needs pandas: pip install 'gamo_sampler[cli]'."
        ) from error
    return pandas


def is_frame(X):
    # Of the type, as a lazy frame would have to look them up.
    return hasattr(type(X), "columns")


def check_columns(X):
    """Refuse columns of a frame that are no numbers, by name, and arrays of dates."""
    if is_frame(X):
        wrong = {
            name: str(dtype)
            for name, dtype in zip(X.columns, X.dtypes, strict=True)
            # Only pandas' sparse dtypes have a fill value.
            if getattr(dtype, "kind", "O") not in "biufc"
            or hasattr(dtype, "fill_value")
        }
    else:
        dtype = getattr(X, "dtype", np.dtype(float))
        wrong = {"X": str(dtype)} if getattr(dtype, "kind", "O") in "mM" else {}
    if wrong:
        raise TypeError(
            f"Only numbers can be mixed, but these columns have other types: {wrong}. "
            "Encode them as numbers, or leave them out."
        )


def is_native(data):
    """Whether it is a frame or a series of any library."""
    return is_into_dataframe(data) or is_into_series(data)


def container(data, array):
    """`data` where it is a frame, a series or a list, else its validated `array`."""
    return data if is_native(data) or isinstance(data, list) else array


def n_rows(data):
    return data.shape[0] if hasattr(data, "shape") else len(data)


def template(data):
    """A container of the kind of `data`, without its rows."""
    # A copy, as an empty view would keep all of `data` alive.
    return deepcopy(part(data, slice(0)))


def part(data, rows):
    """Some rows of any container, by a slice."""
    if issparse(data):  # not all formats can be indexed
        return data.tocsr()[rows].asformat(data.format)
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def fill(empty, values):
    """`values` in the kind of container that `template` made."""
    if not isinstance(values, np.ndarray):
        return values
    if isinstance(empty, list):
        return values.tolist()
    if is_frame(empty):
        columns = zip(values.T, empty.dtypes, strict=True)
        # By position, as names need not be unique.
        typed = [cast(column, dtype) for column, dtype in columns]
        frame = type(empty)(dict(enumerate(typed)))
        return frame.set_axis(empty.columns, axis=1)
    if hasattr(empty, "iloc"):
        return type(empty)(cast(values, empty.dtype), name=empty.name)
    if is_into_series(empty):
        like = nw.from_native(empty, series_only=True)
        return nw.new_series(
            like.name, values.tolist(), like.dtype, backend=like.implementation
        ).to_native()
    return cast(values, empty.dtype)


def stacked(blocks, n):
    """Blocks of n rows in all as one array: never all of them twice."""
    first = next(blocks)
    return _filled(np.empty((n, *first.shape[1:]), first.dtype), chain([first], blocks))


def rechunked(blocks, size):
    """The rows of the blocks, `size` at a time; the last of them may be fewer."""
    held, n = [], 0
    for block in blocks:
        while n_rows(block):
            held.append(part(block, slice(size - n)))
            block = part(block, slice(size - n, None))
            n += n_rows(held[-1])
            if n == size:
                yield joined(held)
                held, n = [], 0
    if held:
        yield joined(held)


def append(data, blocks, n):
    """`data` as it is, followed by blocks of n rows: of arrays, never copied twice."""
    if hasattr(type(data), "blocks"):  # of a lazy array; not a column of that name
        return stacked(chain(data.blocks(), blocks), len(data) + n)
    if not isinstance(data, np.ndarray):
        empty = template(data)
        return joined([data, *(fill(empty, block) for block in blocks)])
    out = np.empty((len(data) + n, *data.shape[1:]), data.dtype)
    return _filled(out, chain([data], blocks))


def _filled(out, blocks):
    start = 0
    for block in blocks:
        out[start : start + len(block)] = cast(block, out.dtype)
        start += len(block)
    return out


def extend(data, values):
    """`data` as it is, followed by `values`."""
    return joined([data, fill(template(data), values)])


def joined(parts):
    """Containers of one kind as one. The first keeps its index, the others go on."""
    first = parts[0]
    if isinstance(first, list):
        return list(chain.from_iterable(parts))
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if issparse(first):
        return vstack(parts, format=first.format)
    if is_into_series(first) and not hasattr(first, "iloc"):
        frames = [nw.from_native(part, series_only=True).to_frame() for part in parts]
        return nw.concat(frames)[first.name].to_native()
    if not hasattr(first, "iloc"):
        return nw.concat([nw.from_native(part) for part in parts]).to_native()
    import pandas as pd

    new = pd.concat(parts, ignore_index=True)
    return new.set_axis(_longer(first.index, len(new)))


def _longer(index, n):
    """An index with n labels, the new ones as `_labels_after` gives them."""
    import pandas as pd

    if isinstance(index, pd.RangeIndex) and index.step == 1:
        return pd.RangeIndex(index.start, index.start + n, name=index.name)
    return index.append(_labels_after(index, 0, n - len(index)))


def _labels_after(index, skipped, n):
    """n labels for an index, after some: numbers, from its greatest one on, if any.

    Else they are positions. Where there are several levels, they are in the last one,
    and the others are missing: a new row is of none of their labels.
    """
    import pandas as pd

    start = _next_label(index.get_level_values(-1)) + skipped
    labels = pd.RangeIndex(start, start + n, name=index.names[-1])
    if index.nlevels == 1:
        return labels
    codes = [*np.full((index.nlevels - 1, n), -1), np.arange(n)]
    return pd.MultiIndex([*index.levels[:-1], labels], codes, names=index.names)


def _next_label(index):
    import pandas as pd

    whole = pd.api.types.is_integer_dtype(index) and len(index)
    return int(index.max()) + 1 if whole else len(index)


def continued(blocks, before):
    """Blocks (X, y) that follow those containers, with the indexes that go on there."""
    n = 0
    for block in blocks:
        yield tuple(
            _labelled(rows, old, n) for rows, old in zip(block, before, strict=True)
        )
        n += n_rows(block[0])


def _labelled(rows, before, n):
    """`rows` as those that come n rows after the last of `before`."""
    if not hasattr(before, "iloc"):
        return rows
    return rows.set_axis(_labels_after(before.index, n, len(rows)))


def cast(values, dtype):
    """`values` in `dtype`; for integers the nearest one that it can hold."""
    if getattr(dtype, "kind", "O") in "iub" and values.dtype.kind == "f":
        values = np.clip(np.rint(values), *_limits(dtype))
    if isinstance(dtype, np.dtype):
        return values.astype(dtype, copy=False)
    import pandas as pd

    return pd.array(values, dtype=dtype)


def _limits(dtype):
    """The least and the greatest float that an integer dtype can hold."""
    if dtype.kind == "b":
        return 0.0, 1.0
    limits = np.iinfo(np.dtype(f"{dtype.kind}{dtype.itemsize}"))
    high = float(limits.max)
    # Near 2^63 the nearest float lies above the greatest integer.
    return float(limits.min), high if int(high) <= limits.max else np.nextafter(high, 0)
