"""What follows from the weights of generated rows on the rows that they are made of."""

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted, column_or_1d

from ._columns import as_floats, from_floats
from ._frames import import_pandas
from ._torch import private_random_state
from ._typing import Array, Seed

if TYPE_CHECKING:
    from pandas import DataFrame

How = Literal["mean", "vote", "draw", "dominant"]


class ProvenanceMixin:
    """For samplers that keep `provenance_`, of shape (n_generated, n_samples)."""

    def explain(self, row: int) -> "DataFrame":
        """The rows that one row of the resampled output was made of.

        Parameters
        ----------
        row : int
            Its position in the output of `fit_resample`.

        Returns
        -------
        sources : pandas.DataFrame
            ``row``, positions in X, and ``weight``, the greatest first; an original
            row comes from itself. Needs pandas.
        """
        pd = import_pandas("explain")
        rows, weights = self._sources_of(row)
        return pd.DataFrame({"row": rows, "weight": weights})

    def _sources_of(self, row):
        """Positions in X, and weights, the greatest first, of a row of the output."""
        weights = self._weights()
        n_generated, n_samples = weights.shape
        if not isinstance(row, Integral) or not 0 <= row < n_samples + n_generated:
            raise ValueError(
                f"row must be from 0 to {n_samples + n_generated - 1}, positions in "
                f"the resampled output, got {row!r}."
            )
        if row < n_samples:
            return np.array([row]), np.ones(1)
        own = slice(*weights.indptr[row - n_samples :][:2])
        order = np.argsort(-weights.data[own], kind="stable")
        return weights.indices[own][order], weights.data[own][order]

    def carry(
        self, values: ArrayLike, how: How = "mean", *, random_state: Seed = None
    ) -> Array:
        """Give generated rows a value of something else that the original rows have.

        Sample weights, groups, timestamps, text ids, or the pixels behind embeddings
        that were resampled: whatever is aligned with the rows of X.

        Parameters
        ----------
        values : array-like of shape (n_samples, ...)
            A value for each row of X.
        how : {"mean", "vote", "draw", "dominant"}, default="mean"
            "mean" is the weighted mean, of numbers, dates or durations. "vote" is the
            value with the greatest weight in all, of one-dimensional values; of a tie
            the least one.
            "draw" is the value of one of the row's sources, drawn by their weights.
            "dominant" is the value of the source with the greatest weight.
        random_state : int, RandomState instance or None, default=None
            Seeds "draw". None takes a fresh seed each time.

        Returns
        -------
        carried : ndarray of shape (n_generated, ...)
            A value for each generated row, in the order of the resampled output.
        """
        weights = self._weights()
        if how not in get_args(How):
            raise ValueError(
                f"how must be one of {', '.join(get_args(How))}, got {how!r}."
            )
        array = as_array(values)
        if array.ndim == 0 or len(array) != weights.shape[1]:
            raise ValueError(
                f"values must have one entry for each of the {weights.shape[1]} rows "
                f"of X, got shape {array.shape}."
            )
        if how == "mean":
            return _mean(weights, array)
        if how == "vote":
            return vote(weights, column_or_1d(array))
        if how == "dominant":
            return array[weights.indices[heaviest(weights)]]
        positions = drawn(weights, private_random_state(random_state))
        return array[weights.indices[positions]]

    def affected_by(self, rows: ArrayLike) -> Array:
        """Generated rows that depend on some of the original rows.

        Parameters
        ----------
        rows : array-like of int, or of bool and of shape (n_samples,)
            Positions in X, or a mask of its rows.

        Returns
        -------
        affected : ndarray of int
            Positions in the resampled output of the generated rows that have weight on
            any of them, ascending.
        """
        weights = self._weights()
        return weights.shape[1] + np.flatnonzero(weights @ self._asked(rows))

    def check_leakage(
        self,
        folds: Iterable[tuple[ArrayLike, ArrayLike]] | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Array:
        """Generated rows that mix what a split or a grouping keeps apart.

        There are some where X was resampled first and split afterwards: rows for
        training are then made of rows for testing. A sampler within a pipeline, which
        resamples the training rows alone, makes none.

        Parameters
        ----------
        folds : iterable of (train, test), default=None
            Positions in X, or masks of its rows, as the `split` of scikit-learn's
            cross-validators yields them.
        groups : array-like of shape (n_samples,), default=None
            A group for each row of X, such as the patient that it comes from. Either
            this or `folds`.

        Returns
        -------
        leaking : ndarray of int
            Positions in the resampled output of the generated rows that have weight on
            both sides of a split, or on two groups, ascending. Empty: no leakage.
        """
        weights = self._weights()
        if (folds is None) == (groups is None):
            raise ValueError("Give either folds or groups.")
        if groups is None:
            leaks = self._mixes_folds(folds)
        else:
            leaks = mixes(weights, per_row(groups, weights.shape[1], "groups"))
        return weights.shape[1] + np.flatnonzero(leaks)

    def _mixes_folds(self, folds):
        weights = self._weights()
        try:
            folds = [(train, test) for train, test in folds]
        except (TypeError, ValueError) as error:
            raise TypeError(
                "folds must be pairs, (train, test), of positions in X or masks of its "
                f"rows, got {folds!r}."
            ) from error
        if not folds:
            raise ValueError("folds is empty, or an iterator that was used up.")
        leaks = np.zeros(weights.shape[0], dtype=bool)
        for fold in folds:
            train, test = (weights @ self._asked(rows, "folds") > 0 for rows in fold)
            leaks |= train & test
        return leaks

    def _asked(self, rows, name="rows"):
        """(n_samples,) 1 for rows of X that a user names, else 0."""
        n_samples = self._weights().shape[1]
        found = np.atleast_1d(as_array(rows))
        if found.dtype == bool and found.shape == (n_samples,):
            found = np.flatnonzero(found)
        known = not found.size or (
            found.dtype.kind in "iu" and np.isin(found, np.arange(n_samples)).all()
        )
        if not known or found.ndim > 1:
            raise ValueError(
                f"{name} must be positions in X, from 0 to {n_samples - 1}, or a mask "
                f"of its rows, got {found.tolist()}."
            )
        asked = np.zeros(n_samples)
        asked[found.astype(int)] = 1
        return asked

    def _weights(self):
        check_is_fitted(self)
        if not hasattr(self, "provenance_"):
            raise AttributeError(
                f"This {type(self).__name__} has no provenance_: call fit_resample "
                "first, with a convex generator."
            )
        return self.provenance_


def as_array(values: Any) -> Array:
    """`np.asarray`; of lists of different lengths an array of lists."""
    try:
        return np.asarray(values)
    except ValueError:
        return np.asarray(values, dtype=object)


def per_row(values, n_samples, name):
    """(n_samples,) what a user gives for each row of X."""
    found = as_array(values)
    if found.shape not in [(n_samples,), (n_samples, 1)]:
        raise ValueError(
            f"{name} must have shape ({n_samples},), one for each row of X, got shape "
            f"{found.shape}."
        )
    return found.ravel()


def mixes(weights, labels):
    """Which rows, (n_generated,) bool, have weight on rows of two labels or more.

    `labels` has shape (n_samples,), or (n_samples, k) where a label is a row.
    """
    axis = 0 if labels.ndim > 1 else None
    _, code = np.unique(labels, axis=axis, return_inverse=True)
    n = len(code)
    one_hot = csr_array((np.ones(n), code, np.arange(n + 1)))
    return np.diff((weights @ one_hot).indptr) > 1


def heaviest(weights):
    """Of every row, the position of its greatest weight in `weights.data`."""
    counts = np.diff(weights.indptr)
    if not len(counts):
        return np.empty(0, int)
    greatest = np.maximum.reduceat(weights.data, weights.indptr[:-1])
    hits = np.flatnonzero(weights.data == np.repeat(greatest, counts))
    rows = np.repeat(np.arange(len(counts)), counts)
    _, first = np.unique(rows[hits], return_index=True)
    return hits[first]


def _mean(weights, values):
    if values.dtype.kind in "mM":
        steps, first = as_floats(values, "values")
        return from_floats(mean_of_known(weights, steps), first, values)
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"how='mean' takes numbers and dates, got {values.dtype}; 'vote' takes "
            "labels, 'draw' and 'dominant' anything."
        )
    means = weights @ values.reshape(len(values), -1).astype(float)
    return means.reshape(-1, *values.shape[1:])


