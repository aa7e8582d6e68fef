"""The game inside another estimator: trained there, or taken as it is."""

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._classifier import GAMOClassifier

CONSTRAINTS = {
    "classifier": [GAMOClassifier, FrozenEstimator, None],
    "image_shape": ["array-like", None],
    "prefit": ["boolean"],
    "random_state": ["random_state"],
}


def comes_fitted(classifier, prefit):
    """Whether `fit` is to train nothing."""
    return prefit or isinstance(classifier, FrozenEstimator)


def fitted_game(classifier, prefit, X, y, **own):
    """The game fitted to X and y, or as it is where it comes fitted.

    `own` are the outer estimator's parameters that the game is to have, where they
    are not None.
    """
    own = {name: value for name, value in own.items() if value is not None}
    if comes_fitted(classifier, prefit):
        return _as_it_is(classifier, X, own)
    if classifier is None:
        classifier = GAMOClassifier(feature_extractor="conv")
    _check_has_features(classifier)
    return clone(classifier).set_params(**own).fit(X, y)


def _as_it_is(classifier, X, own):
    if classifier is None or "random_state" in own:
        raise ValueError(
            "prefit=True and a FrozenEstimator take a fitted classifier as it is, "
            f"got classifier={classifier} and {own}."
        )
    check_is_fitted(classifier)
    _check_has_features(classifier)
    image_shape = own.get("image_shape", classifier._image_shape)
    if image_shape is not None and tuple(image_shape) != classifier._image_shape:
        raise ValueError(
            f"image_shape={image_shape}, but the fitted classifier has learned from "
            f"images of shape {classifier._image_shape}."
        )
    classifier._check_rows(X)
    return classifier


def _check_has_features(classifier):
    if classifier.feature_extractor is None:
        raise ValueError(
            "The classifier has feature_extractor=None, so that there is no F; "
            "'conv' or a builder gives it one."
        )
