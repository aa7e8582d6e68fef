"""Tables of mixed columns: numbers for the game, and columns of their mixtures.

The game plays on numbers: the columns that hold some, and those of categories one-hot.
What it learns is weights, and those are applied to the columns as they came. So no
value has to be decoded, and none comes out that was not put in.
"""

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn.utils import check_array

from ._columns import (
    as_floats,
    categorical_mask,
    columns_of,
    from_floats,
    is_frame,
    is_missing,
    level_codes,
    table_of,
    taken,
)
from ._frames import cast, template
from ._lazy import LazyRows
from ._provenance import drawn, mean_of_known, vote
from ._stored import require, stored

# Of more levels, the rarer ones are alike for the game.
MAX_LEVELS = 32
CHOICES = ("vote", "draw", "block")


@stored(columns=list, empty=object)
class Table(LazyRows):
    """Rows of mixed columns, which the game reads as numbers, by index."""

    def __init__(self, columns, empty):
        self.columns = columns
        self.empty = empty  # a table of this kind, without rows
        width = sum(column.width for column in columns)
        super().__init__((len(columns[0]), width), float)

    @classmethod
    def of(cls, X, categorical):
        """From a frame or an array; `categorical` is a mask of its columns."""
        kinds = [Categories if is_one else Numbers for is_one in categorical]
        columns = [
            kind.of(column, name)
            for kind, column, name in zip(kinds, *columns_of(X), strict=True)
        ]
        return cls(columns, template(X))

    def check_stored(self):
        ok = all(isinstance(c, Numbers | Categories) for c in self.columns)
        require(ok, "the table has columns of another kind.")
        lengths = {len(c) for c in self.columns}
        ok = len(lengths) == 1 and self.empty.shape[1] == len(self.columns)
        require(ok, "the table's columns differ in length, or in number.")

    def _read(self, index):
        return np.concatenate([c.encoded(index) for c in self.columns], 1)

    def take(self, rows):
        """The table of some of the rows."""
        return Table([column.take(rows) for column in self.columns], self.empty)

    def with_missing(self):
        """Names of the columns with missing values."""
        return [column.name for column in self.columns if column.missing.any()]

    def numbers(self):
        """Of the p columns that hold numbers, and not instants: values and names.

        Returns
        -------
        values : ndarray of shape (n, p)
            Is nan where one is missing.
        names : list
            Of the columns.
        """
        numbers = [c for c in self.columns if isinstance(c, Numbers)]
        columns = [c for c in numbers if isinstance(c.origin, float)]
        values = np.array([c.known() for c in columns], float).reshape(-1, len(self))
        return values.T, [c.name for c in columns]

    def mixed(self, weights, choice, random_state):
        """The rows that convex weights make of these, in the caller's kind of table.

        Parameters
        ----------
        weights : csr_array of shape (m, n)
            On the rows of this table.
        choice : {"vote", "draw", "block"}
            How categories are decided.
        random_state : RandomState
            Draws them.
        """
        block = None
        if choice == "block":
            block = weights.indices[drawn(weights, random_state)]
        columns = [c.mixed(weights, choice, random_state, block) for c in self.columns]
        return table_of(columns, self.empty)


def read_table(X, categorical_features, missing="propagate"):
    """A `Table` of a frame, an array or a list.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Rows.
    categorical_features : "auto" or array-like
        Columns of categories, as in `GAMOSampler`.
    missing : {"error", "propagate"}, default="propagate"
        Whether missing values raise.
    """
    if isinstance(X, list):
        X = np.array(X, dtype=object)
    if not is_frame(X):
        X = check_array(X, dtype=None, ensure_all_finite="allow-nan")
    check_shape(X)
    rows = Table.of(X, categorical_mask(X, categorical_features))
    if missing == "error":
        _refuse_missing(rows.with_missing())
    return rows


def check_no_missing(X):
    """Refuse a frame or an array of numbers with missing values, by column."""
    values = np.asarray(X)
    if values.ndim == 2 and values.dtype.kind == "f":
        names = X.columns if is_frame(X) else np.arange(X.shape[1])
        # A minimum is nan where any value is.
        _refuse_missing(names[np.isnan(values.min(0, initial=np.inf))].tolist())


def _refuse_missing(names):
    if names:
        raise ValueError(
            f"Input X contains NaN: it has missing values, NaN, in columns {names}. "
            "Impute them first, or pass them on with missing='propagate'."
        )


def check_shape(X):
    """As scikit-learn does, which cannot check columns of categories."""
    if not hasattr(X, "shape"):
        raise TypeError(
            f"X is a {type(X).__name__}, whose rows are not in memory: collect it."
        )
    for axis, name in enumerate(("sample", "feature")):
        if not X.shape[axis]:
            raise ValueError(
                f"Found array with 0 {name}(s) (shape={X.shape}) while a minimum of 1 "
                "is required."
            )


