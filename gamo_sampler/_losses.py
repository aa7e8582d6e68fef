"""The losses of the three-player game, one pure function per player.

Every term of equations 4 to 6 compares a network's output with a target. The
comparison is the only thing in which the least-square game and the
cross-entropy game (equations 2 and 3) differ, so it is passed in as
`criterion(outputs, targets)`, elementwise. The class frequencies P_i and
P_c - P_i in front of the terms are the frequencies with which the game draws
labels; a mean over rows stands for them.

==========================  ============================  ======================
function                    least squares                 cross-entropy
==========================  ============================  ======================
classifier_loss, real       L_1 (own), L_2 (others)       -J_1, -J_2
classifier_loss, generated  L_3 (own), L_4 (others)       -J_3, -J_4
discriminator_loss          L_5 (real), L_6 (generated)   -Q_1, -Q_2
a deception (DECEPTIONS)    L_7 (own), L_8 (others)       the same targets
realism_loss                L_9                           the same target
==========================  ============================  ======================

Shapes: m Outputs of (b, c) class probabilities by M, y (b,) class indices,
d Outputs of (b,) probabilities by D. Each function returns one loss per row,
(b,), the mean over the outputs of that row.
"""

import torch
import torch.nn.functional as F


class Outputs:
    """A network's probabilities o, with log o and log(1 - o)."""

    def __init__(self, p):
        self.p = p

    @property
    def log(self):
        return self.p.log()

    @property
    def log_rest(self):
        return (1 - self.p).log()

    def log_loss(self, targets):
        """-t log o - (1 - t) log(1 - o), elementwise."""
        return -(targets * self.log + (1 - targets) * self.log_rest)


class Sigmoid(Outputs):
    """D's output. The logarithms keep their gradient where the sigmoid is flat."""

    def __init__(self, scores):
        super().__init__(scores.sigmoid())
        self.scores = scores

    @property
    def log(self):
        return F.logsigmoid(self.scores)

    @property
    def log_rest(self):
        return F.logsigmoid(-self.scores)


class Softmax(Outputs):
    """M's outputs. The logarithms keep their gradient where the softmax is flat."""

    def __init__(self, scores):
        super().__init__(scores.softmax(1))
        self.scores = scores

    @property
    def log(self):
        return self.scores.log_softmax(1)

    def log_loss(self, targets):
        """-t log o, elementwise: one draw among c outcomes, not c draws of two."""
        return -targets * self.log

    @property
    def log_rest(self):
        # 1 - p cancels for the greatest p: there it is the sum of the others.
        greatest = one_hot(self.p, self.p.argmax(1)).bool()
        lowest = torch.finfo(self.p.dtype).min
        others = self.log.masked_fill(greatest, lowest).logsumexp(1, keepdim=True)
        return torch.where(
            greatest, others, torch.log1p(-self.p.masked_fill(greatest, 0.0))
        )


def least_squares(outputs, targets):
    """(o - t)^2, elementwise: equations 4 to 6."""
    return (outputs.p - targets) ** 2


def cross_entropy(outputs, targets):
    """-t log o - (1 - t) log(1 - o), elementwise: equations 2 and 3."""
    return Outputs.log_loss(outputs, targets)


def log_loss(outputs, targets):
    """Minus the log-likelihood: categorical for M, binary for D."""
    return outputs.log_loss(targets)


def one_hot(p, y):
    """e_i for every row, in the shape of p."""
    return torch.zeros_like(p).scatter_(1, y[:, None], 1)


def classifier_loss(criterion, m, y):
    """M's loss: output i of a row of class i is to be 1, the others 0.

    L_1 + L_2 on real rows, L_3 + L_4 on generated ones.
    """
    return criterion(m, one_hot(m.p, y)).mean(1)


def discriminator_loss(criterion, d, target):
    """D's loss: L_5 with a target near 1 on real rows, L_6 near 0 on generated."""
    return criterion(d, target)


def realism_loss(criterion, d):
    """L_9, G's loss at D: generated rows are to pass for real."""
    return criterion(d, torch.ones_like(d.p))


def reconstruction_loss(images, x):
    """GAMO2pix's error: the sum of squared differences of an image's values."""
    return ((images - x) ** 2).sum(1)


def divergence(mean, log_variance):
    """KL(N(mean, sigma) || N(0, I)), where log_variance is 2 log sigma."""
    return (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2


def complement(criterion, m, y):
    """L_7 + L_8, G's loss at M as published: ones' complement of the label.

    Algorithm 1, line 14: output i of a generated row of class i is to be 0, all
    others 1, that of the largest class included (equation 6 leaves it out).
    """
    return criterion(m, 1 - one_hot(m.p, y)).mean(1)


def squared(criterion, m, y):
    """L_7 alone: p_i^2, whichever criterion the other players use."""
    return _own(m.p, y) ** 2


def log(criterion, m, y):
    """-log(1 - p_i), the strongest pull where M is sure of class i."""
    return -_own(m.log_rest, y)


def _own(values, y):
    return values.gather(1, y[:, None])[:, 0]


CRITERIA = {
    "least_squares": least_squares,
    "cross_entropy": cross_entropy,
    "log_loss": log_loss,
}
DECEPTIONS = {"complement": complement, "squared": squared, "log": log}
