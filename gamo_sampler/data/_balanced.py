"""BalancedDataset: minibatches with fresh generated rows, for torch's DataLoader."""

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import (
    check_consistent_length,
    check_scalar,
    column_or_1d,
    gen_batches,
)
from sklearn.utils.validation import check_is_fitted
from torch.utils.data import IterableDataset, get_worker_info

from .._base import BaseGAMO
from .._gamo2pix import GAMO2Pix
from .._images import as_read
from .._lazy import ChunkedRows, check_rows, in_memory, is_lazy, lazy_rows
from .._strategy import rows_to_generate
from .._torch import private_random_state
from .._typing import Data, Labels, Seed

BATCHES_AT_ONCE = 16


class BalancedDataset(IterableDataset):
    """Minibatches of real rows and of fresh generated ones, in random order.

    A pass has every real row once, and as many generated rows as the estimator's
    `sampling_strategy` asks for, by default those that make all classes as large as the
    largest. Each pass generates them anew.

    Give it to a `torch.utils.data.DataLoader` with ``batch_size=None``, as what it
    yields are minibatches. The workers of the loader share them out.

    Parameters
    ----------
    estimator : GAMOSampler, GAMOClassifier or GAMO2Pix
        Fitted; what generates the rows. A `GAMOSampler` or a `GAMOClassifier` without a
        `feature_extractor`, as it would generate features; a `GAMOSampler` that was
        fitted to dense numbers, without missing values.
    X : array-like of shape (n_samples, n_features) or images
        Real rows, as in the estimator's fit. A `numpy.memmap`, a Zarr array or a Dask
        array is read by minibatch. Of the latter two one chunk is read after the other,
        in random order, and its rows in random order: they should not come sorted by
        label.
    y : array-like of shape (n_samples,)
        Labels that the estimator knows. The classes that `sampling_strategy` raises
        among them have to be ones that it generates.
    batch_size : int, default=32
        Rows in a minibatch. The last one of a pass may have fewer.
    random_state : int, RandomState instance or None, default=None
        Seeds the order and the generated rows. A loader's workers add the seed that the
        loader draws for each pass: for the same minibatches again, give it a seeded
        `generator`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels that the class indices stand for.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from torch.utils.data import DataLoader
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.data import BalancedDataset
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> sampler = GAMOSampler(random_state=0)
    >>> _ = sampler.fit_resample(X, y)
    >>> dataset = BalancedDataset(sampler, X, y, batch_size=32, random_state=0)
    >>> loader = DataLoader(
    ...     dataset, batch_size=None, generator=torch.Generator().manual_seed(0)
    ... )
    >>> len(loader)  # 150 rows
    5
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     network = torch.nn.Linear(4, 3)
    >>> optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    >>> for epoch in range(40):
    ...     for rows, labels in loader:
    ...         optimizer.zero_grad()
    ...         loss = torch.nn.functional.cross_entropy(network(rows), labels)
    ...         loss.backward()
    ...         optimizer.step()
    >>> found = network(torch.tensor(X, dtype=torch.float32)).argmax(1)
    >>> bool((found.numpy() == y).mean() > 0.9)
    True
    """

    def __init__(
        self,
        estimator: Any,
        X: Data,
        y: Labels,
        *,
        batch_size: int = 32,
        random_state: Seed = None,
    ) -> None:
        check_scalar(batch_size, "batch_size", Integral, min_val=1)
        _check_estimator(estimator)
        y = column_or_1d(in_memory(y))
        self.estimator = estimator
        self.classes_ = estimator.classes_
        self.X = _checked(estimator, X)
        check_consistent_length(self.X, y)
        self.batch_size = batch_size
        self._y = self._indices(y)
        self._wanted = self._rows_per_class(y)
        self._seed = int(private_random_state(random_state).randint(2**31 - 1))
        self._n_passes = 0

    def __len__(self) -> int:
        """Minibatches in a pass."""
        return -(-(len(self._y) + int(self._wanted.sum())) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (rows, class indices) tensors, float32 and int64."""
        worker = get_worker_info()
        first, step, drawn = 0, 1, 0
        if worker is not None:
            # All workers of a pass have the loader's own draw in common.
            first, step, drawn = worker.id, worker.num_workers, worker.seed - worker.id
        seed = [self._seed, drawn % 2**64, self._n_passes]
        self._n_passes += 1
        return self._batches(seed, first, step)

    def _batches(self, seed, first, step):
        """Minibatches of a pass, made several at a time, as that costs less.

        A worker makes the several at `first`, `first + step`, and so on.
        """
        X = lazy_rows(self.X) if is_lazy(self.X) else self.X
        slots = self._slots(X, np.random.default_rng(seed))
        several = list(gen_batches(len(slots), BATCHES_AT_ONCE * self.batch_size))
        for position in range(first, len(several), step):
            # The seeds do not depend on which worker it is.
            own = np.random.SeedSequence([*seed, position]).generate_state(1)[0]
            rows, labels = self._filled(X, slots[several[position]], int(own))
            for batch in gen_batches(len(labels), self.batch_size):
                yield rows[batch], labels[batch]

    def _slots(self, X, rng):
        """The rows of a pass: positions in X, or -1 - i to generate one of class i."""
        wanted = np.repeat(np.arange(len(self.classes_)), self._wanted)
        n = len(self._y)
        slots = np.empty(n + len(wanted), np.int64)
        is_real = rng.permutation(len(slots)) < n
        slots[is_real] = _shuffled(X, rng)
        slots[~is_real] = -1 - rng.permutation(wanted)
        return slots

    def _filled(self, X, slots, seed):
        """Rows and class indices, as tensors."""
        rows = np.empty((len(slots), *self.X.shape[1:]), np.float32)
        real = slots >= 0
        with np.errstate(over="ignore"):  # reported below
            rows[real] = X[slots[real]].reshape(-1, *self.X.shape[1:])
        labels = -1 - slots
        labels[real] = self._y[slots[real]]
        if not real.all():
            # `sample` gives them by class.
            new = np.flatnonzero(~real)
            new = new[labels[new].argsort(kind="stable")]
            indices, counts = np.unique(labels[new], return_counts=True)
            wanted = dict(zip(self.classes_[indices], counts.tolist(), strict=True))
            with np.errstate(over="ignore"):
                rows[new] = self.estimator.sample(wanted, random_state=seed)[0]
        self._check_finite(rows)
        return torch.from_numpy(rows), torch.from_numpy(labels)

    def _indices(self, y):
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(
                f"y has the labels {unknown.tolist()}, which the fitted estimator does "
                f"not know: its classes are {self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y)

    def _rows_per_class(self, y):
        """(n_classes,) to generate in a pass; one of each is, to see that it works."""
        targets = rows_to_generate(self.estimator.sampling_strategy, y)
        wanted = {label: n for label, n in targets.items() if n}
        if wanted:
            self._check_generated(list(wanted))
            rows, _ = self.estimator.sample(dict.fromkeys(wanted, 1), random_state=0)
            if np.shape(rows)[1:] != self.X.shape[1:]:
                raise ValueError(
                    f"The estimator generates rows of shape {np.shape(rows)[1:]}, but "
                    f"those of X have shape {self.X.shape[1:]}. It must not have a "
                    "feature_extractor, and must be fitted to rows like these."
                )
        return np.array([wanted.get(label, 0) for label in self.classes_])

    def _check_generated(self, labels):
        generated = _generated_classes(self.estimator)
        missing = np.setdiff1d(labels, generated)
        if len(missing):
            raise ValueError(
                f"sampling_strategy={self.estimator.sampling_strategy!r} asks for rows "
                f"of {missing.tolist()} with this y, but the fitted estimator "
                f"generates {generated.tolist()}. Fit it to a y in which those are "
                "small too, or give it another sampling_strategy."
            )

    def _check_finite(self, rows):
        finite = np.isfinite(rows.reshape(len(rows), -1)).all(0)
        if not finite.all():
            names = getattr(self.estimator, "feature_names_in_", np.arange(len(finite)))
            raise ValueError(
                "X has values too large for float32 in columns "
                f"{names[~finite].tolist()}. Scale them before the fit."
            )


def _check_estimator(estimator):
    if not isinstance(estimator, BaseGAMO | GAMO2Pix):
        raise TypeError(
            "estimator must be a GAMOSampler, a GAMOClassifier or a GAMO2Pix, got a "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator, "classes_")
    if getattr(estimator, "_table", None) is not None:
        raise ValueError(
            "The estimator was fitted to sparse rows, to a frame of mixed columns, or "
            "with categorical_features or missing='propagate': what it generates are "
            "tables, which cannot be made tensors. Encode and impute them before."
        )


def _checked(estimator, X):
    """X in its own layout, once it is like what the estimator was fitted to."""
    rows, *_ = as_read(X, estimator._image_shape)
    rows = check_rows(estimator, rows, reset=False)
    return X if is_lazy(X) else rows.reshape(np.shape(X))


def _generated_classes(estimator):
    """The labels that its game has a generator for."""
    game = estimator
    if isinstance(estimator, GAMO2Pix):
        game = getattr(estimator, "classifier_", None)  # none if there was no need
    if getattr(game, "_pool", None) is None:
        return estimator.classes_[:0]
    return game._generated_classes()


def _shuffled(X, rng):
    """Positions of the rows; those of a chunk, which is read as a whole, together."""
    if not isinstance(X, ChunkedRows):
        return rng.permutation(len(X))
    chunks = [np.arange(*ends) for ends in zip(X.edges, X.edges[1:], strict=False)]
    order = rng.permutation(len(chunks))
    return np.concatenate([rng.permutation(chunks[i]) for i in order])
