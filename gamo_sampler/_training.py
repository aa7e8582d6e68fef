"""A game played epoch by epoch: its history, its failures, and those who follow it."""

import copy
from contextlib import contextmanager

import torch
from tqdm.auto import tqdm

from ._game import LOSSES
from ._health import Health
from ._warn import warn
from ._watch import check_losses, check_weights
from .exceptions import NotFiniteError

RETRIES = 3
SLOWER = 0.1
SHOWN = {*LOSSES, "validation_score", "validation_gm"}


class Training:
    """A game of `n_rounds` with the networks that it trains, by parameter name.

    `history` has a record per epoch.
    """

    def __init__(self, game, networks, learning_rate, n_rounds, watcher=None):
        self.game = game
        self.networks = networks
        self.learning_rate = learning_rate
        self.n_rounds = n_rounds
        self.watcher = watcher
        self.health = Health(game, networks["classifier"])
        self.history = []
        self.retries = 0

    @property
    def n_epochs(self):
        return -(-self.n_rounds // self.game.rounds_per_epoch)

    def play(self, listeners):
        """Play on, to the end or until a listener, called with self, returns True.

        The best weights are those that stay, where there is a watcher.
        """
        while len(self.history) < self.n_epochs:
            self.history.append(self.next_record())
            answers = [listener(self) for listener in listeners]  # all are called
            if any(answers):
                break
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
        played = self.game.rounds_per_epoch * len(self.history)
        n_rounds = min(self.game.rounds_per_epoch, self.n_rounds - played)
        losses = self.game.epoch(n_rounds)
        check_losses(losses, self.game.failed, epoch)
        check_weights(self.networks, epoch)
        measures = self.health.measure(epoch)
        return {"epoch": epoch, **losses, **measures, **self.scores(epoch)}

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

    def weights(self):
        """A copy of all networks' weights."""
        return copied({k: n.state_dict() for k, n in self.networks.items()})

    def keep(self, weights):
        """Take other weights for the networks."""
        for name, network in self.networks.items():
            network.load_state_dict(weights[name])
        if self.game.F:
            self.game.look()


def copied(state):
    """A copy of nested dicts of tensors, far faster than deepcopy's."""
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    return state.clone() if isinstance(state, torch.Tensor) else copy.deepcopy(state)


@contextmanager
def progress(training, verbose):
    """A listener that shows each epoch: 1 by a bar, 2 and more by a line."""
    with tqdm(total=training.n_epochs, unit="epoch", disable=verbose != 1) as bar:

        def report(training):
            *_, record = training.history
            shown = {k: v for k, v in record.items() if k in SHOWN}
            shown["least recall"] = min(record["recall"])
            bar.set_postfix({k: f"{v:.3g}" for k, v in shown.items()})
            bar.update()
            if verbose > 1:
                shown = {"epoch": record["epoch"], **shown}
                print(", ".join(f"{name} {v:.4g}" for name, v in shown.items()))

        yield report
