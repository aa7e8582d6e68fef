"""GAMOSampler: the generator G that comes out of the game, as an over-sampler."""

import warnings

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._base import BaseGAMO, rows_to_generate
from ._frames import container, extend, fill, template
from ._images import as_rows


class GAMOSampler(BaseGAMO, BaseOverSampler):
    _parameter_constraints: dict = {
        **BaseGAMO._parameter_constraints,
        "generator": [StrOptions({"convex", "unconstrained"}), callable],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        self._check_X_y(X, y)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_resample(self, X, y):
        rows, labels, image_shape = self._check_X_y(X, y)
        self._warn_of_sizes(labels)
        new_rows, new_labels = self._fit_resample(rows, labels, image_shape)
        if self.feature_extractor is None:
            X = container(X, rows)
        else:
            X = self._through(rows, self.feature_extractor_).numpy()
        y = container(y, np.asarray(y))
        self._templates = template(X), template(y)
        return extend(X, new_rows), extend(y, self._encode(new_labels))

    def sample(self, n, *, random_state=None):
        rows, labels = super().sample(n, random_state=random_state)
        X, y = self._templates
        return fill(X, rows), fill(y, self._encode(labels))

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        if self.feature_extractor is None:
            return super().get_feature_names_out(input_features)
        names = [f"gamosampler{i}" for i in range(self._pool.shape[1])]
        return np.array(names, dtype=object)

    def _fit_resample(self, X, y, image_shape=None):
        """Train on checked arrays; the rows to append, and their labels."""
        targets = {label: n for label, n in self.sampling_strategy_.items() if n}
        self._pool = None
        if targets or self.feature_extractor is not None:
            self._fit_game(X, y, targets, image_shape)
        if not targets:
            return np.empty((0, X.shape[1])), y[:0]
        return super().sample(targets)

    def _check_X_y(self, X, y):
        """Rows, labels and the shape of an image; sets `sampling_strategy_`."""
        check_classification_targets(y)
        y, _ = check_target_type(y, indicate_one_vs_all=True)
        image_shape = self.image_shape
        if self.feature_extractor is not None:
            X, image_shape = as_rows(X, image_shape)
        X, y = validate_data(self, X, y)
        self.sampling_strategy_ = rows_to_generate(self.sampling_strategy, y)
        return X, y, image_shape

    def _encode(self, labels):
        """Labels in the shape of the caller's y: one-hot where it was one-vs-all."""
        shape = np.shape(self._templates[1])
        if len(shape) == 1:
            return labels
        if shape[1] == 1:
            return labels[:, None]
        return np.eye(shape[1], dtype=int)[labels]

    def _warn_of_sizes(self, y):
        if not any(self.sampling_strategy_.values()):
            warnings.warn(
                "No class is below the size that sampling_strategy="
                f"{self.sampling_strategy!r} asks for: nothing is generated.",
                stacklevel=2,
            )
        for label, n in self.sampling_strategy_.items():
            if n and np.count_nonzero(y == label) == 1:
                warnings.warn(
                    f"Class {label!r} has one row: its {n} generated rows are copies.",
                    stacklevel=2,
                )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags
