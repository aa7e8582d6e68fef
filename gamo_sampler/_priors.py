"""How often classes occur, and probabilities under another such prior."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
    clone,
)
from sklearn.utils import assert_all_finite, column_or_1d, get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ._typing import Array, Data, Labels


def check_prior(prior, frequencies, name="prior"):
    """The prior that a user named, or gave as an array, (n_classes,).

    `frequencies` are those of the classes in the training data.
    """
    n = len(frequencies)
    named = {"uniform": np.full(n, 1 / n), "training": frequencies}
    if isinstance(prior, str) and prior in named:
        return named[prior]
    wanted = (
        f'{name} must be "uniform", "training" or an array of shape ({n},), a '
        "probability for each class in the order of classes_"
    )
    try:
        values = np.asarray(prior, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted}, got {prior!r}.") from error
    if values.shape != (n,):
        raise ValueError(f"{wanted}, got {prior!r}.")
    if not (values >= 0).all() or not np.isclose(values.sum(), 1, atol=1e-6):
        raise ValueError(
            f"{wanted}: at least 0, with sum 1. Got {prior!r}, with sum "
            f"{values.sum():.6g}."
        )
    return values


def change_prior(probabilities, trained, prior):
    """p(i|x) prior_i / trained_i, normalised (Saerens et al., 2002, equation 2.4).

    Where that is 0 for all classes, x says nothing on those that can occur: the prior.
    """
    weighted = probabilities * prior_ratio(trained, prior)
    weighted = np.where(weighted.sum(1, keepdims=True) > 0, weighted, prior)
    return weighted / weighted.sum(1, keepdims=True)


def prior_ratio(trained, prior):
    """prior_i / trained_i, 0 of classes that occur in neither."""
    lost = np.flatnonzero((trained == 0) & (prior > 0))
    if len(lost):
        raise ValueError(
            f"Classes {lost.tolist()} (positions in classes_) had no weight in "
            "training, so that their probabilities cannot be raised above 0."
        )
    return np.divide(prior, trained, out=np.zeros(len(prior)), where=trained > 0)


class PriorCorrectedClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Probabilities of a classifier that was trained on balanced classes, made right.

    A classifier that learns on resampled rows gives probabilities as if the classes
    occurred as often as there: too high for those that were over-sampled. Where
    resampling leaves the rows of each class distributed as they were, Bayes' rule tells
    what they are where class i occurs with probability :math:`\pi_i` in place of
    :math:`\rho_i` [1]_:

    .. math:: p(i|x) \propto \hat p(i|x) \, \pi_i / \rho_i.

    It does not mend what else is wrong with probabilities, such as the overconfidence
    of a classifier that learns its training rows by heart:
    :class:`sklearn.calibration.CalibratedClassifierCV` does, on rows held out.

    Parameters
    ----------
    estimator : classifier with `predict_proba`
        In most cases a pipeline of a sampler and a classifier. It is cloned and fitted;
        one that is fitted already goes in as a :class:`sklearn.frozen.FrozenEstimator`.
    prior : {"training", "uniform"} or array-like, default="training"
        Probabilities of the classes, (n_classes,), where predictions are made: their
        frequencies in the y that `fit` is given, before any resampling; equal ones; or
        any others, in the order of `classes_`.
    trained_prior : {"uniform", "training"} or array-like, default="uniform"
        Those that `estimator` learns with. "uniform" is right for samplers that make
        all classes equal, which most do by default, and for
        ``class_weight="balanced"``; "training" for a classifier that sees the rows as
        they are; else give the frequencies after resampling.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    class_prior_ : ndarray of shape (n_classes,)
        Their frequencies in y.
    estimator_ : classifier
        The fitted `estimator`.
    n_features_in_ : int
        Number of features, where `estimator` says it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where `estimator` says them.

    See Also
    --------
    GAMOClassifier.predict_proba : Does the same by its `prior`.
    sklearn.calibration.CalibratedClassifierCV : Learns probabilities on rows held out.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a
       Classifier to New a Priori Probabilities: A Simple Procedure", Neural
       Computation 14(1), 2002.

    Examples
    --------
    >>> from imblearn.over_sampling import RandomOverSampler
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gamo_sampler import PriorCorrectedClassifier
    >>> X, y = make_classification(2000, weights=[0.9], random_state=0)
    >>> pipeline = make_pipeline(
    ...     RandomOverSampler(random_state=0), LogisticRegression()
    ... )
    >>> pipeline.fit(X, y).predict_proba(X)[:, 1].mean().round(2)
    np.float64(0.15)
    >>> corrected = PriorCorrectedClassifier(pipeline).fit(X, y)
    >>> corrected.predict_proba(X)[:, 1].mean().round(2)
    np.float64(0.1)
    >>> y.mean().round(2)
    np.float64(0.1)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit", "predict_proba"])],
        "prior": [StrOptions({"training", "uniform"}), "array-like"],
        "trained_prior": [StrOptions({"training", "uniform"}), "array-like"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        prior: str | ArrayLike = "training",
        trained_prior: str | ArrayLike = "uniform",
    ) -> None:
        self.estimator = estimator
        self.prior = prior
        self.trained_prior = trained_prior

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Data, y: Labels) -> Self:
        """Fit the estimator, and count the classes.

        Parameters
        ----------
        X : array-like
            Rows, as `estimator` takes them.
        y : array-like of shape (n_samples,)
            Labels, before resampling.

        Returns
        -------
        self : PriorCorrectedClassifier
            The fitted classifier.
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        if not len(y):
            raise ValueError("y is empty: there are 0 samples to learn from.")
        estimator = clone(self.estimator)
        # Before the fit, which may be long. A frozen one has its classes.
        self._priors(y, getattr(estimator, "classes_", np.unique(y)))
        self.estimator_ = estimator.fit(X, y)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        self.classes_ = self.estimator_.classes_
        priors = self._priors(y, self.classes_)
        self.class_prior_, self._trained, self._prior = priors
        return self

    def predict_proba(self, X: Data) -> Array:
        """Probabilities under `prior`.

        Parameters
        ----------
        X : array-like
            Rows, as in `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        probabilities = self.estimator_.predict_proba(X)
        return change_prior(probabilities, self._trained, self._prior)

    def predict(self, X: Data) -> Array:
        """The most probable labels under `prior`.

        Parameters
        ----------
        X : array-like
            Rows, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def _priors(self, y, classes):
        """Of the classes: frequencies in y, probabilities in training, and wanted."""
        labels, counts = np.unique(y, return_counts=True)
        unknown = labels[~np.isin(labels, classes)].tolist()
        if unknown:
            raise ValueError(
                f"y has labels {unknown} that the estimator does not know; its classes "
                f"are {classes.tolist()}."
            )
        frequencies = np.zeros(len(classes))
        frequencies[np.isin(classes, labels)] = counts / len(y)
        trained = check_prior(self.trained_prior, frequencies, "trained_prior")
        return frequencies, trained, check_prior(self.prior, frequencies)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        tags.classifier_tags = inner.classifier_tags
        return tags
