"""What both estimators share: parameters, networks, and a game watched to its end."""

import math
import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, get_index_dtype, vstack
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer_names
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils._param_validation import Interval, StrOptions
from torch.optim.swa_utils import AveragedModel

from ._build import (
    NETWORKS,
    alike,
    check_builders,
    filled,
    hidden_sizes,
    make_networks,
)
from ._checkpoint import Checkpoint, NoCheckpoint, digests
from ._diagnosis import Outcome, diagnose
from ._distributed import ALONE, own_device, shared_fit
from ._draws import Lots
from ._frames import part, stacked
from ._game import SCHEDULES, Game, exponential_average, make_player
from ._images import as_read, check_image_shape
from ._lazy import check_rows, subset
from ._limits import Limits
from ._listeners import Callbacks, check_callbacks, progress
from ._losses import CRITERIA, DECEPTIONS
from ._memory import (
    COPIES,
    FLOAT,
    batch_part,
    check_memory,
    check_training,
    dense_values,
    device_memory,
    in_blocks,
    memory_line,
    networks_part,
    pool_part,
    result_part,
    row_activation_bytes,
    rows_part,
    weights_part,
)
from ._networks import ConvexGenerator
from ._past import FRESH, kept
from ._saving import SaveMixin
from ._stops import Stops, warn_of_interruption
from ._stored import Weights, require
from ._summary import SummaryMixin, check_summary, summed_up
from ._torch import (
    Rows,
    Scaling,
    block_size,
    is_resident,
    private_random_state,
    process_rng,
    put_to_rest,
    resolve_device,
    run_generator,
    workspace,
)
from ._training import Training
from ._typing import Array, Data, Seed, Wanted
from ._warn import warn
from ._watch import (
    Current,
    Watcher,
    check_finite,
    check_weights,
    hold_out,
)
from ._weights import class_weights, margin
from .exceptions import TrainingWarning

CHUNK_VALUES = 2**18
# Attributes that not every fitted estimator has.
NOT_ALWAYS = {"feature_names_in_", "provenance_", "_low", "_high", "_summary"}


