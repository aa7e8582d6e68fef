"""What a fitted sampler tells of its generated rows, and takes back of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from ._audit import Audit, audit_class
from ._constraints import check_constraints, count_outside
from ._provenance import ProvenanceMixin
from ._recipe import Recipe
from ._typing import Array


class InspectionMixin(ProvenanceMixin):
    """For GAMOSampler: beyond the weights, this asks for the rows that are mixed."""

    feature_extractor: Any
    _categorical: Any
    _scaling: Any

    @property
    def recipe_(self) -> Recipe:
        """The positions and weights of what was resampled, a :class:`Recipe`."""
        return Recipe(self._weights(), self._categorical)

    def audit(self) -> Audit:
        """How near the rows that `fit_resample` generated are to copies of real ones.

        Mixing rows is no anonymisation: a fitted sampler, its pickle and `provenance_`
        hold or point to training rows, and `withdraw` takes rows out of those but not
        out of what the networks learned. `max_weight` and `min_sources` bound copies by
        construction.

        Returns
        -------
        audit : dict
            For each generated class, by label:

            - ``n_real`` and ``n_generated``, numbers of rows;
            - ``largest_weight``, the mean of each generated row's greatest weight, and
              ``effective_sources``, that of 1 / sum(w^2): 1 for a copy;
            - ``near_copies``, the share of rows with a weight above .95;
            - ``distance_ratio``, the mean distance of a generated row to the nearest
              real one over that of a real row to its nearest other, in the scaled units
              or the features of the game, of 1,000 rows of each at most; nan for a
              class of one row, or of equal ones;
            - ``in_hull``, whether all weights are at least 0, on rows of the class
              alone, and sum to 1.

            It prints as a table.
        """
        self._weights()  # or an error that says what is missing
        audit = Audit()
        if self._pool is None:
            return audit
        for label, weights, rows in self._mixtures(self._pool.numpy()):
            if self.feature_extractor is None:
                rows = self._scaling.forward(rows).numpy()
            audit[label] = audit_class(weights, rows)
        return audit

    def verify(self, constraints: Any) -> dict[Any, dict[str, list[int]]]:
        """Check that linear constraints on real rows hold for generated ones.

        What all rows of a class satisfy, all generated rows of the class do, before
        integers are rounded: ranges, sums, shares that sum to 1, one column at most
        another one. Where values are missing, each column is the mean over its own
        known ones, so that ranges of single columns still hold but sums and
        comparisons across columns need not.

        Parameters
        ----------
        constraints : scipy.optimize.LinearConstraint, or list of them
            On the columns of X in their order, of a table with other columns those that
            hold numbers (dates and durations do not), or on F's features with a
            `feature_extractor`. Each row of a constraint's A is a line of its own. They
            are checked within 1e-9 of the size of the terms, 1e-5 for float32.

        Returns
        -------
        counts : dict
            For each generated class, by label, a dict of ``real`` and ``generated``:
            for each line, the number of rows beyond its bounds, among the real rows
            that are mixed and among those that `fit_resample` generated of them. A row
            that misses a value that a line needs is not counted. Where the first is 0,
            the second is 0, but for lines across columns with missing values.

        Examples
        --------
        >>> from scipy.optimize import LinearConstraint
        >>> from sklearn.datasets import load_iris
        >>> from gamo_sampler import GAMOSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> sampler = GAMOSampler(random_state=0)
        >>> X_resampled, y_resampled = sampler.fit_resample(X[:110], y[:110])
        >>> # Sepals are longer than wide, and petals at most 7 cm long.
        >>> lines = [[1, -1, 0, 0], [0, 0, 1, 0]]
        >>> sampler.verify(LinearConstraint(lines, [0, 0], [float("inf"), 7]))
        {np.int64(2): {'real': [0, 0], 'generated': [0, 0]}}
        """
        self._weights()
        if self._pool is None:
            return {}
        of_rows = (self._pool.numpy(), None)
        numbers, names = of_rows if self._table is None else self._table.numbers()
        constraints = check_constraints(constraints, numbers.shape[1], names)
        return {
            label: count_outside(constraints, weights, rows)
            for label, weights, rows in self._mixtures(numbers)
        }

    def withdraw(self, rows: ArrayLike) -> Array:
        """Take rows of X out, with the generated rows that depend on them.

        They are taken out of what `sample` mixes as well, and of `provenance_`, which
        then is on the remaining rows, as are all positions: it is as if those alone had
        been resampled. A class of which one row remains gives copies of it; with a
        `max_weight` below 1, or `min_sources` above 1, sampling it raises an error.

        The networks, the scaling of the columns and the origin from which dates are
        counted are not unlearned: they come from all rows. Neither are the levels of a
        categorical dtype, which are part of the column's type: a level that only
        withdrawn rows had stays in it by name. To be rid of these too, fit anew without
        the rows, and without the levels.

        Parameters
        ----------
        rows : array-like of int, or of bool and of shape (n_samples,)
            Positions in X, or a mask of its rows.

        Returns
        -------
        kept : ndarray of int
            Positions in the resampled output of the rows that remain, ascending:
            ``X_resampled[kept]`` and ``y_resampled[kept]``, ``iloc[kept]`` of frames.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gamo_sampler import GAMOSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> sampler = GAMOSampler(random_state=0)
        >>> X_resampled, y_resampled = sampler.fit_resample(X[:110], y[:110])
        >>> kept = sampler.withdraw([100, 107])
        >>> X_kept, y_kept = X_resampled[kept], y_resampled[kept]
        >>> # New rows in place of those that were dropped, made of the others.
        >>> X_new, y_new = sampler.sample({2: 50 - sum(y_kept == 2)})
        """
        weights = self._weights()
        gone = self._asked(rows) > 0
        stays = weights @ gone == 0
        self.provenance_ = weights[stays][:, ~gone]
        if self._pool is not None:
            self._count(stays)
            self._forget(gone)
        return np.flatnonzero(np.concatenate([~gone, stays]))

    def _count(self, stays):
        """Generated rows per label in `sampling_strategy_`, of those that stay."""
        labels = self._generated_classes()
        ends = np.cumsum([self.sampling_strategy_[label] for label in labels])
        for label, own in zip(labels, np.split(stays, ends[:-1]), strict=True):
            self.sampling_strategy_[label] = int(own.sum())

    def _forget(self, gone):
        """Rows of X, (n_samples,) bool, leave what is mixed."""
        kept = ~gone[self._members]
        positions = np.cumsum(~gone) - 1
        self._n_samples = int((~gone).sum())
        self._members = positions[self._members[kept]]
        kept = torch.tensor(kept)
        if not kept.any():
            self._pool = self._table = self.generator_ = None
            self._all_withdrawn = True
            return
        pool = self._pool[kept]
        sizes, cells = (
            torch.stack([k.sum() for k in kept.split(parts.tolist())])
            for parts in (self._lots.sizes, self._lots.cells)
        )
        left = sizes > 0
        self._lots = replace(
            self._lots,
            classes=self._lots.classes[left],
            sizes=sizes[left],
            cells=cells[cells > 0],
        )
        self._deficit = self._deficit[left.numpy()]
        if self._table is not None:
            self._table = self._table.take(np.flatnonzero(kept))
        self._keep_pool(pool)
        self.generator_.keep(kept, self._pool_in_game())

    def _mixtures(self, rows):
        """Of each class: label, weights (n_generated, n_real), rows (n_real, d)."""
        ends = np.cumsum(self._lots.sizes.numpy())[:-1]
        classes = zip(
            self._generated_classes(),
            np.split(rows, ends),
            np.split(self._members, ends),
            strict=True,
        )
        first = 0
        for label, rows, members in classes:
            last = first + self.sampling_strategy_[label]
            yield label, self.provenance_[first:last][:, members], rows
            first = last
