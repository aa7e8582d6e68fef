"""GAMOClassifier: the classifier M that comes out of the game."""

from copy import deepcopy
from typing import Self

import numpy as np
from imblearn.utils import check_target_type
from numpy.typing import ArrayLike
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
)
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ._base import BaseGAMO
from ._docs import documented
from ._export import PriorCorrection, Served, check_path, exported
from ._images import as_read, check_image_shape
from ._lazy import check_rows, in_memory, subset
from ._past import FRESH, Past, undone_on_error
from ._priors import change_prior, check_prior, prior_ratio
from ._saving import saved
from ._stored import require
from ._strategy import rows_for_batch, rows_to_generate
from ._typing import Array, Data, Labels, Prior, StrPath


@saved
@documented(none=" None trains M alone, the paper's CN.")
class GAMOClassifier(ClassifierMixin, BaseGAMO):
    r"""Classifier trained in a game against a generator of minority rows.

    A convex generator G proposes rows G(z|i) = w^T X_i of the smaller classes, the
    classifier M learns on real and generated rows, and a discriminator D tells
    them apart; G is rewarded where M errs and D believes. The three players
    minimise (least squares, equations 4 to 6)

    .. math::

        L_M &= \sum_i L_{i1} + L_{i2} + L_{i3} + L_{i4} \\
        L_D &= \sum_i L_{i5} + L_{i6} \\
        L_G &= \sum_{i \ne c} L_{i7} + L_{i8} + L_{i9}

    Parameters
    ----------
    %(parameters)s
    warm_start : bool, default=False
        Whether `fit` goes on from what the fit before it has learned, for another
        `max_iter` epochs: from its networks and random state, with the optimisers
        anew. X is scaled as it was, `history_` and `n_iter_` go on, and the features
        and classes have to be the same.

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
        Number of epochs played, the last of which `max_time` or Ctrl-C may have ended.
    n_rounds_ : int
        Number of rounds played in them.
    history_ : list of dict
        Per epoch: `epoch`; the mean losses `m_real`, `m_generated`, `d_real`,
        `d_generated`, `g_m` (G's at M), `g_d` (G's at D) and `f`, those of the
        players that take part; with `early_stopping` also `validation_score` and
        `validation_gm`, the geometric mean of the recalls; and how the game stands
        at the epoch's end, of up to 256 real rows and as many generated ones, in all:

        - `m_grad_norm`, `d_grad_norm`, `g_grad_norm` and `f_grad_norm`, of each
          player that learns the norm of its last step's gradient;
        - `recall`, a list: M's on rows that it learns from, in the order of
          `classes_`;
        - `d_accuracy_real` and `d_accuracy_generated`, the shares of real and of
          generated rows that D takes for what they are;
        - `effective_sources`, of a generated row, 1 / sum(w^2);
        - `coverage`, the number of real rows that generated ones are made of in all,
          1 / sum(v^2) of their mean weights v, over the most that it can be: 1 where
          G draws on all rows alike, near 0 where it collapsed to few;
        - `near_copies`, the share of generated rows with a weight above .95;
        - `distance_ratio`, the mean distance of generated rows to the nearest real one
          over that of real rows to their nearest other, 0 for a class of equal rows.

        Those of D and G are means over the generated classes. Those of weights come
        with ``generator="convex"``.
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

    _fitted_kinds: dict = {
        **BaseGAMO._fitted_kinds,
        "class_prior_": np.ndarray,
        "trained_prior_": np.ndarray,
        "_class_sums": np.ndarray,
    }

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
        if self.warm_start and self.checkpoint is not None:
            raise ValueError(
                f"checkpoint={self.checkpoint!r} is for a fit from the start, but "
                "warm_start=True goes on from another one. Leave out either."
            )
        # A fit that fails leaves the estimator unfitted, never half fitted. Where it
        # would go on, it leaves the estimator as it was.
        if self.warm_start and self.__sklearn_is_fitted__():
            with undone_on_error(self):
                self._fit_on(X, y, sample_weight, self._past())
        else:
            self._is_trained = False
            self._fit_on(X, y, sample_weight, FRESH)
        return self

    def _fit_on(self, X, y, sample_weight, past):
        X, y, w, image_shape = self._checked(X, y, sample_weight, past)
        self._fit_used(X, y, w, image_shape, past)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Data,
        y: Labels,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Go on with one epoch on a batch of rows.

        The networks, their optimisers and the random draws go on from call to call, and
        from a `fit` before. The columns are scaled as in the first call, whose rows
        should be typical. The generator mixes rows of the batch, and `sample` those of
        the last one; `sampling_strategy` counts the rows of the batch, and classes that
        are absent are not generated. With ``neighborhood=None`` the classes that are
        generated have to have as many rows in each batch.

        `class_prior_` counts all rows so far, and `trained_prior_` is the mean over the
        rounds. ``class_weight="balanced"`` and `logit_adjustment` need the frequencies
        in all rows, and `early_stopping` rows to hold out: they are refused.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in `fit`.
        y : array-like of shape (n_samples,)
            Labels, not necessarily of all classes.
        classes : array-like of shape (n_classes,), default=None
            All classes that are to come. Needed in the first call.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`. Ratios matter within the batch and, for `class_prior_`, between
            batches.

        Returns
        -------
        self : GAMOClassifier
            The classifier.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gamo_sampler import GAMOClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = GAMOClassifier(random_state=0)
        >>> for start in range(30):
        ...     classifier = classifier.partial_fit(
        ...         X[start::30], y[start::30], classes=[0, 1, 2]
        ...     )
        >>> classifier.n_iter_
        30
        """
        self._check_partial_fit()
        if not self.__sklearn_is_fitted__():
            self.__dict__.pop("classes_", None)  # of a fit that failed
        first = _check_partial_fit_first_call(self, classes)
        past = Past(self.classes_) if first else self._past(players=self._players)
        past.n_epochs = 1
        with undone_on_error(self):
            self._fit_batch(X, y, sample_weight, past)
        return self

    def _fit_batch(self, X, y, sample_weight, past):
        X, y, w, image_shape = self._checked(X, y, sample_weight, past)
        unknown = np.setdiff1d(y, self.classes_).tolist()
        if unknown:
            raise ValueError(
                f"y has labels {unknown}, but the classes are {self.classes_.tolist()}."
            )
        before = (self._class_sums, self.trained_prior_) if past.history else None
        self._fit_used(X, y, w, image_shape, past)
        if before:
            self._join_priors(*before, past.n_rounds)

    def _past(self, players=None):
        """What the fit so far leaves to the next one."""
        return Past(
            classes=self.classes_,
            image_shape=self._image_shape,
            scaling=self._scaling,
            random_state=deepcopy(self._random_state),
            networks=self._networks(),
            players=players or {},
            history=self.history_,
            cells=self._cells(),
            n_rounds=self.n_rounds_,
        )

    def _check_partial_fit(self):
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True.")
        if self.checkpoint is not None:
            raise ValueError(
                f"partial_fit does not support checkpoint={self.checkpoint!r}; `save` "
                "writes the classifier between two calls."
            )
        balanced = isinstance(self.class_weight, str)
        if balanced or self.logit_adjustment:
            name = "class_weight" if balanced else "logit_adjustment"
            raise ValueError(
                f"partial_fit does not support {name}={getattr(self, name)!r}, which "
                "needs the frequencies of the classes in all rows. Give class_weight "
                "as a dict, and correct predictions by their `prior`."
            )

    def _checked(self, X, y, sample_weight, past):
        """Rows, labels, weights and the shape of an image, all as they should be."""
        X, image_shape, ordered = as_read(X, self.image_shape)
        X, y = check_rows(
            self,
            X,
            in_memory(y),
            reset=past.scaling is None,
            ensure_min_samples=1 if past.n_epochs else 2,
        )
        X = ordered(X) if ordered else X
        if X.dtype.kind in "mM":
            raise TypeError(f"X holds dates ({X.dtype}); turn them into numbers first.")
        check_classification_targets(y)
        check_target_type(y)
        past.check_images(check_image_shape(image_shape, X.shape[1]))
        w = sample_weight
        if w is not None:
            w = _check_sample_weight(w, y, ensure_non_negative=True)
        return X, y, w, image_shape

    def _fit_used(self, X, y, w, image_shape, past):
        """Fit to the rows of positive weight."""
        if w is None or w.all():
            self._fit_weighted(X, y, w, image_shape, past)
            return
        used = np.flatnonzero(w)
        least = 1 if past.n_epochs else 2
        if len(used) < least:
            raise ValueError(
                f"sample_weight is above zero for {len(used)} sample(s), but a minimum "
                f"of {least} is required."
            )
        self._fit_weighted(subset(X, used), y[used], w[used], image_shape, past)
        self._members = used[self._members]
        self._n_samples = len(y)

    def _fit_weighted(self, X, y, sample_weight, image_shape, past):
        """Fit to rows of positive weight, or of equal ones where it is None."""
        classes = np.unique(y)
        if not past.n_epochs:
            past.check_classes(classes)
        targets = {}
        if self.generator is not None and len(classes) > 1:
            count = rows_for_batch if past.n_epochs else rows_to_generate
            targets = count(self.sampling_strategy, y)
        weight = sample_weight
        if sample_weight is not None and np.ptp(sample_weight) == 0:
            weight = None
        self._fit_game(X, y, targets, image_shape, sample_weight=weight, past=past)
        at = np.searchsorted(self.classes_, y)
        self._class_sums = np.bincount(at, sample_weight, len(self.classes_))
        self.class_prior_ = self._class_sums / self._class_sums.sum()

    def _join_priors(self, sums, trained_prior, n_rounds):
        """Those of the batches before, and of this one."""
        self._class_sums = self._class_sums + sums
        self.class_prior_ = self._class_sums / self._class_sums.sum()
        new = self.n_rounds_ - n_rounds
        both = [trained_prior, self.trained_prior_]
        self.trained_prior_ = np.average(both, axis=0, weights=[n_rounds, new])

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

    def _check_restored(self):
        super()._check_restored()
        for prior in (self.class_prior_, self.trained_prior_):
            check_prior(prior, self.class_prior_)
            require(
                prior.shape == self.classes_.shape, "the prior is of other classes."
            )

    def export(self, path: StrPath, X: Data, *, prior: Prior = None) -> None:
        """Write a file that gives `predict_proba` without this package.

        Scaling, feature extractor, classifier and the correction for `prior` are one
        graph, for any number of rows. What a row is, X says. Values are not checked:
        missing ones give missing probabilities. Networks of your own are exported as
        far as torch can.

        Parameters
        ----------
        path : str or path-like
            Where to write. The ending is the format: ``.pt2``, a program for
            `torch.export.load`, or ``.onnx``, for which onnx and onnxscript are needed.
        X : array-like of shape (n_samples, n_features) or images
            Rows as the file will be given them, one at least. Their type, and the
            layout of images, are those that it takes: floats where these are floats.
        prior : {"uniform", "training"}, array-like of shape (n_classes,) or None, \
                default=None
            As in `predict_proba`; fixed in the file.

        Raises
        ------
        ImportError
            For ONNX without those: ``pip install "gamo_sampler[export]"``.
        ValueError
            If the path ends otherwise, or if torch cannot export the networks.

        Notes
        -----
        The input is called ``X``, the output ``probabilities``: float64, of shape
        (n_samples, n_classes). The labels, in the order of its columns, are a list in
        JSON: in a .pt2 file the extra file ``classes.json``, in an .onnx file the
        metadata property ``classes``.

        Examples
        --------
        >>> import json, os, tempfile
        >>> import torch
        >>> from sklearn.datasets import load_iris
        >>> from gamo_sampler import GAMOClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = GAMOClassifier(random_state=0, max_iter=20).fit(X, y)
        >>> path = os.path.join(tempfile.mkdtemp(), "iris.pt2")
        >>> classifier.export(path, X)
        >>> extra = {"classes.json": ""}
        >>> served = torch.export.load(path, extra_files=extra).module()
        >>> labels = json.loads(extra["classes.json"])
        >>> [labels[i] for i in served(torch.tensor(X[[0, 60, 105]])).argmax(1)]
        [0, 1, 2]
        """
        check_is_fitted(self)
        path, write = check_path(path)
        served, shape, dtype = self._served(X, prior)
        write(exported(served, shape, dtype), path, self.classes_)

    def _served(self, X, prior):
        """The module to export, and the shape and type of a row of its input."""
        rows = self._check_rows(X)
        is_images = getattr(X, "ndim", 2) > 2
        correction = None
        if prior is not None:
            prior = check_prior(prior, self.class_prior_)
            ratio = prior_ratio(self.trained_prior_, prior)
            correction = PriorCorrection(ratio, prior)
        served = Served(
            self._scaling,
            self._predictors(),
            is_images and as_read(X, self._image_shape)[2] is not None,
            correction,
        )
        return served, X.shape[1:] if is_images else rows.shape[1:], rows.dtype

    def _make_game(self, *args, **kwargs):
        game = super()._make_game(*args, **kwargs)
        self.trained_prior_ = game.trained_prior().numpy()
        return game
