"""Who follows a training: called with it after each epoch, True ends it."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from ._bar import tqdm
from ._game import LOSSES


@contextmanager
def progress(training, verbose):
    """A listener that shows each epoch: 1 by a bar, 2 and more by a line."""
    with tqdm(
        total=training.n_epochs,
        initial=training.n_played // training.game.rounds_per_epoch,
        unit="epoch",
        disable=verbose != 1,
    ) as bar:

        def report(training):
            *_, record = training.history
            if verbose == 1:
                bar.set_postfix(in_short(record))
                bar.update()
            if verbose > 1:
                print(line(record))

        yield report


def in_short(record):
    """For a bar: the mean of each player's losses by its letter, and the GM."""
    losses = {}
    for name in LOSSES:
        if name in record:
            losses.setdefault(name[0].upper(), []).append(record[name])
    shown = {player: sum(own) / len(own) for player, own in losses.items()}
    if "validation_gm" in record:
        shown["GM"] = record["validation_gm"]
    return {name: f"{value:.3g}" for name, value in shown.items()}


def line(record):
    """An epoch's losses and validation scores, as scikit-learn prints its own."""
    names = [n for n in record if n in LOSSES or n.startswith("validation_")]
    values = [f"{name} = {record[name]:.6f}" for name in names]
    return ", ".join([f"Epoch {record['epoch']}", *values])


@dataclass(frozen=True)
class EpochView:
    """What a callback sees of an epoch. Nothing that it holds can be changed.

    Attributes
    ----------
    epoch : int
        Its number, from 1.
    record : mapping
        What `history_` holds of it.
    history : tuple of mappings
        All epochs' so far, this one's last.
    classes : ndarray of shape (n_classes,)
        The labels.
    predict_proba : callable
        ``predict_proba(X)`` gives the probabilities, (n_samples, n_classes), of the
        classifier as it stands, for rows X as `fit` takes them.
    """

    epoch: int
    record: Mapping
    history: tuple = field(repr=False)
    classes: np.ndarray
    predict_proba: Callable = field(repr=False)


class Callbacks:
    """Calls users' functions with a view of each epoch; True of any is True.

    `as_outside` gives a context in which torch's random state is the users' own.
    """

    def __init__(self, callbacks, classes, predict_proba, as_outside):
        self.callbacks = callbacks
        self.classes = classes.copy()
        self.classes.flags.writeable = False
        self.predict_proba = predict_proba
        self.as_outside = as_outside
        self.seen = ()

    def __call__(self, training):
        new = training.history[len(self.seen) :]
        self.seen += tuple(map(_frozen, new))
        *_, record = self.seen
        view = EpochView(
            record["epoch"], record, self.seen, self.classes, self.predict_proba
        )
        with self.as_outside():
            answers = [callback(view) for callback in self.callbacks]
        return any(a is True or a is np.True_ for a in answers)


def _frozen(record):
    """A record that cannot be changed, whose lists are tuples."""
    items = record.items()
    return MappingProxyType(
        {k: tuple(v) if isinstance(v, list) else v for k, v in items}
    )


def check_callbacks(callbacks):
    """Refuse what cannot be called, by its position."""
    for position, callback in enumerate(callbacks or ()):
        if not callable(callback):
            raise TypeError(
                f"callbacks must hold functions of one argument, but callbacks"
                f"[{position}] is {callback!r}."
            )