def mean_of_known(weights, values):
    """Weighted means of what is not nan; nan where most of the weight is on nan.

    `values` has shape (n_samples,) or (n_samples, d).
    """
    missing = np.isnan(values)
    # 1 where nothing is missing: rows of weights are not normalised silently.
    known = 1 - weights @ missing.astype(float)
    means = np.full(known.shape, np.nan)
    sums = weights @ np.where(missing, 0, values)
    return np.divide(sums, known, out=means, where=known >= 0.5)


def vote(weights, values):
    labels, codes = np.unique(values, return_inverse=True)
    votes = csr_array(
        (weights.data, codes[weights.indices], weights.indptr),
        shape=(weights.shape[0], len(labels)),
        copy=True,  # summing works in place
    )
    votes.sum_duplicates()  # sorts them too: of a tie the least label
    return labels[votes.indices[heaviest(votes)]]


def drawn(weights, random_state):
    """Of every row, a position in `weights.data`, drawn by the weights."""
    ends = np.cumsum(weights.data)
    last = weights.indptr[1:] - 1
    start = ends[last] - np.asarray(weights.sum(1)).ravel()
    u = random_state.uniform(size=len(last)) * np.asarray(weights.sum(1)).ravel()
    # A cumulative sum can miss the end of its row by its last bits.
    return ends.searchsorted(start + u).clip(weights.indptr[:-1], last)
