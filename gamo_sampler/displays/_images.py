"""ImageGridDisplay: generated images beside the real ones that they were made of."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._base import BaseGAMO
from .._frames import n_rows
from .._provenance import ProvenanceMixin
from .._typing import Data, ImageShape, Seed, Wanted
from ._figures import as_pictures, bare, name_of, own_axes

ACROSS, DOWN = 1.0, 1.28  # an image, and room for the weight below it


class ImageGridDisplay:
    """Generated images, each beside the real ones that it was made of.

    Use `from_estimator` to make one. A line is a generated image, then its sources, the
    main one first, with their weights below.

    Parameters
    ----------
    generated : array-like of shape (n, height, width) or (n, height, width, channels)
        Generated images, from 0 to 1.
    labels : array-like of shape (n,)
        Their labels.
    sources : sequence of n array-like
        The sources of each image, in the same layout.
    rows : sequence of n array-like
        The positions of these sources.
    weights : sequence of n array-like
        Their weights.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with all images.
    figure_ : matplotlib Figure
        The figure that they are in.
    images_ : list of list of matplotlib AxesImage
        For each line the generated image, then its sources.

    See Also
    --------
    ContributorsDisplay : All sources of one image.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from gamo_sampler import GAMOSampler
    >>> from gamo_sampler.displays import ImageGridDisplay
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> X, y = X[:300], y[:300] * (y[:300].cumsum() < 20)
    >>> sampler = GAMOSampler(image_shape=(1, 8, 8), random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> display = ImageGridDisplay.from_estimator(sampler, X, n=4, random_state=0)
    >>> plt.show()
    """

    def __init__(
        self,
        generated: ArrayLike,
        *,
        labels: ArrayLike,
        sources: Sequence[Any],
        rows: Sequence[Any],
        weights: Sequence[Any],
    ) -> None:
        self.generated = generated
        self.labels = labels
        self.sources = sources
        self.rows = rows
        self.weights = weights

    def plot(self, ax: Any = None) -> Self:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw. None makes a new figure.

        Returns
        -------
        display : ImageGridDisplay
            With `ax_`, `figure_` and `images_`.
        """
        generated = np.asarray(self.generated)
        n_lines, n_sources = len(generated), max(map(len, self.rows))
        ax = own_axes(self, ax, (1.2 + 0.85 * (n_sources + 1), 0.5 + 1.05 * n_lines))
        self.images_ = [self._draw_line(ax, i) for i in range(n_lines)]
        width, height = 1.2 + ACROSS * n_sources, DOWN * n_lines
        ax.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
        bare(ax)
        ax.set_yticks(
            DOWN * np.arange(n_lines) + 0.5,
            labels=[f"class {name_of(label)}" for label in np.asarray(self.labels)],
        )
        ax.set_xticks(
            [0.5, 1.2 + ACROSS * n_sources / 2], labels=["generated", "made of"]
        )
        ax.tick_params(
            length=0, top=True, labeltop=True, bottom=False, labelbottom=False
        )
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Data,
        *,
        n: Wanted | None = None,
        n_sources: int = 4,
        image_shape: ImageShape = None,
        random_state: Seed = 0,
        ax: Any = None,
    ) -> Self:
        """Generate images with a fitted estimator, and show them beside their sources.

        Parameters
        ----------
        estimator : GAMO2Pix, GAMOSampler or GAMOClassifier
            A fitted one, with a convex generator and without a `feature_extractor`:
            what it generates has to be images.
        X : images or array-like of shape (n_samples, n_features)
            The real images, as in `fit`.
        n : int or dict, default=None
            How many images to generate, as in `sample`. None is one of each class that
            is generated.
        n_sources : int, default=4
            How many sources to show of each image at most, at least 1.
        image_shape : tuple of 3 int, default=None
            (channels, height, width), for flat images that the estimator was not told
            the shape of.
        random_state : int, RandomState instance or None, default=0
            As in `sample`. With an int the estimator's own random state stays where it
            was, and the picture can be had again.
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        display : ImageGridDisplay
            The plotted display.

        Raises
        ------
        ValueError
            If the estimator generates no images, or not by weights.
        """
        check_is_fitted(estimator)
        check_scalar(n_sources, "n_sources", int, min_val=1)
        made, labels, weights = _sampled(estimator, n, random_state)
        if n_rows(X) != weights.shape[1]:
            raise ValueError(
                f"X must be the {weights.shape[1]} images that the estimator was "
                f"fitted to, got {n_rows(X)}."
            )
        shape = image_shape or estimator._image_shape
        sources = [_greatest(weights[[i]], n_sources) for i in range(len(labels))]
        rows, weights = zip(*sources, strict=True)
        real, limits = as_pictures(X, shape)
        display = cls(
            as_pictures(made, shape, limits)[0],
            labels=labels,
            sources=[real[own] for own in rows],
            rows=rows,
            weights=weights,
        )
        return display.plot(ax)

    def _draw_line(self, ax, i):
        top = DOWN * i
        images = [_draw(ax, np.asarray(self.generated)[i], 0, top)]
        parts = zip(self.sources[i], self.rows[i], self.weights[i], strict=True)
        for j, (picture, row, weight) in enumerate(parts):
            left = 1.2 + ACROSS * j
            images.append(_draw(ax, picture, left, top))
            ax.text(
                left + 0.46,
                top + 1.0,
                f"{row}: {weight:.2f}",
                ha="center",
                va="top",
                fontsize="small",
            )
        return images


def _draw(ax, picture, left, top):
    extent = (left, left + 0.92, top + 0.96, top + 0.04)
    return ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent)


def _sampled(estimator, n, random_state):
    """Generated images, their labels, and their weights on the rows of X."""
    if getattr(estimator, "feature_extractor", None) is not None:
        raise ValueError(
            "With a feature_extractor, features are generated and no images; "
            "GAMO2Pix turns them into images."
        )
    n = _one_of_each(estimator) if n is None else n
    if isinstance(estimator, ProvenanceMixin):
        return estimator.sample(n, random_state=random_state, return_weights=True)
    counts, random_state = estimator._order(n, random_state)
    rows, weights = estimator._generate_with_weights(counts, random_state)
    if weights is None:
        raise ValueError(
            "Only generator='convex' makes images of real ones, got "
            f"generator={estimator.generator!r}."
        )
    return rows, np.repeat(estimator._generated_classes(), counts), weights


def _one_of_each(estimator):
    game = estimator if isinstance(estimator, BaseGAMO) else estimator.classifier_
    if game._pool is None:
        raise ValueError("There is nothing to show: no class was generated.")
    return dict.fromkeys(game._generated_classes(), 1)


def _greatest(weights, n):
    """Positions of the n greatest of the weights (1, n_samples), and those."""
    order = np.argsort(-weights.data, kind="stable")[:n]
    return weights.indices[order], weights.data[order]
