"""Checkpoints: a file from which a training goes on as if nothing had ended it."""

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from sklearn.utils import gen_batches

from ._described import described, without_addresses
from ._persistence import OtherFileError, read_file, write_file
from ._torch import block_size
from ._version import __version__
from ._warn import warn

KIND = "checkpoint"
# Whoever goes on may change these.
FREE = {
    "callbacks",
    "max_time",
    "max_iter",
    "max_rounds",
    "verbose",
    "device",
    "checkpoint",
    "checkpoint_interval",
    "resume",
}


class NoCheckpoint:
    """Of a fit that neither writes nor reads a file."""

    found = None

    def seed(self, random_state, group):
        return group.seed(random_state)

    def begin(self, training):
        pass

    def __call__(self, training):
        pass


class Checkpoint:
    """A file that holds a training, and tells what it is a training of.

    Called with a `Training` after an epoch, it writes it every `interval` epochs, and
    when it is over.

    Parameters
    ----------
    path : str or path-like
        Its name.
    interval : int
        In epochs.
    run : dict
        Digests, by name, of data and parameters that the training follows from.
    """

    def __init__(self, path, interval, run):
        self.path = checked_path(path)
        self.interval = interval
        self.header = {"run": run}
        self.found = None  # header and tensors of the file to go on from
        self.whole = None  # the last state after, or before, whole epochs

    def read(self, resume):
        """Look for a training of the same data and parameters to go on from.

        A file that is no checkpoint is not to be replaced, whether it goes on or not.
        """
        try:
            header, tensors = read_file(self.path, KIND)
        except FileNotFoundError:
            return
        except OtherFileError as error:
            raise ValueError(
                f"{error} As a checkpoint it would be replaced: take another name, or "
                "delete it."
            ) from error
        except ValueError as error:
            if resume:
                warn(f"{error} Training starts afresh, and the file will be replaced.")
            return
        if not resume:
            return
        if not all(name in header for name in ("run", "networks", "states")):
            warn(f"{self.path} lacks parts of a checkpoint. Training starts afresh.")
        elif self.fits("run", header):
            self.found = header, tensors

    def fits(self, part, header):
        """Whether digests are those of the file; a warning names those that are not."""
        own, other = self.header[part], header[part]
        differ = [k for k in own | other if own.get(k) != other.get(k)]
        if differ:
            self.warn_of(differ)
        return not differ

    def warn_of(self, names):
        warn(
            f"{self.path} is of a fit with another {', '.join(names)}. Training starts "
            "afresh, and the file will be replaced. Each fit needs a file of its own."
        )

    def seed(self, random_state, group):
        """`random_state`; where it is None the seed of the run to go on with."""
        seed = group.seed(random_state)
        if random_state is not None:
            return seed
        if self.found:
            seed = self.found[0]["seed"]
        self.header["seed"] = seed
        return seed

    def begin(self, training):
        """Bring a training that has not begun to where that of the file is."""
        self.header["networks"] = {
            name: digest(structure(network))
            for name, network in training.networks.items()
        }
        if self.found and self.fits("networks", self.found[0]):
            self.restore(training)
        self.found = None
        self.whole = training.state()
        encoded(self.whole, {})  # what cannot be written, is refused here

    def restore(self, training):
        header, tensors = self.found
        states = decoded(header["states"], tensors)
        state = next(filter(training.passes_through, states), None)
        if state is None:
            self.warn_of(["max_iter or max_rounds, fewer than have been played"])
        else:
            training.restore(state)

    def __call__(self, training):
        states = []
        if training.is_whole:
            self.whole = training.state()
        elif training.n_played == training.n_rounds:
            # That is where such a training ends. One with more rounds goes on from
            # the beginning of the epoch that was cut short.
            states = [training.state()]
        if training.is_over or len(training.history) % self.interval == 0:
            self.write([*states, self.whole], training.game.group)

    def write(self, states, group):
        """By the first process of several; the others wait for it."""
        if group.rank == 0:
            tensors = {}
            self.write_file(self.header | {"states": encoded(states, tensors)}, tensors)
        group.first([0])

    def write_file(self, header, tensors):
        """A full disk costs the file, not the training."""
        try:
            write_file(self.path, KIND, header, tensors)
        except OSError as error:
            warn(
                f"The checkpoint could not be written: {error}. Training goes on; "
                f"{self.path} is as it was."
            )


def checked_path(path):
    """An absolute path, to which a file can be written."""
    absolute = Path(os.path.abspath(os.fsdecode(path)))
    if absolute.is_dir() or not os.access(absolute.parent, os.W_OK):
        raise ValueError(
            f"checkpoint={path!r} must name a file in a folder that exists and can be "
            "written to."
        )
    return absolute


# Nested containers of tensors and numbers, as JSON and tensors ------------------


def encoded(value, tensors, name="state"):
    """The value as JSON holds it; its tensors go to `tensors`."""
    if isinstance(value, torch.Tensor):
        key = f"{len(tensors)} {name}"
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, Mapping):  # whose keys may be integers
        items = value.items()
        return {"items": [[k, encoded(v, tensors, f"{name}.{k}")] for k, v in items]}
    if isinstance(value, list | tuple):
        return [encoded(v, tensors, f"{name}.{i}") for i, v in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError(
        f"A checkpoint cannot hold {name}, a {type(value).__name__}: it holds tensors, "
        "numbers and text."
    )


def decoded(value, tensors):
    if isinstance(value, list):
        return [decoded(v, tensors) for v in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "float":
        return float(content)
    return {k: decoded(v, tensors) for k, v in content}


# What a training follows from ---------------------------------------------------


def digests(X, given):
    """Of rows X, and of all that is given by name but what may differ, by name."""
    run = {name: digest(value) for name, value in given.items() if name not in FREE}
    return {"version": __version__, "X": digest_of_rows(X), **run}


def digest(value):
    return hashlib.sha256(described(value).encode()).hexdigest()


def digest_of_rows(X):
    found = hashlib.sha256(f"{X.dtype} {X.shape}".encode())
    for block in gen_batches(len(X), block_size(X.shape[1])):
        found.update(X[block].tobytes())
    return found.hexdigest()


def structure(network):
    """Layers, and the names, types and shapes of what a network's state holds."""
    parts = [
        # Beside tensors there may be whatever `get_extra_state` of a user's gives.
        (name, type(v), getattr(v, "dtype", None), tuple(getattr(v, "shape", ())))
        for name, v in network.state_dict().items()
    ]
    return [without_addresses(repr(network)), *parts]
