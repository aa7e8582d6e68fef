"""GAMOSampler: the generator G that comes out of the game, as an over-sampler."""

import math
from collections.abc import Iterator
from copy import copy
from functools import partial
from itertools import chain
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from imblearn.utils import check_target_type
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import _fit_context
from sklearn.utils import (
    assert_all_finite,
    check_consistent_length,
    check_scalar,
    gen_batches,
)
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._base import BaseGAMO
from ._columns import (
    categorical_mask,
    is_frame,
    is_mixed,
    is_sparse,
    warn_of_identifiers,
)
from ._docs import documented
from ._frames import (
    append,
    check_columns,
    container,
    continued,
    extend,
    fill,
    is_native,
    n_rows,
    part,
    rechunked,
    stacked,
    template,
)
from ._images import as_read
from ._inspection import InspectionMixin
from ._lazy import check_rows, in_memory, is_lazy
from ._memory import check_memory, result_part, weights_part
from ._provenance import per_row
from ._saving import saved
from ._stored import require
from ._strategy import (
    rows_to_generate,
    warn_of_alone,
    warn_of_balance,
    warn_of_copies,
)
from ._tables import (
    CHOICES,
    SparseTable,
    Table,
    check_no_missing,
    check_shape,
    read_table,
)
from ._torch import block_size, run_generator
from ._typing import Array, Data, Labels, Seed, Wanted

# Rounds after which, on validation tables, rows were better than after 200 or 1,000.
SHORT_GAME = 50


