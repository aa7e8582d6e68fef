"""The game against a plain transcription of it, and the independence of its players."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest

from gamo_sampler import GAMOClassifier
from gamo_sampler._draws import Mix
from gamo_sampler._game import LOSSES, Game, never
from gamo_sampler._labelled import Labelled

from .transcription import PlainGame

SMALL = {"batch_size": 8, "latent_dim": 5, "hidden_layer_sizes": (16, 8)}
ADAM = {"learning_rate": 1e-3, "beta_1": 0.5, "beta_2": 0.999, "epsilon": 1e-7}


def make_game_of(X, y, sample_weight=None, on="cpu", **parameters):
    """The game that a classifier would play on a device, not yet played."""
    estimator = GAMOClassifier(**parameters)
    estimator.classes_ = np.unique(y)
    estimator._image_shape = None
    estimator.device_ = torch.device(on)
    counts = np.bincount(y)
    n_generated = (counts.max() - counts) * (estimator.generator is not None)
    rng = torch.Generator().manual_seed(0)
    return estimator._make_game(Labelled(X, y, sample_weight), n_generated, rng)


def make_game(X, y, **parameters):
    return make_game_of(X, y, **SMALL, **ADAM, **parameters)


def in_double(game):
    """The game in float64: where a gradient cancels, Adam blows float32 noise up."""
    for player in (game.M, game.D, game.G):
        if player:
            player.network.double()
    game.features = game.features.double()
    game.look = None
    game.pool = game.real(game.members)
    game.G.network.locate(game.pool)
    return game


def rounds(game, n_rounds):
    for index in game.batches(n_rounds):
        r = game.draw_round(index)
        for draw in [r.generated, *r.adversarial]:
            draw.z, draw.code = draw.z.to(game.pool), draw.code.to(game.pool)
        r.real_target = r.real_target.to(game.pool)
        r.generated_target = r.generated_target.to(game.pool)
        yield r


@pytest.mark.parametrize("neighborhood", [None, "class", 10])
@pytest.mark.parametrize("discriminator", ["auto", None])
@pytest.mark.parametrize(
    ("loss", "target"),
    [
        ("least_squares", "complement"),
        ("cross_entropy", "complement"),
        ("least_squares", "squared"),
        ("least_squares", "log"),
    ],
)
@pytest.mark.parametrize("schedule", ["joint", "algorithm", "per_class"])
def test_rounds_equal_the_plain_transcription(
    table, schedule, loss, target, discriminator, neighborhood
):
    game = make_game(
        *table,
        schedule=schedule,
        loss=loss,
        generator_target=target,
        discriminator=discriminator,
        neighborhood=neighborhood,
        discriminator_weight=0.7,
    )
    game = in_double(game)
    plain = PlainGame(game, loss, target, 1e-3, (0.5, 0.999), 1e-7)
    before = copy.deepcopy(game.G.network.state_dict())
    for r in rounds(game, 6):
        record = {}
        for name, value in game.play(r):
            record.setdefault(name, []).append(float(value))
        del record["rows"]
        record = {name: np.mean(values) for name, values in record.items()}
        getattr(plain, schedule)(r)
        losses = {name: np.mean(values) for name, values in plain.losses.items()}
        assert record == pytest.approx(losses, rel=1e-6, abs=1e-9)
    for fast, slow in [(game.M, plain.M), (game.D, plain.D), (game.G, plain.G)]:
        if slow is None:
            assert fast is None
            continue
        for name, tensor in slow.state_dict().items():
            got = fast.network.state_dict()[name]
            torch.testing.assert_close(got, tensor, rtol=1e-6, atol=1e-9, msg=name)
    after = game.G.network.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)


class Stateful(torch.nn.Module):
    """A dense network with batch statistics and dropout, as a user may bring."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(n_in, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.Dropout(0.2),
            torch.nn.Linear(8, n_out),
        )

    def forward(self, x):
        return self.layers(x)


def snapshot(game):
    return {
        name: copy.deepcopy(getattr(game, name).network.state_dict()) for name in "MDG"
    }


def moved(before, after):
    return {
        name
        for name in before
        if any(not torch.equal(before[name][k], after[name][k]) for k in before[name])
    }


