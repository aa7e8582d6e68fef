"""Algorithm 1 and its two variants as they read: slow, plain and obvious.

The oracle of the package's fast game. It takes over the networks' initial
weights and each round's random choices from a game that is about to be played,
and computes everything else by itself: one class and one matrix product at a
time, one loss after the other, with torch's plain Adam.
"""

import copy

import torch


def squared_error(output, target):
    return (output - target) ** 2


def binary_cross_entropy(output, target):
    return -(target * torch.log(output) + (1 - target) * torch.log(1 - output))


LOSSES = {"least_squares": squared_error, "cross_entropy": binary_cross_entropy}


class PlainGame:
    def __init__(self, game, loss, target, learning_rate, betas, eps):
        self.compare = LOSSES[loss]
        self.target = target
        self.generated_weight = game.generated_weight
        self.discriminator_weight = game.discriminator_weight
        self.n_classes = len(game.n_generated)
        self.M = copy.deepcopy(game.M.network)
        self.D = copy.deepcopy(game.D.network) if game.D else None
        self.G = copy.deepcopy(game.G.network)

        def adam(network):
            return torch.optim.Adam(
                network.parameters(), lr=learning_rate, betas=betas, eps=eps
            )

        self.M_optimizer = adam(self.M)
        self.D_optimizer = adam(self.D) if self.D else None
        self.G_optimizer = adam(self.G)
        x = game.real(torch.arange(game.n))
        self.X = {i: x[game.y == i] for i in range(self.n_classes)}
        self.minority = game.n_generated.nonzero()[:, 0].tolist()
        self.losses = {}

    # The convex generator

    def generate(self, draw, training):
        """G(z|i), row after row in the order of the draw."""
        self.G.ctmu.train(training)
        code = self.G.ctmu(torch.cat([draw.z, self.one_hot(draw.y)], dim=1))
        local = hasattr(self.G.igu, "query")
        rows = self.local_rows(code, draw) if local else self.hull_rows(code, draw)
        self.G.ctmu.eval()
        return rows

    def hull_rows(self, code, draw):
        """w^T X_i with a softmax over all rows of class i, class by class."""
        rows = []
        for i, unit in zip(self.minority, self.G.igu.units, strict=True):
            mine = draw.y == i
            if not mine.any():
                continue
            logits = code[mine] @ unit.weight.T + unit.bias
            weights = torch.exp(logits) / torch.exp(logits).sum(dim=1, keepdim=True)
            rows.append(weights @ self.X[i])
        return torch.cat(rows)

    def local_rows(self, code, draw):
        """From the anchor towards one of its class, or of its nearest, row by row."""
        igu = self.G.igu
        first, start = {}, 0
        for i in self.minority:
            first[i], start = start, start + len(self.X[i])
        rows = []
        draws = zip(code, draw.y, draw.rows, draw.others, draw.u, strict=True)
        for code_of_row, y, position, others, (distance, choice) in draws:
            own = self.X[int(y)]
            anchor = own[int(position) - first[int(y)]]
            near = own[others - first[int(y)]]
            if hasattr(igu, "neighbors"):
                distances = ((own - anchor) ** 2).sum(dim=1)
                near = own[distances.argsort(stable=True)[1 : igu.k + 1]]
                near = near[torch.arange(igu.k) % len(near)]
            query = igu.query(torch.cat([code_of_row, self.key(anchor)]))
            logits = []
            for neighbor in near:
                step = igu.key(self.key(neighbor) - self.key(anchor))
                length = torch.sqrt((step**2).sum()) * torch.sqrt((query**2).sum())
                logits.append(igu.sharpness * (step @ query) / length)
            p = torch.stack(logits).softmax(dim=0)
            chosen = near[int((p.cumsum(0) < choice).sum())]
            # Straight-through: the chosen row, with the gradient of the mean row.
            target = chosen + p @ near - (p @ near).detach()
            share = torch.sin(torch.pi * distance.to(anchor) / 2) ** 2
            rows.append(anchor + share * (target - anchor))
        return torch.stack(rows)

    def key(self, x):
        return x if self.G.igu.projection is None else x @ self.G.igu.projection

    # The losses

    def one_hot(self, y):
        return torch.stack([y == i for i in range(self.n_classes)], dim=1).to(
            self.X[0].dtype
        )

    def probabilities(self, x):
        return self.M(x).softmax(dim=1)

    def judgement(self, x, y):
        return torch.sigmoid(self.D(torch.cat([x, self.one_hot(y)], dim=1)))[:, 0]

    def m_loss(self, x, y):
        return self.compare(self.probabilities(x), self.one_hot(y)).mean()

    def d_loss(self, x, y, target):
        return self.compare(self.judgement(x, y), target).mean()

    def g_loss_at_m(self, x, y):
        p = self.probabilities(x)
        if self.target == "complement":
            return self.compare(p, 1 - self.one_hot(y)).mean()
        own = (p * self.one_hot(y)).sum(dim=1)
        if self.target == "squared":
            return (own**2).mean()
        return -torch.log(1 - own).mean()

    def g_loss_at_d(self, x, y):
        return self.d_loss(x, y, torch.ones_like(x[:, 0]))

    # The steps

    def step(self, optimizer, loss):
        for other in (self.M_optimizer, self.D_optimizer, self.G_optimizer):
            if other is not None:
                other.zero_grad()
        loss.backward()
        optimizer.step()

    def note(self, name, loss):
        """Keep a loss for the history; several of one name are averaged."""
        self.losses.setdefault(name, []).append(float(loss.detach()))
        return loss

    def joint(self, r):
        self.losses = {}
        fake, y = self.generate(r.generated, training=False).detach(), r.generated.y
        loss = self.note("m_real", self.m_loss(r.x, r.y))
        loss = loss + self.generated_weight * self.note(
            "m_generated", self.m_loss(fake, y)
        )
        self.step(self.M_optimizer, loss)
        if self.D:
            first = {}
            start = 0
            for i in self.minority:
                first[i], start = start, start + len(self.X[i])
            real = torch.stack(
                [
                    self.X[int(i)][int(row) - first[int(i)]]
                    for i, row in zip(y, r.generated.rows, strict=True)
                ]
            )
            loss = self.note("d_real", self.d_loss(real, y, r.real_target))
            loss = loss + self.note(
                "d_generated", self.d_loss(fake, y, r.generated_target)
            )
            self.step(self.D_optimizer, loss)
        [draw] = r.adversarial
        x = self.generate(draw, training=True)
        loss = self.note("g_m", self.g_loss_at_m(x, draw.y))
        if self.D:
            realism = self.note("g_d", self.g_loss_at_d(x, draw.y))
            loss = loss + self.discriminator_weight * realism
        self.step(self.G_optimizer, loss)

    def algorithm(self, r):
        self.lines_7_to_11(r)
        [draw] = r.adversarial
        self.lines_14_and_15(draw)

    def per_class(self, r):
        self.lines_7_to_11(r)
        for draw in r.adversarial:
            self.lines_14_and_15(draw)

    def lines_7_to_11(self, r):
        self.losses = {}
        self.step(self.M_optimizer, self.note("m_real", self.m_loss(r.x, r.y)))
        if self.D:
            loss = self.note("d_real", self.d_loss(r.x, r.y, r.real_target))
            self.step(self.D_optimizer, loss)
        fake, y = self.generate(r.generated, training=False).detach(), r.generated.y
        loss = self.note("m_generated", self.m_loss(fake, y))
        self.step(self.M_optimizer, self.generated_weight * loss)
        if self.D:
            loss = self.note("d_generated", self.d_loss(fake, y, r.generated_target))
            self.step(self.D_optimizer, loss)

    def lines_14_and_15(self, draw):
        x = self.generate(draw, training=True)
        self.step(self.G_optimizer, self.note("g_m", self.g_loss_at_m(x, draw.y)))
        if self.D:
            x = self.generate(draw, training=True)
            loss = self.note("g_d", self.g_loss_at_d(x, draw.y))
            self.step(self.G_optimizer, self.discriminator_weight * loss)
