"""SourceWeightsDisplay: how much each real row gave to the generated ones."""

from collections.abc import Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
from scipy.sparse import csr_array

from .._audit import evenly
from .._provenance import heaviest, mixes, per_row
from .._typing import Array, Data, Labels
from ._figures import DARK, PALE, check_has, label_axes, own_axes, tell_hidden
from ._plane import plane_of

Kind = Literal["scatter", "matrix"]
MOST_SOURCES = 30  # columns of the matrix
MOST_GENERATED = 200  # its lines


class SourceWeightsDisplay:
    """How much each real row gave to the generated ones: which carry the boundary.

    Use `from_estimator` to make one.

    Parameters
    ----------
    weights : scipy.sparse.csr_array of shape (n_generated, n_samples)
        Convex weights of generated rows on real ones, as `provenance_`.
    points : tuple of 2 ndarray
        Coordinates of the real rows, of shape (n_samples,) each.
    xlabel, ylabel : str
        Labels of the axes.
    levels : sequence of 2 array-like, default=(None, None)
        The categories along each axis, at 0, 1 and so on; None where it has numbers.

    Attributes
    ----------
    totals_ : ndarray of shape (n_samples,)
        The sum of the weights on each real row: how many generated rows it is worth.
    ax_ : matplotlib Axes
        Axes with the weights.
    figure_ : matplotlib Figure
        The figure that they are in.
    artist_ : matplotlib PathCollection or AxesImage
        The rows that have weight, or the matrix.
    colorbar_ : matplotlib Colorbar
        What its colours mean.

    See Also
    --------
    ContributorsDisplay : The sources of a single row.
    GeneratedRowsDisplay : The generated rows themselves.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.displays import SourceWeightsDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> sampler = GAMOSampler(random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> display = SourceWeightsDisplay.from_estimator(sampler, X, y)
    >>> display.totals_.sum().round()
    np.float64(40.0)
    >>> plt.show()
    """

    def __init__(
        self,
        weights: csr_array,
        *,
        points: Sequence[Any],
        xlabel: str,
        ylabel: str,
        levels: Sequence[Any] = (None, None),
    ) -> None:
        self.weights = weights
        self.points = points
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.levels = levels

    def plot(self, ax: Any = None, *, kind: Kind = "scatter") -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        kind : {"scatter", "matrix"}, default="scatter"
            "scatter" shows the real rows where they are, coloured by the sum of the
            weights on them; those without weight are grey. "matrix" has a line for each
            generated row and a column for each of the 30 real rows with the greatest
            sums, the greatest first; of more than 200 generated rows 200, evenly
            spaced. Lines are ordered by their main source.

        Returns
        -------
        display : SourceWeightsDisplay
            With `totals_`, `ax_`, `figure_`, `artist_` and `colorbar_`.

        Raises
        ------
        ValueError
            If no row was generated.
        """
        if kind not in get_args(Kind):
            raise ValueError(
                f"kind must be one of {', '.join(get_args(Kind))}, got {kind!r}."
            )
        if not self.weights.shape[0]:
            raise ValueError("There is nothing to show: no row was generated.")
        self.totals_ = np.asarray(self.weights.sum(axis=0)).ravel()
        ax = own_axes(self, ax)
        draw = self._draw_rows if kind == "scatter" else self._draw_matrix
        self.artist_, meaning = draw(ax)
        self.colorbar_ = ax.figure.colorbar(self.artist_, ax=ax, label=meaning)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        y: Labels,
        *,
        label: Any = None,
        columns: Sequence[Any] | None = None,
        kind: Kind = "scatter",
        ax: Any = None,
    ) -> Self:
        """Show the weights of the rows that `fit_resample` generated.

        Parameters
        ----------
        estimator : GAMOSampler or GAMO2Pix
            One whose `fit_resample` has been called, with a convex generator.
        X : array-like of shape (n_samples, n_features) or images
            The rows that it was given.
        y : array-like of shape (n_samples,)
            Their labels.
        label : label, default=None
            The class whose generated rows count. None takes all classes.
        columns : sequence of 2, default=None
            As in :meth:`GeneratedRowsDisplay.from_estimator`.
        kind : {"scatter", "matrix"}, default="scatter"
            As in `plot`.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : SourceWeightsDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If no row of the class was generated, or X and y are not the rows that
            `fit_resample` was given, as far as their number and labels tell.
        """
        check_has(estimator, "provenance_", cls)
        weights = estimator.provenance_
        y = per_row(y, weights.shape[1], "y")
        made = np.isin(y[weights.indices], [*estimator.sampling_strategy_])
        if mixes(weights, y).any() or not made.all():
            raise ValueError(
                "Generated rows would be of other labels: X and y are other rows than "
                "`fit_resample` was given, or in another order."
            )
        if label is not None:
            weights = weights[_generated_of(label, weights, y)]
        plane = plane_of(X, columns)
        points = plane.points(X)
        per_row(points[0], len(y), "X")
        display = cls(
            weights,
            points=points,
            xlabel=plane.labels[0],
            ylabel=plane.labels[1],
            levels=plane.levels,
        )
        return display.plot(ax, kind=kind)

    def _draw_rows(self, ax):
        order = np.argsort(self.totals_, kind="stable")  # the greatest on top
        used = order[self.totals_[order] > 0]
        x, y = self.points
        idle = self.totals_ == 0
        ax.scatter(x[idle], y[idle], s=10, color=PALE, linewidths=0, label="no weight")
        totals = self.totals_[used]
        artist = ax.scatter(
            x[used],
            y[used],
            c=totals,
            s=16 + 60 * totals / totals.max(),
            cmap="Blues",
            vmin=0,
            edgecolors=DARK,
            linewidths=0.5,
        )
        if idle.any():
            ax.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
        label_axes(ax, self.xlabel, self.ylabel, self.levels)
        tell_hidden(ax, self.points)
        return artist, "sum of weights, in generated rows"

    def _draw_matrix(self, ax):
        matrix, rows = self._matrix()
        artist = ax.imshow(
            matrix, aspect="auto", cmap="Blues", vmin=0, interpolation="nearest"
        )
        ax.set(xlabel="real row", ylabel="generated rows, by main source", yticks=[])
        ax.set_xticks(range(len(rows)), labels=rows, rotation=90, fontsize="small")
        return artist, "weight"

    def _matrix(self):
        """(n_lines, n_columns) weights, and the real rows of the columns."""
        rows = np.argsort(-self.totals_, kind="stable")[:MOST_SOURCES]
        rows = rows[self.totals_[rows] > 0]
        some = self.weights[evenly(self.weights.shape[0], MOST_GENERATED)]
        rank = np.full(len(self.totals_), len(rows))
        rank[rows] = np.arange(len(rows))
        main = some.indices[heaviest(some)]
        return some[np.argsort(rank[main], kind="stable")][:, rows].toarray(), rows


def _generated_of(label, weights, y) -> Array:
    """(n_generated,) bool: the rows made of real ones of the class."""
    found = weights @ (y == label) > 0.5
    if not found.any():
        made = np.unique(y[weights.indices]).tolist()
        raise ValueError(f"label must be a generated class, of {made}, got {label!r}.")
    return found
