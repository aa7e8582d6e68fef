"""Arrays that need not fit in memory: rows of files, of Zarr and of Dask, by index."""

import math
from multiprocessing import parent_process

import numpy as np
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.validation import validate_data

CHUNK_VALUES = 2**20
AHEAD_VALUES = 2**22


def is_lazy(X):
    """Whether the values of X are read when they are asked for."""
    return isinstance(X, LazyRows | np.memmap) or _library(X) in ("dask", "zarr")


def in_memory(y):
    """A lazy array as an ndarray; anything else as it is."""
    return np.asarray(y) if is_lazy(y) else y


def lazy_rows(X):
    """A lazy array, of images too, as flat rows that are read by index."""
    if isinstance(X, LazyRows):
        return X
    if isinstance(X, np.memmap):
        return MappedRows(X)
    if _library(X) == "zarr":
        return ChunkedRows(X.shape, X.dtype, _zarr_edges(X), lambda rows: X[rows])
    _check_dask(X)
    edges = np.cumsum([0, *X.chunks[0]])
    return ChunkedRows(X.shape, X.dtype, edges, lambda rows: _computed(X[rows]))


def check_rows(estimator, X, y="no_validation", *, reset=True, ensure_min_samples=1):
    """`validate_data` of scikit-learn, which would load all of a lazy array.

    Of a lazy X only type and shape are checked here; the values are, as they are read.
    """
    if not is_lazy(X):
        return validate_data(
            estimator, X, y, reset=reset, ensure_min_samples=ensure_min_samples
        )
    _check_kind(X, ensure_min_samples)
    X = lazy_rows(X)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    if isinstance(y, str):
        return X
    y = validate_data(estimator, y=y, reset=False)
    check_consistent_length(X, y)
    return X, y


def subset(X, index):
    """X[index], but a view on rows that are not in memory."""
    return X[index] if isinstance(X, np.ndarray) else Subset(X, index)


