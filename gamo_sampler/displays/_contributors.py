"""ContributorsDisplay: what one row was made of."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from .._typing import Data, ImageShape
from ._figures import COLORS, PALE, as_pictures, bare, check_has, own_axes

ROOM = 1.8  # of the greatest bar, the axes are wide, for images behind it


class ContributorsDisplay:
    """The real rows that one row was made of, with their weights.

    Use `from_estimator` to make one.

    Parameters
    ----------
    row : int
        Its position in the resampled output.
    rows : array-like of shape (n_sources,)
        Positions of its sources.
    weights : array-like of shape (n_sources,)
        Their weights, the greatest first.
    pictures : array-like of shape (n_sources + 1, ...), default=None
        Images from 0 to 1, as matplotlib takes them: of the row, then of its sources.
    n_others : int, default=0
        Number of further sources, which are shown as one.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with a bar for each source.
    figure_ : matplotlib Figure
        The figure that they are in.
    bars_ : matplotlib BarContainer
        The bars.
    picture_axes_ : list of matplotlib Axes
        The images of the sources, then that of the row; empty without images.

    See Also
    --------
    SourceWeightsDisplay : Weights on all real rows.
    ImageGridDisplay : Several images beside their sources.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.displays import ContributorsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = GAMOSampler(neighborhood=None, random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X[:110], y[:110])
    >>> display = ContributorsDisplay.from_estimator(sampler, 110)
    >>> plt.show()
    """

    def __init__(
        self,
        row: int,
        *,
        rows: ArrayLike,
        weights: ArrayLike,
        pictures: ArrayLike | None = None,
        n_others: int = 0,
    ) -> None:
        self.row = row
        self.rows = rows
        self.weights = weights
        self.pictures = pictures
        self.n_others = n_others

    def plot(self, ax: Any = None) -> Self:
        """Draw a bar for each source.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ContributorsDisplay
            With `ax_`, `figure_`, `bars_` and `picture_axes_`.
        """
        rows, weights = np.asarray(self.rows), np.asarray(self.weights)
        names = [f"row {row}" for row in rows]
        if self.n_others:
            names.append(f"{self.n_others} others")
            weights = np.append(weights, 1 - weights.sum())
        n = len(names)
        ax = own_axes(self, ax, (5.2, 1.3 + 0.34 * n * (1.5 if self._shows() else 1)))
        colors = np.where(np.arange(n) < len(rows), COLORS[0], PALE)
        self.bars_ = ax.barh(np.arange(n), weights, height=0.6, color=colors)
        ax.bar_label(self.bars_, fmt="%.2g", padding=3, fontsize="small")
        room = ROOM if self._shows() else 1.15
        ax.set(xlabel="weight", xlim=(0, room * weights.max()), ylim=(n - 0.4, -0.6))
        ax.set_xticks([tick for tick in ax.get_xticks() if tick <= weights.max()])
        ax.set_yticks(np.arange(n), labels=names)
        ax.set_title(f"What row {self.row} was made of", fontsize="medium")
        self.picture_axes_ = self._draw_pictures(ax) if self._shows() else []
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        row: int,
        *,
        images: Data | None = None,
        image_shape: ImageShape = None,
        n_sources: int = 10,
        ax: Any = None,
    ) -> Self:
        """Show the sources of a row of the resampled output.

        Parameters
        ----------
        estimator : GAMOSampler or GAMO2Pix
            One whose `fit_resample` has been called, with a convex generator.
        row : int
            Its position in the output of `fit_resample`.
        images : images or array-like of shape (n_resampled, n_features), default=None
            That output, where it is images.
        image_shape : tuple of 3 int, default=None
            (channels, height, width), for flat images that the estimator was not told
            the shape of.
        n_sources : int, default=10
            How many sources to show, at least 1. The weights of others are summed up.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : ContributorsDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If there is no such row, or if `images` are none.
        """
        check_scalar(n_sources, "n_sources", int, min_val=1)
        check_has(estimator, "explain", cls)
        rows, weights = estimator._sources_of(row)
        shown = rows[:n_sources]
        pictures = None
        if images is not None:
            shape = image_shape or getattr(estimator, "_image_shape", None)
            pictures, _ = as_pictures(np.asarray(images)[[row, *shown]], shape)
        display = cls(
            row,
            rows=shown,
            weights=weights[:n_sources],
            pictures=pictures,
            n_others=len(rows) - len(shown),
        )
        return display.plot(ax)

    def _shows(self):
        return self.pictures is not None

    def _draw_pictures(self, ax):
        """The sources behind their bars, and the row itself behind them all."""
        own, *sources = self.pictures
        places = [(0.64, i - 0.45, 0.14, 0.9) for i in range(len(sources))]
        in_rows = ax.get_yaxis_transform()  # x of the axes, y of the bars
        found = [ax.inset_axes(place, transform=in_rows) for place in places]
        found.append(ax.inset_axes((0.8, 0.2, 0.19, 0.55)))
        for inset, picture in zip(found, [*sources, own], strict=True):
            inset.imshow(picture, cmap="gray", vmin=0, vmax=1)
            bare(inset)
        found[-1].set_title(f"row {self.row}", fontsize="medium")
        return found
