"""What a fit goes on from: the weights, scaling and draws of the one before it."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch

from ._build import NETWORKS, layout
from ._stored import require
from ._torch import Scaling

LETTERS = dict(zip("FMDG", NETWORKS, strict=True))

WHY = {
    "generator": "With neighborhood=None it has an output per row of the classes that "
    "are generated, whose sizes have to stay then. "
}


@dataclass
class Past:
    """Nothing, by default: a fit of its own, as long as `max_iter` says."""

    classes: np.ndarray | None = None
    image_shape: tuple | None = None
    scaling: Scaling | None = None
    random_state: np.random.RandomState | None = None
    networks: dict = field(default_factory=dict)  # by parameter name
    players: dict = field(default_factory=dict)  # what of their states `kept` keeps
    history: list = field(default_factory=list)
    cells: list = field(default_factory=list)  # rows of each that G was made for
    n_rounds: int = 0
    n_epochs: int | None = None  # that are to follow; None: by the parameters

    def check_classes(self, classes):
        """Refuse a fit to other classes."""
        if self.classes is not None and not np.array_equal(self.classes, classes):
            raise ValueError(
                f"y has the classes {classes.tolist()}, but with warm_start=True they "
                f"have to be those of the fit before, {self.classes.tolist()}."
            )

    def check_images(self, image_shape):
        """Refuse rows that are images of another shape."""
        if self.scaling is not None and self.image_shape != image_shape:
            raise ValueError(
                f"X has image_shape={image_shape}, but the fit before had "
                f"{self.image_shape}, from which this one goes on."
            )

    def load(self, networks):
        """Give new networks, by parameter name, the weights of those before."""
        for name, network in networks.items():
            before = self.networks.get(name)
            if network is not None and before is not None:
                _load(network, before, name)

    def restore(self, game):
        """The players' optimisers and averages, as they were left."""
        for letter, player in game.players().items():
            new = player.state()
            state = new | self.players.get(letter, {})
            if "optimizer" in state:
                # The step sizes are those that are asked for now.
                groups = new["optimizer"]["param_groups"]
                state["optimizer"] = state["optimizer"] | {"param_groups": groups}
            player.restore(state)


FRESH = Past()


@contextmanager
def undone_on_error(estimator):
    """Give an estimator its attributes back where what is done to it fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def kept(game):
    """Of the players' states what their networks at rest do not hold, on the CPU."""
    return {
        letter: {
            part: _on_cpu(state)
            for part, state in player.state().items()
            if part == "optimizer" or player.average
        }
        for letter, player in game.players().items()
    }


def check_kept(players, networks):
    """Refuse, from a file, what is not what `kept` keeps of players.

    Of these networks, by parameter name, as they learn. An optimiser of torch would go
    by it without a look, beyond the ends of its tensors.
    """
    for letter, parts in players.items():
        network = networks.get(LETTERS.get(letter))
        is_known = network is not None and type(parts) is dict
        require(is_known, f"there is no player {letter!r}, or it has no parts.")
        _check_parts(parts, network, letter)


def _check_parts(parts, network, letter):
    weights = layout(network.state_dict())
    averaged = {"n_averaged": (torch.Size(), torch.long)}
    averaged |= {f"module.{name}": found for name, found in weights.items()}
    learn = [p for p in network.parameters() if p.requires_grad]
    for part, state in parts.items():
        what = f"the {part} of player {letter}"
        require(type(state) is dict, f"{what} is of another type.")
        if part == "optimizer":
            _check_moments(state.get("state"), learn, what)
        else:
            expected = {"network": weights, "average": averaged}.get(part)
            require(_is_finite(state), f"{what} has values that are not finite.")
            require(layout(state) == expected, f"{what} is of another network.")


def _check_moments(state, parameters, what):
    """Adam's, by the position of the parameter."""
    require(type(state) is dict, f"{what} has no state.")
    for position, moments in state.items():
        known = type(position) is int and 0 <= position < len(parameters)
        require(known and type(moments) is dict, f"{what} is of other parameters.")
        like = (parameters[position].shape, torch.float32)
        expected = {"step": (torch.Size(), torch.float32)}
        expected |= {"exp_avg": like, "exp_avg_sq": like}
        require(_is_finite(moments), f"{what} has values that are not finite.")
        require(layout(moments) == expected, f"{what} is of other parameters.")


def _is_finite(state):
    """Whether all are tensors, without infinities."""
    tensors = [isinstance(value, torch.Tensor) for value in state.values()]
    return all(tensors) and all(value.isfinite().all() for value in state.values())


def _on_cpu(state):
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    return state.detach().cpu().clone() if isinstance(state, torch.Tensor) else state


def _load(network, before, name):
    try:
        network.load_state_dict(before.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"The {name} of the fit before cannot go on: for these parameters and rows "
            f"it has other weights. {WHY.get(name, '')}Set the parameters back, or "
            f"start anew: fit with warm_start=False. ({error})"
        ) from error
