"""Algorithm 1: the game between F, M, D and G, one round after the other.

A round is drawn first and played afterwards, so it is a deterministic function
of its draws. Every network is in evaluation mode but for the player that moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch.optim.swa_utils import AveragedModel

from ._distributed import ALONE, Alone, Group
from ._draws import Lots, Mix, Round
from ._losses import (
    Sigmoid,
    Softmax,
    classifier_loss,
    discriminator_loss,
    one_hot,
    realism_loss,
)
from ._memory import in_blocks
from ._torch import block_size, upload

LOSSES = ("f", "m_real", "m_generated", "d_real", "d_generated", "g_m", "g_d")


def never():
    """That nothing ends the game before its last round."""
    return False


class Player:
    """A network and its optimiser: `train()`, a loss, then `step(loss)`.

    `average`, an AveragedModel, follows the network's steps where there is one. The
    processes of `group` start with the first one's weights and step together.
    """

    def __init__(self, network, optimizer, group=ALONE):
        self.network = network.eval()
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = optimizer(self.parameters) if self.parameters else None
        self.average = None
        self.group = group
        group.share(network)

    def follow(self, decay):
        """Average the weights over the steps from now on; the network that has them."""
        rule = exponential_average(decay)
        self.average = AveragedModel(self.network, multi_avg_fn=rule, use_buffers=True)
        return self.average.module

    def rest(self):
        """Be the network with the averaged weights, where there are any, for good."""
        if self.average:
            self.network, self.average = self.average.module, None

    def __call__(self, *inputs):
        return self.network(*inputs)

    def train(self):
        self.network.train()

    def step(self, loss):
        """One step down the gradient, of this player's parameters alone."""
        self.optimizer.zero_grad()
        loss.backward(inputs=self.parameters)
        self.group.add_gradients(self.parameters)
        self.optimizer.step()
        self.network.eval()
        if self.average:
            self.average.update_parameters(self.network)

    def state(self):
        """What the next step follows from: weights, Adam's moments, the average."""
        return {name: part.state_dict() for name, part in self._parts()}

    def restore(self, state):
        for name, part in self._parts():
            part.load_state_dict(state[name])
        if self.optimizer:
            self._copy_moments()

    def _copy_moments(self):
        """The optimiser's own, laid out in memory as the weights are.

        `load_state_dict` takes tensors as they are, and fused steps change them in
        place, one number after the other whatever the strides.
        """
        for p, moments in self.optimizer.state.items():
            for name, value in moments.items():
                like = p if value.shape == p.shape else value
                own = torch.empty_like(like, dtype=value.dtype)
                moments[name] = own.copy_(value)

    def set_learning_rate(self, learning_rate):
        if self.optimizer:
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate

    def _parts(self):
        parts = {
            "network": self.network,
            "optimizer": self.optimizer,
            "average": self.average,
        }
        return [(name, part) for name, part in parts.items() if part is not None]


def make_player(network, params, device, group=ALONE):
    """The network on the device, with its Adam; `params` has the step sizes."""
    optimizer = partial(
        torch.optim.Adam,
        lr=params.learning_rate,
        betas=(params.beta_1, params.beta_2),
        eps=params.epsilon,
        fused=True,
    )
    return Player(network.to(device), optimizer, group=group)


def exponential_average(decay):
    """AveragedModel's rule: decay min(decay, (1 + n) / (10 + n)) at step n.

    Without the rising start the first weights would stay in a short run's average.
    """

    def average(kept, new, n):
        share = 1 - ((1 + n) / (10 + n)).clamp(max=decay)
        for old, now in zip(kept, new, strict=True):
            if old.is_floating_point():
                old.lerp_(now, share.to(old))
            else:  # counters
                old.copy_(now)

    return average


