"""Watching a game: finite losses, validation scores, early stopping."""

from inspect import signature

import numpy as np
import torch
from imblearn.metrics import geometric_mean_score
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import check_scoring, log_loss
from sklearn.utils import compute_class_weight
from torch.nn.utils import get_total_norm

from .exceptions import NotFiniteError

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
        player: bool(_largest(network).isfinite())
        for player, network in networks.items()
    }
    check_finite(finite, epoch, "weights")


def _largest(network):
    """Of all weights that learn, the greatest magnitude: not finite if one is not."""
    learn = [p.detach() for p in network.parameters() if p.requires_grad]
    return get_total_norm(learn, torch.inf)


def check_finite(finite, epoch, what="outputs"):
    """Name the first player whose weights or outputs are not all finite."""
    for player, is_finite in finite.items():
        if not is_finite:
            raise NotFiniteError(
                f"The {what} of the {player} became non-finite in epoch {epoch}. "
                "Lower learning_rate, or look for extreme values in X."
            )


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
        self.best = None

    def scores(self, epoch):
        """The validation score, and GM over the held-out classes beside it."""
        finite = np.isfinite(self.current.predict_proba(self.X)).all()
        check_finite({"classifier": finite}, epoch)
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

    def found(self):
        """By label, the numbers of rows held out, and of those that M finds."""
        hits = self.current.predict(self.X) == self.y
        return {
            label: (int(own.sum()), int(hits[own].sum()))
            for label in np.unique(self.y)
            for own in [self.y == label]
        }

    def __call__(self, training):
        """Whether the score has not risen for `patience` epochs."""
        record = training.history[-1]
        if record["validation_score"] > self.best_score or not self.best_epoch:
            self.best_score = record["validation_score"]
            self.best_epoch = record["epoch"]
            self.best = training.weights()
        return self.has_waited(record["epoch"])

    def has_waited(self, epoch):
        return epoch - self.best_epoch >= self.patience

    def state(self):
        names = ("best_score", "best_epoch", "best")
        return {name: getattr(self, name) for name in names}

    def restore(self, state):
        vars(self).update(state)
