"""GAMOClassifier: the classifier M that comes out of the game."""

from typing import Self

import numpy as np
from imblearn.utils import check_target_type
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ._base import BaseGAMO, rows_to_generate
from ._docs import documented
from ._images import as_read
from ._lazy import check_rows, in_memory, subset
from ._priors import change_prior, check_prior
from ._typing import Array, Data, Labels, Prior


@documented(none=" None trains M alone, the paper's CN.")
class GAMOClassifier(ClassifierMixin, BaseGAMO):
    r"""Classifier trained in a game against a generator of minority rows.

    A convex generator G proposes rows G(z|i) = w^T X_i of the smaller classes, the
    classifier M learns on real and generated rows, and a discriminator D tells
    them apart; G is rewarded where M errs and D believes. The three players
    minimise (least squares, equations 4 to 6)

    .. math:: L_M = \sum_i L_{i1} + L_{i2} + L_{i3} + L_{i4}, \quad
              L_D = \sum_i L_{i5} + L_{i6}, \quad
              L_G = \sum_{i \ne c} L_{i7} + L_{i8} + L_{i9}.

    Parameters
    ----------
    %(parameters)s

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    class_prior_ : ndarray of shape (n_classes,)
        Their frequencies in y, by `sample_weight` where there is one.
    trained_prior_ : ndarray of shape (n_classes,)
        The frequencies that M was trained for, see Notes.
    n_features_in_ : int
        Number of features; of an image, all its values.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.
    n_iter_ : int
        Number of epochs played.
    history_ : list of dict
        Per epoch: `epoch`; the mean losses `m_real`, `m_generated`, `d_real`,
        `d_generated`, `g_m` (G's at M), `g_d` (G's at D) and `f`, those of the
        players that take part; with `early_stopping` also `validation_score` and
        `validation_gm`, the geometric mean of the recalls.
    classifier_, generator_, discriminator_, feature_extractor_ : torch.nn.Module
        The trained networks, on the CPU; None for a player that took no part.
    device_ : torch.device
        Where they were trained.

    See Also
    --------
    GAMOSampler : The generator of the same game, as an over-sampler.
    PriorCorrectedClassifier : `prior` for any classifier behind a sampler.

    Notes
    -----
    M is trained as if the classes occurred as `sampling_strategy` asks, equally
    often by default, and so are its probabilities. In general, M weighs class i of
    frequency P_i by

    .. math:: \rho_i \propto (P_i + \lambda g_i \bar{w}_i) \, v_i / P_i^\tau

    where g_i is the class's share of the generated rows, :math:`\lambda` is
    `generated_weight`, v_i is the `class_weight`, :math:`\tau` is
    `logit_adjustment`, P_i counts rows by their `sample_weight`, and
    :math:`\bar{w}_i` is the mean weight of the class's rows over that of all rows, 1
    without weights: that is `trained_prior_`. The `prior` of `predict_proba` and
    `predict` corrects for it by Bayes' rule [2]_, as far as generated rows are
    distributed, and weighted, as real ones of their class.

    `sample_weight` multiplies a row's loss at M and at F, as `class_weight` does, and
    leaves D and G alone as that does. A row of weight 2 counts in the loss like two. A
    generated row weighs what its sources do, mixed as they are; that of a generator
    that is not convex, what a row of its class does that is drawn by lot.
    `sampling_strategy` counts rows, not weights: a class that is brought level with the
    largest one has as many rows, each with the weight that the class's rows have on
    average. ``class_weight="balanced"`` with ``generator=None`` makes the weights of
    the classes equal. Validation scores of `early_stopping` are weighted too, where
    `scoring` takes a `sample_weight`, as scikit-learn's do.

    %(notes)s

    References
    ----------
    .. [1] S. S. Mullick, S. Datta, S. Das, "Generative Adversarial Minority
       Oversampling", ICCV 2019.
    .. [2] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a
       Classifier to New a Priori Probabilities: A Simple Procedure", Neural
       Computation 14(1), 2002.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> classifier = GAMOClassifier(random_state=0).fit(X, y)
    >>> classifier.predict(X[[0, 60, 105]])
    array([0, 1, 2])
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Data, y: Labels, sample_weight: ArrayLike | None = None) -> Self:
        """Train the classifier.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, or images as an array of shape (n_samples, height, width),
            (n_samples, channels, height, width) or
            (n_samples, height, width, channels). A `numpy.memmap`, a Zarr array or a
            Dask array is read by minibatch, and only the rows of the classes that are
            generated are kept. One of more than 2^17 rows or 2^28 values is read anew
            in each epoch. As minibatches have rows from all over X, each chunk of Zarr
            or Dask is then read about n_samples n_features / 2^22 times an epoch, at
            least once, and twice as often with a `feature_extractor`. Smaller chunks do
            not change that; large sets of images are best in a `numpy.memmap`, of which
            only the rows asked for are read.
        y : array-like of shape (n_samples,)
            Labels.
        sample_weight : array-like of shape (n_samples,), default=None
            How much each row counts in M's and F's loss, at least 0. Only ratios
            matter; None and equal weights are the same. A row of weight 0 is left
            out, as if X had not held it. See Notes.

        Returns
        -------
        self : GAMOClassifier
            The fitted classifier.
        """
        # A fit that fails leaves the estimator unfitted, never half fitted.
        self._is_trained = False
        X, image_shape, ordered = as_read(X, self.image_shape)
        X, y = check_rows(self, X, in_memory(y), ensure_min_samples=2)
        X = ordered(X) if ordered else X
        if X.dtype.kind in "mM":
            raise TypeError(f"X holds dates ({X.dtype}); turn them into numbers first.")
        check_classification_targets(y)
        check_target_type(y)
        w = sample_weight
        if w is not None:
            w = _check_sample_weight(w, y, ensure_non_negative=True)
        if w is None or w.all():
            self._fit_weighted(X, y, w, image_shape)
            return self
        used = np.flatnonzero(w)
        self._fit_weighted(subset(X, used), y[used], w[used], image_shape)
        self._members = used[self._members]
        self._n_samples = len(y)
        return self

    def _fit_weighted(self, X, y, sample_weight, image_shape):
        """Fit to rows of positive weight, or of equal ones where it is None."""
        targets = {}
        if self.generator is not None and len(np.unique(y)) > 1:
            targets = rows_to_generate(self.sampling_strategy, y)
        sums = np.bincount(np.unique(y, return_inverse=True)[1], sample_weight)
        self.class_prior_ = sums / sums.sum()
        if sample_weight is not None and np.ptp(sample_weight) == 0:
            sample_weight = None
        self._fit_game(X, y, targets, image_shape, sample_weight=sample_weight)

    def predict_proba(self, X: Data, *, prior: Prior = None) -> Array:
        """M's probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.
        prior : {"uniform", "training"}, array-like of shape (n_classes,) or None, \
                default=None
            How often the classes occur where predictions are made. None is as M was
            trained, `trained_prior_`, which is "uniform", all classes alike, by default
            settings. "training" is their frequencies in training, `class_prior_`. An
            array gives the probability of each in the order of `classes_`; one with
            probability 0 is never predicted.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self)
        if prior is not None:
            prior = check_prior(prior, self.class_prior_)
        probabilities = self._probabilities(self._check_rows(X))
        if prior is None:
            return probabilities
        return change_prior(probabilities, self.trained_prior_, prior)

    def predict(self, X: Data, *, prior: Prior = None) -> Array:
        """The most probable labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.
        prior : {"uniform", "training"}, array-like of shape (n_classes,) or None, \
                default=None
            As in `predict_proba`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X, prior=prior).argmax(1)]

    def _make_game(self, *args, **kwargs):
        game = super()._make_game(*args, **kwargs)
        self.trained_prior_ = game.trained_prior().numpy()
        return game