@pytest.mark.parametrize("neighborhood", [None, "class", 4])
def test_each_step_moves_only_its_player(table, neighborhood):
    """Running statistics included: a player that rests is in evaluation mode."""
    with torch.random.fork_rng():
        game = make_game(
            *table,
            classifier=Stateful,
            discriminator=Stateful,
            neighborhood=neighborhood,
        )
        [index] = game.batches(1)
        r = game.draw_round(index)
        d = r.generated
        steps = {
            "M": lambda: game.m_step(None, m_real=(r.x, r.y, r.w, 1.0)),
            "D": lambda: game.d_step(d_real=(r.x, r.y, r.real_target)),
            "G": lambda: game.g_step(d, game.goals),
            "": lambda: game.generate(d),
        }
        for player, step in steps.items():
            before = snapshot(game)
            step()
            after = snapshot(game)
            assert moved(before, after) == set(player)
            if player and player in "MD":  # it was in training mode
                seen = "layers.1.num_batches_tracked"
                assert after[player][seen] == before[player][seen] + 1


def test_feature_extractor_learns_through_a_fixed_classifier(table):
    game = make_game(*table, feature_extractor="conv")
    before = snapshot(game)
    f = copy.deepcopy(game.F.network.state_dict())
    [index] = game.batches(1)
    game.f_step(game.rows[index], *game.labels_of(index), None)
    assert moved(before, snapshot(game)) == set()
    assert moved({"F": f}, {"F": game.F.network.state_dict()}) == {"F"}


def test_an_epoch_with_f_trains_f_first_and_plays_on_its_features(table):
    game = make_game(*table, feature_extractor="conv")
    before = game.features.clone(), game.pool.clone(), game.G.network.igu.keys.clone()
    record = game.epoch(game.rounds_per_epoch)
    assert list(record) == [
        "f",
        "m_real",
        "m_generated",
        "d_real",
        "d_generated",
        "g_m",
        "g_d",
    ]
    with torch.no_grad():
        expected = game.F(game.rows.resident)
    torch.testing.assert_close(game.features, expected)
    torch.testing.assert_close(game.pool, expected[game.members])
    after = game.features, game.pool, game.G.network.igu.keys
    assert not any(torch.equal(b, a) for b, a in zip(before, after, strict=True))


@pytest.mark.parametrize("schedule", ["joint", "algorithm"])
def test_labels_of_a_round_are_drawn_by_the_deficits_and_equally(table, schedule):
    """Algorithm 1: lines 10 and 13."""
    game = make_game(*table, schedule=schedule)
    assert game.deficit.tolist() == [28, 33]
    game.deficit = torch.tensor([10.0, 30.0])
    rounds = [game.draw_round(index) for index in game.batches(600)]
    generated = np.sum([r.generated.sizes for r in rounds], axis=0)
    adversarial = np.sum([r.adversarial[0].sizes for r in rounds], axis=0)
    assert generated.sum() == adversarial.sum() == 600 * 8
    np.testing.assert_allclose(generated / 4800, [0.25, 0.75], atol=0.03)
    np.testing.assert_allclose(adversarial / 4800, [0.5, 0.5], atol=0.03)


def test_per_class_draws_one_class_after_the_other(table):
    """The experiments' ceil(b / c) rows: 8 over 3 classes."""
    game = make_game(*table, schedule="per_class")
    [index] = game.batches(1)
    draws = game.draw_round(index).adversarial
    assert [draw.sizes for draw in draws] == [[3, 0], [0, 3]]


def test_targets_of_the_discriminator_are_smoothed(table):
    game = make_game(*table, label_smoothing=0.2)
    rounds = [game.draw_round(index) for index in game.batches(300)]
    real = torch.cat([r.real_target for r in rounds])
    generated = torch.cat([r.generated_target for r in rounds])
    for target in (1 - real, generated):
        assert (target >= 0).all()
        assert (target <= 0.2).all()
        assert target.mean() == pytest.approx(0.1, abs=0.01)


def test_drawn_rows_belong_to_the_class(table):
    game = make_game(*table)
    draw = game.lots.by_frequency(game.equal, 5000, torch.Generator().manual_seed(1))
    drawn = game.members[draw.rows]
    assert (game.y[drawn] == draw.y).all()
    assert len(drawn.unique()) == 12 + 7


def test_an_epoch_sees_every_row(table):
    game = make_game(*table)
    batches = game.batches(game.rounds_per_epoch)
    assert batches.shape == (8, 8)
    assert set(batches.flatten().tolist()) == set(range(59))
    again = game.batches(game.rounds_per_epoch)
    assert not torch.equal(batches, again)
    assert set(again.flatten().tolist()) == set(range(59))


