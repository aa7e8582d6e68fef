"""Watching a game: finite losses, validation scores, early stopping."""

from inspect import signature

import numpy as np
import torch
from imblearn.metrics import geometric_mean_score
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring, log_loss
from sklearn.utils import compute_class_weight

# Who is at fault where a value is the first that is not finite: its inputs were.
PLAYERS = {
    "f": "feature_extractor",
    "m_real": "classifier",
    "m_generated": "classifier",
    "d_real": "discriminator",
    "d_generated": "discriminator",
    "rows": "generator",
    "g_m": "classifier",
    "g_d": "discriminator",
}


class NotFiniteError(ValueError):
    """A player's losses, weights or outputs are not finite."""


def check_losses(losses, failed, epoch):
    """Stop at the first value that is not finite: nothing after it can be trusted."""
    if failed is None:
        return
    raise NotFiniteError(
        f"Training failed in epoch {epoch}: the {PLAYERS[failed]} was the first to "
        f"give values that are not finite ({failed} is {losses.get(failed, 'nan')}). "
        "Lower learning_rate, or look for extreme values in X."
    )


def check_weights(networks, epoch):
    """The same for the weights, which the last step changed after the last loss."""
    finite = {
        player: all(torch.isfinite(p).all() for p in network.parameters())
        for player, network in networks.items()
    }
    check_finite(finite, epoch, "weights")


def check_finite(finite, epoch, what="outputs"):
    """Name the first player whose weights or outputs are not all finite."""
    for player, is_finite in finite.items():
        if not is_finite:
            raise NotFiniteError(
                f"The {what} of the {player} became non-finite in epoch {epoch}. "
                "Lower learning_rate, or look for extreme values in X."
            )


def memory_line(networks, learners, x):
    """What a minibatch x takes, and what the networks take, in megabytes.

    `learners` are F and M, through which x goes one after the other.
    """
    kept = activation_bytes(learners, x)
    # A weight that learns comes with its gradient and Adam's two moments.
    weights = sum(
        p.nbytes * (4 if p.requires_grad else 1)
        for network in networks
        for p in network.parameters()
    )
    return (
        f"memory: {kept / 1e6:.3g} MB of F's and M's activations per minibatch of "
        f"{len(x)}, {weights / 1e6:.3g} MB of all weights, gradients and optimiser "
        "states"
    )


def activation_bytes(networks, x):
    """Bytes that autograd keeps of x on its way through the networks."""
    weights = {p.data_ptr() for network in networks for p in network.parameters()}
    kept = {}

    def keep(tensor):
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    # A user's network may draw: the fit is the same whether it is measured or not.
    devices = range(torch.cuda.device_count())
    with (
        torch.random.fork_rng(devices),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        for network in networks:
            x = network(x)
    return sum(kept.values())


def hold_out(y, fraction, random_state):
    """Positions of a stratified validation set, ascending; y are class indices.

    Every class with two rows or more gives at least one and keeps at least one;
    a class of one row stays in training.
    """
    held = []
    for i in np.unique(y):
        rows = random_state.permutation(np.flatnonzero(y == i))
        n_held = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held.append(rows[:n_held])
    held = np.sort(np.concatenate(held))
    if not len(held):
        raise ValueError(
            "early_stopping needs a class with at least 2 rows to validate on."
        )
    return held


def balanced_log_loss(estimator, X, y, sample_weight=None):
    """Minus the log-loss in which every class weighs the same."""
    classes, index = np.unique(y, return_inverse=True)
    weights = compute_class_weight(
        "balanced", classes=classes, y=y, sample_weight=sample_weight
    )[index]
    if sample_weight is not None:
        weights = weights * sample_weight
    return -log_loss(
        y,
        estimator.predict_proba(X),
        sample_weight=weights,
        labels=estimator.classes_,
    )


class Current(ClassifierMixin, BaseEstimator):
    """The classifier as it stands while the game goes on, for scorers."""

    def __init__(self, predict_proba, classes):
        self._predict_proba = predict_proba
        self.classes_ = classes

    def predict_proba(self, X):
        return self._predict_proba(X)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(1)]


class Watcher:
    """Scores every epoch on held-out rows and keeps the best weights."""

    def __init__(self, current, scoring, X, y, patience, sample_weight=None):
        self.current = current
        self.scorer = (
            balanced_log_loss if scoring is None else check_scoring(current, scoring)
        )
        self.X = X
        self.y = y
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.weighted = given
        # A user's scorer need not take weights.
        takes = given and "sample_weight" in signature(self.scorer).parameters
        self.of_scorer = given if takes else {}
        self.patience = patience
        self.best_score = -np.inf
        self.best_epoch = 0

    def scores(self):
        """The validation score, and GM over the held-out classes beside it."""
        score = self.scorer(self.current, self.X, self.y, **self.of_scorer)
        try:
            score = float(score)
        except (TypeError, ValueError) as error:
            raise TypeError(f"scoring must give a number, got {score!r}.") from error
        if np.isnan(score):
            raise ValueError(
                "scoring gives nan on the held-out rows; choose a score that is "
                "defined for every classifier, or hold out more rows."
            )
        found = self.current.predict(self.X)
        gm = geometric_mean_score(
            self.y, found, labels=np.unique(self.y), **self.weighted
        )
        return {"validation_score": score, "validation_gm": float(gm)}

    def __call__(self, training):
        """Whether the score has not risen for `patience` epochs."""
        record = training.history[-1]
        if record["validation_score"] > self.best_score or not self.best_epoch:
            self.best_score = record["validation_score"]
            self.best_epoch = record["epoch"]
            self.best = training.weights()
        return record["epoch"] - self.best_epoch >= self.patience
