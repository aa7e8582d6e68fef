"""A game played epoch by epoch: its history, its failures, and those who follow it."""

import copy
from contextlib import contextmanager

from tqdm.auto import tqdm

from ._warn import warn
from ._watch import NotFiniteError, check_losses, check_weights

RETRIES = 3
SLOWER = 0.1


class Training:
    """A game of `n_rounds` with the networks that it trains, by parameter name.

    `check_outputs(epoch)` raises where M, as it stands, gives values that are not
    finite. `history` has a record per epoch. `users_rng` is torch's process-wide RNG,
    where the networks may draw from it.
    """

    def __init__(
        self,
        game,
        networks,
        learning_rate,
        n_rounds,
        check_outputs,
        watcher=None,
        users_rng=None,
    ):
        self.game = game
        self.networks = networks
        self.learning_rate = learning_rate
        self.n_rounds = n_rounds
        self.check_outputs = check_outputs
        self.watcher = watcher
        self.users_rng = users_rng
        self.history = []
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

    def play(self, listeners, checkpoint):
        """Play on, to the end or until a listener, called with self, returns True.

        `checkpoint` is called then, with what came of it in `is_over`. The best
        weights are those that stay, where there is a watcher.
        """
        while not self.is_over:
            self.history.append(self.next_record())
            answers = [listener(self) for listener in listeners]  # all are called
            self.is_over = any(answers) or self.n_played == self.n_rounds
            checkpoint(self)
        if self.watcher:
            self.keep(self.watcher.best)
        for network in self.networks.values():
            self.game.group.share(network)

    def next_record(self):
        """Play the next epoch, again where it fails: from its start, more slowly."""
        good = copy.deepcopy(self.game.state())
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
        losses = self.game.epoch(n_rounds)
        check_losses(losses, self.game.failed, epoch)
        check_weights(self.networks, epoch)
        self.check_outputs(epoch)
        record = {"epoch": epoch, **losses, **self.scores()}
        self.n_played += n_rounds
        return record

    def scores(self):
        """The first process's: all have to stop at the same epoch."""
        if not self.watcher:
            return {}
        scores = self.watcher.scores()
        values = self.game.group.first(list(scores.values()))
        return dict(zip(scores, values, strict=True))

    def slow_down(self, good, error):
        """Back to a good state of the game, with a smaller learning rate."""
        learning_rate = self.learning_rate * SLOWER**self.retries
        warn(
            f"{error} Going back to the end of epoch {len(self.history)}, and on with "
            f"learning_rate={learning_rate:.3g} (retry {self.retries} of {RETRIES})."
        )
        self.game.restore(good)
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
        return copy.deepcopy(state)

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
        # Last: a user's network may draw while rows are seen through it.
        self.game.rng.set_state(state["rng"])
        if self.users_rng:
            self.users_rng.restore(state["users_rng"])

    def weights(self):
        """A copy of all networks' weights."""
        return copy.deepcopy({k: n.state_dict() for k, n in self.networks.items()})

    def keep(self, weights):
        """Take other weights for the networks."""
        for name, network in self.networks.items():
            network.load_state_dict(weights[name])
        if self.game.F:
            self.game.look()


@contextmanager
def progress(training, verbose):
    """A listener that shows each epoch: 1 by a bar, 2 and more by a line."""
    with tqdm(
        total=training.n_epochs,
        initial=len(training.history),
        unit="epoch",
        disable=verbose != 1,
    ) as bar:

        def report(training):
            *_, record = training.history
            bar.set_postfix({k: f"{v:.3g}" for k, v in record.items() if k != "epoch"})
            bar.update()
            if verbose > 1:
                print(", ".join(f"{name} {v:.4g}" for name, v in record.items()))

        yield report
