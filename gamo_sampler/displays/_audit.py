"""AuditDisplay: how near generated rows are to copies, by class."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from .._audit import COPY_WEIGHT
from ._figures import COLORS, DARK, check_has, name_of, own_panels

# The x axis's label by measure.
PANELS = {
    "near_copies": f"share of near copies\n(a weight above {COPY_WEIGHT:g})",
    "largest_weight": "mean largest weight",
    "effective_sources": "effective sources of a row\n(1: a copy)",
    "distance_ratio": "distance to the nearest real row\n(1: as between real rows)",
}
SHARES = ("near_copies", "largest_weight")
COPY = {"near_copies": 1, "largest_weight": 1, "effective_sources": 1}
AS_REAL = {"distance_ratio": 1}


class AuditDisplay:
    """How near the generated rows of each class are to copies of real ones.

    Use `from_estimator` or `from_audit` to make one.

    Parameters
    ----------
    audit : dict
        What :meth:`gamo_sampler.GAMOSampler.audit` returned.

    Attributes
    ----------
    axes_ : ndarray of 4 matplotlib Axes
        Share of near copies, mean largest weight, effective number of sources, and
        distance to the nearest real row, with a bar for each generated class. Dotted
        lines are where copies would be, a dashed one where real rows are.
    figure_ : matplotlib Figure
        The figure that they are in.
    bars_ : list of matplotlib BarContainer
        Those of each panel.

    See Also
    --------
    SourceWeightsDisplay : Which real rows the generated ones are made of.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.displays import AuditDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = GAMOSampler(random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X[:110], y[:110])
    >>> display = AuditDisplay.from_estimator(sampler)
    >>> plt.show()
    """

    def __init__(self, audit: Mapping[Any, Mapping[str, Any]]) -> None:
        self.audit = audit

    def plot(self, ax: Any = None) -> Self:
        """Draw the four panels side by side.

        Parameters
        ----------
        ax : array-like of 4 matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : AuditDisplay
            With `axes_`, `figure_` and `bars_`.

        Raises
        ------
        ValueError
            If no class was generated.
        """
        if not self.audit:
            raise ValueError("There is nothing to show: no class was generated.")
        n = len(self.audit)
        axes = own_panels(self, ax, len(PANELS), (2.9, 1.4 + 0.34 * n))
        self.bars_ = [
            self._draw(own, name) for own, name in zip(axes, PANELS, strict=True)
        ]
        for own in axes:
            own.set(yticks=range(n), yticklabels=[], ylim=(n - 0.4, -0.6))
            own.tick_params(axis="y", length=0)
        axes[0].set_yticklabels([_title(*item) for item in self.audit.items()])
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Audit a fitted sampler, and show the result.

        Parameters
        ----------
        estimator : GAMOSampler
            One whose `fit_resample` has been called.
        ax : array-like of 4 matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : AuditDisplay
            The plotted display.
        """
        check_has(estimator, "audit", cls)
        return cls.from_audit(estimator.audit(), ax=ax)

    @classmethod
    def from_audit(
        cls, audit: Mapping[Any, Mapping[str, Any]], *, ax: Any = None
    ) -> Self:
        """Show an audit.

        Parameters
        ----------
        audit : dict
            What :meth:`gamo_sampler.GAMOSampler.audit` returned.
        ax : array-like of 4 matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : AuditDisplay
            The plotted display.
        """
        return cls(audit).plot(ax)

    def _draw(self, ax, name):
        values = np.array([own[name] for own in self.audit.values()])
        known = np.where(np.isfinite(values), values, 0)
        bars = ax.barh(np.arange(len(values)), known, height=0.6, color=COLORS[0])
        for marks, style in ((COPY, ":"), (AS_REAL, "--")):
            if name in marks:
                ax.axvline(marks[name], color=DARK, linestyle=style, linewidth=1)
        for i, value in enumerate(values):
            ax.annotate(
                f"{value:.3g}",
                (known[i], i),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                fontsize="small",
                bbox={"facecolor": "w", "edgecolor": "none", "pad": 0.5},
            )
        reach = 1 if name in SHARES else max(known.max(), 1)
        ax.set(xlabel=PANELS[name], xlim=(0, 1.25 * reach))
        if name in SHARES:
            ax.set_xticks([0, 0.5, 1])
        return bars


def _title(label, own):
    return f"class {name_of(label)}\n{own['n_generated']} from {own['n_real']}"