def test_discriminator_sees_as_many_real_as_generated_rows_of_a_class(
    table, monkeypatch
):
    game = make_game(*table)
    [index] = game.batches(1)
    r = game.draw_round(index)
    seen = {}

    def d_step(**batches):
        seen.update(batches)
        return []

    monkeypatch.setattr(game, "d_step", d_step)
    game.play(r)
    real, labels, _ = seen["d_real"]
    generated, generated_labels, _ = seen["d_generated"]
    assert torch.equal(labels, generated_labels)
    assert len(real) == len(generated) == 8
    assert torch.equal(real, game.pool[r.generated.rows])


@pytest.mark.parametrize(
    ("weight", "expected"), [("objective", 61 / 59), ("algorithm", 1.0), (0.3, 0.3)]
)
def test_generated_weight(table, weight, expected):
    """Equation 3: generated rows over real rows, c P_c - 1 where all are raised."""
    game = make_game(*table, generated_weight=weight)
    assert game.generated_weight == pytest.approx(expected)
    if weight == "objective":
        assert expected == pytest.approx(3 * 40 / 59 - 1)


def test_same_result_from_the_caller_s_array(table, monkeypatch):
    """Long arrays stay where they are and give minibatches of the same bits."""
    X, y = table
    resident = GAMOClassifier(max_iter=2, random_state=0).fit(X, y)
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 20)
    streamed = GAMOClassifier(max_iter=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(resident.predict_proba(X), streamed.predict_proba(X))
    assert resident.history_ == streamed.history_


def test_no_tensor_of_batch_times_rows_times_features():
    """Shapes that the convex product makes, forwards and backwards."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Shapes(TorchDispatchMode):
        largest = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            out = function(*args, **(kwargs or {}))
            tensors = out if isinstance(out, (tuple, list)) else [out]
            sizes = [t.numel() for t in tensors if isinstance(t, torch.Tensor)]
            self.largest = max([self.largest, *sizes])
            return out

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 300)), np.repeat([0, 1], [40, 20])
    for neighborhood in (None, 10):
        game = make_game(X, y, neighborhood=neighborhood)
        [index] = game.batches(1)
        r = game.draw_round(index)
        with Shapes() as shapes:
            game.play(r)
        # Batch x features, both batches together, is there; times neighbours is not.
        assert 2 * 8 * 300 <= shapes.largest < 8 * 10 * 300


@pytest.mark.parametrize("feature_extractor", [None, "conv"])
def test_an_epoch_has_the_rounds_that_are_asked_for(table, feature_extractor):
    """Fewer or more than a pass over the rows; F gets as many minibatches."""
    n_rows = len(table[1])
    for rounds in (3, 2 * n_rows):
        game = make_game(
            *table, rounds_per_epoch=rounds, feature_extractor=feature_extractor
        )
        steps = dict.fromkeys("FM", 0)

        def count(name, player, steps=steps):
            step = player.step

            def counted(loss):
                steps[name] += 1
                step(loss)

            player.step = counted

        count("M", game.M)
        if game.F:
            count("F", game.F)
        for _ in range(2):
            game.epoch(rounds)
        assert steps == {"M": 2 * rounds, "F": 2 * rounds if game.F else 0}


@pytest.mark.parametrize("schedule", ["joint", "per_class"])
def test_losses_of_an_epoch_are_means_over_its_rounds(table, schedule):
    game = make_game(*table, schedule=schedule, feature_extractor="conv")
    records = []
    for name in ("play", "f_step"):
        step = getattr(game, name)

        def recorded(*args, step=step):
            records.append(step(*args))
            return records[-1]

        setattr(game, name, recorded)
    losses = game.epoch(3)
    pairs = [pair for record in records for pair in record]
    assert len(records) == 6
    assert list(losses) == list(LOSSES)
    for name, loss in losses.items():
        values = [float(value) for key, value in pairs if key == name]
        assert loss == pytest.approx(np.mean(values), rel=1e-5)
        assert len(set(values)) > 1
    assert game.failed is None


def test_lesson_with_margins_class_weights_and_mixup(table):
    """M's loss by hand: scores + margin, weights by label, mixed rows and labels."""
    X, y = table
    game = make_game(
        X, y, loss="log_loss", logit_adjustment=0.7, class_weight={0: 3.0}, mixup=0.3
    )
    index = torch.arange(8)
    x, (labels, w), mix = game.real(index), game.labels_of(index), game.draw_mix()
    assert ((mix.share >= 0) & (mix.share <= 1)).all()
    assert sorted(mix.other.tolist()) == list(range(8))
    got = game.lesson(game.M(mix.of(x)), [labels], [w], mix)
    margin = 0.7 * torch.tensor(np.log(np.bincount(y) / len(y)), dtype=torch.float32)
    for row in range(8):
        other = mix.other[row]
        mixed = mix.share[row] * x[row] + (1 - mix.share[row]) * x[other]
        log_p = (game.M(mixed[None])[0] + margin).log_softmax(0)
        expected = 0.0
        for share, i in (
            (mix.share[row], labels[row]),
            (1 - mix.share[row], labels[other]),
        ):
            weight = 3.0 if i == 0 else 1.0
            expected += share * weight * -log_p[i] / len(log_p)
        torch.testing.assert_close(got[row], expected)


def by_hand(network, batches, mix):
    """Mean losses of batches of (rows, labels), each mixed within itself."""
    losses = []
    for x, y in batches:
        mixed = mix.share[:, None] * x + (1 - mix.share[:, None]) * x[mix.other]
        p = network(mixed).detach().softmax(1)
        code = torch.eye(p.shape[1])
        own = ((p - code[y]) ** 2).mean(1)
        other = ((p - code[y[mix.other]]) ** 2).mean(1)
        losses.append(float((mix.share * own + (1 - mix.share) * other).mean()))
    return losses


def test_steps_mix_each_batch_within_itself(table):
    game = make_game(*table, mixup=0.3, feature_extractor="conv")
    [index] = game.batches(1)
    r = game.draw_round(index)
    x, y, mix = game.rows[index], game.labels[index], r.mix
    generated, w = game.generate(r.generated)
    alike = {"rel": 1e-5}
    through_f = torch.nn.Sequential(game.F.network, game.M.network)
    expected = by_hand(through_f, [(x, y)], mix)
    [(_, loss)] = game.f_step(x, y, r.w, mix)
    assert [float(loss)] == pytest.approx(expected, **alike)
    expected = by_hand(game.M, [(r.x, r.y), (generated, r.generated.y)], mix)
    record = game.m_step(
        mix,
        m_real=(r.x, r.y, r.w, 1.0),
        m_generated=(generated, r.generated.y, w, 2.0),
    )
    assert [float(loss) for _, loss in record] == pytest.approx(expected, **alike)


@pytest.mark.parametrize("schedule", ["joint", "algorithm", "alone"])
def test_every_step_of_m_gets_the_round_s_mix(table, schedule):
    rules = {"generator": None} if schedule == "alone" else {"schedule": schedule}
    game = make_game(*table, mixup=0.3, **rules)
    mixes, step = [], game.m_step
    game.m_step = lambda mix, **batches: mixes.append(mix) or step(mix, **batches)
    [index] = game.batches(1)
    r = game.draw_round(index)
    game.play(r)
    assert len(mixes) == (2 if schedule == "algorithm" else 1)
    assert r.mix is not None
    assert all(mix is r.mix for mix in mixes)


def test_mixup_shares_follow_a_beta_distribution():
    rng = torch.Generator().manual_seed(0)
    share = Mix.draw(4000, 0.4, rng, torch.device("cpu")).share.numpy()
    assert kstest(share, beta(0.4, 0.4).cdf).pvalue > 0.01
    assert Mix.draw(4, 0.0, rng, torch.device("cpu")) is None


@pytest.mark.parametrize("schedule", ["joint", "algorithm"])
def test_averaged_weights_follow_every_step_of_m(table, schedule):
    game = make_game(*table, weight_averaging=0.24, schedule=schedule)
    steps, expected = [], None
    step = game.M.step
    game.M.step = lambda loss: (step(loss), steps.append(weights_of(game.M.network)))
    for r in rounds(game, 3):
        game.play(r)
    for n, weights in enumerate(steps):
        decay = min(0.24, (1 + n) / (10 + n))  # 2 / 11, then .24
        expected = weights if n == 0 else decay * expected + (1 - decay) * weights
    assert len(steps) == {"joint": 3, "algorithm": 6}[schedule]
    torch.testing.assert_close(weights_of(game.M.average.module), expected)


def weights_of(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()]).clone()