@saved
@documented(
    f=""" The
        resampled rows are then F's features: a pipeline skips samplers when it
        predicts, so a later step would get raw rows there. Put a
        :class:`GAMOFeatures` in front of the sampler in place of it, or resample with
        `fit_resample`, train on the features, and predict on those that
        `extract_features` gives."""
)
class GAMOSampler(InspectionMixin, BaseGAMO, BaseOverSampler):
    r"""Over-sample the smaller classes with the generator of a three-player game.

    The game is that of :class:`GAMOClassifier`. The weights w of the convex
    generator are learned on scaled rows and applied to the rows as they came, so
    that each generated row

    .. math:: G(z|i) = w^T X_i, \quad w \ge 0, \quad \sum_j w_j = 1

    is a convex combination of rows of its class, in their units (equation 1).
    Integer columns of arrays and frames keep their type, rounded to the nearest
    integer. Dates and durations are averaged as instants. Categories are those of the
    row's sources, so that columns keep their type, and no category comes up that was
    not there.

    Parameters
    ----------
    %(parameters)s
    categorical_features : "auto" or array-like, default="auto"
        Columns of categories: names, positions, or a mask of all columns. Integers are
        always positions, even where names are integers. "auto" is those of a frame that
        hold neither numbers nor dates. In the game their 32 most frequent values are
        one-hot.
    categories : {"vote", "draw", "block"}, default="vote"
        How the category of a generated row is decided. "vote" is the one that has most
        of the weights; "draw" that of one of the sources, drawn by the weights; "block"
        draws one source for all such columns, so that only combinations occur that
        real rows have. Where a row has two sources, "vote" takes all categories from
        the one that is nearer.
    missing : {"error", "propagate"}, default="error"
        Missing values raise an error, or are passed on: a value is missing where most
        of the weight is on rows that miss it, else the mean of those that do not. Of
        sparse rows they always raise one.

    Attributes
    ----------
    sampling_strategy_ : dict
        Number of rows that were generated, per label.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features; of an image, all its values.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where X was a frame with names.
    provenance_ : scipy.sparse.csr_array of shape (n_generated, n_samples)
        The convex weights of the rows that `fit_resample` generated on the rows of X,
        which they sum up: ``provenance_ @ X`` before integers are rounded, or
        ``provenance_ @ F(X)`` with a `feature_extractor`. Weights below a millionth of
        the row's greatest are dropped before the row is made. Not with another
        `generator` than "convex".
    recipe_ : Recipe
        The same, to be saved without the data and applied to them again.
    n_iter_ : int
        Number of epochs played, the last of which `max_time` or Ctrl-C may have ended.
    n_rounds_ : int
        Number of rounds played in them.
    history_ : list of dict
        Per epoch the mean losses, and how the game stands: gradient norms, M's
        recalls, D's accuracies, and the `effective_sources`, `coverage`,
        `near_copies` and `distance_ratio` of generated rows, as in
        :class:`GAMOClassifier`.
    classifier_, generator_, discriminator_, feature_extractor_ : torch.nn.Module
        The trained networks, on the CPU; None for a player that took no part.
    device_ : torch.device
        Where they were trained.

    See Also
    --------
    GAMOClassifier : The classifier of the same game.
    imblearn.over_sampling.SMOTE : Points between a row and one of its neighbours.

    Notes
    -----
    The rows of the smaller classes are kept in the fitted sampler, for `sample`;
    `withdraw` takes some out.

    There is no `warm_start` or `partial_fit`: a sampler transforms one data set.

    %(notes)s

    References
    ----------
    .. [1] S. S. Mullick, S. Datta, S. Das, "Generative Adversarial Minority
       Oversampling", ICCV 2019.

    Examples
    --------
    >>> from imblearn.pipeline import Pipeline
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gamo_sampler import GAMOSampler
    >>> X, y = load_iris(return_X_y=True)
    >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
    >>> sampler = GAMOSampler(random_state=0)
    >>> X_resampled, y_resampled = sampler.fit_resample(X, y)
    >>> X_resampled.shape
    (150, 4)
    >>> X_more, y_more = sampler.sample({2: 5})
    >>> y_more
    array([2, 2, 2, 2, 2])
    >>> model = Pipeline([("gamo", sampler), ("clf", LogisticRegression())])
    >>> model.fit(X, y).predict(X[:2])
    array([0, 0])
    """

    _parameter_constraints: dict = {
        **BaseGAMO._parameter_constraints,
        "generator": [StrOptions({"convex", "unconstrained"}), callable],
        "categorical_features": [StrOptions({"auto"}), "array-like"],
        "categories": [StrOptions(set(CHOICES))],
        "missing": [StrOptions({"error", "propagate"})],
    }
    # It transforms one data set, and has no other to go on from.
    del _parameter_constraints["warm_start"]
    _fitted_kinds: dict = {
        **BaseGAMO._fitted_kinds,
        "sampling_strategy_": dict,
        "provenance_": csr_array,
        "_table": Table | SparseTable | None,
        "_learns_from_table": bool,
        "_templates": tuple,
        "_categorical": str | np.ndarray,
        "_all_withdrawn": bool,
    }

    def __init__(
        self,
        *,
        loss="least_squares",
        generator="convex",
        discriminator="auto",
        classifier="auto",
        feature_extractor=None,
        image_shape=None,
        neighborhood="class",
        max_sources=None,
        max_weight=1.0,
        min_sources=1.0,
        generator_target="squared",
        discriminator_weight=1.0,
        generated_weight="objective",
        class_weight=None,
        logit_adjustment=0.0,
        mixup=0.0,
        weight_averaging=0.0,
        sampling_strategy="auto",
        schedule="joint",
        latent_dim=100,
        hidden_layer_sizes="auto",
        max_iter=100,
        max_rounds="auto",
        max_time=None,
        rounds_per_epoch=None,
        batch_size=32,
        learning_rate=1e-3,
        beta_1=0.5,
        beta_2=0.999,
        epsilon=1e-7,
        label_smoothing=0.1,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        scoring=None,
        callbacks=None,
        checkpoint=None,
        checkpoint_interval=10,
        resume=False,
        verbose=0,
        random_state=None,
        device="auto",
        categorical_features="auto",
        categories="vote",
        missing="error",
    ) -> None:
        super().__init__(
            loss=loss,
            generator=generator,
            discriminator=discriminator,
            classifier=classifier,
            feature_extractor=feature_extractor,
            image_shape=image_shape,
            neighborhood=neighborhood,
            max_sources=max_sources,
            max_weight=max_weight,
            min_sources=min_sources,
            generator_target=generator_target,
            discriminator_weight=discriminator_weight,
            generated_weight=generated_weight,
            class_weight=class_weight,
            logit_adjustment=logit_adjustment,
            mixup=mixup,
            weight_averaging=weight_averaging,
            sampling_strategy=sampling_strategy,
            schedule=schedule,
            latent_dim=latent_dim,
            hidden_layer_sizes=hidden_layer_sizes,
            max_iter=max_iter,
            max_rounds=max_rounds,
            max_time=max_time,
            rounds_per_epoch=rounds_per_epoch,
            batch_size=batch_size,
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            label_smoothing=label_smoothing,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            scoring=scoring,
            callbacks=callbacks,
            checkpoint=checkpoint,
            checkpoint_interval=checkpoint_interval,
            resume=resume,
            verbose=verbose,
            random_state=random_state,
            device=device,
        )
        self.categorical_features = categorical_features
        self.categories = categories
        self.missing = missing

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Data, y: Labels) -> Self:
        """Check the data; :meth:`fit_resample` is what trains.

        Values in a file, or in a Zarr or Dask array, are checked when they are read.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : GAMOSampler
            The sampler, with `sampling_strategy_`.
        """
        self._check_X_y(X, y)
        return self

    def fit_resample(
        self, X: Data, y: Labels, *, groups: ArrayLike | None = None
    ) -> tuple[Data, Labels]:
        """Train the generator and append the rows that `sampling_strategy` asks for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; with a `feature_extractor` also images. A `numpy.memmap`, a Zarr array
            or a Dask array is read by minibatch, as in :meth:`GAMOClassifier.fit`,
            which tells how often chunks are read. With other `categorical_features`
            than "auto", or ``missing="propagate"``, a memmap is loaded, and the others
            are refused.
            :meth:`iter_resample` does not put the result in memory either.
        y : array-like of shape (n_samples,)
            Labels.
        groups : array-like of shape (n_samples,), default=None
            A group for each row of X, such as the patient that it comes from: no
            generated row mixes two groups, neither here nor in `sample`, and
            `check_leakage` finds none. The row that each one starts from is any of the
            class, the other one, or the neighbours, are of its group. Rows that are
            alone in their class and group give copies, with a warning. Not for
            ``neighborhood=None``, nor for another `generator` than "convex". In a
            pipeline ``set_fit_resample_request(groups=True)`` asks for them.

        Returns
        -------
        X_resampled : same type as X, of shape (n_samples + n_generated, n_features)
            The rows of X, untouched and in order, then the generated ones by
            class. The index of a frame goes on with numbers; of several levels that is
            the last one, and the others are missing in generated rows. Of a
            `numpy.memmap`, a Zarr array or a Dask array an ndarray; with a
            `feature_extractor` one of F's features of both.
        y_resampled : same type as y, of shape (n_samples + n_generated,)
            Their labels; of such an array an ndarray.
        """
        X, y, rows = self._learn(X, y, groups, self._check_result)
        if self.feature_extractor is not None:
            X = stacked(self._features(rows), len(rows))
        return self._fit_resample(X, y)

    def iter_resample(
        self,
        X: Data,
        y: Labels,
        *,
        groups: ArrayLike | None = None,
        chunk_size: int = 65536,
    ) -> Iterator[tuple[Data, Labels]]:
        """Resample in blocks, for results that do not fit in memory.

        Concatenated, the blocks are what `fit_resample` returns. `provenance_`, which
        would grow with the rows, is not kept. Checks and training are done when this
        method returns; the rows are made as they are asked for.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            As in `fit_resample`. Of a `numpy.memmap`, a Zarr array or a Dask array only
            the rows of the classes to generate are kept.
        y : array-like of shape (n_samples,)
            Labels, which have to fit in memory.
        groups : array-like of shape (n_samples,), default=None
            As in `fit_resample`.
        chunk_size : int, default=65536
            Number of rows in a block. The last block of original rows, and that of
            generated ones, may have fewer.

        Returns
        -------
        blocks : generator of (X_block, y_block)
            The rows of X in order, then the generated ones by class, with their labels,
            in the types that `fit_resample` gives.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gamo_sampler import GAMOSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> X, y = X[:110], y[:110]  # 50, 50 and 10 rows
        >>> sampler = GAMOSampler(random_state=0)
        >>> for X_block, y_block in sampler.iter_resample(X, y, chunk_size=80):
        ...     print(X_block.shape, y_block.shape)
        (80, 4) (80,)
        (30, 4) (30,)
        (40, 4) (40,)
        """
        check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
        X, y, rows = self._learn(X, y, groups)
        fitted = copy(self)  # another fit does not reach into blocks still to come
        if self.feature_extractor is None:
            blocks = (part(X, block) for block in gen_batches(len(rows), chunk_size))
        else:
            blocks = rechunked(fitted._features(rows), chunk_size)
        labels = (part(y, block) for block in gen_batches(len(rows), chunk_size))
        new = continued(fitted._new_blocks(chunk_size), (X, y))
        return chain(zip(blocks, labels, strict=True), new)

    def sample(
        self, n: Wanted, *, random_state: Seed = None, return_weights: bool = False
    ) -> tuple[Any, ...]:
        """Generate more rows with the fitted generator, without training again.

        Parameters
        ----------
        n : int or dict
            As an int, the number of rows in all; their classes are drawn as in
            training, class i with probability proportional to P_c - P_i. As a
            dict, the number of rows per class label.
        random_state : int, RandomState instance or None, default=None
            None goes on with the random state of the fit, so that every call
            gives new rows; an int gives the same rows at every call.
        return_weights : bool, default=False
            Whether to return the convex weights too, which only ``generator="convex"``
            has.

        Returns
        -------
        X : same type as the X_resampled of `fit_resample`, of shape (n, n_features)
            Generated rows, by ascending class.
        y : same type as y, of shape (n,)
            Their labels.
        weights : scipy.sparse.csr_array of shape (n, n_samples)
            The convex weights of each row on the rows of X, as in `provenance_`. Only
            with ``return_weights=True``.
        """
        if return_weights:
            return self._sample_with_weights(n, random_state)
        X, labels = super().sample(n, random_state=random_state)
        return X, self._labels_like_y(labels)

    def iter_sample(
        self, n: Wanted, *, chunk_size: int = 65536, random_state: Seed = None
    ) -> Iterator[tuple[Data, Labels]]:
        """Generate rows in blocks, in memory that does not grow with their number.

        Parameters
        ----------
        n : int or dict
            As in `sample`.
        chunk_size : int, default=65536
            Number of rows in a block. The last block may have fewer.
        random_state : int, RandomState instance or None, default=None
            As in `sample`.

        Returns
        -------
        blocks : iterator of (X_block, y_block)
            Concatenated, what `sample` returns.
        """
        check_scalar(chunk_size, "chunk_size", Integral, min_val=1)
        counts, random_state = self._order(n, random_state)
        return copy(self)._sampled_blocks(counts, random_state, chunk_size)

    def _sample_with_weights(self, n, random_state):
        counts, random_state = self._order(n, random_state)
        if self.generator != "convex":
            raise ValueError(
                "return_weights=True needs generator='convex', whose rows are mixed, "
                f"got generator={self.generator!r}."
            )
        X, weights = self._generate_with_weights(
            counts, random_state, partial(append, self._templates[0])
        )
        labels = np.repeat(self._generated_classes(), counts)
        return X, self._labels_like_y(labels), weights

    def _labels_like_y(self, labels):
        return fill(self._templates[1], self._encode(labels))

    def _check_restored(self):
        super()._check_restored()
        table = self._table
        width = self.n_features_in_ if table is None else table.shape[1]
        fits = np.shape(self._scaling.center) in ((), (width,))
        if self._pool is not None and table is not None:
            fits = fits and len(table) == len(self._pool)
        require(fits, "the table is not that of the fit.")
        fits = [n_rows(empty) for empty in self._templates] == [0, 0]
        require(fits, "the tables to be filled are not empty ones.")
        weights = getattr(self, "provenance_", None)
        fits = weights is None or weights.shape[1] == self._n_samples
        require(fits, "provenance_ is not on the rows of the fit.")

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> Array:
        """Names of the resampled columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input's columns, where there is no feature extractor.

        Returns
        -------
        names : ndarray of str
            The input's names, or numbered ones for F's features.
        """
        check_is_fitted(self)
        if self.feature_extractor is None:
            return super().get_feature_names_out(input_features)
        self._check_trained()
        n_features = self._templates[0].shape[1]
        return np.array([f"gamosampler{i}" for i in range(n_features)], dtype=object)

    def __sklearn_is_fitted__(self):
        # `fit` alone counts, in imbalanced-learn's manner: it sets the strategy.
        return hasattr(self, "sampling_strategy_")

    @_fit_context(prefer_skip_nested_validation=True)
    def _learn(self, X, y, groups=None, check=None):
        """Check and train; X and y in the caller's types, and the checked rows.

        `check(X, labels)` comes before training.
        """
        try:
            return self._learn_from(X, y, groups, check)
        except BaseException:
            vars(self).pop("sampling_strategy_", None)  # with it, it would be fitted
            raise

    def _learn_from(self, X, y, groups, check):
        rows, labels, image_shape = self._check_X_y(X, y)
        if check:
            check(X, labels)
        groups = None if groups is None else self._check_groups(groups, labels)
        self._table, self._all_withdrawn = None, False
        self._learns_from_table = isinstance(rows, Table | SparseTable)
        wanted = self.sampling_strategy_
        warn_of_balance(self.sampling_strategy, wanted)
        targets = self._targets()
        if targets or self.feature_extractor is not None:
            self._fit_game(rows, labels, targets, image_shape, groups=groups)
        else:
            self._keep_nothing(rows, labels, image_shape)
        if self._pool is not None and self.generator == "convex":
            sizes = self._lots.sizes.tolist()
            warn_of_copies(self._generated_classes(), sizes, wanted)
            warn_of_alone(self._lots)
        if not self._learns_from_table:
            X = container(X, rows)
        elif self._pool is not None:
            self._table = rows.take(self._members)
        if isinstance(y, list):
            y = labels.tolist() if np.ndim(y) < 2 else np.asarray(y)
        y = container(y, np.array(y))  # a view might be one of a file
        F = self.feature_extractor_
        like = X if F is None else np.empty((0, self._n_features_out), np.float32)
        self._templates = template(like), template(y)
        return X, y, rows

    def _check_rows(self, X):
        if self._table is None:
            return super()._check_rows(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        return X

    def _check_result(self, X, labels):
        """Whether all of the rows, and their weights, will fit in memory."""
        classes, sizes = np.unique(labels, return_counts=True)
        # As Python's integers, which do not overflow.
        counts = [int(self.sampling_strategy_.get(label, 0)) for label in classes]
        n_rows, width = sum(counts) + len(labels), 1
        if self.feature_extractor is None:
            width = _row_bytes(X)
        parts = [
            result_part(n_rows, width),
            weights_part(self._n_weights(counts, sizes.tolist())),
        ]
        check_memory("The result", parts)

    def _part_of_rows(self, counts):
        return result_part(int(sum(counts)), _row_bytes(self._templates[0]))

    def _current_probabilities(self, X):
        if self._learns_from_table:
            raise ValueError(
                "A callback's predict_proba takes rows of numbers, but the sampler "
                "learns from columns of other kinds, or from sparse rows."
            )
        return super()._current_probabilities(X)

    def _features(self, rows):
        """F(x) of the rows, in blocks."""
        rng = run_generator(self._random_state)

        def blocks():
            for block in gen_batches(len(rows), block_size(rows.shape[1])):
                with self._users_rng(rng):
                    features = self._through(rows[block], self.feature_extractor_)
                yield features.numpy()

        return blocks()

    def _fit_resample(self, X, y):
        """X and y with what the trained generator makes, and keep its weights."""
        if self._pool is None:
            self.provenance_ = csr_array((0, len(y)))
            X, labels = append(X, [], 0), self.classes_[:0]
        else:
            counts, random_state = self._order(self._targets(), None)
            X, weights = self._generate_with_weights(
                counts, random_state, partial(append, X)
            )
            labels = np.repeat(self._generated_classes(), counts)
            if weights is not None:
                self.provenance_ = weights
        return X, extend(y, self._encode(labels))

    def _order(self, n, random_state):
        if getattr(self, "_all_withdrawn", False):
            raise ValueError(
                "Nothing to sample: all rows of the classes that were generated have "
                "been withdrawn."
            )
        return super()._order(n, random_state)

    def _new_blocks(self, size):
        """(rows, labels), `size` at a time, in the caller's types."""
        if self._pool is None:
            return iter(())
        return self._sampled_blocks(*self._order(self._targets(), None), size)

    def _sampled_blocks(self, counts, random_state, size):
        X, _ = self._templates
        blocks = self._blocks(counts, run_generator(random_state))
        rows = rechunked((fill(X, rows) for rows, *_ in blocks), size)
        labels = map(self._labels_like_y, self._labels(counts, size))
        return zip(rows, labels, strict=True)

    def _labels(self, counts, size):
        """Those of the generated rows, `size` at a time."""
        classes, ends = self._generated_classes(), np.cumsum(counts)
        for block in gen_batches(ends[-1], size):
            at = np.arange(block.start, block.stop)
            yield classes[ends.searchsorted(at, side="right")]

    def _generate(self, counts, random_state):
        """Rows of the generated classes in the caller's kind of table."""
        check_memory("Generating rows", [self._part_of_rows(counts)])
        blocks = self._blocks(counts, run_generator(random_state))
        return append(self._templates[0], (rows for rows, *_ in blocks), sum(counts))

    def _mixture(self, weights, draw, k, rng):
        if self._table is None:
            return super()._mixture(weights, draw, k, rng)
        seed = torch.randint(2**31 - 1, (), generator=rng)
        return self._table.mixed(
            self.generator_.igu.matrix(weights, draw),
            self.categories,
            np.random.RandomState(int(seed)),
        )

    def _targets(self):
        return {label: n for label, n in self.sampling_strategy_.items() if n}

    def _round_limit(self):
        starts_well = self.generator == "convex" and self.neighborhood is not None
        learns_rows = self.feature_extractor is not None
        if self.max_rounds == "auto" and starts_well and not learns_rows:
            return SHORT_GAME
        return super()._round_limit()

    def _check_X_y(self, X, y):
        """Rows, labels and the shape of an image; sets `sampling_strategy_`."""
        # A fit that fails leaves the sampler unfitted, never half fitted.
        self._is_trained = False
        self._categorical = "auto"
        for name in ("provenance_", "sampling_strategy_"):
            vars(self).pop(name, None)
        y = in_memory(y)
        y = y.to_numpy() if is_native(y) and not hasattr(y, "iloc") else y
        if self._is_table(X):
            return *self._check_table(_in_memory(X), y), None
        check_columns(X)
        if is_frame(X):
            check_shape(X)
        if self.feature_extractor is None and getattr(X, "ndim", 2) > 2:
            raise ValueError(
                f"X has shape {X.shape}; without a feature_extractor GAMOSampler takes "
                "flat rows, X.reshape(len(X), -1), with dim <= 2."
            )
        y = checked_labels(y)
        image_shape, ordered = self.image_shape, None
        if self.feature_extractor is not None:
            X, image_shape, ordered = as_read(X, image_shape)
        elif hasattr(X, "shape") and not is_lazy(X):
            check_no_missing(X)
        given = X
        X, y = check_rows(self, X, y)
        if not is_lazy(X):
            warn_of_identifiers(given if is_frame(given) else X)
        X = ordered(X) if ordered else X
        self.sampling_strategy_ = rows_to_generate(self.sampling_strategy, y)
        return X, y, image_shape

    def _check_groups(self, groups, y):
        """(n_samples,) groups as integers."""
        if self.generator != "convex" or self.neighborhood is None:
            raise ValueError(
                "groups needs generator='convex' and neighborhood='class' or an "
                f"integer, got generator={self.generator!r} and "
                f"neighborhood={self.neighborhood!r}, which has no rows to choose from."
            )
        groups = per_row(groups, len(y), "groups")
        assert_all_finite(groups, input_name="groups")
        try:
            return np.unique(groups, return_inverse=True)[1]
        except TypeError as error:
            kinds = sorted({type(group).__name__ for group in groups})
            raise TypeError(
                "groups must be all numbers or all text, none of them missing, got "
                f"{', '.join(kinds)}."
            ) from error

    def _is_table(self, X):
        """Whether rows of X are mixed column by column."""
        asked = self._names_categories() or self.missing == "propagate"
        return asked or is_sparse(X) or is_mixed(X)

    def _names_categories(self):
        return not isinstance(self.categorical_features, str)

    def _check_table(self, X, y):
        """A table of X, and labels; sets `sampling_strategy_`."""
        if self.feature_extractor is not None or self.generator != "convex":
            raise ValueError(
                "Sparse rows, categories and missing values are mixed by weights: "
                "they take generator='convex' and feature_extractor=None."
            )
        y = checked_labels(y)
        if is_sparse(X):
            if self._names_categories():
                raise ValueError(
                    "Sparse rows are numbers, but categorical_features is "
                    f"{self.categorical_features!r}. Leave it 'auto', or give a frame."
                )
            rows, y = validate_data(
                self, X, y, accept_sparse="csr", ensure_all_finite="allow-nan"
            )
            if np.isnan(rows.data).any():
                raise ValueError(
                    "Input X contains NaN: sparse rows cannot miss values, whatever "
                    "`missing` is. Impute them first, or give X dense."
                )
            rows = SparseTable(rows, template(X))
        else:
            X = np.array(X, dtype=object) if isinstance(X, list) else X
            rows = read_table(X, self.categorical_features, self.missing)
            categorical = categorical_mask(X, self.categorical_features)
            if self._names_categories():
                self._categorical = np.flatnonzero(categorical)
            warn_of_identifiers(X, categorical)
            y = validate_data(self, y=y)  # forgets the names of columns
            validate_data(self, X, skip_check_array=True)
            check_consistent_length(rows, y)
        self.sampling_strategy_ = rows_to_generate(self.sampling_strategy, y)
        return rows, y

    def _encode(self, labels):
        """Labels in the shape of the caller's y: one-hot where it was one-vs-all."""
        shape = np.shape(self._templates[1])
        if len(shape) == 1:
            return labels
        if shape[1] == 1:
            return labels[:, None]
        return np.eye(shape[1], dtype=int)[labels]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "propagate"
        return tags


def _in_memory(X):
    """X as it is; a memmap, which joblib makes of large arrays, as an array."""
    if isinstance(X, np.memmap):
        return np.array(X)
    if is_lazy(X):
        raise ValueError(
            f"X, a {type(X).__name__}, is read by minibatch, as plain numbers: it "
            "takes categorical_features='auto' and missing='error'. For other settings "
            "load it, np.asarray(X)."
        )
    return X


def _row_bytes(X):
    """Bytes of a row in a container like X, at least."""
    if is_sparse(X) or not hasattr(X, "shape"):
        return 1
    n_values = math.prod(X.shape[1:])
    # The types of Polars' and Arrow's columns do not tell their sizes: a byte at least.
    dtypes = getattr(X, "dtypes", None) if is_frame(X) else [X.dtype] * n_values
    if dtypes is None:
        return n_values
    return sum(getattr(dtype, "itemsize", 1) for dtype in dtypes)


def checked_labels(y):
    assert_all_finite(y, input_name="y")
    check_classification_targets(y)
    y, _ = check_target_type(y, indicate_one_vs_all=True)
    return y
