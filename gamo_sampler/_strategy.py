"""How many rows of each class to generate, and what is to be said of it."""

from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np
from imblearn.utils import check_sampling_strategy

from ._warn import warn


def rows_to_generate(strategy, y):
    """Rows to generate per label, by imbalanced-learn's rules but for floats.

    A float f raises every class below round(f * largest) to that size, for two
    classes or more.
    """
    if isinstance(strategy, Real):
        labels, counts = np.unique(y, return_counts=True)
        size = round(strategy * counts.max())
        if size < counts.min():
            raise ValueError(
                f"sampling_strategy={strategy} asks for {size} rows per class, but "
                f"the smallest class has {counts.min()} already. Raise it above "
                f"{counts.min() / counts.max():.3g}."
            )
        strategy = dict(zip(labels, np.maximum(counts, size), strict=True))
    if callable(strategy):
        strategy = strategy(y)
    if isinstance(strategy, str):
        return dict(check_sampling_strategy(strategy, y, "over-sampling"))
    targets = _check_targets(strategy)
    try:
        return dict(check_sampling_strategy(targets, y, "over-sampling"))
    except ValueError as error:
        raise ValueError(f"sampling_strategy={strategy!r}: {error}") from error


def rows_for_batch(strategy, y):
    """The same for a batch of the rows: a class that is absent, or large enough, stays.

    A float, or a dict of numbers, may be met by one batch and not by another.
    """
    labels, counts = np.unique(y, return_counts=True)
    if isinstance(strategy, Real):
        strategy = dict.fromkeys(labels, round(strategy * counts.max()))
    if isinstance(strategy, Mapping):
        present = zip(labels, counts, strict=True)
        strategy = {i: max(strategy[i], int(n)) for i, n in present if i in strategy}
    return rows_to_generate(strategy, y)


def warn_of_balance(strategy, targets):
    """Say so where no class is to be generated."""
    if not any(targets.values()):
        warn(
            "No class is below the size that sampling_strategy="
            f"{strategy!r} asks for: nothing is generated."
        )


def warn_of_copies(labels, sizes, targets):
    """Say so where a class to be generated has one row alone."""
    for label, size in zip(labels, sizes, strict=True):
        if size == 1:
            warn(
                f"Class {label} has one row to learn from: its "
                f"{targets.get(label, 0)} generated rows are copies."
            )


def warn_of_alone(lots):
    """Say so where rows have no other row of their class in their group."""
    n_alone = int((lots.cells == 1).sum() - (lots.sizes == 1).sum())
    if n_alone:
        warn(
            f"{n_alone} of the {int(lots.sizes.sum())} rows to learn from are alone in "
            "their class and group: rows generated from them are copies."
        )


def _check_targets(strategy):
    if not isinstance(strategy, Mapping) or not all(
        isinstance(n, Integral) for n in strategy.values()
    ):
        raise ValueError(
            "sampling_strategy must give integers by class label, "
            f"{{label: number of rows}}, got {strategy!r}."
        )
    too_many = {label: n for label, n in strategy.items() if n >= 2**63}
    if too_many:
        raise MemoryError(
            f"sampling_strategy asks for more rows than any memory holds: {too_many}."
        )
    return dict(strategy)