def test_balanced_class_weights_are_scikit_learns(table):
    X, y = table
    game = make_game(X, y, class_weight="balanced")
    expected = len(y) / (len(np.unique(y)) * np.bincount(y))
    np.testing.assert_allclose(game.class_weight, expected, rtol=1e-6)


def test_class_weight_of_no_class_is_named(table):
    with pytest.raises(ValueError, match=r"class_weight names \[7\]"):
        make_game(*table, class_weight={7: 2.0})


def row_weights():
    return 0.5 + np.arange(59) % 7


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("generator", ["convex", None])
def test_trained_prior_by_hand(table, generator, weighted):
    """(P_i + lambda g_i) times the class's mean weight and v_i, over P_i^tau."""
    X, y = table
    sample_weight = row_weights() if weighted else None
    game = make_game(
        X,
        y,
        sample_weight=sample_weight,
        generator=generator,
        generated_weight=2.0,
        class_weight={0: 3.0, 2: 0.5},
        logit_adjustment=0.7,
    )
    n = np.array([40, 12, 7])
    P = n / 59
    expected = P + (2 * np.array([0, 28, 33]) / 61 if generator else 0)
    sums = np.bincount(y, sample_weight)
    expected *= sums / n * [3.0, 1.0, 0.5] / (sums / sums.sum()) ** 0.7
    prior = game.trained_prior()
    assert prior.dtype == torch.float64
    np.testing.assert_allclose(prior, expected / expected.sum(), rtol=1e-6)


