"""Tables in and out: generated rows in the container and dtypes of the caller."""

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
    return (data.iloc[:0] if hasattr(data, "iloc") else data[:0]).copy()


def fill(empty, values):
    """`values`, an ndarray, in the kind of container that `template` made."""
    if isinstance(empty, list):
        return values.tolist()
    if hasattr(empty, "columns"):
        columns = zip(values.T, empty.dtypes, strict=True)
        # By position, as names need not be unique.
        cast = [_cast(column, dtype) for column, dtype in columns]
        frame = type(empty)(dict(enumerate(cast)))
        return frame.set_axis(empty.columns, axis=1)
    if hasattr(empty, "iloc"):
        return type(empty)(_cast(values, empty.dtype), name=empty.name)
    return _cast(values, empty.dtype)


def extend(data, values):
    """`data` as it is, followed by `values`; the index of a frame starts anew."""
    new = fill(template(data), values)
    if isinstance(data, list):
        return data + new
    if hasattr(data, "iloc"):
        import pandas as pd

        return pd.concat([data, new], ignore_index=True)
    return np.concatenate([data, new])


def _cast(values, dtype):
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
