"""What both estimators share: parameters, networks, and a game watched to its end."""

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from imblearn.utils import check_sampling_strategy
from scipy.sparse import csr_array, get_index_dtype, vstack
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state, compute_class_weight, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from torch.optim.swa_utils import AveragedModel

from ._build import NETWORKS, check_builders, hidden_sizes, make_networks
from ._distributed import ALONE, own_device, shared_fit
from ._frames import stacked
from ._game import SCHEDULES, Game, exponential_average, make_player
from ._images import as_read, check_image_shape
from ._lazy import check_rows, subset
from ._limits import Limits
from ._losses import CRITERIA, DECEPTIONS
from ._networks import ConvexGenerator
from ._torch import (
    Rows,
    Scaling,
    block_size,
    private_random_state,
    process_rng,
    put_to_rest,
    resolve_device,
    run_generator,
    workspace,
)
from ._training import Training, progress
from ._typing import Array, Data, Seed, Wanted
from ._watch import (
    Current,
    Watcher,
    check_finite,
    hold_out,
    memory_line,
)

CHUNK_VALUES = 2**18


def rows_to_generate(strategy, y):
    """Rows to generate per label, by imbalanced-learn's rules but for floats.

    A float f raises every class below round(f * largest) to that size, for two
    classes or more.
    """
    if isinstance(strategy, Real):
        labels, counts = np.unique(y, return_counts=True)
        size = round(strategy * counts.max())
        if size < counts.min():
            raise ValueError(
                f"sampling_strategy={strategy} asks for {size} rows per class, but "
                f"the smallest class has {counts.min()} already. Raise it above "
                f"{counts.min() / counts.max():.3g}."
            )
        strategy = dict(zip(labels, np.maximum(counts, size), strict=True))
    if callable(strategy):
        strategy = strategy(y)
    if not isinstance(strategy, str):
        strategy = _check_targets(strategy)
    return dict(check_sampling_strategy(strategy, y, "over-sampling"))


def warn_of_balance(strategy, targets, stacklevel=4):
    """Say so where no class is to be generated."""
    if not any(targets.values()):
        warnings.warn(
            "No class is below the size that sampling_strategy="
            f"{strategy!r} asks for: nothing is generated.",
            stacklevel=stacklevel,
        )


def warn_of_copies(labels, sizes, targets, stacklevel=4):
    """Say so where a class to be generated has one row alone."""
    for label, size in zip(labels, sizes, strict=True):
        if size == 1:
            warnings.warn(
                f"Class {label} has one row to learn from: its "
                f"{targets.get(label, 0)} generated rows are copies.",
                stacklevel=stacklevel,
            )


def warn_of_alone(lots, stacklevel=4):
    """Say so where rows have no other row of their class in their group."""
    n_alone = int((lots.cells == 1).sum() - (lots.sizes == 1).sum())
    if n_alone:
        warnings.warn(
            f"{n_alone} of the {int(lots.sizes.sum())} rows to learn from are alone in "
            "their class and group: rows generated from them are copies.",
            stacklevel=stacklevel,
        )


def _check_targets(strategy):
    if not isinstance(strategy, Mapping) or not all(
        isinstance(n, Integral) for n in strategy.values()
    ):
        raise ValueError(
            "sampling_strategy must give integers by class label, "
            f"{{label: number of rows}}, got {strategy!r}."
        )
    return dict(strategy)


