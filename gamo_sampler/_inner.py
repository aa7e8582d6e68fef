"""The game inside another estimator: trained there, or taken as it is."""

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ._classifier import GAMOClassifier
from ._summary import SummaryMixin

CONSTRAINTS = {
    "classifier": [GAMOClassifier, FrozenEstimator, None],
    "image_shape": ["array-like", None],
    "prefit": ["boolean"],
    "random_state": ["random_state"],
}


class InnerSummaryMixin(SummaryMixin):
    """For estimators whose game `classifier_` has played."""

    @property
    def _played(self):
        return getattr(self, "classifier_", None)


def comes_fitted(classifier, prefit):
    """Whether `fit` is to train nothing."""
    return prefit or isinstance(classifier, FrozenEstimator)


def given_game(classifier, prefit):
    """The classifier as a GAMOClassifier with an F, unwrapped; None if there is none.

    What cannot be used is refused here, before anything is trained.
    """
    if isinstance(classifier, FrozenEstimator):
        classifier = classifier.estimator
    if classifier is None:
        if prefit:
            raise ValueError("prefit=True needs a fitted classifier, got None.")
        return None
    if not isinstance(classifier, GAMOClassifier):
        raise TypeError(
            "classifier must be a GAMOClassifier, as it is or in a FrozenEstimator, "
            f"got a {type(classifier).__name__}."
        )
    if classifier.feature_extractor is None:
        raise ValueError(
            "The classifier has feature_extractor=None, so that there is no F; "
            "'conv' or a builder gives it one."
        )
    return classifier


def fitted_game(classifier, prefit, X, y, **own):
    """The game fitted to X and y, or as it is where it comes fitted.

    `own` are the outer estimator's parameters that the game is to have, where they
    are not None.
    """
    own = {name: value for name, value in own.items() if value is not None}
    game = given_game(classifier, prefit)
    if comes_fitted(classifier, prefit):
        return _as_it_is(game, own)
    if game is None:
        game = GAMOClassifier(feature_extractor="conv")
    return clone(game).set_params(**own).fit(X, y)


def _as_it_is(game, own):
    check_is_fitted(game)
    if "random_state" in own:
        raise ValueError(
            "prefit=True and a FrozenEstimator take a fitted classifier as it is, so "
            f"that nothing is drawn; got random_state={own['random_state']}."
        )
    image_shape = own.get("image_shape", game._image_shape)
    if image_shape is not None and tuple(image_shape) != game._image_shape:
        raise ValueError(
            f"image_shape={image_shape}, but the fitted classifier has learned from "
            f"images of shape {game._image_shape}."
        )
    return game
