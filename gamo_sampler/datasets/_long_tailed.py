"""MNIST, Fashion-MNIST, CIFAR-10 and SVHN with the published class sizes."""

from pathlib import Path
from typing import Literal

import numpy as np
from scipy.io import loadmat
from sklearn.datasets import fetch_openml, get_data_home
from sklearn.utils import Bunch, check_random_state

from .._typing import Counts, Seed, StrPath
from ._draw import draw

GREY_COUNTS = (4000, 2000, 1000, 750, 500, 350, 200, 100, 60, 40)
COLOUR_COUNTS = (4500, 2000, 1000, 800, 600, 500, 400, 250, 150, 80)
COUNTS = {
    "mnist": GREY_COUNTS,
    "fashion_mnist": GREY_COUNTS,
    "cifar10": COLOUR_COUNTS,
    "svhn": COLOUR_COUNTS,
}
OPENML = {
    "mnist": "mnist_784",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR_10",
    "svhn": "SVHN",
}
# Official training and test rows. OpenML holds them one after the other.
SPLITS = {
    "mnist": (60000, 10000),
    "fashion_mnist": (60000, 10000),
    "cifar10": (50000, 10000),
    "svhn": (73257, 26032),
}


def fetch_long_tailed(
    name: Literal["mnist", "fashion_mnist", "cifar10", "svhn"],
    *,
    counts: Counts | Literal["all"] = None,
    n_test: int | None = None,
    random_state: Seed = None,
    data_home: StrPath | None = None,
) -> Bunch:
    """Images of ten classes whose sizes have a long tail.

    The training rows are drawn without replacement from the official training rows,
    the test rows from the official test rows. The data comes from a file in
    `data_home` where there is one, else from OpenML, which needs pandas and, the
    first time, a network.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10", "svhn"}
        The data set.

    counts : array-like of shape (10,) or "all", default=None
        Training rows of classes 0 to 9. None: the published sizes, which are 4000,
        2000, 1000, 750, 500, 350, 200, 100, 60 and 40 for MNIST and Fashion-MNIST,
        and 4500, 2000, 1000, 800, 600, 500, 400, 250, 150 and 80 for CIFAR-10 and
        SVHN. "all": all official training rows.

    n_test : int, default=None
        Test rows of each class; the published experiments have 100. None: all
        official test rows.

    random_state : int, RandomState instance or None, default=None
        Determines which rows are drawn. The test rows do not depend on `counts`.

    data_home : str or path-like, default=None
        Folder of the data. None: scikit-learn's, see
        `sklearn.datasets.get_data_home`. Files that are used, first found first:

        - ``NAME.npz`` or ``NAME_pool.npz``, for example ``mnist.npz``, with arrays
          ``x_train``, ``y_train``, ``x_test`` and ``y_test``: uint8 images in the
          shapes below, labels 0 to 9;
        - for SVHN, the official ``train_32x32.mat`` and ``test_32x32.mat``;
        - OpenML's, kept as `sklearn.datasets.fetch_openml` keeps them.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X_train : ndarray of shape (n, 28, 28) or (n, 32, 32, 3), dtype uint8
            Training images, 0 to 255, grouped by class.
        y_train : ndarray of shape (n,), dtype int
            Their labels, 0 to 9. In SVHN the label is the digit.
        X_test, y_test : ndarray
            The same for the test rows, in official order where `n_test` is None.

    Raises
    ------
    ValueError
        If `name` is unknown, `counts` or `n_test` are no positive integers, or a
        class has fewer rows than are asked for.

    Examples
    --------
    >>> from gamo_sampler.datasets import fetch_long_tailed
    >>> data = fetch_long_tailed(
    ...     "mnist", n_test=100, random_state=0
    ... )  # doctest: +SKIP
    >>> data.X_train.shape, data.X_test.shape  # doctest: +SKIP
    ((9000, 28, 28), (1000, 28, 28))
    """
    names = sorted(COUNTS)
    if name not in names:
        raise ValueError(f"name must be one of {names}, got {name!r}.")
    rng = check_random_state(random_state)
    X_train, y_train, X_test, y_test = _official(name, data_home)
    if isinstance(counts, str) and counts == "all":
        counts = np.bincount(y_train)
    counts = COUNTS[name] if counts is None else counts
    [train] = draw(y_train, range(10), rng, counts=counts)
    test = slice(None)
    if n_test is not None:
        [test] = draw(y_test, range(10), rng, n_test=n_test)
    return Bunch(
        X_train=X_train[train],
        y_train=y_train[train],
        X_test=X_test[test],
        y_test=y_test[test],
    )


def _official(name, data_home):
    """X_train, y_train, X_test and y_test, from the first source there is."""
    home = Path(get_data_home(data_home))
    for path in (home / f"{name}.npz", home / f"{name}_pool.npz"):
        if path.exists():
            return _from_npz(path)
    if name == "svhn" and (home / "train_32x32.mat").exists():
        return *_from_mat(home / "train_32x32.mat"), *_from_mat(home / "test_32x32.mat")
    return _from_openml(name, home)


def _from_npz(path):
    with np.load(path) as data:
        return (
            data["x_train"],
            data["y_train"].astype(int).ravel(),
            data["x_test"],
            data["y_test"].astype(int).ravel(),
        )


def _from_mat(path):
    data = loadmat(path)
    X = np.ascontiguousarray(np.moveaxis(data["X"], -1, 0))
    return X, _digits(data["y"].ravel())


def _from_openml(name, home):
    data = fetch_openml(OPENML[name], version=1, data_home=home, as_frame=False)
    n_train, n_test = SPLITS[name]
    if len(data.data) != n_train + n_test:
        raise ValueError(
            f"OpenML's {OPENML[name]} should have {n_train} training and {n_test} "
            f"test rows, got {len(data.data)} rows."
        )
    X = _images(name, data.data.astype(np.uint8))
    y = data.target.astype(int)
    y = _digits(y) if name == "svhn" else y
    return X[:n_train], y[:n_train], X[n_train:], y[n_train:]


def _images(name, rows):
    """OpenML's rows as images: CIFAR-10 has planes of colour, SVHN has pixels."""
    if name == "svhn":
        return rows.reshape(-1, 32, 32, 3)
    if name == "cifar10":
        planes = rows.reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(np.moveaxis(planes, 1, -1))
    return rows.reshape(-1, 28, 28)


def _digits(labels):
    """SVHN's labels 1 to 10 as digits: 10 stands for 0."""
    return labels.astype(int) % 10
