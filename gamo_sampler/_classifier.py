"""GAMOClassifier: the classifier M that comes out of the game."""

import numpy as np
from imblearn.utils import check_target_type
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._base import BaseGAMO, rows_to_generate
from ._images import as_rows


class GAMOClassifier(ClassifierMixin, BaseGAMO):
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        X, image_shape = as_rows(X, self.image_shape)
        X, y = validate_data(self, X, y, ensure_min_samples=2)
        check_classification_targets(y)
        check_target_type(y)
        several = len(np.unique(y)) > 1
        targets = rows_to_generate(self.sampling_strategy, y) if several else {}
        self._fit_game(X, y, targets, image_shape)
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        return self._probabilities(self._check_rows(X))

    def predict(self, X):
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]
