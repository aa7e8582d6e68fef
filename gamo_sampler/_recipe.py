"""What a balanced data set was made of, without the data."""

from typing import Any, Self
from zipfile import ZipFile, is_zipfile

import numpy as np
from scipy.sparse import csr_array, issparse, load_npz, save_npz
from sklearn.utils import check_array, check_consistent_length

from ._columns import is_auto, is_mixed, is_sparse
from ._frames import container, extend, template
from ._provenance import heaviest, mixes
from ._tables import SparseTable, read_table
from ._typing import Data, Labels, StrPath

NAMED = "categorical_features"


class Recipe:
    """Positions and weights of the rows that generated rows are made of.

    A resampled data set without the data: with the rows of X it can be made again,
    elsewhere or later, without training. It holds no value of X or y, and no name of
    a column. It does tell which rows are of the same smaller class and, with a
    `neighborhood` of k, which of those lie near each other.

    Parameters
    ----------
    weights : csr_array of shape (n_generated, n_samples)
        Convex weights on the rows of X, as in `provenance_`.
    categorical_features : "auto" or array-like of int, default="auto"
        Positions of the columns of categories, where the sampler was given some.

    See Also
    --------
    GAMOSampler : Has the recipe of its last resampling as `recipe_`.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOSampler, Recipe
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> sampler = GAMOSampler(random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sampler.recipe_.save(f"{folder}/iris.npz")
    ...     recipe = Recipe.load(f"{folder}/iris.npz")
    >>> recipe
    <Recipe for 40 rows made of 110>
    >>> X_again, y_again = recipe.apply(X, y)
    >>> (y_again == y_resampled).all()
    np.True_
    """

    def __init__(self, weights: Any, categorical_features: Any = "auto") -> None:
        if not issparse(weights):
            raise TypeError(f"weights must be a scipy.sparse array, got {weights!r}.")
        self.weights = weights
        self.categorical_features = categorical_features

    def __repr__(self) -> str:
        n_generated, n_samples = self.weights.shape
        return f"<Recipe for {n_generated} rows made of {n_samples}>"

    def save(self, path: StrPath) -> None:
        """Write a file that `load` reads, and `scipy.sparse.load_npz`.

        Parameters
        ----------
        path : str or path-like
            Its name, ending in ``.npz``.
        """
        with open(path, "wb+") as file:
            save_npz(file, self.weights)
            if not isinstance(self.categorical_features, str):
                _append(file, NAMED, np.asarray(self.categorical_features, np.int64))

    @classmethod
    def load(cls, path: StrPath) -> Self:
        """Read a file that `save` wrote.

        Parameters
        ----------
        path : str or path-like
            Its name. Nothing is unpickled: the file may come from anyone.

        Returns
        -------
        recipe : Recipe
            The same recipe.

        Raises
        ------
        ValueError
            Where the file holds something else than convex weights.
        """
        with open(path, "rb") as file:
            if not is_zipfile(file):  # numpy would advise to unpickle it
                raise ValueError(f"{path} holds no recipe: it is no file of arrays.")
        try:
            recipe = cls(csr_array(load_npz(path)), _named(path))
            _check_weights(recipe.weights)
        except ValueError as error:
            raise ValueError(f"{path} holds no recipe: {error}") from error
        return recipe

    def apply(
        self, X: Data, y: Labels, *, categorical_features: Any = None
    ) -> tuple[Data, Labels]:
        """The balanced data set, from the rows that it is made of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows that were resampled, in their order; what `extract_features` makes
            of them, where the sampler had a `feature_extractor`.
        y : array-like of shape (n_samples,)
            Their labels.
        categorical_features : "auto" or array-like, default=None
            As the sampler's; None for those that it was given.

        Returns
        -------
        X_resampled, y_resampled
            As `fit_resample` returned them: in the types of X and y, integers rounded,
            categories by vote and missing values passed on. Floats are the same but
            for their last bits. Categories that were drawn are not in the recipe.
        """
        if categorical_features is None:
            categorical_features = self.categorical_features
        n_samples = self.weights.shape[1]
        rows, labels = _read(X, categorical_features), np.asarray(y)
        check_consistent_length(rows, labels)
        if len(rows) != n_samples:
            raise ValueError(
                f"The recipe is for {n_samples} rows, but X has {len(rows)}."
            )
        if mixes(self.weights, labels).any():
            raise ValueError(
                "The recipe would mix rows of different labels: X and y are other data "
                "than it was made for, or in another order."
            )
        new_labels = labels[self.weights.indices[heaviest(self.weights)]]
        y_resampled = extend(container(y, labels), new_labels)
        if isinstance(rows, np.ndarray):
            return extend(container(X, rows), self.weights @ rows), y_resampled
        return extend(X, rows.mixed(self.weights, "vote", None)), y_resampled


def _append(file, name, array):
    """One more array in an npz file."""
    with ZipFile(file, "a") as archive, archive.open(f"{name}.npy", "w") as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def _named(path):
    """Positions of the columns of categories in a file, or "auto"."""
    with np.load(path) as file:
        return file.get(NAMED, "auto")


def _check_weights(weights):
    weights.check_format(full_check=True)
    if not (weights.data >= 0).all():
        raise ValueError(f"weights must be at least 0, got {weights.data.min()}.")
    sums = weights.sum(1)
    if not np.allclose(sums, 1, rtol=0, atol=1e-5):
        raise ValueError(
            "the weights of each row must sum to 1, but sums are from "
            f"{sums.min():.6g} to {sums.max():.6g}."
        )


def _read(X, categorical_features):
    """Rows as an array, or as a table where they are mixed column by column."""
    if is_sparse(X):
        return SparseTable(check_array(X, accept_sparse="csr"), template(X))
    if is_mixed(X) or not is_auto(categorical_features):
        return read_table(X, categorical_features)
    rows = check_array(X, ensure_all_finite="allow-nan")
    # Of a list with None, objects are left.
    misses = rows.dtype == object or np.isnan(rows).any()
    return read_table(X, categorical_features) if misses else rows