class BaseGAMO(SaveMixin, SummaryMixin, BaseEstimator):
    """Parameters and training shared by `GAMOClassifier` and `GAMOSampler`."""

    _fitted_kinds: dict = {
        "classes_": np.ndarray,
        "n_features_in_": int,
        "feature_names_in_": np.ndarray,
        "n_iter_": int,
        "n_rounds_": int,
        "history_": list,
        "device_": torch.device,
        **{f"{name}_": Weights | None for name in NETWORKS},
        "_is_trained": bool,
        "_image_shape": tuple | None,
        "_scaling": Scaling,
        "_n_features_out": int,
        "_lots": Lots,
        "_deficit": np.ndarray,
        "_pool": torch.Tensor | None,
        "_low": torch.Tensor,
        "_high": torch.Tensor,
        "_members": np.ndarray,
        "_n_samples": int,
        "_random_state": np.random.RandomState,
        "_players": dict,
        "_summary": dict,
    }

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
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
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
        "callbacks": [list, tuple, None],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_interval": [Interval(Integral, 1, None, closed="left")],
        "resume": ["boolean"],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
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
        warm_start=False,
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
        self.max_time = max_time
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
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.checkpoint_interval = checkpoint_interval
        self.resume = resume
        self.verbose = verbose
        self.random_state = random_state
        self.device = device
        self.warm_start = warm_start

    # Training -------------------------------------------------------------

    def _fit_game(
        self,
        X,
        y,
        targets,
        image_shape,
        *,
        sample_weight=None,
        groups=None,
        past=FRESH,
    ):
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
        past : Past, default=FRESH
            What it goes on from.
        """
        self._check_parameters(X, image_shape)
        self.classes_ = np.unique(y) if past.classes is None else past.classes
        y = np.searchsorted(self.classes_, y)
        with shared_fit(self.device_) as group, device_memory("a smaller batch_size"):
            self._fit_in(group, X, y, targets, sample_weight, groups, past)
        self._is_trained = True

    def _fit_in(self, group, X, y, targets, sample_weight, groups, past):
        """The fit of this process within the group; y are class indices."""
        given = self.get_params(deep=False) | {"sampling_strategy": targets}
        given |= {"y": y, "sample_weight": sample_weight, "groups": groups}
        checkpoint = self._open_checkpoint(X, given)
        random_state = past.random_state
        if random_state is None:
            seed = checkpoint.seed(self.random_state, group)
            random_state = private_random_state(seed)
        rng = run_generator(random_state)
        given["checkpoint"] = checkpoint.found and checkpoint.found[0]
        group.check_same(X, rng, **given)
        sizes = np.bincount(y, minlength=len(self.classes_))
        sizes = sizes[[targets.get(i, 0) > 0 for i in self.classes_]]
        check_training(*self._parts_of_fit(X, sizes.tolist()), self.device_)
        with workspace(), self._users_rng(rng) as users_rng:
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
                past=past,
            )
            self._check_limits(game.lots.classes, game.lots.smallest)
            watcher = None
            if held_out is not None:
                watcher = self._make_watcher(
                    subset(X, held_out),
                    self.classes_[y[held_out]],
                    _at(sample_weight, held_out),
                )
            training = self._training(game, users_rng, watcher, past)
            checkpoint.begin(training)
            self._play(training, checkpoint, self._make_callbacks(users_rng))
            self.n_rounds_ = past.n_rounds + training.n_played
            self._keep(game, X_train)
            # Only who learns batch by batch has to go on with the same steps.
            self._players = past.players | kept(game) if past.n_epochs else {}
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
        check_callbacks(self.callbacks)
        hidden_sizes(self.hidden_layer_sizes, X.shape[1])
        self._image_shape = check_image_shape(image_shape, X.shape[1])
        self.device_ = own_device(resolve_device(self.device))
        if self.resume and self.checkpoint is None:
            raise ValueError("resume=True needs a checkpoint, the file to go on from.")

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
        self,
        X,
        y,
        n_generated,
        rng,
        group=ALONE,
        *,
        sample_weight=None,
        groups=None,
        past=FRESH,
    ):
        n_classes = len(self.classes_)
        y = torch.tensor(y, dtype=torch.long)
        cells = cells_of(y, groups)
        n_generated = torch.tensor(n_generated, dtype=torch.float64)
        w = sample_weight
        if w is not None:
            w = torch.tensor(w / w.mean(), dtype=torch.float64)
        weight_of_class = class_weights(self.class_weight, self.classes_, y, w)
        networks = make_networks(
            self,
            X.shape[1],
            self._image_shape,
            n_classes,
            cells[(n_generated > 0)[y]].unique(return_counts=True)[1].tolist(),
            rng,
        )
        past.load(networks)
        self._is_trained = False  # the networks of a fit before are given up
        self._scaling = past.scaling or self._scaling_of(X)
        for name, network in networks.items():
            # Who takes no part this time stays as before.
            own = past.networks.get(name) if network is None else network
            setattr(self, f"{name}_", own)
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
        game = Game(
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
            class_weight=weight_of_class.to(self.device_),
            sample_weight=None if w is None else w.float().to(self.device_),
            margin=margin(self.logit_adjustment, n_classes, y, w).to(self.device_),
            mixup=self.mixup,
            discriminator_weight=self.discriminator_weight,
            label_smoothing=self.label_smoothing,
            latent_dim=int(self.latent_dim),  # of any width in numpy
            batch_size=int(self.batch_size),
            rounds_per_epoch=self.rounds_per_epoch,
            rng=rng,
            device=self.device_,
            group=group,
        )
        past.restore(game)
        return game

    def _scaling_of(self, X):
        images = self._image_shape is not None
        return (Scaling.of_images if images else Scaling.of_rows)(X)

    def _warn_of_unseen(self, y, held_out):
        unseen = np.setdiff1d(y, y[held_out])
        if len(unseen):
            warn(
                f"Classes {self.classes_[unseen].tolist()} have one row each: "
                "early_stopping judges the classifier without them."
            )

    def _make_watcher(self, X, y, sample_weight):
        current = Current(self._probabilities, self.classes_)
        patience = self.n_iter_no_change
        return Watcher(current, self.scoring, X, y, patience, sample_weight)

    def _make_callbacks(self, users_rng):
        """Those of the user, who are to reach M's probabilities but not the rest."""
        if not self.callbacks:
            return None
        return Callbacks(
            self.callbacks,
            self.classes_,
            lambda X: self._current_probabilities(X),
            users_rng.outside if users_rng else nullcontext,
        )

    def _current_probabilities(self, X):
        """M's, as it stands, for rows as `fit` takes them."""
        return self._probabilities(self._check_rows(X))

    def _training(self, game, users_rng, watcher, past):
        return Training(
            game,
            self._networks(),
            self.learning_rate,
            self._n_rounds(game.rounds_per_epoch, past.n_epochs),
            watcher,
            users_rng,
            past.history,
        )

    def _play(self, training, checkpoint, callbacks):
        """Play the game to its end, or to where somebody ends it."""
        self.history_ = training.history
        watcher = training.watcher
        check_memory("Training", self._parts_of_game(training.game), self.device_)
        if self.verbose > 1:
            print(self._memory(training.game))
        if self.verbose and self.resume:
            print(f"Epochs taken from {self.checkpoint}: {len(self.history_)}")
        with (
            Stops(self.max_time) as stops,
            progress(training, self.verbose) as report,
        ):
            listeners = [f for f in (report, watcher, callbacks) if f]
            training.play(listeners, checkpoint, stops)
        self.n_iter_ = len(self.history_)
        if stops.interrupted:
            warn_of_interruption(self.n_iter_, watcher)
        outcome = self._outcome(training)
        messages = diagnose(outcome)
        n_generated = training.game.n_generated.round().long().tolist()
        self._summary = summed_up(outcome, n_generated, messages)
        for message in messages:
            warn(message, TrainingWarning)

    def _outcome(self, training):
        """What is known of the game at its end."""
        game, watcher = training.game, training.watcher
        return Outcome(
            history=training.history,
            by_class=training.health.by_class,
            labels=list(self.classes_),
            n_real=game.y.bincount(minlength=len(self.classes_)).tolist(),
            generated=game.lots.classes.tolist(),
            smallest=game.lots.smallest.tolist(),
            bounded=bool(self._limits()),
            held_out=watcher.found() if watcher else {},
        )

    def _open_checkpoint(self, X, given):
        """The file of a fit to rows X, and to what else is given by name."""
        if self.checkpoint is None:
            return NoCheckpoint()
        given = given | {"estimator": type(self).__name__}
        given["y"] = [self.classes_, given["y"]]
        checkpoint = Checkpoint(
            self.checkpoint, self.checkpoint_interval, digests(X, given)
        )
        checkpoint.read(self.resume)
        return checkpoint

    def _n_rounds(self, per_epoch, n_epochs):
        if n_epochs is not None:
            return n_epochs * per_epoch
        limit = int(self.max_iter) * per_epoch
        return int(min(limit, self._round_limit() or limit))

    def _round_limit(self):
        """Greatest number of rounds, None for no limit."""
        return 1000 if self.max_rounds == "auto" else self.max_rounds

    def _parts_of_fit(self, X, sizes):
        """What follows from the numbers of rows, of all and of each generated class.

        On the host, and on the device.
        """
        (n, d), n_pool = X.shape, sum(sizes)
        host, device = [rows_part(n, X.size if is_resident(X) else 0)], []
        if sizes and self.feature_extractor is None:
            block, itemsize = d * min(n, block_size(d)), np.dtype(X.dtype).itemsize
            host.append(pool_part(n_pool * d, itemsize, block))
        hidden = hidden_sizes(self.hidden_layer_sizes, d)
        values = 0
        if sizes and self.generator == "convex":
            values = dense_values(int(self.latent_dim) + len(self.classes_), hidden[0])
        if values and self.neighborhood is None:
            values += dense_values(max(hidden[-1] // 2, 1), n_pool)
            # Of one class: weights, their gradient and that of the softmax.
            rows = -(-min(int(self.batch_size), n) // len(sizes))
            device.append(batch_part(3 * FLOAT * rows * n_pool))
        return host, [*device, networks_part(values)]

    def _parts_of_game(self, game):
        """What playing it will add to a game that is set up."""
        learners = [player.network for player in (game.F, game.M) if player]
        shape = 3, game.rows.n_features
        x = torch.zeros(shape, dtype=torch.float32, device=self.device_)
        n_rows = game.batch_size // game.group.size
        learn = [p for n in self._networks().values() for p in n.parameters()]
        values = sum(p.numel() for p in learn if p.requires_grad)
        return [
            batch_part(n_rows * row_activation_bytes(learners, x)),
            networks_part(values, COPIES - 1),
        ]

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
        self.n_iter_ = self.n_rounds_ = 0
        self._summary = {}
        for name in NETWORKS:
            setattr(self, f"{name}_", None)
        self._pool = None
        self._is_trained = True

    # Files ----------------------------------------------------------------

    def _check_saved(self):
        if not self._has_networks():
            return
        for name, network in self._made_again().items():
            fitted = getattr(self, f"{name}_")
            unused = self._pool is None and name in ("generator", "discriminator")
            if not alike(network, fitted) and not (unused and fitted is None):
                raise ValueError(
                    f"{name}_ is not what the estimator's parameters make: they were "
                    "changed after fit. Set them back, or fit again."
                )

    def _restore(self):
        if not self._has_networks():
            return
        self._check_restored()
        weights = {name: getattr(self, f"{name}_") for name in NETWORKS}
        n_tensors = sum(len(given) for given in weights.values() if given)
        fits = np.size(self.hidden_layer_sizes) <= n_tensors
        require(fits, "hidden_layer_sizes has more layers than there are weights.")
        for name, network in self._made_again().items():
            given = weights[name] is not None
            network = filled(network, weights[name], f"{name}_") if given else None
            setattr(self, f"{name}_", network)
        check_weights(self._networks(), self.n_iter_)
        put_to_rest(*self._networks().values())
        if self._pool is not None:
            self.generator_.locate(self._pool_in_game())

    def _has_networks(self):
        trained = getattr(self, "_is_trained", False)
        return trained and self.classifier_ is not None

    def _made_again(self):
        """Networks as those of the fit were, by name; default ones without memory."""
        shape, center = self._image_shape, self._scaling.center
        n_features = len(center) if shape is None else math.prod(shape)
        # Where no class is generated, D does not depend on how many rows one has.
        sizes, n_classes = self._lots.cells.tolist() or [1], len(self.classes_)
        users_rng = self._users_rng(torch.Generator().manual_seed(0))
        with workspace(), users_rng, torch.device("meta"):
            return make_networks(self, n_features, shape, n_classes, sizes, None)

    def _check_restored(self):
        """That the parts of what was read fit together."""
        missing = sorted(set(self._fitted_kinds) - set(vars(self)) - NOT_ALWAYS)
        require(not missing, f"there is no {', '.join(missing)}.")
        c, lots = len(self.classes_), self._lots
        require(self.classes_.ndim == 1 and c, "classes_ is not a list of labels.")
        fits = (lots.n_classes, lots.latent_dim) == (c, self.latent_dim)
        require(fits, "classes_ and latent_dim are not those of the draws.")
        if self._image_shape is not None:
            require(
                len(self._image_shape) == 3, "the shape of images has not three parts."
            )
            check_image_shape(self._image_shape, self.n_features_in_)
        require(
            np.ndim(self._scaling.center) == (self._image_shape is None),
            "the scaling is not that of the rows.",
        )
        check_summary(getattr(self, "_summary", {}), c)
        if self._pool is not None:
            self._check_pool()

    def _check_pool(self):
        """The same for the rows that G mixes."""
        g, n, d = len(self._lots.sizes), len(self._members), self._n_features_out
        pool, ends, deficit = self._pool, (self._low, self._high), self._deficit
        fits = pool.shape == (n, d) and self._lots.sizes.sum() == n
        fits = fits and all(t.shape == (g, d) and t.dtype == pool.dtype for t in ends)
        require(fits, "the rows that are mixed differ in number or size.")
        require(pool.isfinite().all(), "the rows that are mixed are not finite.")
        at = self._members
        fits = at.shape == (n,) and at.dtype.kind == "i"
        fits = fits and at.min() >= 0 and at.max() < self._n_samples
        require(fits, "the positions of the rows that are mixed are not in X.")
        fits = deficit.shape == (g,) and np.isfinite(deficit).all()
        fits = fits and deficit.min() >= 0 and deficit.any()
        require(fits, "the numbers of rows to generate are not from 0 on.")

    def _pool_in_game(self):
        """The rows that G mixes as they are in the game."""
        if self.feature_extractor_ is not None:
            return self._pool
        return self._scaling.forward(self._pool.numpy())

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
        rows = self._generate(counts, random_state)
        return rows, np.repeat(self._generated_classes(), counts)

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
            return part(X, slice(None))
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

        def mapped(block):
            x = self._scaling.forward(X[block]).to(device)
            for network in networks:
                x = network(x)
            return x.cpu()

        with workspace(), torch.no_grad():
            blocks = in_blocks(mapped, len(X), block_size(X.shape[1]))
            return torch.cat(list(blocks))

    def _probabilities(self, X):
        """M(x), (n, n_classes), float64."""
        scores = self._through(X, *self._predictors())
        return scores.double().softmax(1).numpy()

    def _predictors(self):
        """F, where there is one, and M."""
        networks = [self.feature_extractor_, self.classifier_]
        return [n for n in networks if n is not None]

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
        check_memory("Generating rows", [self._part_of_rows(counts)])
        rng = run_generator(random_state)
        return stacked((rows for rows, *_ in self._blocks(counts, rng)), sum(counts))

    def _part_of_rows(self, counts):
        row_bytes = self._pool.shape[1] * self._pool.element_size()
        return result_part(int(sum(counts)), row_bytes)

    def _part_of_weights(self, counts):
        sizes = self._lots.sizes.tolist()
        return weights_part(self._n_weights(counts, sizes))

    def _n_weights(self, counts, sizes):
        """Weights of so many rows of each class, made of one of so many."""
        if self.generator != "convex":
            return 0
        most = 2 if self.neighborhood is not None else max(sizes)
        most = min(most, self.max_sources or most)
        return sum(int(n) * min(most, m) for n, m in zip(counts, sizes, strict=True))

    def _generate_with_weights(self, counts, random_state, collect=stacked):
        """What `collect` makes of the same rows, and their weights on those of X.

        The weights are sparse, and None where the generator is not convex.
        """
        parts = [self._part_of_rows(counts), self._part_of_weights(counts)]
        check_memory("Generating rows", parts)
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
        ends = torch.tensor(counts).cumsum(0)
        for block in gen_batches(int(ends[-1]), max(1, CHUNK_VALUES // width)):
            at = torch.arange(block.start, block.stop)
            k = torch.searchsorted(ends, at, right=True)
            yield k, self._lots.of(k, rng)


def cells_of(y, groups):
    """(n,) numbers of the rows' cells, a class or a group within it, by class."""
    if groups is None:
        return y
    code = y * (int(groups.max()) + 1) + torch.tensor(groups)
    return code.unique(return_inverse=True)[1]


def _at(values, index):
    return None if values is None else values[index]


def _check_count(n):
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"n must be a positive integer, or a dict of them, got {n!r}.")
    if n >= 2**63:
        raise MemoryError(f"n={n} rows are more than any memory holds; ask for fewer.")
