"""Who follows a training: called with it after each epoch, True ends it."""

from contextlib import contextmanager

from ._bar import tqdm
from ._game import LOSSES


@contextmanager
def progress(training, verbose):
    """A listener that shows each epoch: 1 by a bar, 2 and more by a line."""
    with tqdm(total=training.n_epochs, unit="epoch", disable=verbose != 1) as bar:

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
