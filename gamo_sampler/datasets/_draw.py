"""The draw that all loaders share."""

import numpy as np
from sklearn.utils import check_random_state


def draw(y, names, random_state, **sizes):
    """Rows of each class, drawn without replacement and apart from one another.

    Every class is shuffled whole and then cut, so an earlier draw does not depend
    on the sizes of a later one.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Labels, 0 to c - 1.
    names : sequence of length c
        What an error calls the classes.
    random_state : int, RandomState instance or None
        Source of the shuffles.
    **sizes : int or array-like of shape (c,)
        Rows per class of each draw, in order; an int is the same for all classes.

    Returns
    -------
    rows : list of ndarray
        Row numbers of each draw, grouped by class.

    Raises
    ------
    ValueError
        If a size is no positive integer, or a class has too few rows.
    """
    rng = check_random_state(random_state)
    ends = np.cumsum([_per_class(*size, len(names)) for size in sizes.items()], axis=0)
    lots = []
    for k, name in enumerate(names):
        rows = rng.permutation(np.flatnonzero(y == k))
        if len(rows) < ends[-1, k]:
            raise ValueError(
                f"class {name!r} has {len(rows)} rows, but {' + '.join(sizes)} "
                f"asked for {ends[-1, k]}."
            )
        lots.append(np.split(rows, ends[:, k])[:-1])
    return [np.concatenate(parts) for parts in zip(*lots, strict=True)]


def _per_class(what, size, n_classes):
    """`size` for each class, (n_classes,)."""
    n = np.asarray(size)
    if n.dtype.kind not in "iu" or n.shape not in [(), (n_classes,)] or n.min() < 1:
        raise ValueError(
            f"{what} must be a positive integer, or one for each of the {n_classes} "
            f"classes, got {size!r}."
        )
    return np.broadcast_to(n, n_classes)