class LazyRows:
    """Rows by slices or integers, read and checked when they are asked for.

    Subclasses give `_read(index)`: of a slice, or of ascending positions.

    Parameters
    ----------
    shape : tuple
        Of the array; axes after the first are flattened.
    dtype : dtype
        Of the values.
    names : sequence of str, default=None
        Of the columns, for messages; None for positions.
    """

    ndim = 2
    # Whether few of them may be kept in memory as an array.
    may_be_dense = True
    # Python, and numpy, would read them one by one.
    __iter__ = None

    def __init__(self, shape, dtype, names=None):
        self.shape = shape[0], math.prod(shape[1:])
        self.size = math.prod(self.shape)
        self.dtype = np.dtype(dtype)
        self.names = names

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._checked(self._read(index))
        positions, back = np.unique(index, return_inverse=True)
        if len(positions) and not 0 <= positions[0] <= positions[-1] < len(self):
            raise IndexError(
                f"Positions from {positions[0]} to {positions[-1]} are asked for; "
                f"there are 0 to {len(self) - 1}."
            )
        return self._checked(self._read(positions))[back]

    def min(self):
        return min(block.min() for block in self.blocks())

    def max(self):
        return max(block.max() for block in self.blocks())

    def blocks(self):
        """All of the rows, in order, in arrays of few values."""
        size = max(1, CHUNK_VALUES // self.shape[1])
        return (self[block] for block in gen_batches(len(self), size))

    def _checked(self, rows):
        rows = rows.reshape(len(rows), self.shape[1])
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            what = "NaN" if np.isnan(rows).any() else "infinity"
            columns = np.flatnonzero(~np.isfinite(rows).all(0)).tolist()
            if self.names is not None:
                columns = [self.names[i] for i in columns]
            raise ValueError(f"Input X contains {what} in columns {columns}.")
        return rows


class MappedRows(LazyRows):
    """Of a numpy.memmap."""

    def __init__(self, source):
        super().__init__(source.shape, source.dtype)
        self.source = source

    def _read(self, index):
        # A view of the file would let whoever is given it write there.
        return np.array(self.source[index])


class ChunkedRows(LazyRows):
    """Of a source that has to read, or compute, some chunk of rows at once.

    `edges`, (n_chunks + 1,), are the first row of each chunk, and the number of rows.
    `load`, called with a slice from one edge to another, gives those rows.
    """

    def __init__(self, shape, dtype, edges, load, names=None):
        super().__init__(shape, dtype, names)
        self.edges = _thinned(edges, max(1, CHUNK_VALUES // max(1, self.shape[1])))
        self.load = load
        self._last = None, None

    def _read(self, index):
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        out = np.empty((len(index), self.shape[1]), self.dtype)
        ends = index.searchsorted(self.edges)
        for i in np.flatnonzero(np.diff(ends)):
            part = slice(*ends[i : i + 2])
            out[part] = self._chunk(i)[index[part] - self.edges[i]]
        return out

    def _chunk(self, i):
        """The last one is kept: rows are mostly asked for in order."""
        held, rows = self._last
        if held != i:
            self._last = None, None  # never two of them
            rows = np.asarray(self.load(slice(*self.edges[i : i + 2].tolist())))
            rows = rows.reshape(len(rows), self.shape[1])
            self._last = i, rows
        return rows


class Subset(LazyRows):
    """The rows of a lazy array at ascending positions."""

    def __init__(self, rows, index):
        super().__init__((len(index), rows.shape[1]), rows.dtype)
        self.rows = rows
        self.index = index

    def _read(self, index):
        return self.rows[self.index[index]]


class ReadAhead:
    """Rows by index, those of many minibatches read in one pass over the source."""

    def __init__(self, rows):
        self.rows = rows
        self._positions, self._held = np.array([-1]), None

    def over(self, batches):
        """The batches of positions, a tensor (n, b), one after the other."""
        values = max(1, batches.shape[1] * self.rows.shape[1])
        for some in batches.split(max(1, AHEAD_VALUES // values)):
            self._positions = np.unique(some.numpy())
            self._held = self.rows[self._positions]
            yield from some

    def __getitem__(self, index):
        at = self._positions.searchsorted(index)
        if (self._positions.take(at, mode="clip") == index).all():
            return self._held[at]
        return self.rows[index]


def _library(X):
    """Where an array of Zarr or Dask comes from, without importing either."""
    kind = type(X)
    return kind.__module__.split(".")[0] if kind.__name__ == "Array" else None


def _check_dask(X):
    if any(map(math.isnan, X.shape)):
        raise ValueError(
            f"X is a Dask array of shape {X.shape}, with an unknown number of rows or "
            "columns; call its compute_chunk_sizes() first."
        )
    if not isinstance(X._meta, np.ndarray):
        raise TypeError(
            f"X is a Dask array with chunks of type {type(X._meta).__name__}, which "
            "must be numpy arrays. Sparse ones become such by "
            "X.map_blocks(lambda chunk: chunk.toarray(), dtype=X.dtype)."
        )


def _computed(X):
    # A forked process, as a DataLoader's workers are, lacks the threads of its parent.
    return X.compute(scheduler="synchronous" if parent_process() else None)


def _zarr_edges(X):
    return np.append(np.arange(0, X.shape[0], X.chunks[0]), X.shape[0])


def _thinned(edges, least):
    """Some of the edges: small chunks are read several at once."""
    _, first = np.unique(np.asarray(edges) // least, return_index=True)
    return np.union1d(np.asarray(edges)[first], edges[-1:])


def _check_kind(X, ensure_min_samples):
    kind = type(X).__name__
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X, a {kind}, holds {X.dtype}; it must hold numbers.")
    if X.ndim < 2:
        raise ValueError(
            f"Expected 2D array, got a {kind} of shape {X.shape} instead. Reshape X, "
            "to (-1, 1) if it has a single feature."
        )
    for axis, name, least in ((0, "sample", ensure_min_samples), (1, "feature", 1)):
        if X.shape[axis] < least:
            raise ValueError(
                f"Found array with {X.shape[axis]} {name}(s) (shape={X.shape}) while "
                f"a minimum of {least} is required."
            )
