"""What the baselines with networks share: parameters, batches, an optimiser."""

from functools import partial

import torch

from .._base import BaseGAMO
from .._game import Player

CONSTRAINTS = {
    name: BaseGAMO._parameter_constraints[name]
    for name in (
        "loss",
        "image_shape",
        "hidden_layer_sizes",
        "max_iter",
        "max_rounds",
        "batch_size",
        "learning_rate",
        "beta_1",
        "beta_2",
        "epsilon",
        "random_state",
        "device",
    )
}


def make_player(network, params, device):
    """The network on the device, with its Adam; `params` has the step sizes."""
    optimizer = partial(
        torch.optim.Adam,
        lr=params.learning_rate,
        betas=(params.beta_1, params.beta_2),
        eps=params.epsilon,
        fused=True,
    )
    return Player(network.to(device), optimizer)


def epochs(n, params, rng):
    """Yield one list of batches per epoch, positions of shuffled rows, (b,) each."""
    size = min(params.batch_size, n)
    per_epoch = -(-n // size)
    # Full batches, wrapped around: batch normalisation may not take one row.
    wrapped = torch.arange(per_epoch * size) % n
    left = per_epoch * params.max_iter
    left = min(left, params.max_rounds or left)
    while left > 0:
        order = torch.randperm(n, generator=rng)
        yield order[wrapped].split(size)[:left]
        left -= per_epoch


def put_to_rest(*networks):
    """Networks on the CPU, in evaluation mode, no longer trained."""
    for network in networks:
        network.cpu().eval().requires_grad_(False)
