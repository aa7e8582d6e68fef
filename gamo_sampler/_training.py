"""A game played epoch by epoch: its history, its failures, and those who follow it."""

import copy

import torch

from ._game import never
from ._health import Health
from ._warn import warn
from ._watch import check_losses, check_weights
from .exceptions import NotFiniteError

RETRIES = 3
SLOWER = 0.1


class Training:
    """A game of `n_rounds` with the networks that it trains, by parameter name.

    `history` has a record per epoch, after those of fits before. `users_rng` is torch's
    process-wide RNG, where the networks may draw from it.
    """

    def __init__(
        self,
        game,
        networks,
        learning_rate,
        n_rounds,
        watcher=None,
        users_rng=None,
        history=(),
    ):
        self.game = game
        self.networks = networks
        self.learning_rate = learning_rate
        self.n_rounds = n_rounds
        self.watcher = watcher
        self.users_rng = users_rng
        predictors = ("feature_extractor", "classifier")
        self.health = Health(game, [networks[k] for k in predictors if k in networks])
        self.enough = never
        self.history = list(history)
        self.n_played = 0
        self.retries = 0
        self.is_over = False

    @property
    def n_epochs(self):
        return -(-self.n_rounds // self.game.rounds_per_epoch)

    @property
    def is_whole(self):
        """Whether no epoch so far was cut short."""
        return self.n_played == self.game.rounds_per_epoch * len(self.history)

    def play(self, listeners, checkpoint, enough=never):
        """Play on, to the end or until a listener, called with self, returns True.

        `checkpoint` is called then, with what came of it in `is_over`. `enough()` is
        asked after each round, and by processes that share the game after each epoch.
        The best weights are those that stay, where there is a watcher.
        """
        self.enough = enough
        while not self.is_over:
            self.history.append(self.next_record())
            answers = [listener(self) for listener in listeners]  # all are called
            wanted = self.game.group.any(any(answers) or enough())
            self.is_over = wanted or self.n_played == self.n_rounds
            checkpoint(self)
        if self.watcher:
            self.keep(self.watcher.best)
            self.health.measure(self.watcher.best_epoch)
        for network in self.networks.values():
            self.game.group.share(network)

    def next_record(self):
        """Play the next epoch, again where it fails: from its start, more slowly."""
        good = copied(self.game.state())
        while True:
            try:
                return self.attempt()
            except NotFiniteError as error:
                if self.retries == RETRIES:
                    raise
                self.retries += 1
                self.slow_down(good, error)

    def attempt(self):
        epoch = len(self.history) + 1
        n_rounds = min(self.game.rounds_per_epoch, self.n_rounds - self.n_played)
        # Processes have to play the same rounds, but their clocks differ.
        enough = self.enough if self.game.group.size == 1 else never
        losses = self.game.epoch(n_rounds, enough)
        check_losses(losses, self.game.failed, epoch)
        check_weights(self.networks, epoch)
        measures = self.health.measure(epoch)
        record = {"epoch": epoch, **losses, **measures, **self.scores(epoch)}
        self.n_played += self.game.n_played
        return record

    def scores(self, epoch):
        """The first process's: all have to stop at the same epoch."""
        if not self.watcher:
            return {}
        scores = self.watcher.scores(epoch)
        values = self.game.group.first(list(scores.values()))
        return dict(zip(scores, values, strict=True))

    def slow_down(self, good, error):
        """Back to a good state of the game, with a smaller learning rate."""
        learning_rate = self.learning_rate * SLOWER**self.retries
        warn(
            f"{error} Going back to the end of epoch {len(self.history)}, and on with "
            f"learning_rate={learning_rate:.3g} (retry {self.retries} of {RETRIES})."
        )
        # A copy: Adam would go on in the tensors that it is given.
        self.game.restore(copied(good))
        self.game.set_learning_rate(learning_rate)

    def state(self):
        """A copy of what the rest of the training follows from."""
        state = {
            "game": self.game.state(),
            "rng": self.game.rng.get_state(),
            "users_rng": self.users_rng and self.users_rng.state(),
            "watcher": self.watcher and self.watcher.state(),
            "history": self.history,
            "n_played": self.n_played,
            "retries": self.retries,
        }
        return copied(state)

    def passes_through(self, state):
        """Whether this training, played from its start, would come to that state."""
        n_played = state["n_played"]
        is_whole = n_played == self.game.rounds_per_epoch * len(state["history"])
        return n_played == self.n_rounds or (is_whole and n_played < self.n_rounds)

    def restore(self, state):
        self.game.restore(state["game"])
        self.history[:] = state["history"]
        self.n_played, self.retries = state["n_played"], state["retries"]
        self.is_over = self.n_played == self.n_rounds
        if self.watcher:
            self.watcher.restore(state["watcher"])
            self.is_over |= self.watcher.has_waited(len(self.history))
        self.health.measure(len(self.history))
        # Last: a user's network may draw while rows are seen through it.
        self.game.rng.set_state(state["rng"])
        if self.users_rng:
            self.users_rng.restore(state["users_rng"])

    def weights(self):
        """A copy of all networks' weights."""
        return copied({k: n.state_dict() for k, n in self.networks.items()})

    def keep(self, weights):
        """Take other weights for the networks."""
        for name, network in self.networks.items():
            network.load_state_dict(weights[name])
        if self.game.F:
            self.game.F.rest()
            self.game.look()


def copied(state):
    """A copy of nested dicts of tensors, far faster than deepcopy's."""
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    return state.clone() if isinstance(state, torch.Tensor) else copy.deepcopy(state)
