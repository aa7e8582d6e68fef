"""Tables in and out: generated rows in the container and dtypes of the caller."""

from copy import deepcopy
from itertools import chain

import numpy as np


def check_columns(X):
    """Refuse columns of a frame that are no numbers, by name, and arrays of dates."""
    if hasattr(X, "columns"):
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


def container(data, array):
    """`data` where it is a frame, a series or a list, else its validated `array`."""
    return data if hasattr(data, "iloc") or isinstance(data, list) else array


def template(data):
    """A container of the kind of `data`, without its rows."""
    # A copy, as an empty view would keep all of `data` alive.
    return deepcopy(data.iloc[:0] if hasattr(data, "iloc") else data[:0])


def part(data, rows):
    """Some rows of a frame, a series, a list or an array, by a slice."""
    return data.iloc[rows] if hasattr(data, "iloc") else data[rows]


def fill(empty, values):
    """`values`, an ndarray, in the kind of container that `template` made."""
    if isinstance(empty, list):
        return values.tolist()
    if hasattr(empty, "columns"):
        columns = zip(values.T, empty.dtypes, strict=True)
        # By position, as names need not be unique.
        typed = [cast(column, dtype) for column, dtype in columns]
        frame = type(empty)(dict(enumerate(typed)))
        return frame.set_axis(empty.columns, axis=1)
    if hasattr(empty, "iloc"):
        return type(empty)(cast(values, empty.dtype), name=empty.name)
    return cast(values, empty.dtype)


def stacked(blocks, n):
    """Blocks of n rows in all as one array: never all of them twice."""
    first = next(blocks)
    return _filled(np.empty((n, *first.shape[1:]), first.dtype), chain([first], blocks))


def rechunked(blocks, size):
    """The rows of the blocks, `size` at a time; the last of them may be fewer."""
    held, n = [], 0
    for block in blocks:
        while len(block):
            part, block = block[: size - n], block[size - n :]
            held.append(part)
            n += len(part)
            if n == size:
                yield np.concatenate(held)
                held, n = [], 0
    if held:
        yield np.concatenate(held)


def append(data, blocks, n):
    """`data` as it is, followed by blocks of n rows: of arrays, never copied twice."""
    if not isinstance(data, np.ndarray):
        return extend(data, stacked(blocks, n))
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
    if not hasattr(first, "iloc"):
        import narwhals as nw

        frames = [nw.from_native(part, allow_series=True) for part in parts]
        return nw.concat(frames).to_native()
    import pandas as pd

    new = pd.concat(parts, ignore_index=True)
    return new.set_axis(_longer(first.index, len(new)))


def _longer(index, n):
    """An index with n labels, the new ones numbers: from the greatest one on, if any.

    Else they are positions.
    """
    import pandas as pd

    if isinstance(index, pd.RangeIndex) and index.step == 1:
        return pd.RangeIndex(index.start, index.start + n, name=index.name)
    whole = pd.api.types.is_integer_dtype(index) and len(index)
    start = index.max() + 1 if whole else len(index)
    return index.append(pd.Index(range(start, start + n - len(index)), name=index.name))


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
