"""Distances between the distributions of real and generated rows."""

from itertools import product
from typing import Any

import numpy as np
from scipy.linalg import svdvals
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.utils import gen_batches

from .._typing import Data
from ._space import as_features

BLOCK = 1024  # rows and columns of the kernel that are held at once


def frechet_distance(real: Data, generated: Data, features: Any = None) -> float:
    r"""Squared Frechet distance between Gaussians fitted to real and generated rows.

    With the means m and the covariances S of the features of both,

    .. math:: |m_r - m_g|^2 + \mathrm{tr}\left(S_r + S_g - 2 (S_r S_g)^{1/2}\right).

    On the features of an Inception network it is known as FID [1]_.

    Parameters
    ----------
    real, generated : array-like of shape (n, d), or of shape (n, ...) with `features`
        Rows or images; the two numbers of rows may differ. At least 2 of each.
    features : callable or fitted object, default=None
        The space of the comparison: a function from X to an ndarray (n, d), or
        an object with `extract_features`, as :class:`GAMOClassifier`, or `transform`.
        None compares the rows as they are.

    Returns
    -------
    distance : float
        At least 0, which is the same mean and covariance; in squared units of the
        features.

    Raises
    ------
    TypeError
        If `features` cannot map rows.
    ValueError
        If the features are no finite tables of the same width, or have fewer than 2
        rows.

    See Also
    --------
    kernel_distance : Without bias, and sensitive to more than mean and covariance.

    Notes
    -----
    The covariances divide by n - 1. Fewer rows than features are allowed, but the
    fewer the rows, the greater the expected distance, even between rows of the same
    distribution. Compare values for the same numbers of rows only.

    References
    ----------
    .. [1] M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, "GANs
       Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
       NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from gamo_sampler.metrics import frechet_distance
    >>> real = np.random.default_rng(0).normal(size=(100, 2))
    >>> round(frechet_distance(real, real + [3, 4]), 6)
    25.0
    """
    real, generated = as_features(real, generated, features, min_rows=2)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    R, G = _covariance_factor(real), _covariance_factor(generated)
    # S_r S_g = R^T (R G^T) G has the eigenvalues of (R G^T)(R G^T)^T, and zeros. So
    # the trace of its root is the sum of R G^T's singular values: exact, real and
    # non-negative at any rank. `sqrtm` of a singular product may be none.
    overlap = svdvals(R @ G.T).sum()
    spread = np.sum(R**2) + np.sum(G**2) - 2 * overlap
    # The exact spread is at least 0; its rounded one can be less.
    return float(shift @ shift + max(spread, 0.0))


def _covariance_factor(rows):
    """A matrix R, no taller than wide, with R^T R the covariance of `rows`."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.linalg.qr(centred, mode="r")


def kernel_distance(real: Data, generated: Data, features: Any = None) -> float:
    r"""Unbiased squared maximum mean discrepancy with a cubic kernel.

    With :math:`k(x, y) = (x^T y / d + 1)^3` for d features, n real rows x and m
    generated rows y,

    .. math:: \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)}
              + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
              - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m}.

    On the features of an Inception network it is known as KID [1]_.

    Parameters
    ----------
    real, generated : array-like of shape (n, d), or of shape (n, ...) with `features`
        Rows or images; the two numbers of rows may differ. At least 2 of each.
    features : callable or fitted object, default=None
        The space of the comparison: a function from X to an ndarray (n, d), or
        an object with `extract_features`, as :class:`GAMOClassifier`, or `transform`.
        None compares the rows as they are.

    Returns
    -------
    distance : float
        Its expectation is 0 where both have the same distribution, so the value itself
        may be slightly negative. It has no unit, but depends on the features' scale.

    Raises
    ------
    TypeError
        If `features` cannot map rows.
    ValueError
        If the features are no finite tables of the same width, or have fewer than 2
        rows.

    See Also
    --------
    frechet_distance : Never negative, but biased where rows are few.

    Notes
    -----
    The kernel is computed in blocks, never whole. The distance vanishes for
    distributions that agree in all moments up to the third.

    References
    ----------
    .. [1] M. Binkowski, D. J. Sutherland, M. Arbel, A. Gretton, "Demystifying MMD
       GANs", ICLR 2018.

    Examples
    --------
    >>> from gamo_sampler.metrics import kernel_distance
    >>> kernel_distance([[0], [1]], [[2], [3]])
    297.5
    """
    real, generated = as_features(real, generated, features, min_rows=2)
    within = _mean_kernel(real) + _mean_kernel(generated)
    return float(within - 2 * _mean_kernel(real, generated))


def _mean_kernel(X, Y=None):
    """Mean of k over pairs of x and y; without Y, of different rows of X."""
    alone = Y is None
    Y = X if alone else Y
    gamma, total = 1 / X.shape[1], 0.0
    for a, b in product(gen_batches(len(X), BLOCK), gen_batches(len(Y), BLOCK)):
        kernel = polynomial_kernel(X[a], Y[b], degree=3, gamma=gamma, coef0=1)
        if alone and a == b:
            # A row with itself is no draw of two rows; it would bias the mean.
            np.fill_diagonal(kernel, 0.0)
        total += kernel.sum()
    return total / (len(X) * (len(X) - 1 if alone else len(Y)))
