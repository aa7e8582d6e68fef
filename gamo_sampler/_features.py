"""GAMOFeatures: the feature extractor F of the game, as a transformer."""

from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils.validation import check_is_fitted

from ._classifier import GAMOClassifier
from ._inner import CONSTRAINTS, InnerSummaryMixin, comes_fitted, fitted_game
from ._saving import SaveMixin, saved
from ._stored import require
from ._typing import Data, ImageShape, Labels, Seed


@saved
class GAMOFeatures(
    SaveMixin,
    InnerSummaryMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Map images or rows into the space F(x) in which the game is played.

    A pipeline skips samplers when it predicts, so a sampler that resamples F(X)
    leaves later steps with raw rows there. This transformer maps rows to F(x) in
    training and in prediction alike; in a pipeline it stands before the sampler.

    Parameters
    ----------
    classifier : GAMOClassifier or FrozenEstimator, default=None
        The game that F is trained in; a clone of it is fitted. None is a
        ``GAMOClassifier(feature_extractor="conv")``. A fitted one that is to be used
        as it is comes with ``prefit=True``, or, where the transformer is cloned, as
        in `cross_val_score`, in a :class:`sklearn.frozen.FrozenEstimator`.
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for flat rows that are images. None leaves it to
        the classifier, which takes the shape from images given as such.
    prefit : bool, default=False
        Whether `classifier` is fitted already: `fit` then trains nothing.
    random_state : int, RandomState instance or None, default=None
        Seeds the training. None leaves it to the classifier.

    Attributes
    ----------
    classifier_ : GAMOClassifier
        The fitted game.
    n_features_in_ : int
        Number of features; of an image, all its values.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.

    See Also
    --------
    GAMOSampler : The over-sampler to follow it.

    Examples
    --------
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from gamo_sampler import GAMOFeatures, GAMOSampler
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> X, y = X[:60].reshape(-1, 8, 8), y[:60]
    >>> model = Pipeline(
    ...     [
    ...         ("features", GAMOFeatures(random_state=0)),
    ...         ("gamo", GAMOSampler(random_state=0)),
    ...         ("clf", SVC(random_state=0)),
    ...     ]
    ... )
    >>> model.fit(X, y).predict(X[:3])
    array([0, 1, 2])
    """

    _parameter_constraints: dict = CONSTRAINTS
    _fitted_kinds: dict = {
        "classifier_": GAMOClassifier,
        "n_features_in_": int,
        "feature_names_in_": np.ndarray,
        "_n_features_out": int,
    }

    def __init__(
        self,
        classifier: Any = None,
        *,
        image_shape: ImageShape = None,
        prefit: bool = False,
        random_state: Seed = None,
    ) -> None:
        self.classifier = classifier
        self.image_shape = image_shape
        self.prefit = prefit
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Data, y: Labels) -> Self:
        """Train the game, and with it F.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in :meth:`GAMOClassifier.fit`.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : GAMOFeatures
            The fitted transformer.
        """
        classifier = fitted_game(
            self.classifier,
            self.prefit,
            X,
            y,
            image_shape=self.image_shape,
            random_state=self.random_state,
        )
        if comes_fitted(self.classifier, self.prefit):
            classifier._check_rows(X)
        self.classifier_ = classifier
        # The base class's `get_feature_names_out` asks for it.
        self._n_features_out = classifier._n_features_out
        self.n_features_in_ = classifier.n_features_in_
        if hasattr(classifier, "feature_names_in_"):
            self.feature_names_in_ = classifier.feature_names_in_
        return self

    def transform(self, X: Data) -> Any:
        """F(x).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out), float32
            The rows in the space of the game; its n_features_out is at most 512 with
            the default F.
        """
        check_is_fitted(self)
        return self.classifier_.extract_features(X)

    def _restore(self):
        game = self.classifier_
        fits = self.n_features_in_ == game.n_features_in_
        fits = fits and self._n_features_out == game._n_features_out
        require(fits and game.feature_extractor_ is not None, "the game has no such F.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.transformer_tags.preserves_dtype = []
        return tags