@stored(X=csr_array | csr_matrix, empty=object)
class SparseTable(LazyRows):
    """Rows of a sparse matrix, of which only those that are read become dense.

    `empty` is a table of the caller's kind: a sparse matrix, or a frame of sparse
    columns.
    """

    may_be_dense = False

    def __init__(self, X, empty):
        super().__init__(X.shape, X.dtype)
        self.X = X
        self.empty = empty

    def check_stored(self):
        ok = self.empty.shape[1] == self.shape[1]
        require(ok, "the sparse table's columns differ in number.")

    def _read(self, index):
        return self.X[index].toarray()

    def take(self, rows):
        """The table of some of the rows."""
        return SparseTable(self.X[rows], self.empty)

    def numbers(self):
        """The rows as an array; they are all of its columns, which need no names."""
        return self.X.toarray(), None

    def mixed(self, weights, choice, random_state):
        """The rows that convex weights (m, n) make of these, sparse."""
        low, high = self._extremes(weights)
        rows = (weights @ self.X).maximum(low).minimum(high)
        rows = type(self.X)(rows)  # a matrix of matrices
        rows.data = cast(rows.data, self.dtype)
        if not is_frame(self.empty):
            return rows
        frame = type(self.empty).sparse.from_spmatrix(rows)
        return frame.set_axis(self.empty.columns, axis=1).astype(self.empty.dtypes)

    def _extremes(self, weights):
        """Least and greatest values (m, d), sparse, of the rows that each is made of.

        A sum of products can pass them by its last bit.
        """
        sources = self.X[weights.indices].tocoo()
        sources.sum_duplicates()
        n_sources = np.diff(weights.indptr)
        made = np.repeat(np.arange(len(n_sources)), n_sources)[sources.row]
        order = np.lexsort((sources.col, made))
        at = np.stack([made, sources.col])[:, order]
        new = np.ones(len(order), bool)
        new[1:] = (np.diff(at) != 0).any(0)
        first = np.flatnonzero(new)
        at, n_stored = at[:, first], np.diff(np.append(first, len(order)))
        has_zero = n_stored < n_sources[at[0]]
        shape = len(n_sources), self.shape[1]
        for extreme in (np.minimum, np.maximum):
            found = extreme.reduceat(sources.data[order], first) if len(first) else []
            found = np.where(has_zero, extreme(found, 0), found)
            yield csr_array((found, at), shape=shape)


@stored(
    name=object,
    empty=object,
    values=np.ndarray,
    missing=np.ndarray,
    origin=object,
    mean=Real,
    width=int,
)
@dataclass
class Numbers:
    """A column of numbers, or of instants."""

    name: object
    empty: object  # a column of its type, without rows
    values: np.ndarray  # (n,) floats, 0 where one is missing
    missing: np.ndarray  # (n,) bool
    origin: object  # of the values: 0, or the first instant
    mean: float
    width: int  # numbers for the game: the value and, if some are missing, whether

    @classmethod
    def of(cls, native, name):
        values, origin = as_floats(native, name)
        missing = np.isnan(values)
        mean = values[~missing].mean() if not missing.all() else 0.0
        values[missing] = 0
        width = 1 + int(missing.any())
        return cls(name, template(native), values, missing, origin, mean, width)

    def check_stored(self):
        ok = self.values.dtype == float and self.missing.dtype == bool
        ok = ok and self.values.ndim == 1 and self.values.shape == self.missing.shape
        ok = ok and np.isfinite(self.values).all() and np.isfinite(self.mean)
        ok = ok and self.width in (1, 2)
        instant = isinstance(self.origin, np.datetime64 | np.timedelta64)
        ok = ok and (instant or self.origin == 0)
        require(ok, f"column {self.name!r} is not one of finite numbers.")

    def __len__(self):
        return len(self.values)

    def encoded(self, index):
        missing = self.missing[index]
        values = np.where(missing, self.mean, self.values[index])
        return np.stack([values, missing][: self.width], 1)

    def known(self):
        return np.where(self.missing, np.nan, self.values)

    def take(self, rows):
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    def mixed(self, weights, choice, random_state, block):
        """Weighted means of what is known; missing where most of the weight is."""
        means = mean_of_known(weights, self.known())
        return from_floats(self._within(means, weights), self.origin, self.empty)

    def _within(self, means, weights):
        """A sum of products can pass the extremes by its last bit."""
        if not len(means):
            return means
        values = self.known()[weights.indices]
        low, high = (
            extreme.reduceat(values, weights.indptr[:-1])
            for extreme in (np.fmin, np.fmax)
        )
        return means.clip(low, high)


@stored(name=object, native=object, codes=np.ndarray, missing=np.ndarray, width=int)
@dataclass
class Categories:
    """A column of categories, of which a missing one is one more."""

    name: object
    native: object  # the column as it came
    codes: np.ndarray  # (n,) the more frequent, the smaller
    missing: np.ndarray  # (n,) bool
    width: int  # numbers for the game

    @classmethod
    def of(cls, native, name):
        try:
            codes = level_codes(native)
        except TypeError as error:
            raise TypeError(
                f"Column {name!r} has values that are no categories ({error}). Make "
                "text of them, or leave it out."
            ) from error
        width = min(int(codes.max()) + 1, MAX_LEVELS)
        return cls(name, native, codes, is_missing(native), width)

    def stored_state(self):
        """Without the labels of rows, which no result has."""
        plain = not hasattr(self.native, "iloc")
        native = self.native if plain else self.native.reset_index(drop=True)
        return vars(self) | {"native": native}

    def check_stored(self):
        n = len(self.native)
        ok = self.codes.shape == self.missing.shape == (n,)
        ok = ok and self.codes.dtype.kind == "i" and self.missing.dtype == bool
        ok = ok and (self.codes >= 0).all() and 0 < self.width <= MAX_LEVELS
        require(ok, f"column {self.name!r} is not one of categories.")

    def __len__(self):
        return len(self.codes)

    def encoded(self, index):
        return self.codes[index][:, None] == np.arange(self.width)

    def take(self, rows):
        return replace(
            self,
            native=taken(self.native, rows),
            codes=self.codes[rows],
            missing=self.missing[rows],
        )

    def mixed(self, weights, choice, random_state, block):
        """Each row's category is that of a source, so that its type is kept."""
        if choice == "vote":
            code, first = np.unique(self.codes, return_index=True)
            sources = first[code.searchsorted(vote(weights, self.codes))]
        elif choice == "draw":
            sources = weights.indices[drawn(weights, random_state)]
        else:
            sources = block
        return taken(self.native, sources)
