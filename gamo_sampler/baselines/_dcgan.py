"""Convolutional networks of the conditional GAN, for images of any size.

Like all networks here, they start from Glorot-uniform weights, map flat rows to
flat rows, and return scores; labels come as one-hot columns after the others.
"""

import math

import torch
from torch import nn
from torch.nn.utils import skip_init

from .._networks import LEAK, BatchNorm, Crop, doubling, glorot, linear

WIDE, NARROW = 64, 32


class LabelPlanes(nn.Module):
    """concat(x, one-hot) as images: the label in extra planes, each constant."""

    def __init__(self, image_shape):
        super().__init__()
        self.image_shape = image_shape

    def forward(self, rows):
        n_values = math.prod(self.image_shape)
        images = rows[:, :n_values].unflatten(1, self.image_shape)
        planes = rows[:, n_values:, None, None]  # (m, c, 1, 1)
        return torch.cat([images, planes.expand(-1, -1, *images.shape[2:])], 1)


def halving(n_in, n_out, rng):
    """A convolution with stride 2; odd sizes are rounded up."""
    layer = skip_init(
        nn.Conv2d, n_in, n_out, 5, stride=2, padding=2, dtype=torch.float32
    )
    return glorot(layer, rng)


def conv_generator(latent_dim, n_classes, image_shape, rng):
    """concat(z, one-hot) to a row, by two transposed convolutions."""
    channels, height, width = image_shape
    small = WIDE, -(-height // 4), -(-width // 4)
    return nn.Sequential(
        linear(latent_dim + n_classes, math.prod(small), rng),
        BatchNorm(math.prod(small)),
        nn.ReLU(),
        nn.Unflatten(1, small),
        doubling(WIDE, NARROW, rng),
        nn.BatchNorm2d(NARROW, eps=1e-3, dtype=torch.float32),
        nn.ReLU(),
        doubling(NARROW, channels, rng),
        Crop(height, width),
        nn.Flatten(),
    )


def conv_discriminator(n_classes, image_shape, rng):
    """concat(x, one-hot) to a score, by two convolutions."""
    channels, height, width = image_shape
    return nn.Sequential(
        LabelPlanes(image_shape),
        halving(channels + n_classes, NARROW, rng),
        nn.LeakyReLU(LEAK),
        halving(NARROW, WIDE, rng),
        nn.LeakyReLU(LEAK),
        nn.Flatten(),
        linear(WIDE * -(-height // 4) * -(-width // 4), 1, rng),
    )