def test_weights_of_rows_are_those_of_their_class_times_their_own(table):
    X, y = table
    sample_weight = row_weights()
    scaled = sample_weight / sample_weight.mean()
    game = make_game(X, y, sample_weight=sample_weight, class_weight={1: 3.0})
    _, w = game.labels_of(torch.arange(59))
    np.testing.assert_allclose(w, scaled * np.where(y == 1, 3, 1), rtol=1e-6)
    [index] = game.batches(1)
    draw = game.draw_round(index).generated
    own, carried = game.generate(draw)
    own_class = scaled[game.members]
    with torch.no_grad():
        matrix = game.G.network.igu.matrix(game.G.network.weights(draw), draw)
    expected = (matrix @ own_class) * np.where(draw.y == 1, 3, 1)
    np.testing.assert_allclose(carried, expected, rtol=1e-5)
    assert own.shape == (8, 5)


def test_what_failed_is_what_was_finite_for_the_fewest_rounds(table):
    """Of a tie the earlier; once is enough."""
    game = make_game(*table)
    nan = float("nan")

    def failed(*rounds):
        game.failed = None
        names = ("rows", "m_real", "d_real")
        records = [
            list(zip(names, map(torch.tensor, values), strict=True))
            for values in rounds
        ]
        means = game._mean(iter(records), never)
        assert list(means) == ["m_real", "d_real"]
        return game.failed

    assert failed([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert failed([1.0, 2.0, 3.0], [nan, 2.0, 3.0]) == "rows"
    assert failed([1.0, 2.0, 3.0], [1.0, 2.0, nan]) == "d_real"
    assert failed([1.0, nan, nan], [1.0, nan, nan], [nan, nan, nan]) == "m_real"
    assert failed([1.0, nan, float("inf")], [1.0, 2.0, nan]) == "d_real"


@pytest.mark.parametrize("rounds_per_epoch", [2, 7, 8])
def test_features_are_cached_where_an_epoch_reads_all_rows(table, rounds_per_epoch):
    X, y = table
    game = make_game_of(
        X[:56],
        y[:56],
        feature_extractor="conv",
        batch_size=8,
        rounds_per_epoch=rounds_per_epoch,
        random_state=0,
    )
    index = torch.tensor([3, 50, 7])
    assert (game.features is None) == (rounds_per_epoch == 2)
    with torch.no_grad():
        expected = game.F(game.rows[index])
    torch.testing.assert_close(game.real(index), expected)


@pytest.mark.parametrize(
    "parameters",
    [
        *({"schedule": schedule} for schedule in ("joint", "algorithm", "per_class")),
        {"neighborhood": None},
        {"discriminator": None},
        {"generator": None},
        {"generator": "unconstrained"},
        {"mixup": 0.2, "weight_averaging": 0.99},
        {"class_weight": "balanced", "logit_adjustment": 1.0},
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_no_round_waits_for_the_device(parameters, weighted, table, monkeypatch):
    """On torch's "meta" device numbers cannot be asked for, by `item()` or `if`."""
    X, y = table
    weights = np.linspace(1, 2, len(y)) if weighted else None
    monkeypatch.setattr(Game, "trained_prior", lambda game: torch.zeros(3))
    # Adam's fused kernel does not know that device.
    monkeypatch.setattr(
        torch.optim, "Adam", lambda params, lr, **others: torch.optim.SGD(params, lr)
    )
    game = make_game_of(X, y, weights, on="meta", **SMALL, **parameters)
    for index in game.batches(2):
        record = game.play(game.draw_round(index))
        assert {value.device.type for _, value in record} == {"meta"}
    with pytest.raises(RuntimeError, match="meta"):
        record[0][1].item()
