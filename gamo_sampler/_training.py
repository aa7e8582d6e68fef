"""A game played epoch by epoch: its history, its failures, and those who follow it."""

import copy

from ._game import never
from ._warn import warn
from ._watch import NotFiniteError, check_losses, check_weights

RETRIES = 3
SLOWER = 0.1


class Training:
    """A game of `n_rounds` with the networks that it trains, by parameter name.

    `check_outputs(epoch)` raises where M, as it stands, gives values that are not
    finite. `history` has a record per epoch, after those of fits before. It ends early
    where `enough()`, asked after each round, says so; processes that share it ask after
    epochs.
    """

    def __init__(
        self,
        game,
        networks,
        learning_rate,
        n_rounds,
        check_outputs,
        watcher=None,
        enough=never,
        history=(),
    ):
        self.game = game
        self.networks = networks
        self.learning_rate = learning_rate
        self.n_rounds = n_rounds
        self.check_outputs = check_outputs
        self.watcher = watcher
        self.enough = enough
        self.history = list(history)
        self.n_played = 0
        self.retries = 0

    @property
    def n_epochs(self):
        return -(-self.n_rounds // self.game.rounds_per_epoch)

    def play(self, listeners):
        """Play on, to the end or until a listener, called with self, returns True.

        The best weights are those that stay, where there is a watcher.
        """
        while self.n_played < self.n_rounds:
            self.history.append(self.next_record())
            answers = [listener(self) for listener in listeners]  # all are called
            if self.game.group.any(any(answers) or self.enough()):
                break
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
        # Processes have to play the same rounds, but their clocks differ.
        enough = self.enough if self.game.group.size == 1 else never
        losses = self.game.epoch(n_rounds, enough)
        check_losses(losses, self.game.failed, epoch)
        check_weights(self.networks, epoch)
        self.check_outputs(epoch)
        self.n_played += self.game.n_played
        return {"epoch": epoch, **losses, **self.scores()}

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

    def weights(self):
        """A copy of all networks' weights."""
        return copy.deepcopy({k: n.state_dict() for k, n in self.networks.items()})

    def keep(self, weights):
        """Take other weights for the networks."""
        for name, network in self.networks.items():
            network.load_state_dict(weights[name])
        if self.game.F:
            self.game.look()