@dataclass
class Game:
    """F, M, D and G (F, D and G may be None), the rows, and the rules."""

    F: Player | None
    M: Player
    D: Player | None
    G: Player | None
    rows: object  # scaled rows by index, on the device
    y: torch.Tensor  # (n,) class indices
    cells: torch.Tensor  # (n,) that ascend with them: only rows of one cell are mixed
    n_generated: torch.Tensor  # (c,) rows to generate per class, n (P_c - P_i)
    criterion: Callable  # least squares or cross-entropy
    deception: Callable  # G's loss at M
    schedule: tuple  # of (play, adversarial draws)
    generated_weight: float  # of generated against real rows in M's loss
    class_weight: torch.Tensor  # (c,) of a row's loss at M, by label
    sample_weight: torch.Tensor | None  # (n,) and by row, of mean 1; None: all alike
    margin: torch.Tensor  # (c,) added to M's scores while it learns
    mixup: float  # alpha of Mix
    discriminator_weight: float  # of L_9 against L_7 + L_8
    label_smoothing: float
    latent_dim: int
    batch_size: int
    rounds_per_epoch: int | None  # u = v of Algorithm 1; None: a pass over the rows
    rng: torch.Generator
    device: torch.device
    group: Alone | Group = ALONE  # of processes, each with its part of the rows

    def __post_init__(self):
        self.n = len(self.y)
        self.block = block_size(self.rows.n_features)
        self.batch_size = min(self.batch_size, self.n)
        self.rounds_per_epoch = self.rounds_per_epoch or -(-self.n // self.batch_size)
        classes = self.n_generated.nonzero()[:, 0]
        members = [(self.y == i).nonzero()[:, 0] for i in classes]
        sizes = torch.tensor([len(m) for m in members], dtype=torch.long)
        members = torch.cat([*members, classes[:0]])
        cells, order = self.cells[members].sort(stable=True)
        self.members = members[order]
        self.lots = Lots(
            classes,
            sizes,
            len(self.n_generated),
            self.latent_dim,
            self.device,
            cells.unique_consecutive(return_counts=True)[1],
        )
        self.deficit = self.n_generated[classes]
        self.equal = torch.ones_like(self.deficit)
        self.labels = self.y.to(self.device)
        if self.sample_weight is not None:
            members = upload(self.members, self.device)
            self.pool_weight = self.sample_weight[members]
        self.goals = [("g_m", self.at_classifier, 1.0)]
        if self.D:
            goal = ("g_d", self.at_discriminator, self.discriminator_weight)
            self.goals.append(goal)
        self.look()

    def trained_prior(self):
        """(c,) class probabilities under which M's are learned, float64.

        Those of the real rows, plus those of the generated ones by their weight in the
        loss, times the mean weights of the rows and the weights of the classes; the
        margin divides by P_i^tau.
        """
        n_real = self.y.bincount(minlength=len(self.n_generated)).double()
        prior = n_real / self.n
        if self.G:
            share = self.n_generated / self.n_generated.sum()
            prior += self.generated_weight * share
        if self.sample_weight is not None:
            weights = self.sample_weight.double().cpu()
            prior *= self.y.bincount(weights, len(n_real)) / n_real.clamp(min=1)
        prior *= (self.class_weight.double() * (-self.margin.double()).exp()).cpu()
        return prior / prior.sum()

    # One round ------------------------------------------------------------

    def play(self, r):
        """Play one round by the schedule.

        Returns (name, value) pairs in the order in which they came about: the mean
        losses of the steps, and as "rows" the sums of the rows that G made.
        """
        return (self.schedule[0] if self.G else Game.plain_round)(self, r)

    def plain_round(self, r):
        """Without a generator: M on real rows."""
        return self.m_step(r.mix, m_real=(r.x, r.y, r.w, 1.0))

    def joint_round(self, r):
        """One step per player; D sees as many real as generated rows of a class."""
        draw, [adversarial] = r.generated, r.adversarial
        x, w = self.generate(draw)
        return [
            ("rows", x.sum()),
            *self.m_step(
                r.mix,
                m_real=(r.x, r.y, r.w, 1.0),
                m_generated=(x, draw.y, w, self.generated_weight),
            ),
            *self.d_step(
                d_real=(self.pool[draw.rows], draw.y, r.real_target),
                d_generated=(x, draw.y, r.generated_target),
            ),
            *self.g_step(adversarial, self.goals),
        ]

    def alternating_round(self, r):
        """Lines 7 to 15 as printed, a step for each."""
        draw = r.generated
        record = self.m_step(r.mix, m_real=(r.x, r.y, r.w, 1.0))  # 9
        record += self.d_step(d_real=(r.x, r.y, r.real_target))
        x, w = self.generate(draw)
        record += [("rows", x.sum())]
        generated = (x, draw.y, w, self.generated_weight)
        record += self.m_step(r.mix, m_generated=generated)  # 11
        record += self.d_step(d_generated=(x, draw.y, r.generated_target))
        for adversarial in r.adversarial:
            for goal in self.goals:  # 14, 15: the same z and labels
                record += self.g_step(adversarial, [goal])
        return record

    # One step -------------------------------------------------------------

    def f_step(self, x, y, w, mix):
        """Line 4: F learns through a fixed M."""
        self.F.train()
        scores = self.M(self.F(mix.of(x) if mix else x))
        loss = self.group.mean(self.lesson(scores, [y], [w], mix), self.batch_size)
        self.F.step(loss)
        return [("f", loss.detach())]

    def m_step(self, mix, **batches):
        """M learns on named batches of (rows, labels, rows' weights, batch's weight).

        L_1 to L_4.
        """
        xs, ys, ws, weights = zip(*batches.values(), strict=True)
        self.M.train()
        scores = self.M(torch.cat([mix.of(x) if mix else x for x in xs]))
        losses = self.lesson(scores, ys, ws, mix)
        return self._weighted_step(self.M, batches, losses, weights)

    def lesson(self, scores, ys, ws, mix):
        """M's loss per row, for the labels and weights of each batch in turn."""
        loss = self.loss_for(scores, torch.cat(ys), torch.cat(ws))
        if not mix:
            return loss
        share = mix.share.repeat(len(ys))
        others = (torch.cat([mix.partners(v) for v in values]) for values in (ys, ws))
        return share * loss + (1 - share) * self.loss_for(scores, *others)

    def loss_for(self, scores, y, w):
        m = Softmax(scores + self.margin)
        return w * classifier_loss(self.criterion, m, y)

    def d_step(self, **batches):
        """D learns on named batches of (rows, labels, targets): L_5, L_6."""
        if self.D is None:
            return []
        xs, ys, targets = map(torch.cat, zip(*batches.values(), strict=True))
        self.D.train()
        losses = discriminator_loss(self.criterion, self.judge(xs, ys), targets)
        return self._weighted_step(self.D, batches, losses, [1.0] * len(batches))

    def g_step(self, draw, goals):
        """G learns to reach its goals with one draw: L_7 + L_8, L_9."""
        self.G.train()
        x = self.G(draw, self.pool)
        losses = {name: goal(x, draw) for name, goal, _ in goals}
        self.G.step(sum(weight * losses[name] for name, _, weight in goals))
        rows = [("rows", x.detach().sum())]
        return rows + [(name, loss.detach()) for name, loss in losses.items()]

    def at_classifier(self, x, draw):
        """L_7 + L_8."""
        losses = self.deception(self.criterion, Softmax(self.M(x)), draw.y)
        return self.group.mean(losses, len(draw.z))

    def at_discriminator(self, x, draw):
        """L_9."""
        losses = realism_loss(self.criterion, self.judge(x, draw.y))
        return self.group.mean(losses, len(draw.z))

    def judge(self, x, y):
        """D(x|i), (m,)."""
        code = one_hot(x.new_empty(len(x), len(self.n_generated)), y)
        return Sigmoid(self.D(torch.cat([x, code], 1))[:, 0])

    def generate(self, draw):
        """G(z|i), (m, d), with G at rest, and these rows' weights at M, (m,)."""
        w = self.class_weight[draw.y]
        with torch.no_grad():
            if self.sample_weight is None:
                return self.G(draw, self.pool), w
            x, carried = self.G.network.carrying(draw, self.pool, self.pool_weight)
            return x, w * carried

    def _weighted_step(self, player, batches, losses, weights):
        sizes = [len(x) for x, *_ in batches.values()]
        parts = losses.split(sizes)
        means = [self.group.mean(part, self.batch_size) for part in parts]
        player.step(sum(w * mean for w, mean in zip(weights, means, strict=True)))
        return [(n, m.detach()) for n, m in zip(batches, means, strict=True)]

    # Draws ----------------------------------------------------------------

    def batches(self, n_batches):
        """Positions of real rows, (n_batches, b): a shuffled pass, wrapped around."""
        order = torch.randperm(self.n, generator=self.rng)
        wrapped = torch.arange(n_batches * self.batch_size) % self.n
        return order[wrapped].view(n_batches, self.batch_size)

    def draw_round(self, index):
        own = self.group.own(self.batch_size)
        index = index[own]
        x, (y, w) = self.real(index), self.labels_of(index)
        mix = self.draw_mix()
        if self.G is None:
            return Round(x, y, w, mix, None, [], None, None)
        generated = self.lots.by_frequency(  # lines 8 and 10
            self.deficit, self.batch_size, self.rng, self.group
        )
        adversarial = self.schedule[1](self)  # lines 12 and 13
        size = (2, self.batch_size)
        noise = torch.rand(size, generator=self.rng, dtype=torch.float32)
        noise = self.label_smoothing * upload(noise[:, own], self.device)
        return Round(x, y, w, mix, generated, adversarial, 1 - noise[0], noise[1])

    def labels_of(self, index):
        """Labels of real rows, and their weights in M's loss, (m,) each."""
        index = upload(index, self.device)
        y = self.labels[index]
        w = self.class_weight[y]
        return y, w if self.sample_weight is None else w * self.sample_weight[index]

    def draw_mix(self):
        return Mix.draw(self.batch_size, self.mixup, self.rng, self.device, self.group)

    def mixed_draws(self):
        """b rows, minority classes equally likely."""
        b = self.batch_size
        return [self.lots.by_frequency(self.equal, b, self.rng, self.group)]

    def class_draws(self):
        """The experiments' loop: ceil(b / c) rows for one class after the other."""
        b = -(-self.batch_size // len(self.n_generated))
        labels = [torch.full((b,), k) for k in range(len(self.equal))]
        return [self.lots.of(k, self.rng, self.group) for k in labels]

    # Rows -----------------------------------------------------------------

    def look(self):
        """See the rows through F: cache F(X), the pools, and what G keeps of them."""
        self.features = self.rows.resident
        if self.F and self.features is not None:
            # An epoch that reads only some of the rows maps these as it goes.
            reads_all = self.rounds_per_epoch * self.batch_size >= self.n
            self.features = self._all_features() if reads_all else None
        if self.G:
            n = len(self.members)
            blocks = self.members[self.group.own(n)].split(self.block)
            rows = torch.cat([self.real(block) for block in blocks])
            self.pool = self.group.whole(rows, n)
            if self.sees_clearly():
                self.G.network.locate(self.pool)

    def sees_clearly(self):
        """Whether F, where there is one, maps rows to finite numbers."""
        if not self.F:
            return True
        x = self.features
        if x is None:
            x = self.real(torch.arange(min(self.n, self.block)))
        pool = self.pool if self.G else x
        return bool(x.isfinite().all() and pool.isfinite().all())

    def real(self, index):
        """F(x) of the rows at `index`, positions on the CPU."""
        if self.features is not None:
            return self.features[upload(index, self.device)]
        x = self.rows[index]
        return self.through_f(x) if self.F else x

    def _all_features(self):
        rows = self.features[self.group.own(self.n)]
        return self.group.whole(self.through_f(rows), self.n)

    def through_f(self, x):
        with torch.no_grad():
            # A clone each: a user's F may work in place.
            blocks = in_blocks(lambda at: self.F(x[at].clone()), len(x), self.block)
            return torch.cat(list(blocks))

    # Epochs ---------------------------------------------------------------

    def players(self):
        """Those that take part, by letter."""
        players = {"F": self.F, "M": self.M, "D": self.D, "G": self.G}
        return {letter: player for letter, player in players.items() if player}

    def state(self):
        """What the next epoch follows from, but for the random draws."""
        return {letter: player.state() for letter, player in self.players().items()}

    def restore(self, state):
        for letter, player in self.players().items():
            player.restore(state[letter])
        if self.F:
            self.look()

    def end(self):
        """See the rows as predictions do, through F's averaged weights."""
        if self.F and self.F.average:
            self.F.rest()
            self.look()

    def set_learning_rate(self, learning_rate):
        for player in self.players().values():
            player.set_learning_rate(learning_rate)

    def epoch(self, n_rounds, enough=never):
        """Play `n_rounds`, and return their mean losses by name.

        After each round, and each of F's minibatches, `enough()` tells whether to leave
        it at that; there is one at least. `n_played` is the number of rounds then.
        `failed` is None, or the first thing in the epoch that was not finite: the
        name of a loss, or "rows".
        """
        self.failed = None
        losses = {}
        if self.F and self.F.parameters:  # lines 2 to 5
            batches = self.rows.ahead(self.batches(n_rounds))
            losses |= self._mean((self._f_batch(i) for i in batches), enough)
            self.look()
        if not self.sees_clearly():
            self.failed = "f"
            return {"f": float("nan")}
        batches = self.rows.ahead(self.batches(n_rounds))
        rounds = (self.play(self.draw_round(index)) for index in batches)
        return losses | self._mean(rounds, enough)

    def _f_batch(self, index):
        index = index[self.group.own(self.batch_size)]
        return self.f_step(self.rows[index], *self.labels_of(index), self.draw_mix())

    def _mean(self, records, enough):
        """Means of the losses by name over records of pairs, fetched once.

        Records are made as they are asked for, until there are enough.
        """
        total, finite, count = 0, 0, 0
        for record in records:
            values = torch.stack([value for _, value in record])
            total = total + values
            finite = finite + values.isfinite()
            count += 1
            if enough():
                break
        self.n_played = count
        means = self.group.sum(torch.stack([total / count, finite]))
        means, finite = means.tolist()
        names = [name for name, _ in record]
        # Finite for the fewest rounds is what failed first; of a tie, the earlier.
        first = min(range(len(names)), key=finite.__getitem__)
        if finite[first] < count * self.group.size:
            self.failed = self.failed or names[first]
        by_name = {name: [] for name in LOSSES if name in names}
        for name, mean in zip(names, means, strict=True):
            if name in by_name:
                by_name[name].append(mean)
        return {name: sum(values) / len(values) for name, values in by_name.items()}


SCHEDULES = {
    "joint": (Game.joint_round, Game.mixed_draws),
    "algorithm": (Game.alternating_round, Game.mixed_draws),
    "per_class": (Game.alternating_round, Game.class_draws),
}
