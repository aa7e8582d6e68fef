"""What samplers of new rows share: dense rows in, rows of the caller's types out."""

from abc import abstractmethod

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler

from ._frames import check_columns, fill, is_frame, template
from ._images import as_rows, check_image_shape
from ._strategy import rows_to_generate
from ._typing import Data, ImageShape, Labels, Strategy


class NewRowsSampler(BaseOverSampler):
    """An over-sampler that makes new rows, of which integer columns are rounded.

    Rows may be images, given as such or, with `image_shape`, flat.
    """

    _parameter_constraints: dict = {
        **BaseOverSampler._parameter_constraints,
        "image_shape": ["array-like", None],
    }

    def __init__(
        self, *, sampling_strategy: Strategy = "auto", image_shape: ImageShape = None
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.image_shape = image_shape

    def fit_resample(self, X: Data, y: Labels) -> tuple[Data, Labels]:
        """Append new rows of the classes that `sampling_strategy` names.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            Rows, or an array of shape (n_samples, height, width),
            (n_samples, channels, height, width) or
            (n_samples, height, width, channels).
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X_resampled : same type and layout as X
            The rows of X, untouched and in order, then the new ones by class.
        y_resampled : same type as y
            Their labels. A one-hot y of two classes comes back as imbalanced-learn's
            samplers give it, as one column.
        """
        rows, y_resampled = super().fit_resample(X, y)
        return self._laid_out(rows), y_resampled

    def _laid_out(self, rows):
        """Flat rows in the layout in which X came."""
        if self._layout is None:
            return rows
        images = rows.reshape(-1, *self._image_shape)
        if len(self._layout) == 3 and self._layout != self._image_shape:
            images = np.moveaxis(images, 1, -1)
        return images.reshape(-1, *self._layout)

    def _known_shape(self):
        """(channels, height, width) that images have, None to take it from them."""
        return self.image_shape

    @abstractmethod
    def _new_rows(self, X, y, labels):
        """Make one row per label.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows.
        y : ndarray of shape (n_samples,)
            Their class indices.
        labels : ndarray of shape (n_new,)
            Class indices to make rows of, ascending.

        Returns
        -------
        rows : ndarray of shape (n_new, n_features)
            The new rows, in the units of X.
        """

    def _fit_resample(self, X, y):
        classes, indices = np.unique(y, return_inverse=True)
        counts = [self.sampling_strategy_.get(label, 0) for label in classes]
        if not any(counts):
            return X.copy(), y.copy()
        labels = np.repeat(np.arange(len(classes)), counts)
        rows = fill(self._template, self._new_rows(X, indices, labels))
        X = np.concatenate([X, np.asarray(rows, dtype=X.dtype)])
        return X, np.concatenate([y, classes[labels]])

    def _check_X_y(self, X, y, accept_sparse=False):
        check_columns(X)
        self._layout = X.shape[1:] if getattr(X, "ndim", 2) > 2 else None
        X, image_shape = as_rows(X, self._known_shape())
        rows, y, one_vs_all = super()._check_X_y(X, y, accept_sparse)
        # The base class's own check, still to come, lets fractions of rows through.
        rows_to_generate(self.sampling_strategy, y)
        self._image_shape = check_image_shape(image_shape, rows.shape[1])
        # The base class casts to the types of a frame, but it truncates.
        self._template = template(X if is_frame(X) else rows)
        return rows, y, one_vs_all

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags
