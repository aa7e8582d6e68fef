"""TrainingHistoryDisplay: losses and health of a game by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ._figures import COLORS, check_has, colors_of, name_of, named, own_panels

M, G, D, F, OTHER = COLORS[0], COLORS[2], COLORS[1], COLORS[4], COLORS[3]
# What a line is called, its colour, which is the player's, and its style.
LINES = {
    "m_real": ("M, real rows", M, "-"),
    "m_generated": ("M, generated rows", M, "--"),
    "d_real": ("D, real rows", D, "-"),
    "d_generated": ("D, generated rows", D, "--"),
    "g_m": ("G at M", G, "-"),
    "g_d": ("G at D", G, "--"),
    "f": ("F", F, "-"),
    "reconstruction": ("reconstruction", M, "-"),
    "divergence": ("divergence", D, "--"),
    "d_accuracy_real": ("D right, real rows", D, "-"),
    "d_accuracy_generated": ("D right, generated rows", D, "--"),
    "coverage": ("coverage", G, "-"),
    "near_copies": ("near copies", G, ":"),
    "validation_gm": ("GM of rows held out", M, "-."),
    "validation_score": ("score", M, "-"),
    "effective_sources": ("effective sources", G, "-"),
    "distance_ratio": ("distance ratio", G, "-"),
    "m_grad_norm": ("M", M, "-"),
    "d_grad_norm": ("D", D, "--"),
    "g_grad_norm": ("G", G, "-."),
    "f_grad_norm": ("F", F, ":"),
}
# The y axis's label, and what is on it.
PANELS = {
    "losses": (
        "mean loss",
        (
            "m_real",
            "m_generated",
            "d_real",
            "d_generated",
            "g_m",
            "g_d",
            "f",
            "reconstruction",
            "divergence",
        ),
    ),
    "health": (
        "share",
        (
            "d_accuracy_real",
            "d_accuracy_generated",
            "coverage",
            "near_copies",
            "validation_gm",
        ),
    ),
    "recall": ("M's recall", ("recall",)),
    "validation": ("score of rows held out", ("validation_score",)),
    "sources": ("effective sources of a row", ("effective_sources",)),
    "distances": (
        "distance to the nearest real row\n(1: as between real rows)",
        ("distance_ratio",),
    ),
    "gradients": (
        "norm of the gradient",
        ("m_grad_norm", "d_grad_norm", "g_grad_norm", "f_grad_norm"),
    ),
}
DEFAULT = ("losses", "health", "recall")
FEW_EPOCHS = 20  # are marked, each of them


class TrainingHistoryDisplay:
    """Losses of the players, and how the game stood, by epoch.

    Use `from_estimator` to make one. See :class:`gamo_sampler.GAMOClassifier` for what
    is measured, and the page :doc:`/training` for what to do about it.

    Parameters
    ----------
    history : list of dict
        `history_` of an estimator.
    classes : array-like of shape (n_classes,), default=None
        Labels, in the order of the recalls. None numbers them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel each.
    figure_ : matplotlib Figure
        The figure that they are in.
    lines_ : dict of str to list of matplotlib Line2D
        Lines by panel.

    See Also
    --------
    AuditDisplay : Of generated rows, once the game is over.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOClassifier
    >>> from gamo_sampler.displays import TrainingHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = GAMOClassifier(max_iter=30, random_state=0).fit(X[:110], y[:110])
    >>> display = TrainingHistoryDisplay.from_estimator(classifier)
    >>> plt.show()
    """

    def __init__(
        self, history: Sequence[Mapping[str, Any]], *, classes: ArrayLike | None = None
    ) -> None:
        self.history = history
        self.classes = classes

    def plot(self, ax: Any = None, *, panels: Sequence[str] | None = None) -> Self:
        """Draw the panels side by side.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of them, default=None
            As many axes as there are panels. None makes a new figure.
        panels : sequence of str, default=None
            Of "losses", "health" (shares: D's accuracies, coverage, near copies and the
            validation's GM), "recall", "validation", "sources", "distances" and
            "gradients". None is the first three, as far as there are records of them.

        Returns
        -------
        display : TrainingHistoryDisplay
            With `axes_`, `figure_` and `lines_`.

        Raises
        ------
        ValueError
            If no epoch was played, or of a panel nothing was recorded.
        """
        panels = self._panels(panels)
        axes = own_panels(self, ax, len(panels), (3.9, 3.6))
        self.lines_ = {}
        for own, panel in zip(axes, panels, strict=True):
            draw = self._draw_recalls if panel == "recall" else self._draw_measures
            self.lines_[panel] = draw(own, panel)
            _label(own, panel)
        return self

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, panels: Sequence[str] | None = None, ax: Any = None
    ) -> Self:
        """Show the history of a fitted estimator.

        Parameters
        ----------
        estimator : GAMOClassifier, GAMOSampler or GAMO2Pix
            A fitted one. Of GAMO2Pix it is that of the decoders; its game is
            `classifier_`.
        panels : sequence of str, default=None
            As in `plot`.
        ax : matplotlib Axes or array-like of them, default=None
            As in `plot`.

        Returns
        -------
        display : TrainingHistoryDisplay
            The plotted display.
        """
        check_is_fitted(estimator)
        check_has(estimator, "history_", cls)
        display = cls(estimator.history_, classes=estimator.classes_)
        return display.plot(ax, panels=panels)

    def _panels(self, asked):
        if not self.history:
            raise ValueError("There is nothing to show: no epoch was played.")
        recorded = {name for record in self.history for name in record}
        found = [p for p, (_, names) in PANELS.items() if recorded & {*names}]
        if asked is None:
            return [panel for panel in DEFAULT if panel in found]
        wrong = [panel for panel in asked if panel not in found]
        if wrong or not len(asked):
            raise ValueError(f"panels must be some of {found}, got {list(asked)!r}.")
        return list(asked)

    def _draw_measures(self, ax, panel):
        lines = []
        for name in PANELS[panel][1]:
            label, color, style = LINES[name]
            for part in self._parts(name):
                style_of = {"color": color, "linestyle": style, "label": label}
                lines += ax.plot(*part, marker=_marker(part), **style_of)
                label = None  # one for all of GAMO2Pix's decoders
        return lines

    def _parts(self, name):
        """(epochs, values) of a measure, of each of GAMO2Pix's decoders."""
        parts = {}
        for record in self.history:
            if name in record:
                part = parts.setdefault(record.get("decoder"), ([], []))
                part[0].append(record["epoch"])
                part[1].append(record[name])
        return parts.values()

    def _draw_recalls(self, ax, panel):
        [(epochs, recalls)] = self._parts("recall")
        recalls = np.asarray(recalls, dtype=float)
        n = recalls.shape[1]
        classes = np.arange(n) if self.classes is None else self.classes
        lines = ax.plot(epochs, recalls, marker=_marker((epochs,)))
        for line, color, style in zip(
            lines, colors_of(n), np.resize(["-", "--", "-.", ":"], n), strict=True
        ):
            line.set(color=color, linestyle=style)
        for i in named(n):
            lines[i].set_label(name_of(classes[i]))
        return lines


def _marker(part):
    return "." if len(part[0]) <= FEW_EPOCHS else None


def _label(ax, panel):
    from matplotlib.ticker import MaxNLocator

    ax.set(xlabel="epoch", ylabel=PANELS[panel][0])
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if panel in ("health", "recall"):
        ax.set_ylim(-0.03, 1.03)
    if panel == "gradients":
        ax.set_yscale("log")
    if panel == "distances":
        ax.axhline(1, color=OTHER, linewidth=1, zorder=0)
    if panel == "sources":
        ax.set_ylim(bottom=1)
    if len(ax.get_legend_handles_labels()[0]) > 1:
        own = {"title": "class", "ncols": 3} if panel == "recall" else {"ncols": 2}
        # Above, where it covers no line.
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small", **own)
