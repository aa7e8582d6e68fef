"""GeneratedRowsDisplay: generated rows among real ones, and what a classifier says."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._frames import n_rows, part
from .._typing import Data, Labels, Seed, Wanted
from ._figures import DARK, colors_of, label_axes, name_of, named, own_axes, tell_hidden
from ._plane import grid, laid_out_like, plane_of


class GeneratedRowsDisplay:
    """Generated rows among the real ones, in two columns or two principal components.

    Use `from_estimator` or `from_resampled` to make one. Colours are classes; real rows
    are dots, generated ones crosses. Where there is a classifier, the plane has the
    colour of what it predicts there. In principal components these are predictions for
    rows of the plane itself: rows beside it may be predicted otherwise.

    Parameters
    ----------
    real : tuple of 2 ndarray
        Coordinates of the real rows, of shape (n_real,) each.
    y_real : array-like of shape (n_real,)
        Their labels.
    generated : tuple of 2 ndarray
        Coordinates of the generated rows, of shape (n_generated,) each.
    y_generated : array-like of shape (n_generated,)
        Their labels.
    xlabel, ylabel : str
        Labels of the axes.
    regions : tuple of 3 ndarray, default=None
        Coordinates along both axes, of shape (m,) each, and the labels predicted there,
        of shape (m, m), a line for each of the second ones. None draws no regions.
    levels : sequence of 2 array-like, default=(None, None)
        The categories along each axis, at 0, 1 and so on; None where it has numbers.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the rows.
    figure_ : matplotlib Figure
        The figure that they are in.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    real_, generated_ : list of matplotlib PathCollection
        Rows by class; of generated ones those that there are.
    surface_ : matplotlib QuadMesh or None
        The regions.

    See Also
    --------
    SourceWeightsDisplay : Which real rows the generated ones are made of.
    sklearn.inspection.DecisionBoundaryDisplay : The regions alone.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOClassifier
    >>> from gamo_sampler.displays import GeneratedRowsDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> classifier = GAMOClassifier(random_state=0).fit(X, y)
    >>> display = GeneratedRowsDisplay.from_estimator(
    ...     classifier, X, y, n={2: 40}, random_state=0
    ... )
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        real: Sequence[Any],
        y_real: ArrayLike,
        generated: Sequence[Any],
        y_generated: ArrayLike,
        xlabel: str,
        ylabel: str,
        regions: Sequence[Any] | None = None,
        levels: Sequence[Any] = (None, None),
    ) -> None:
        self.real = real
        self.y_real = y_real
        self.generated = generated
        self.y_generated = y_generated
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.regions = regions
        self.levels = levels

    def plot(
        self,
        ax: Any = None,
        *,
        real_kw: Mapping[str, Any] | None = None,
        generated_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the rows, and the regions behind them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.
        real_kw, generated_kw : dict, default=None
            For matplotlib's `scatter`, in place of what is set here.

        Returns
        -------
        display : GeneratedRowsDisplay
            With `ax_`, `figure_`, `classes_`, `real_`, `generated_` and `surface_`.
        """
        ax = own_axes(self, ax)
        y_real, y_generated = np.asarray(self.y_real), np.asarray(self.y_generated)
        predicted = [] if self.regions is None else [np.ravel(self.regions[2])]
        labels = [np.unique(y) for y in (y_real, y_generated, *predicted) if len(y)]
        self.classes_ = np.unique(np.concatenate(labels))
        colors = dict(zip(self.classes_, colors_of(len(self.classes_)), strict=True))
        self.surface_ = self._draw_regions(ax, [*colors.values()])
        style = {"s": 20, "edgecolor": "w", "linewidth": 0.4} | _by_one_name(real_kw)
        self.real_ = _scatter(ax, self.real, y_real, colors, style)
        style = {"s": 26, "marker": "x", "linewidth": 1, "zorder": 1.5}
        style |= _by_one_name(generated_kw)
        self.generated_ = _scatter(ax, self.generated, y_generated, colors, style)
        self._raise_own(**dict(real_kw or {}))
        self._label(ax, colors)
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        y: Labels,
        *,
        n: Wanted = 200,
        columns: Sequence[Any] | None = None,
        classifier: Any = None,
        grid_resolution: int = 100,
        random_state: Seed = 0,
        ax: Any = None,
        real_kw: Mapping[str, Any] | None = None,
        generated_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Generate rows with a fitted estimator, and show them among those of X.

        Parameters
        ----------
        estimator : GAMOClassifier, GAMOSampler or GAMO2Pix
            A fitted one. With a `feature_extractor` all is in F's space.
        X : array-like of shape (n_samples, n_features) or images
            Real rows, as in `fit`.
        y : array-like of shape (n_samples,)
            Their labels.
        n : int or dict, default=200
            How many rows to generate, as in `sample`; 0 shows the real ones alone.
        columns : sequence of 2, default=None
            Names or positions of the columns to show, of numbers, dates or categories.
            None shows a table of two columns as it is, and else the first two
            principal components of the columns of numbers, standardised where X is not
            images, and learned from X.
        classifier : classifier, default=None
            A fitted one, for the regions. None takes the estimator where it predicts
            rows of the space shown. There are regions of tables with two columns, and
            of principal components where all columns are numbers.
        grid_resolution : int, default=100
            Number of points along each axis at which predictions are made.
        random_state : int, RandomState instance or None, default=0
            As in `sample`. With an int the estimator's own random state stays where it
            was, and the picture can be had again.
        ax : matplotlib Axes, default=None
            As in `plot`.
        real_kw, generated_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : GeneratedRowsDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If there is no such column, if principal components are asked of rows with
            missing values, or regions where the plane does not tell a whole row or of
            a classifier that does not know the labels.
        """
        check_is_fitted(estimator)
        check_consistent_length(X, y)
        in_features = getattr(estimator, "feature_extractor", None) is not None
        if in_features:
            X = estimator.extract_features(X)
        plane = plane_of(X, columns)
        if hasattr(estimator, "predict") and plane.spans and not in_features:
            classifier = classifier or estimator
        made, labels = part(X, slice(0)), part(y, slice(0))
        if n != 0:
            made, labels = estimator.sample(n, random_state=random_state)
            shape = getattr(estimator, "_image_shape", None)
            made = laid_out_like(X, made, shape)
        rows = X, y, made, labels
        return cls._of_rows(rows, plane, classifier, grid_resolution).plot(
            ax, real_kw=real_kw, generated_kw=generated_kw
        )

    @classmethod
    def from_resampled(
        cls,
        X_resampled: Data,
        y_resampled: Labels,
        n_real: int,
        *,
        columns: Sequence[Any] | None = None,
        classifier: Any = None,
        grid_resolution: int = 100,
        ax: Any = None,
        real_kw: Mapping[str, Any] | None = None,
        generated_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Show what any over-sampler returned that appends rows to those it is given.

        Parameters
        ----------
        X_resampled : array-like of shape (n_resampled, n_features) or images
            The real rows, then the generated ones.
        y_resampled : array-like of shape (n_resampled,)
            Their labels.
        n_real : int
            Number of real rows.
        columns : sequence of 2, default=None
            As in `from_estimator`.
        classifier : classifier, default=None
            A fitted one, for the regions. None draws none.
        grid_resolution : int, default=100
            As in `from_estimator`.
        ax : matplotlib Axes, default=None
            As in `plot`.
        real_kw, generated_kw : dict, default=None
            As in `plot`.

        Returns
        -------
        display : GeneratedRowsDisplay
            The plotted display.

        Raises
        ------
        ValueError
            As in `from_estimator`, or if `n_real` is not from 1 to the number of rows.
        """
        n = n_rows(X_resampled)
        if not 1 <= n_real <= n:
            raise ValueError(
                f"n_real must be from 1 to {n}, the number of rows, got {n_real}."
            )
        own, new = slice(n_real), slice(n_real, None)
        rows = [part(of, at) for at in (own, new) for of in (X_resampled, y_resampled)]
        plane = plane_of(rows[0], columns)
        return cls._of_rows(rows, plane, classifier, grid_resolution).plot(
            ax, real_kw=real_kw, generated_kw=generated_kw
        )

    @classmethod
    def _of_rows(cls, rows, plane, classifier, grid_resolution):
        """The display of (X, y, X_generated, y_generated) in a plane."""
        X, y, made, labels = rows
        real = plane.points(X)
        generated = plane.points(made) if n_rows(made) else (np.empty(0),) * 2
        regions = None
        if classifier is not None:
            regions = _regions(classifier, y, plane, (real, generated), grid_resolution)
        return cls(
            real=real,
            y_real=column_or_1d(y),
            generated=generated,
            y_generated=column_or_1d(labels),
            xlabel=plane.labels[0],
            ylabel=plane.labels[1],
            regions=regions,
            levels=plane.levels,
        )

    def _raise_own(self, zorder=None, **_):
        """Real rows lie over generated ones of their class, under those of others."""
        generated = {artist.get_label() for artist in self.generated_}
        for artist in self.real_:
            above = artist.get_label() in generated
            artist.set_zorder((2 if above else 1) if zorder is None else zorder)

    def _draw_regions(self, ax, colors):
        if self.regions is None:
            return None
        from matplotlib.colors import ListedColormap

        *along, labels = self.regions
        return ax.pcolormesh(
            *along,
            np.searchsorted(self.classes_, labels),
            cmap=ListedColormap(colors),
            vmin=-0.5,
            vmax=len(colors) - 0.5,
            alpha=0.2,
            linewidth=0,
            rasterized=True,
            zorder=-1,
        )

    def _label(self, ax, colors):
        from matplotlib.lines import Line2D

        label_axes(ax, self.xlabel, self.ylabel, self.levels)
        tell_hidden(ax, self.real, self.generated)
        marks = [("real", ".", DARK), ("generated", "x", DARK)]
        items = [*colors.items()]
        shown = [items[i] for i in named(len(items))]
        marks += [(label, "s", color) for label, color in shown]
        handles = [
            Line2D(
                [], [], linestyle="", marker=marker, color=color, label=name_of(label)
            )
            for label, marker, color in marks
        ]
        ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )


def _by_one_name(given):
    """A user's keywords, which in matplotlib have several names."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.collections import PathCollection

    given = normalize_kwargs(dict(given or {}), PathCollection)
    return given | ({"color": None} if "c" in given else {})


def _scatter(ax, points, y, colors, style):
    """The rows of each class that has any, the most frequent one at the bottom."""
    labels, counts = np.unique(y, return_counts=True)
    return [
        ax.scatter(
            *(along[y == label] for along in points),
            **{"color": [colors[label]], "label": str(label)} | style,
        )
        for label in labels[np.argsort(-counts, kind="stable")]
    ]


def _regions(classifier, y, plane, points, n):
    """Coordinates along both axes, and the labels that are predicted there."""
    known = np.asarray(classifier.classes_).tolist()
    unknown = sorted(set(np.unique(y).tolist()) - set(known))
    if unknown:
        raise ValueError(f"The classifier knows {known}, but y has {unknown}.")
    if not plane.spans:
        raise ValueError(
            "There are regions only where the plane tells all columns of a row: in a "
            "table of two columns of numbers, or in principal components of a table of "
            "numbers. Leave out classifier or columns."
        )
    x, y = grid(*points, n=n)
    at = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return x, y, np.asarray(classifier.predict(plane.rows(at))).reshape(n, n)
