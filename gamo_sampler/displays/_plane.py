"""Where rows lie in a picture: two of their columns, or two principal components."""

import narwhals as nw
import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .._columns import columns_of, is_missing, numbers_or_instants
from .._frames import is_frame
from .._images import as_read

JITTER = 0.25  # of categories, which else would cover each other


def plane_of(X, columns):
    """The plane for rows X: of the columns that a user names, or one that fits them."""
    names = columns_of(_table(X))[1]
    if columns is None and len(names) != 2:
        return Components(X)
    return TwoColumns(X, _positions(columns, names))


class TwoColumns:
    """The plane of two columns, by position: numbers, dates or categories."""

    def __init__(self, X, positions):
        columns, names = columns_of(_table(X))
        self.positions = positions
        self.labels = [_axis_label(names[i], X) for i in positions]
        self.levels = [_levels(columns[i]) for i in positions]
        self.like = X
        kinds = [_kind(columns[i]) for i in positions]
        self.spans = len(names) == 2 and kinds == ["f", "f"]

    def points(self, X):
        """The pair of coordinates, (n,) each."""
        columns = columns_of(_table(X))[0]
        return tuple(
            _coordinates(columns[i], levels, seed)
            for seed, (i, levels) in enumerate(
                zip(self.positions, self.levels, strict=True)
            )
        )

    def rows(self, points):
        """Rows at points of the plane, (n, 2)."""
        return _like(self.like, points[:, np.argsort(self.positions)])


class Components:
    """The plane of two principal components of rows, standardised but for images."""

    levels = [None, None]

    def __init__(self, X):
        values = _numbers(X)
        images = getattr(X, "ndim", 2) > 2  # whose values are on one scale
        steps = [] if images else [StandardScaler()]
        if min(values.shape) < 2:
            raise ValueError(
                "Two principal components need two rows and two columns of numbers at "
                f"least, got {values.shape[0]} and {values.shape[1]}."
            )
        self.map = make_pipeline(*steps, PCA(2, random_state=0)).fit(values)
        shares = self.map[-1].explained_variance_ratio_
        self.labels = [
            f"principal component {i} ({share:.0%} of variance)"
            for i, share in enumerate(shares, start=1)
        ]
        self.like = X
        self.spans = images or values.shape[1] == _table(X).shape[1]

    def points(self, X):
        return tuple(self.map.transform(_numbers(X)).T)

    def rows(self, points):
        return _like(self.like, self.map.inverse_transform(points))


def grid(*points, n):
    """Coordinates (n,) each along both axes, around all the points (x, y)."""
    for along in zip(*points, strict=True):
        values = np.concatenate(along)
        low, high = np.nanmin(values), np.nanmax(values)
        margin = 0.05 * (high - low) or 1.0
        yield np.linspace(low - margin, high + margin, n)


def _table(X):
    """Rows with columns: images flat."""
    if issparse(X):
        raise TypeError("Sparse rows cannot be shown; give them dense, X.toarray().")
    if is_frame(X):
        return X
    X = np.asarray(X)
    return X.reshape(len(X), -1)


def _positions(columns, names):
    """Positions of the two columns that a user gives by name or by position."""
    if columns is None:
        return [0, 1]
    found = []
    for column in columns:
        known = column in names
        is_position = isinstance(column, int | np.integer) and 0 <= column < len(names)
        if not known and not is_position:
            raise ValueError(
                f"columns has {column!r}, but the columns of X are {_shown(names)}."
            )
        found.append(names.index(column) if known else int(column))
    if len(set(found)) != 2:
        raise ValueError(f"columns must be two different ones, got {columns!r}.")
    return found


def _shown(names):
    return names if len(names) <= 20 else f"{names[:20]} and {len(names) - 20} more"


def _axis_label(name, X):
    return str(name) if is_frame(X) else f"column {name}"


def _as_numbers(column):
    """(n,) numbers or dates, None where the column holds something else."""
    try:
        values = numbers_or_instants(column)
    except (TypeError, ValueError):
        return None
    return None if values.dtype.kind == "m" else values


def _kind(column):
    values = _as_numbers(column)
    return None if values is None else values.dtype.kind


def _as_text(column):
    missing = is_missing(column)
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    pairs = zip(values, missing, strict=True)
    return np.array(["(missing)" if gone else str(v) for v, gone in pairs])


def _levels(column):
    """The categories of a column that holds no numbers, in alphabetic order."""
    return np.unique(_as_text(column)) if _kind(column) is None else None


def _coordinates(column, levels, seed):
    if levels is None:
        return _as_numbers(column)
    values = _as_text(column)
    unknown = np.setdiff1d(values, levels).tolist()
    if unknown:
        raise ValueError(f"Generated rows have {unknown}, which no real row has.")
    codes = np.searchsorted(levels, values)
    return codes + np.random.RandomState(seed).uniform(-JITTER, JITTER, len(codes))


def _numbers(X):
    """(n, k) the columns of numbers, none of them missing."""
    columns, names = columns_of(_table(X))
    found = {
        name: values
        for name, column in zip(names, columns, strict=True)
        if (values := _as_numbers(column)) is not None and values.dtype.kind == "f"
    }
    gaps = [name for name, values in found.items() if not np.isfinite(values).all()]
    if gaps:
        raise ValueError(
            f"Principal components need values that are all known, but {_shown(gaps)} "
            "miss some: choose two columns."
        )
    return np.column_stack([*found.values(), np.empty((len(columns[0]), 0))])


def _like(X, values):
    """(n, d) values as rows of the kind of X."""
    if not is_frame(X):
        return values.reshape(-1, *np.shape(X)[1:])
    if hasattr(X, "iloc"):
        return type(X)(values, columns=X.columns)
    frame = nw.from_native(X, eager_only=True)
    return nw.from_numpy(
        values, frame.columns, backend=frame.implementation
    ).to_native()


def laid_out_like(X, rows, image_shape):
    """Flat rows, in (channels, height, width) order, as images where X is images."""
    if getattr(X, "ndim", 2) == 2 or np.ndim(rows) > 2:
        return rows
    if as_read(X, image_shape)[2] is not None:  # channels come last
        rows = np.moveaxis(rows.reshape(-1, *image_shape), 1, -1)
    return rows.reshape(-1, *X.shape[1:])
