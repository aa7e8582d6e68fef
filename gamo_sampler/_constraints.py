"""Linear constraints on rows, before and after mixing."""

from collections.abc import Iterable

import numpy as np
from scipy.optimize import LinearConstraint

from ._provenance import mean_of_known


def check_constraints(constraints, n_features, names=None):
    """A list of LinearConstraint, from what a user gave, for so many columns.

    `names` are those of the columns, where only some of a table are meant.
    """
    several = isinstance(constraints, Iterable)
    constraints = list(constraints) if several else [constraints]
    for constraint in constraints:
        if not isinstance(constraint, LinearConstraint):
            raise TypeError(
                "constraints must be a scipy.optimize.LinearConstraint, or a list of "
                f"them, got {constraint!r}."
            )
        if constraint.A.shape[1] != n_features:
            meant = "" if names is None else f" that hold numbers: {names}"
            raise ValueError(
                f"A constraint's A has {constraint.A.shape[1]} columns, but rows have "
                f"{n_features}{meant}."
            )
    return constraints


def count_outside(constraints, weights, rows):
    """How many real rows, and how many of their mixtures, each constraint excludes.

    Parameters
    ----------
    constraints : list of LinearConstraint
        Each is a line for each row of its A.
    weights : csr_array of shape (n_generated, n_real)
        Convex weights.
    rows : ndarray of shape (n_real, d)
        Real rows, nan where a value is missing. A row that misses one that a line
        needs is not counted there.

    Returns
    -------
    counts : dict of list of int
        ``real`` and ``generated``, a number for each line.
    """
    # Of the magnitudes that are summed up: sums in float32 are no more exact.
    tolerance = 1e-5 if rows.dtype == np.float32 else 1e-9
    rows = rows.astype(float)
    size = np.abs(np.nan_to_num(rows)).max(0)
    mixed = mean_of_known(weights, rows)
    counts = {"real": [], "generated": []}
    for constraint in constraints:
        # One margin for both: what holds for the rows with it, holds for mixtures.
        margin = tolerance * (abs(constraint.A) @ size)
        for name, values in (("real", rows), ("generated", mixed)):
            outside = _outside(constraint, values, margin)
            counts[name] += outside.sum(0).tolist()
    return counts


def _outside(constraint, rows, margin):
    """(n, k), whether a row is beyond a line's bounds by more than its margin."""
    values = (constraint.A @ np.nan_to_num(rows).T).T
    is_known = ~((constraint.A != 0) @ np.isnan(rows).T).T
    below, above = values < constraint.lb - margin, values > constraint.ub + margin
    return is_known & (below | above)
