"""The game's random choices, all from the run's own generator, on the CPU.

Drawing there keeps them the same on every device, and tells how many rows of each
class a batch has without waiting for the device.
"""

from dataclasses import dataclass

import torch
from scipy.special import betaincinv

from ._losses import one_hot
from ._networks import N_OTHERS
from ._torch import upload


@dataclass
class Draw:
    """What m rows are generated from. Labels ascend: each class is one slice."""

    z: torch.Tensor  # (m, l) noise
    y: torch.Tensor  # (m,) class indices
    code: torch.Tensor  # (m, c) one-hot labels
    rows: torch.Tensor  # (m,) positions in the pool: a row of each label's class
    others: torch.Tensor  # (m, k) positions of other rows of that class
    u: torch.Tensor  # (m, 2) uniform: how far from that row, and to which other
    sizes: list  # rows per generated class


@dataclass
class Lots:
    """Draws labels, noise and rows for the generated classes."""

    classes: torch.Tensor  # (g,) class indices, ascending
    sizes: torch.Tensor  # (g,) rows n_i of each, in pool order
    n_classes: int
    latent_dim: int
    device: torch.device

    def by_frequency(self, frequency, m, rng):
        """m labels by frequency, (g,), with their draw."""
        k = torch.multinomial(frequency, m, replacement=True, generator=rng)
        return self.of(k.sort().values, rng)

    def of(self, k, rng):
        """Noise and rows for ascending k, positions among the generated classes."""
        m = len(k)
        z = torch.randn(m, self.latent_dim, generator=rng, dtype=torch.float32)
        u = torch.rand(m, 2, generator=rng, dtype=torch.float32)
        first, n = (self.sizes.cumsum(0) - self.sizes)[k, None], self.sizes[k, None]
        row = self.below(n, 1, rng)
        # One step or more further round the class: never the row itself, but for n = 1.
        others = (row + 1 + self.below((n - 1).clamp(min=1), N_OTHERS, rng)) % n
        z, y, rows, others, u = (
            upload(t, self.device)
            for t in (z, self.classes[k], (first + row)[:, 0], first + others, u)
        )
        code = one_hot(z.new_empty(m, self.n_classes), y)
        sizes = k.bincount(minlength=len(self.sizes)).tolist()
        return Draw(z, y, code, rows, others, u, sizes)

    def below(self, n, width, rng):
        """Integers from 0 up to, not including, n (m, 1): (m, width)."""
        u = torch.rand(len(n), width, generator=rng, dtype=torch.float64)
        return (u * n).long()


@dataclass
class Mix:
    """Mixup (Zhang et al., ICLR 2018): rows and labels mixed with those of others."""

    share: torch.Tensor  # (b,) of the row itself, Beta(alpha, alpha)
    other: torch.Tensor  # (b,) position in the batch

    @classmethod
    def draw(cls, b, alpha, rng, device):
        """None where alpha is 0: nothing is mixed."""
        if not alpha:
            return None
        u = torch.rand(b, generator=rng, dtype=torch.float64)
        share = torch.tensor(betaincinv(alpha, alpha, u.numpy()), dtype=torch.float32)
        other = torch.randperm(b, generator=rng)
        return cls(upload(share, device), upload(other, device))

    def of(self, values):
        """The mixture of values, (b, ...)."""
        share = self.share.view(-1, *[1] * (values.ndim - 1))
        return share * values + (1 - share) * values[self.other]


@dataclass
class Round:
    """All random choices of one round."""

    x: torch.Tensor  # (b, d) real rows, B_d
    y: torch.Tensor  # (b,) their labels, Y_d
    mix: Mix | None  # of the real rows, and of the generated ones
    generated: Draw  # for M and D, B_n and Y_n
    adversarial: list  # of Draw, for G, B_g and Y_g
    real_target: torch.Tensor  # (b,) D's targets, 1 - U(0, s)
    generated_target: torch.Tensor  # (b,) U(0, s)
