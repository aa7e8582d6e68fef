"""AugmentationSampler: minority images shifted, turned and mirrored."""

from collections import Counter
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.ndimage import affine_transform
from sklearn.base import clone
from sklearn.utils._param_validation import HasMethods, Interval

from .._oversampler import NewRowsSampler
from .._torch import private_random_state
from .._typing import ImageShape, Seed, Strategy


class AugmentationSampler(NewRowsSampler):
    """Over-sample images by small random movements of those of the same class.

    A new image is a random image of its class, or one that another over-sampler has
    made, turned about its middle, shifted, and mirrored or not. What comes in over an
    edge is the nearest pixel. Of random images it is the paper's Augment, as an
    over-sampler.

    Parameters
    ----------
    sampler : object, default=None
        Over-sampler whose new images are moved, such as
        :class:`~gamo_sampler.GAMO2Pix`, or imbalanced-learn's SMOTE. It has to keep the
        rows that it is given, flat ones of floats, and to append as many as asked for,
        which Borderline-SMOTE, for one, does not always. A clone is fitted, with the
        `sampling_strategy` from here, and a `random_state` that follows from the one
        here and the `image_shape`, where it has such parameters. A game that is fitted
        already comes in a :class:`sklearn.frozen.FrozenEstimator`. None moves random
        images of the class.
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for rows that are images. None takes the shape
        from images given as such, or that of `sampler`; other rows are then lines,
        images one pixel high.
    max_shift : int, default=2
        Greatest shift in each direction, in pixels. All whole numbers up to it
        are equally likely.
    max_angle : float, default=10.0
        Greatest rotation either way, in degrees, uniform up to it, with bilinear
        interpolation.
    horizontal_flip : bool, default=False
        Whether to mirror half of the new images, left to right.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes are over-sampled, and to which size, as in imbalanced-learn.
    random_state : int, RandomState instance or None, default=None
        Seeds all draws. None takes a fresh seed each time, and leaves numpy's
        global random state alone.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of images that were made, per label.
    n_features_in_ : int
        Number of values of an image.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.
    sampler_ : object
        The fitted clone of `sampler`, where there is one.

    See Also
    --------
    gamo_sampler.GAMO2Pix : New images by the game.
    CGANSampler : New images by a conditional GAN.

    Notes
    -----
    Integer images keep their type, rounded to the nearest integer. An image's
    values never leave the range that they had.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from gamo_sampler.baselines import AugmentationSampler
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> X, y = X[:60].reshape(-1, 8, 8), y[:60] * (y[:60].cumsum() < 9)
    >>> sampler = AugmentationSampler(max_shift=1, random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> X_resampled.shape
    (104, 8, 8)

    Images that the game generates, moved:

    >>> from gamo_sampler import GAMO2Pix
    >>> sampler.set_params(sampler=GAMO2Pix(max_rounds=200)).fit_resample(X, y)[0].shape
    (104, 8, 8)
    """

    _parameter_constraints: dict = {
        **NewRowsSampler._parameter_constraints,
        "sampler": [HasMethods(["fit_resample", "get_params"]), None],
        "max_shift": [Interval(Integral, 0, None, closed="left")],
        "max_angle": [Interval(Real, 0, 180, closed="both")],
        "horizontal_flip": ["boolean"],
    }

    def __init__(
        self,
        sampler: Any = None,
        *,
        image_shape: ImageShape = None,
        max_shift: int = 2,
        max_angle: float = 10.0,
        horizontal_flip: bool = False,
        sampling_strategy: Strategy = "auto",
        random_state: Seed = None,
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy, image_shape=image_shape)
        self.sampler = sampler
        self.max_shift = max_shift
        self.max_angle = max_angle
        self.horizontal_flip = horizontal_flip
        self.random_state = random_state

    def _known_shape(self):
        if self.image_shape is not None or self.sampler is None:
            return self.image_shape
        if isinstance(self.sampler, NewRowsSampler):
            return self.sampler._known_shape()
        return getattr(self.sampler, "image_shape", None)

    def _fit_resample(self, X, y):
        vars(self).pop("sampler_", None)  # that of an earlier fit
        self._classes = np.unique(y)
        return super()._fit_resample(X, y)

    def _new_rows(self, X, y, labels):
        image_shape = self._image_shape or (1, 1, X.shape[1])
        random_state = private_random_state(self.random_state)
        if self.sampler is None:
            still = X[_random_members(y, labels, random_state)]
        else:
            still = self._sampled(X, y, labels, random_state)
        n = len(labels)
        limit = self.max_shift
        shifts = random_state.randint(-limit, limit + 1, size=(n, 2))
        angles = np.radians(random_state.uniform(-1, 1, n) * self.max_angle)
        mirrored = self.horizontal_flip & (random_state.uniform(size=n) < 0.5)
        rows = np.empty((n, X.shape[1]), np.result_type(X.dtype, np.float32))
        moves = zip(still, shifts, angles, mirrored, strict=True)
        for row, (image, *move) in zip(rows, moves, strict=True):
            image = image.astype(row.dtype).reshape(image_shape)
            row[:] = _moved(image, *move).ravel()
        return rows

    def _sampled(self, X, y, labels, random_state):
        """A row per label, made by a clone of the sampler."""
        y, labels = self._classes[y], self._classes[labels]
        sizes, wanted = Counter(y.tolist()), Counter(labels.tolist())
        own = {
            "random_state": random_state.randint(2**31 - 1),
            "image_shape": self._image_shape,
        }
        sampler = clone(self.sampler)
        taken = sampler.get_params(deep=False)
        sampler.set_params(
            sampling_strategy={i: sizes[i] + n for i, n in wanted.items()},
            **{name: value for name, value in own.items() if name in taken},
        )
        # Floats, because SMOTE's differences of bytes wrap around.
        X = X.astype(np.result_type(X.dtype, np.float32), copy=False)
        rows, made = map(np.asarray, sampler.fit_resample(X, y))
        kept, rows, made = rows[: len(X)], rows[len(X) :], made[len(X) :]
        name = type(sampler).__name__
        if not np.array_equal(kept, X):
            raise ValueError(
                f"sampler must keep the rows that it is given, {name} changes them."
            )
        order = made.argsort(kind="stable")
        if not np.array_equal(made[order], labels):
            raise ValueError(
                "sampler must append the rows that sampling_strategy asks for, "
                f"{dict(wanted)}, {name} appended {dict(Counter(made.tolist()))}."
            )
        self.sampler_ = sampler
        return rows[order]


def _random_members(y, labels, random_state):
    """Positions in y of a random row of each label's class."""
    by_class = zip(*np.unique(labels, return_counts=True), strict=True)
    draws = [random_state.choice(np.flatnonzero(y == i), n) for i, n in by_class]
    return np.concatenate(draws)


def _moved(image, shift, angle, mirrored):
    """`image` (channels, h, w) mirrored, turned about its middle, and shifted."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    if mirrored:
        turn[1] *= -1
    middle = (np.array(image.shape[1:]) - 1) / 2
    # A pixel at p comes from turn (p - shift - middle) + middle.
    offset = middle - turn @ (middle + shift)
    moved = [affine_transform(c, turn, offset, order=1, mode="nearest") for c in image]
    # A mean of pixels can pass the extremes by its last bit.
    return np.clip(moved, image.min(), image.max())