class BaseGAMO(BaseEstimator):
    """Parameters and training shared by `GAMOClassifier` and `GAMOSampler`."""

    _parameter_constraints: dict = {
        "loss": [StrOptions(set(CRITERIA))],
        "generator": [StrOptions({"convex", "unconstrained"}), callable, None],
        "discriminator": [StrOptions({"auto"}), callable, None],
        "classifier": [StrOptions({"auto"}), callable],
        "feature_extractor": [StrOptions({"conv"}), callable, None],
        "image_shape": ["array-like", None],
        "neighborhood": [
            StrOptions({"class"}),
            Interval(Integral, 2, None, closed="left"),
            None,
        ],
        "max_sources": [Interval(Integral, 1, None, closed="left"), None],
        "max_weight": [Interval(Real, 0, 1, closed="right")],
        "min_sources": [Interval(Real, 1, None, closed="left")],
        "generator_target": [StrOptions(set(DECEPTIONS))],
        "discriminator_weight": [Interval(Real, 0, None, closed="left")],
        "generated_weight": [
            StrOptions({"objective", "algorithm"}),
            Interval(Real, 0, None, closed="left"),
        ],
        "class_weight": [StrOptions({"balanced"}), Mapping, None],
        "logit_adjustment": [Interval(Real, 0, None, closed="left")],
        "mixup": [Interval(Real, 0, None, closed="left")],
        "weight_averaging": [Interval(Real, 0, 1, closed="left")],
        "sampling_strategy": [
            Interval(Real, 0, 1, closed="right"),
            StrOptions({"auto", "minority", "not minority", "not majority", "all"}),
            Mapping,
            callable,
        ],
        "schedule": [StrOptions(set(SCHEDULES))],
        "latent_dim": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": [StrOptions({"auto"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "max_rounds": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "rounds_per_epoch": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
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
        verbose=0,
        random_state=None,
        device="auto",
    ) -> None:
        self.loss = loss
        self.generator = generator
        self.discriminator = discriminator
        self.classifier = classifier
        self.feature_extractor = feature_extractor
        self.image_shape = image_shape
        self.neighborhood = neighborhood
        self.max_sources = max_sources
        self.max_weight = max_weight
        self.min_sources = min_sources
        self.generator_target = generator_target
        self.discriminator_weight = discriminator_weight
        self.generated_weight = generated_weight
        self.class_weight = class_weight
        self.logit_adjustment = logit_adjustment
        self.mixup = mixup
        self.weight_averaging = weight_averaging
        self.sampling_strategy = sampling_strategy
        self.schedule = schedule
        self.latent_dim = latent_dim
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.max_rounds = max_rounds
        self.rounds_per_epoch = rounds_per_epoch
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.label_smoothing = label_smoothing
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.scoring = scoring
        self.verbose = verbose
        self.random_state = random_state
        self.device = device

    # Training -------------------------------------------------------------

    def _fit_game(self, X, y, targets, image_shape, *, sample_weight=None, groups=None):
        """Play the game to its end and keep what came of it.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows; images flat, in (channels, height, width) order.
        y : ndarray of shape (n_samples,)
            Labels.
        targets : dict
            Rows to generate per label, n (P_c - P_i) in the paper's letters.
        image_shape : tuple or None
            (channels, height, width), where rows are images.
        sample_weight : ndarray of shape (n_samples,), default=None
            Positive weights of the rows in M's loss. None: all alike.
        groups : ndarray of int of shape (n_samples,), default=None
            Rows of two groups are not mixed. None: any of a class are.
        """
        self._check_parameters(X, image_shape)
        self.classes_, y = np.unique(y, return_inverse=True)
        with shared_fit(self.device_) as group:
            self._fit_in(group, X, y, targets, sample_weight, groups)
        self._is_trained = True

    def _fit_in(self, group, X, y, targets, sample_weight, groups):
        """The fit of this process within the group; y are class indices."""
        random_state = private_random_state(group.seed(self.random_state))
        rng = run_generator(random_state)
        given = self.get_params(deep=False) | {"sampling_strategy": targets}
        given |= {"y": y, "sample_weight": sample_weight, "groups": groups}
        group.check_same(X, rng, **given)
        with workspace(), self._users_rng(rng):
            train, held_out = slice(None), None
            if self.early_stopping and len(self.classes_) > 1:
                held_out = hold_out(y, self.validation_fraction, random_state)
                self._warn_of_unseen(y, held_out)
                train = np.setdiff1d(np.arange(len(y)), held_out)
            wanted = np.array([targets.get(label, 0) for label in self.classes_])
            wanted = wanted * (len(y[train]) / len(y))
            # Not X[:], which would read all of a file of images to put them in order.
            X_train = X if held_out is None else subset(X, train)
            game = self._make_game(
                X_train,
                y[train],
                wanted,
                rng,
                group,
                sample_weight=_at(sample_weight, train),
                groups=_at(groups, train),
            )
            self._check_limits(game.lots.classes, game.lots.smallest)
            watcher = None
            if held_out is not None:
                watcher = self._make_watcher(
                    subset(X, held_out),
                    self.classes_[y[held_out]],
                    _at(sample_weight, held_out),
                )
            self._play(game, watcher, watcher.X if watcher else X_train)
            self._keep(game, X_train)
            self._members = np.arange(len(y))[train][game.members.numpy()]
            self._n_samples = len(y)
        self._random_state = random_state

    def _users_rng(self, rng):
        """torch's process-wide RNG from `rng`, where users' networks may draw."""
        users_own = any(callable(getattr(self, name)) for name in NETWORKS)
        return process_rng(rng) if users_own else nullcontext()

    def _check_parameters(self, X, image_shape):
        """What the constraints cannot tell; sets what follows from them."""
        check_builders(self)
        hidden_sizes(self.hidden_layer_sizes, X.shape[1])
        self._image_shape = check_image_shape(image_shape, X.shape[1])
        self.device_ = own_device(resolve_device(self.device))

    def _limits(self):
        return Limits(self.max_sources, self.max_weight, self.min_sources)

    def _check_limits(self, classes, sizes):
        """Whether generated rows of those classes, with so many rows, can meet them."""
        limits = self._limits()
        if limits and self.generator != "convex":
            raise ValueError(
                "max_sources, max_weight and min_sources are for the weights of "
                f"generator='convex', but generator={self.generator!r}."
            )
        if limits and self.generator_:
            most = sizes.clamp(max=self.generator_.igu.most_sources)
            limits.check(self.classes_[classes.numpy()], most.tolist())

    def _make_game(
        self, X, y, n_generated, rng, group=ALONE, *, sample_weight=None, groups=None
    ):
        images = self._image_shape is not None
        self._scaling = (Scaling.of_images if images else Scaling.of_rows)(X)
        y = torch.tensor(y, dtype=torch.long)
        cells = cells_of(y, groups)
        n_generated = torch.tensor(n_generated, dtype=torch.float64)
        w = sample_weight
        if w is not None:
            w = torch.tensor(w / w.mean(), dtype=torch.float64)
        networks = make_networks(
            self,
            X.shape[1],
            self._image_shape,
            len(self.classes_),
            cells[(n_generated > 0)[y]].unique(return_counts=True)[1].tolist(),
            rng,
        )
        for name, network in networks.items():
            setattr(self, f"{name}_", network)
        group.check_networks(self._learners())
        F, M, D, G = (
            None if network is None else make_player(network, self, self.device_, group)
            for network in networks.values()
        )
        if self.weight_averaging:
            rule = exponential_average(self.weight_averaging)
            M.average = AveragedModel(M.network, multi_avg_fn=rule, use_buffers=True)
            self.classifier_ = M.average.module
        weights = {"objective": float(n_generated.sum()) / len(y), "algorithm": 1.0}
        return Game(
            F=F,
            M=M,
            D=D,
            G=G,
            rows=Rows(X, self._scaling, self.device_),
            y=y,
            cells=cells,
            n_generated=n_generated,
            criterion=CRITERIA[self.loss],
            deception=DECEPTIONS[self.generator_target],
            schedule=SCHEDULES[self.schedule],
            generated_weight=weights.get(self.generated_weight, self.generated_weight),
            class_weight=self._class_weights(y, w).to(self.device_),
            sample_weight=None if w is None else w.float().to(self.device_),
            margin=self._margin(y, w).to(self.device_),
            mixup=self.mixup,
            discriminator_weight=self.discriminator_weight,
            label_smoothing=self.label_smoothing,
            latent_dim=self.latent_dim,
            batch_size=self.batch_size,
            rounds_per_epoch=self.rounds_per_epoch,
            rng=rng,
            device=self.device_,
            group=group,
        )

    def _class_weights(self, y, sample_weight):
        """(c,) weights of rows in M's loss, scikit-learn's by `class_weight`."""
        indices = np.arange(len(self.classes_))
        given = self.class_weight
        if isinstance(given, Mapping):
            unknown = [label for label in given if label not in list(self.classes_)]
            if unknown:
                raise ValueError(
                    f"class_weight names {unknown}, but the classes are "
                    f"{self.classes_.tolist()}."
                )
            wrong = {i: w for i, w in given.items() if not _is_weight(w)}
            if wrong:
                raise ValueError(
                    f"class_weight must hold finite numbers of at least 0, got {wrong}."
                )
            given = {i: given.get(self.classes_[i], 1.0) for i in indices}
        if sample_weight is not None:
            sample_weight = sample_weight.numpy()
        weights = compute_class_weight(
            given, classes=indices, y=y.numpy(), sample_weight=sample_weight
        )
        return torch.tensor(weights, dtype=torch.float32)

    def _margin(self, y, sample_weight):
        """(c,) tau log P_i: the loss makes up for what M's scores are given."""
        sums = y.bincount(sample_weight, minlength=len(self.classes_)).double()
        return self.logit_adjustment * (sums / sums.sum()).log().float()

    def _warn_of_unseen(self, y, held_out):
        unseen = np.setdiff1d(y, y[held_out])
        if len(unseen):
            warnings.warn(
                f"Classes {self.classes_[unseen].tolist()} have one row each: "
                "early_stopping judges the classifier without them.",
                stacklevel=6,
            )

    def _make_watcher(self, X, y, sample_weight):
        current = Current(self._probabilities, self.classes_)
        patience = self.n_iter_no_change
        return Watcher(current, self.scoring, X, y, patience, sample_weight)

    def _play(self, game, watcher, X):
        """Play the game to its end, or to where somebody ends it."""
        limit = self.max_iter * game.rounds_per_epoch
        training = Training(
            game,
            self._networks(),
            self.learning_rate,
            min(limit, self._round_limit() or limit),
            partial(self._check_outputs, X),
            watcher,
        )
        self.history_ = training.history
        if self.verbose > 1:
            print(self._memory(game))
        with progress(training, self.verbose) as report:
            training.play([report] + ([watcher] if watcher else []))
        self.n_iter_ = len(self.history_)

    def _round_limit(self):
        """Greatest number of rounds, None for no limit."""
        return 1000 if self.max_rounds == "auto" else self.max_rounds

    def _check_outputs(self, X, epoch):
        """Weights may be finite and yet overflow in use."""
        finite = np.isfinite(self._probabilities(X[: block_size(X.shape[1])])).all()
        check_finite({"classifier": finite}, epoch)

    def _memory(self, game):
        learners = [player.network for player in (game.F, game.M) if player]
        batch = game.rows[torch.arange(game.batch_size)]
        return memory_line(self._networks().values(), learners, batch)

    def _networks(self):
        """The networks that take part, by parameter name."""
        named = {name: getattr(self, f"{name}_") for name in NETWORKS}
        return {name: n for name, n in named.items() if n is not None}

    def _learners(self):
        """Those of which each row's output is to be its own: all but the generator."""
        return {k: n for k, n in self._networks().items() if k != "generator"}

    def _keep(self, game, X):
        """Networks at rest on the CPU, and the rows that G mixes."""
        self._n_features_out = game.real(torch.zeros(1, dtype=torch.long)).shape[1]
        put_to_rest(*self._networks().values())
        self._lots = replace(game.lots, device=torch.device("cpu"))
        self._deficit = game.deficit.numpy()
        self._pool = None
        if game.G:
            rows = game.pool.cpu().numpy() if game.F else X[game.members.numpy()]
            dtype = np.result_type(rows.dtype, np.float32)
            dtype = min(dtype, np.dtype(np.float64))
            # `rows` is nobody else's: no copy is needed.
            self._keep_pool(torch.from_numpy(rows.astype(dtype, copy=False)))

    def _keep_pool(self, pool):
        """The rows that G mixes, and the least and greatest values of each class."""
        pools = pool.split(self._lots.sizes.tolist())
        self._pool = pool
        self._low = torch.stack([rows.amin(0) for rows in pools])
        self._high = torch.stack([rows.amax(0) for rows in pools])

    def _keep_nothing(self, X, y, image_shape):
        """The state of a fit in which there was nothing to learn."""
        self._check_parameters(X, image_shape)
        self.classes_ = np.unique(y)
        self.history_ = []
        self.n_iter_ = 0
        for name in NETWORKS:
            setattr(self, f"{name}_", None)
        self._pool = None
        self._is_trained = True

    # After training -------------------------------------------------------

    def __sklearn_is_fitted__(self):
        return getattr(self, "_is_trained", False)

    def sample(self, n: Wanted, *, random_state: Seed = None) -> tuple[Any, ...]:
        """Generate rows with the fitted generator, without training again.

        Parameters
        ----------
        n : int or dict
            As an int, the number of rows in all; their classes are drawn as in
            training, class i with probability proportional to P_c - P_i. As a
            dict, the number of rows per class label.
        random_state : int, RandomState instance or None, default=None
            None goes on with the random state of the fit, so that every call
            gives new rows; an int gives the same rows at every call.

        Returns
        -------
        X : ndarray of shape (n, n_features)
            Generated rows in the space of :meth:`extract_features`, by ascending
            class.
        y : ndarray of shape (n,)
            Their labels.
        """
        counts, random_state = self._order(n, random_state)
        labels = np.repeat(self._generated_classes(), counts)
        return self._generate(counts, random_state), labels

    def _order(self, n, random_state):
        """Rows per generated class, and the random state, from what `sample` is given.

        None goes on with the random state of the fit.
        """
        self._check_trained()
        if self._pool is None:
            raise ValueError("Nothing to sample: no class was generated in fit.")
        random_state = check_random_state(
            self._random_state if random_state is None else random_state
        )
        return self._counts(n, random_state), random_state

    def extract_features(self, X: Data) -> Array:
        """Map rows into the space in which rows are generated.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or images
            As in `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            F(x); the rows themselves where there is no feature extractor.
        """
        self._check_trained()
        X = self._check_rows(X)
        if self.feature_extractor is None:
            return X[:]
        return self._through(X, self.feature_extractor_).numpy()

    def _check_trained(self):
        if not getattr(self, "_is_trained", False):
            raise NotFittedError(
                f"This {type(self).__name__} has not been trained yet."
            )

    def _check_rows(self, X):
        X, _, ordered = as_read(X, self._image_shape)
        X = check_rows(self, X, reset=False)
        return ordered(X) if ordered else X

    def _through(self, X, *networks):
        """Rows X (n, n_features), scaled, through the networks, on the CPU."""
        device = next(self.classifier_.parameters()).device
        blocks = []
        with workspace(), torch.no_grad():
            for block in gen_batches(len(X), block_size(X.shape[1])):
                x = self._scaling.forward(X[block]).to(device)
                for network in networks:
                    x = network(x)
                blocks.append(x.cpu())
        return torch.cat(blocks)

    def _probabilities(self, X):
        """M(x), (n, n_classes), float64."""
        networks = [self.feature_extractor_, self.classifier_]
        scores = self._through(X, *[n for n in networks if n is not None])
        return scores.double().softmax(1).numpy()

    def _counts(self, n, random_state):
        """Rows per generated class from `sample`'s n."""
        if not isinstance(n, Mapping):
            _check_count(n)
            return random_state.multinomial(n, self._deficit / self._deficit.sum())
        if not n:
            raise ValueError("n asks for no rows: it is an empty dict.")
        labels = self._generated_classes()
        # As numpy scalars: `tolist` makes other keys of dates.
        unknown = [label for label in n if label not in list(labels)]
        if unknown:
            raise ValueError(
                f"n asks for rows of {unknown}, but the generated classes are "
                f"{labels.tolist()}."
            )
        for count in n.values():
            _check_count(count)
        return np.array([n.get(label, 0) for label in labels])

    def _generated_classes(self):
        return self.classes_[self._lots.classes.numpy()]

    def _generate(self, counts, random_state):
        """Rows of the generated classes, (sum of counts, d), class by class."""
        rng = run_generator(random_state)
        return stacked((rows for rows, *_ in self._blocks(counts, rng)), sum(counts))

    def _generate_with_weights(self, counts, random_state, collect=stacked):
        """What `collect` makes of the same rows, and their weights on those of X.

        The weights are sparse, and None where the generator is not convex.
        """
        weights = []

        def kept(blocks):
            for rows, w, draw in blocks:
                if w is not None:
                    matrix = self.generator_.igu.matrix(w, draw)
                    weights.append(self._on_samples(matrix))
                yield rows

        rng = run_generator(random_state)
        with workspace(), torch.no_grad():
            rows = collect(kept(self._blocks(counts, rng)), sum(counts))
        return rows, vstack(weights, "csr") if weights else None

    def _blocks(self, counts, rng):
        """(rows, their weights or None, the draw that they come from), in blocks.

        Whoever asks for the next one finds torch in between as they left it.
        """
        made = self._made_blocks(counts, rng)
        while True:
            with workspace(), self._users_rng(rng), torch.no_grad():
                block = next(made, None)
            if block is None:
                return
            yield block

    def _made_blocks(self, counts, rng):
        """The same, in torch as it stands."""
        convex = isinstance(self.generator_, ConvexGenerator)
        limits, asked = self._limits(), torch.tensor(counts) > 0
        self._check_limits(self._lots.classes[asked], self._lots.smallest[asked])
        for k, draw in self._draws(counts, rng):
            if not convex:
                yield self._in_units(self.generator_(draw, self._pool)), None, draw
                continue
            weights = self.generator_.pruned_weights(draw)
            if limits:
                weights = self.generator_.igu.limited(weights, limits)
            yield self._mixture(weights, draw, k, rng), weights, draw

    def _mixture(self, weights, draw, k, rng):
        """Rows of classes k from weights on the pool."""
        rows = self.generator_.igu.mix(weights, draw, self._pool)
        # A sum of products can pass the extremes by its last bit.
        return self._in_units(rows.clamp_(self._low[k], self._high[k]))

    def _in_units(self, rows):
        """Generated rows as an array, in the units of X where they are rows of X."""
        check_finite({"generator": rows.isfinite().all()}, self.n_iter_)
        convex = isinstance(self.generator_, ConvexGenerator)
        if convex or self.feature_extractor_ is not None:
            return rows.numpy()
        return self._scaling.inverse(rows)

    def _on_samples(self, weights):
        """Sparse weights on the rows that `_pool` holds, as weights on those of X."""
        shape = weights.shape[0], self._n_samples
        narrow = get_index_dtype(maxval=max(*shape, weights.nnz))
        members = self._members[weights.indices].astype(narrow)
        return csr_array(
            (weights.data, members, weights.indptr.astype(narrow)), shape=shape
        )

    def _draws(self, counts, rng):
        """Class positions and draws for so many rows each, in blocks of few values."""
        width = max(self._pool.shape[1], self.generator_.n_sources)
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        for k in labels.split(max(1, CHUNK_VALUES // width)):
            yield k, self._lots.of(k, rng)


def cells_of(y, groups):
    """(n,) numbers of the rows' cells, a class or a group within it, by class."""
    if groups is None:
        return y
    code = y * (int(groups.max()) + 1) + torch.tensor(groups)
    return code.unique(return_inverse=True)[1]


def _at(values, index):
    return None if values is None else values[index]


def _is_weight(w):
    return isinstance(w, Real) and 0 <= w < np.inf


def _check_count(n):
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, or a dict of them, got {n!r}.")
