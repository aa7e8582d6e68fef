"""What both estimators share: a game set up, watched to its end, and kept."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from sklearn.base import BaseEstimator

from ._build import (
    NETWORKS,
    check_builders,
    hidden_sizes,
    make_networks,
)
from ._checkpoint import Checkpoint, NoCheckpoint, digests
from ._diagnosis import Outcome, diagnose
from ._distributed import ALONE, own_device, shared_fit
from ._game import SCHEDULES, Game, make_player
from ._generation import GenerationMixin
from ._images import check_image_shape
from ._labelled import Labelled
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
    memory_line,
    networks_part,
    pool_part,
    row_activation_bytes,
    rows_part,
)
from ._parameters import ParametersMixin
from ._past import FRESH, kept
from ._restoring import RestoringMixin
from ._stops import Stops, warn_of_interruption
from ._summary import SummaryMixin, summed_up
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
from ._warn import warn
from ._watch import (
    Current,
    Watcher,
    hold_out,
)
from ._weights import class_weights, margin
from .exceptions import TrainingWarning


class BaseGAMO(
    GenerationMixin, RestoringMixin, SummaryMixin, ParametersMixin, BaseEstimator
):
    """Parameters and training shared by `GAMOClassifier` and `GAMOSampler`."""

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
        data = Labelled(X, np.searchsorted(self.classes_, y), sample_weight, groups)
        with shared_fit(self.device_) as group, device_memory("a smaller batch_size"):
            self._fit_in(group, data, targets, past)
        self._is_trained = True

    def _fit_in(self, group, data, targets, past):
        """The fit of this process within the group."""
        checkpoint, random_state = self._begin(group, data, targets, past)
        rng = run_generator(random_state)
        wanted = np.array([targets.get(label, 0) for label in self.classes_])
        self._check_memory(data, wanted)
        with workspace(), self._users_rng(rng) as users_rng:
            train, held_out = self._split(data.y, random_state)
            learned = data if held_out is None else data.part(train)
            wanted = wanted * (len(learned.y) / len(data.y))
            game = self._make_game(learned, wanted, rng, group, past)
            self._check_limits(game.lots.classes, game.lots.smallest)
            watcher = None
            if held_out is not None:
                watcher = self._make_watcher(data.part(held_out))
            training = self._training(game, users_rng, watcher, past)
            checkpoint.begin(training)
            self._play(training, checkpoint, self._make_callbacks(users_rng))
            self.n_rounds_ = past.n_rounds + training.n_played
            self._idle_cells = [] if game.G else past.cells
            # Only who learns batch by batch has to go on with the same steps.
            self._players = past.players | kept(game) if past.n_epochs else {}
            game.end()
            self._keep(game, learned.X)
            self._members = train[game.members.numpy()]
            self._n_samples = len(data.y)
        self._random_state = random_state

    def _begin(self, group, data, targets, past):
        """The checkpoint and the random state of a fit, the same in all processes."""
        given = self.get_params(deep=False) | {"sampling_strategy": targets}
        given |= {"y": data.y, "sample_weight": data.sample_weight}
        given |= {"groups": data.groups}
        checkpoint = self._open_checkpoint(data.X, given)
        random_state = past.random_state
        if random_state is None:
            seed = checkpoint.seed(self.random_state, group)
            random_state = private_random_state(seed)
        given["checkpoint"] = checkpoint.found and checkpoint.found[0]
        group.check_same(data.X, run_generator(deepcopy(random_state)), **given)
        return checkpoint, random_state

    def _check_memory(self, data, wanted):
        sizes = np.bincount(data.y, minlength=len(self.classes_))[wanted > 0]
        check_training(*self._parts_of_fit(data.X, sizes.tolist()), self.device_)

    def _split(self, y, random_state):
        """Positions of the rows to learn from, and of those to watch it by, or None."""
        everything = np.arange(len(y))
        if not self.early_stopping or len(self.classes_) == 1:
            return everything, None
        held_out = hold_out(y, self.validation_fraction, random_state)
        self._warn_of_unseen(y, held_out)
        return np.setdiff1d(everything, held_out), held_out

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

    def _make_game(self, data, n_generated, rng, group=ALONE, past=FRESH):
        """The game on these rows, (c,) of each class to be generated."""
        y = torch.tensor(data.y, dtype=torch.long)
        n_generated = torch.tensor(n_generated, dtype=torch.float64)
        w = data.sample_weight
        if w is not None:
            w = torch.tensor(w / w.mean(), dtype=torch.float64)
        # First, as it refuses what does not fit the classes.
        weight_of_class = class_weights(self.class_weight, self.classes_, y, w)
        cells = data.cells()
        sizes = cells[(n_generated > 0)[y]].unique(return_counts=True)[1]
        F, M, D, G = self._make_players(data.X, sizes.tolist(), rng, group, past)
        weights = {"objective": float(n_generated.sum()) / len(y), "algorithm": 1.0}
        game = Game(
            F=F,
            M=M,
            D=D,
            G=G,
            rows=Rows(data.X, self._scaling, self.device_),
            y=y,
            cells=cells,
            n_generated=n_generated,
            criterion=CRITERIA[self.loss],
            deception=DECEPTIONS[self.generator_target],
            schedule=SCHEDULES[self.schedule],
            generated_weight=weights.get(self.generated_weight, self.generated_weight),
            class_weight=weight_of_class.to(self.device_),
            sample_weight=None if w is None else w.float().to(self.device_),
            margin=margin(self.logit_adjustment, len(n_generated), y, w).to(
                self.device_
            ),
            mixup=self.mixup,
            discriminator_weight=self.discriminator_weight,
            label_smoothing=self.label_smoothing,
            latent_dim=int(self.latent_dim),  # of any width in numpy
            batch_size=int(self.batch_size),
            rounds_per_epoch=self.rounds_per_epoch and int(self.rounds_per_epoch),
            rng=rng,
            device=self.device_,
            group=group,
        )
        past.restore(game)
        return game

    def _make_players(self, X, sizes, rng, group, past):
        """F, M, D and G, None of who takes no part; sets the networks' attributes."""
        shape, n_classes = self._image_shape, len(self.classes_)
        networks = make_networks(self, X.shape[1], shape, n_classes, sizes, rng)
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
            self.classifier_ = M.follow(self.weight_averaging)
            # Else M would be of many F, and the features of the last one.
            if F and F.parameters:
                self.feature_extractor_ = F.follow(self.weight_averaging)
        return F, M, D, G

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

    def _make_watcher(self, data):
        current = Current(self._probabilities, self.classes_)
        y, patience = self.classes_[data.y], self.n_iter_no_change
        return Watcher(current, self.scoring, data.X, y, patience, data.sample_weight)

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
        # A user's network may draw: the fit is the same whether it is measured or not.
        rng = training.users_rng
        with rng.unmoved() if rng else nullcontext():
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
