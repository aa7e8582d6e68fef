"""What the samplers share: dense rows in, rows of the caller's types out."""

from abc import abstractmethod

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler

from .._frames import check_columns, fill, template


class NewRowsSampler(BaseOverSampler):
    """An over-sampler that makes new rows, of which integer columns are rounded."""

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
        rows, y, one_vs_all = super()._check_X_y(X, y, accept_sparse)
        # The base class casts to the types of a frame, but it truncates.
        self._template = template(X if hasattr(X, "columns") else rows)
        return rows, y, one_vs_all

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags
