"""Measures that ask which rows are near which."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.utils import check_scalar

from .._typing import Array, Data
from ._space import as_features


def precision_recall(
    real: Data, generated: Data, features: Any = None, *, n_neighbors: int = 5
) -> tuple[float, float]:
    r"""Shares of believable generated rows, and of real rows that could be generated.

    A set of rows A stands for the region :math:`\bigcup_{a \in A} B(a)`, where the
    closed ball B(a) reaches to the k-th nearest other row of A. Precision is the share
    of generated rows in the region of the real ones, recall the share of real rows in
    the region of the generated ones [1]_.

    Parameters
    ----------
    real, generated : array-like of shape (n, d), or of shape (n, ...) with `features`
        Rows or images; the two numbers of rows may differ. More than `n_neighbors`
        of each.
    features : callable or fitted object, default=None
        The space of the comparison: a function from X to an ndarray (n, d), or
        an object with `extract_features`, as :class:`GAMOClassifier`, or `transform`.
        None compares the rows as they are.
    n_neighbors : int, default=5
        The k that sets the size of the balls. A row is no neighbour of itself.

    Returns
    -------
    precision, recall : float
        Between 0 and 1; more is better.

    Raises
    ------
    TypeError
        If `features` cannot map rows, or `n_neighbors` is no integer.
    ValueError
        If the features are no finite tables of the same width, `n_neighbors` is less
        than 1, or there are not more rows than that.

    See Also
    --------
    coverage : Instead of recall, where some generated rows lie far out.

    References
    ----------
    .. [1] T. Kynkaanniemi, T. Karras, S. Laine, J. Lehtinen, T. Aila, "Improved
       Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019.

    Examples
    --------
    >>> from gamo_sampler.metrics import precision_recall
    >>> real, generated = [[0], [1], [10], [11]], [[0], [0.5]]
    >>> precision_recall(real, generated, n_neighbors=1)
    (1.0, 0.5)
    """
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    real, generated = as_features(real, generated, features)
    precision = _share_in_region(generated, real, "real", n_neighbors)
    return precision, _share_in_region(real, generated, "generated", n_neighbors)


def coverage(
    real: Data, generated: Data, features: Any = None, *, n_neighbors: int = 5
) -> float:
    """Share of real rows with a generated row among their neighbourhood.

    The neighbourhood of a real row is the closed ball that reaches to its k-th nearest
    other real row [1]_.

    Parameters
    ----------
    real, generated : array-like of shape (n, d), or of shape (n, ...) with `features`
        Rows or images; the two numbers of rows may differ. More than `n_neighbors`
        real ones.
    features : callable or fitted object, default=None
        The space of the comparison: a function from X to an ndarray (n, d), or
        an object with `extract_features`, as :class:`GAMOClassifier`, or `transform`.
        None compares the rows as they are.
    n_neighbors : int, default=5
        The k that sets the size of the balls. A row is no neighbour of itself.

    Returns
    -------
    coverage : float
        Between 0 and 1; more is better.

    Raises
    ------
    TypeError
        If `features` cannot map rows, or `n_neighbors` is no integer.
    ValueError
        If the features are no finite tables of the same width, `n_neighbors` is less
        than 1, or there are not more real rows than that.

    See Also
    --------
    precision_recall : With recall, whose balls lie about the generated rows.

    References
    ----------
    .. [1] M. F. Naeem, S. J. Oh, Y. Uh, Y. Choi, J. Yoo, "Reliable Fidelity and
       Diversity Metrics for Generative Models", ICML 2020.

    Examples
    --------
    >>> from gamo_sampler.metrics import coverage
    >>> coverage([[0], [1], [10], [11]], [[0.5], [50]], n_neighbors=1)
    0.5
    """
    check_scalar(n_neighbors, "n_neighbors", Integral, min_val=1)
    real, generated = as_features(real, generated, features)
    radii = _squared_radii(real, "real", n_neighbors)
    return float(np.mean(_squared_distance(real, generated) <= radii))


def nearest_real_distance(real: Data, generated: Data, features: Any = None) -> Array:
    """Euclidean distance of each generated row to the nearest real one.

    Parameters
    ----------
    real, generated : array-like of shape (n, d), or of shape (n, ...) with `features`
        Rows or images; the two numbers of rows may differ.
    features : callable or fitted object, default=None
        The space of the comparison: a function from X to an ndarray (n, d), or
        an object with `extract_features`, as :class:`GAMOClassifier`, or `transform`.
        None compares the rows as they are.

    Returns
    -------
    distances : ndarray of shape (n_generated,), float64
        In the units of the features. Copies of real rows have 0, near copies little.

    Raises
    ------
    TypeError
        If `features` cannot map rows.
    ValueError
        If the features are no finite tables of the same width.

    Examples
    --------
    >>> from gamo_sampler.metrics import nearest_real_distance
    >>> nearest_real_distance([[0, 0], [9, 9]], [[3, 4], [9, 9]])
    array([5., 0.])
    """
    real, generated = as_features(real, generated, features)
    return np.sqrt(_squared_distance(generated, real))


def _share_in_region(points, centres, name, k):
    """Share of `points` in a ball of any of `centres`, which errors call `name`."""
    radii = _squared_radii(centres, name, k)
    return float(np.mean(_by_row(points, centres, lambda d: (d <= radii).any(axis=1))))


def _squared_radii(X, name, k):
    """Squared distance of each row to its k-th nearest other row, (n,)."""
    if len(X) <= k:
        raise ValueError(
            f"{name} has {len(X)} rows, but n_neighbors={k} needs at least {k + 1}."
        )
    # The row itself comes first, or ties with the first.
    return _by_row(X, X, lambda d: np.partition(d, k, axis=1)[:, k])


def _squared_distance(points, others):
    """Squared distance of each of `points` to the nearest of `others`."""
    return _by_row(points, others, lambda d: d.min(axis=1))


def _by_row(X, Y, reduce):
    """`reduce` of the squared distances (n_chunk, len(Y)), for all chunks of X."""
    # scikit-learn's "euclidean" expands the square; rounding then moves copies off 0
    # and breaks ties with a radius. SciPy's "sqeuclidean" sums squared differences.
    chunks = pairwise_distances_chunked(
        X, Y, metric="sqeuclidean", reduce_func=lambda d, _: reduce(d)
    )
    return np.concatenate(list(chunks))
