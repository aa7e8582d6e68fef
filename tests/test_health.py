"""What is measured after each epoch, and what games are warned of at their end."""

import json
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import recall_score

from gamo_sampler import GAMOClassifier, GAMOSampler
from gamo_sampler._audit import audit_class
from gamo_sampler._diagnosis import N_EPOCHS, Outcome, diagnose
from gamo_sampler._health import N_COMPARED, Classwise, Health
from gamo_sampler._torch import Rows
from gamo_sampler.exceptions import NotFiniteError, TrainingWarning

from .test_game import make_game

LOSSES = ["m_real", "m_generated", "d_real", "d_generated", "g_m", "g_d"]
OF_WEIGHTS = ["effective_sources", "coverage", "near_copies"]
OF_D = ["d_accuracy_real", "d_accuracy_generated"]


def played(table, n_rounds=20, **parameters):
    """A game after some rounds, with its measures."""
    game = make_game(*table, **parameters)
    health = health_of(game)
    game.epoch(n_rounds)
    return game, health, health.measure(1)


def health_of(game):
    return Health(game, [player.network for player in (game.F, game.M) if player])


# Measures


def test_classwise_sums_and_means():
    by_class = Classwise(torch.tensor([0, 0, 2, 0]), 3)
    values = torch.tensor([1.0, 2.0, 5.0, 6.0])
    assert by_class.sum(values).tolist() == [9, 0, 5]
    assert by_class.mean(values)[[0, 2]].tolist() == [3, 5]


@pytest.mark.parametrize("feature_extractor", [None, "conv"])
@pytest.mark.parametrize("generator", ["convex", None])
def test_recall_is_that_of_all_rows_of_a_small_table(
    table, generator, feature_extractor
):
    game, _, measures = played(
        table, generator=generator, feature_extractor=feature_extractor
    )
    with torch.no_grad():
        found = game.M(game.real(torch.arange(game.n))).argmax(1)
    expected = recall_score(game.y, found, average=None)
    assert measures["recall"] == pytest.approx(expected.tolist())
    assert len(set(expected)) > 1


AVERAGED = {
    "weight_averaging": 0.99,
    "learning_rate": 1e-2,
    "max_rounds": None,
    "random_state": 0,
}


@pytest.mark.parametrize("feature_extractor", [None, "conv"])
def test_recall_is_that_of_predictions_by_averaged_weights(table, feature_extractor):
    X, y = table
    parameters = {"feature_extractor": feature_extractor, "max_iter": 10}
    model = GAMOClassifier(**AVERAGED, **parameters).fit(X, y)
    expected = recall_score(y, model.predict(X), average=None)
    assert model.history_[-1]["recall"] == pytest.approx(expected.tolist())
    assert len(set(expected)) > 1


def test_recall_of_the_best_averaged_weights(table):
    parameters = {"feature_extractor": "conv", "early_stopping": True}
    parameters |= {"n_iter_no_change": 25, "learning_rate": 3e-3}
    model = GAMOClassifier(**AVERAGED | parameters).fit(*table)
    best = max(model.history_, key=lambda record: record["validation_score"])
    assert best["epoch"] < model.n_iter_
    assert model._summary["recall"] == best["recall"]
    assert best["recall"] != model.history_[-1]["recall"]


@pytest.mark.parametrize("neighborhood", [None, "class", 4])
def test_measures_of_g_are_those_of_its_audit(table, neighborhood):
    game, health, measures = played(table, neighborhood=neighborhood)
    draw, G = health.generated.draw, game.G.network
    with torch.no_grad():
        weights = G.igu.matrix(G.weights(draw), draw)
    start, of_class = 0, draw.y.numpy()
    for g, (i, size) in enumerate(zip((1, 2), (12, 7), strict=True)):
        own = weights[np.flatnonzero(of_class == i)][:, start : start + size]
        audit = audit_class(own, game.pool[start : start + size].double().numpy())
        for name in ("effective_sources", "near_copies", "distance_ratio"):
            found = health.by_class[name][g]
            assert found == pytest.approx(audit[name], rel=1e-4), name
        used = own.sum(0) ** 2
        expected = own.sum() ** 2 / used.sum() / size
        assert health.by_class["coverage"][g] == pytest.approx(expected, rel=1e-4)
        start += size
    for name in [*OF_WEIGHTS, "distance_ratio"]:
        assert measures[name] == pytest.approx(np.mean(health.by_class[name]))


def test_accuracies_of_d(table):
    game, health, measures = played(table)
    draw, y = health.generated.draw, game.y[game.members]
    with torch.no_grad():
        new = game.judge(game.G(draw, game.pool), draw.y).scores < 0
        real = game.judge(game.pool, y).scores > 0
    for name, right, k in zip(OF_D, (real, new), (y, draw.y), strict=True):
        expected = [float(right[k == i].float().mean()) for i in (1, 2)]
        assert health.by_class[name] == pytest.approx(expected)
        assert measures[name] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("schedule", ["joint", "algorithm", "per_class"])
def test_gradient_norms_are_those_of_the_last_steps(table, schedule):
    game, _, measures = played(table, schedule=schedule, feature_extractor="conv")
    for letter, player in game.players().items():
        squares = sum(p.grad.square().sum() for p in player.parameters)
        assert measures[f"{letter.lower()}_grad_norm"] == pytest.approx(
            float(squares) ** 0.5
        )
        assert squares > 0


@pytest.mark.parametrize(
    ("rows_of", "coverage", "near_copies", "sources"),
    [
        (lambda m, n: np.full((m, n), 1 / n), 1.0, 0.0, 20.0),  # all alike
        (lambda m, n: np.eye(n)[np.zeros(m, int)], 1 / 20, 1.0, 1.0),  # one row
        (lambda m, n: np.eye(n)[np.arange(m) % n], 1.0, 1.0, 1.0),  # each in turn
        (lambda m, n: np.eye(n)[np.arange(m) % 5], 5 / 20, 1.0, 1.0),  # five rows
        (lambda m, n: np.repeat([[0.5, 0.5] + [0] * 18], m, 0), 2 / 20, 0.0, 2.0),
    ],
    ids=["alike", "one", "each", "five", "one pair"],
)
def test_coverage_of_known_weights(rows_of, coverage, near_copies, sources):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.repeat([0, 1], [40, 20])
    game = make_game(X, y, neighborhood=None)
    health = health_of(game)
    n = len(health.generated.draw.y)
    assert n == N_COMPARED
    weights = [torch.tensor(rows_of(260, 20)[:n], dtype=torch.float32)]
    game.G.network.igu.forward = lambda code, draw: weights
    measures = health.measure(1)
    assert measures["coverage"] == pytest.approx(coverage, abs=0.01)
    assert measures["near_copies"] == near_copies
    assert measures["effective_sources"] == pytest.approx(sources)
    if near_copies:
        assert measures["distance_ratio"] == pytest.approx(0, abs=1e-6)


def test_coverage_of_a_large_class_counts_what_so_many_rows_can_draw_on():
    """Of 3,000 rows 256 can draw on 512 at most: G is not blamed for their number."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [3100, 3000])
    game = make_game(rng.normal(size=(6100, 3)), y)
    health = health_of(game)
    assert 0.8 < health.measure(1)["coverage"] <= 1


def test_measuring_leaves_the_game_as_it_is(table, monkeypatch):
    X, y = table
    measured = GAMOClassifier(max_iter=3, random_state=0).fit(X, y)
    monkeypatch.setattr(Health, "measure", lambda health, epoch: {"recall": [1.0]})
    plain = GAMOClassifier(max_iter=3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(measured.predict_proba(X), plain.predict_proba(X))
    assert measured.history_[-1]["g_m"] == plain.history_[-1]["g_m"]
    assert "coverage" not in plain.history_[-1]


ALL = [*OF_WEIGHTS, "distance_ratio", *OF_D, "recall"]
NORMS = ["m_grad_norm", "d_grad_norm", "g_grad_norm"]


@pytest.mark.parametrize(
    ("parameters", "without"),
    [
        ({}, []),
        ({"neighborhood": None}, []),
        ({"discriminator": None}, [*OF_D, "d_grad_norm"]),
        ({"generator": "unconstrained"}, OF_WEIGHTS),
        ({"generator": None}, [*ALL[:-1], *NORMS[1:]]),
        ({"sampling_strategy": {2: 9}}, []),
        ({"early_stopping": True, "validation_fraction": 0.3}, []),
        ({"weight_averaging": 0.9}, []),
    ],
)
def test_the_history_is_plain_json_of_known_keys(table, parameters, without):
    model = GAMOClassifier(max_iter=2, random_state=0, **parameters).fit(*table)
    history = model.history_
    assert json.loads(json.dumps(history, allow_nan=False)) == history
    for record in history:
        measured = set(record) & {*ALL, *NORMS}
        assert measured == {*ALL, *NORMS} - set(without)
        assert len(record["recall"]) == 3
        values = [record[name] for name in measured - {"recall"}]
        assert all(isinstance(v, float) and v >= 0 for v in values)
        shares = {*OF_D, "coverage", "near_copies"} & measured
        assert all(0 <= record[name] <= 1 for name in shares)


def test_a_class_of_one_row_and_one_of_equal_rows_are_measured(table):
    X, y = table
    X[y == 2] = X[y == 2][0]
    X, y = np.concatenate([X, X[:1] + 9]), np.append(y, 3)
    sampler = GAMOSampler(max_iter=1, random_state=0)
    with pytest.warns(UserWarning, match="Class 3 has one row"):
        sampler.fit_resample(X, y)
    [record] = sampler.history_
    assert np.isfinite(np.hstack(list(record.values()))).all()


def test_a_small_sample_has_rows_of_every_class():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), [500, *[20, 5, 1] * 13])
    game = make_game(rng.normal(size=(len(y), 3)), y)
    health = health_of(game)
    assert len(health.y) <= N_COMPARED
    assert health.y.bincount(minlength=40).min() == 1
    assert len(health.generated.draw.y) <= N_COMPARED
    assert len(health.measure(1)["recall"]) == 40


@pytest.fixture
def read(monkeypatch):
    """The positions of all rows that are read."""
    found, getitem = [], Rows.__getitem__

    def spy(rows, index):
        found.extend(index.tolist())
        return getitem(rows, index)

    monkeypatch.setattr(Rows, "__getitem__", spy)
    return found


@pytest.mark.parametrize("feature_extractor", [None, "conv"])
def test_of_rows_in_a_file_few_are_read_and_once(monkeypatch, read, feature_extractor):
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 20)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 4)), rng.permutation(np.repeat([0, 1], [2900, 100]))
    game = make_game(X, y, feature_extractor=feature_extractor)
    read.clear()
    health = health_of(game)
    health.measure(1)
    health.measure(2)
    assert 0 < len(read) == len(set(read)) <= 2 * N_COMPARED
    # Without F the others are in the pool.
    assert set(y[read]) == ({0, 1} if feature_extractor else {0})


def test_of_a_long_class_the_first_rows_are_measured(read):
    """Those come with few chunks of a file: 4,096 are looked at."""
    y = np.repeat([0, 1], [9000, 50])
    game = make_game(np.zeros((9050, 2)) + y[:, None], y)
    read.clear()
    health_of(game)
    assert max(read) == 4095


def broken(player):
    """A game, and its measures, in which one player's weights overflow in use."""
    rng = np.random.default_rng(0)
    game = make_game(
        rng.normal(size=(59, 3)),
        np.repeat([0, 1], [40, 19]),
        generator="unconstrained",
    )
    health = health_of(game)
    for p in getattr(game, player).network.parameters():
        p.data.fill_(3e38)
    return health


@pytest.mark.parametrize(
    ("letter", "player"),
    [("M", "classifier"), ("D", "discriminator"), ("G", "generator")],
)
def test_outputs_that_are_not_finite_name_the_player(letter, player):
    match = f"outputs of the {player} became non-finite in epoch 7"
    with pytest.raises(NotFiniteError, match=match):
        broken(letter).measure(7)


def test_a_classifier_that_works_in_place_leaves_measured_rows_alone(table):
    game = make_game(*table, generator=None)
    game.features = None  # as of rows that are read as they are needed
    health = health_of(game)
    held = health.rows.clone()
    health.predictors = [torch.nn.ReLU(inplace=True), game.M.network]
    health.measure(1)
    assert (held < 0).any()
    assert torch.equal(health.rows, held)


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_shown_of_an_epoch_stays_short(table, capsys, verbose):
    GAMOClassifier(max_iter=2, random_state=0, verbose=verbose).fit(*table)
    out, err = capsys.readouterr()
    shown = out if verbose == 2 else err
    assert ("m_real" if verbose == 2 else "M=") in shown
    assert "coverage" not in shown
    assert "grad_norm" not in shown
    assert "[" not in out


# Warnings


def outcome(**known):
    """An ordinary game's, of classes of 40, 20 and 12 rows, but for what is `known`."""
    last = {"d_accuracy_real": 0.7, "d_accuracy_generated": 0.7}
    last |= {"m_real": 0.1, "m_grad_norm": 0.1, "d_real": 0.2, "d_grad_norm": 0.1}
    by_class = {"near_copies": [0.3, 0.3], "coverage": [0.5, 0.5]}
    by_class |= {"recall": [1.0, 1.0, 1.0]}
    given = {
        "history": [last | known.pop("last", {})] * known.pop("n_epochs", 2 * N_EPOCHS),
        "by_class": by_class | known.pop("by_class", {}),
        "labels": ["a", "b", "c"],
        "n_real": [40, 20, 12],
        "generated": [1, 2],
        "smallest": [20, 12],
        "bounded": False,
        "held_out": {"a": (10, 10), "b": (5, 5), "c": (3, 3)},
    }
    return Outcome(**given | known)


def test_an_ordinary_game_is_not_warned_of():
    assert diagnose(outcome()) == []


@pytest.mark.parametrize(
    ("known", "start", "named"),
    [
        (
            {"by_class": {"near_copies": [0.95, 0.3]}},
            "G makes near copies",
            "of class b (95%). Lower",
        ),
        (
            {"by_class": {"near_copies": [0.95, 1.0]}},
            "G makes near copies",
            "of class b (95%), class c (100%). Lower",
        ),
        (
            {"by_class": {"coverage": [0.5, 0.1]}},
            "G collapsed to few rows",
            "of class c (1.2 of 12). Lower",
        ),
        (
            {"by_class": {"coverage": [0.015, 0.5]}, "n_real": [400, 200, 12]},
            "G collapsed to few rows",
            "of class b (3.0 of 200). Lower",
        ),
        (
            {"last": {"d_accuracy_real": 0.99, "d_accuracy_generated": 1.0}},
            "D is saturated",
            "(99% of real, 100% of generated ones at the end)",
        ),
        ({"last": {"m_grad_norm": 0.0}}, "The classifier no longer", "loss was not"),
        (
            {"last": {"m_grad_norm": 0.0, "d_grad_norm": 0.0}},
            "The classifier and the discriminator no longer learned",
            "in the last 5 epochs",
        ),
        (
            {"held_out": {"a": (10, 10), "c": (4, 0)}},
            "M memorised rows",
            "class c (all 12 learned from, 0 of 4 held out). Take",
        ),
    ],
)
def test_what_went_wrong_is_named(known, start, named):
    [message] = diagnose(outcome(**known))
    assert message.startswith(start)
    assert named in message


@pytest.mark.parametrize(
    "known",
    [
        {"by_class": {"near_copies": [0.89, 0.3]}},
        {"by_class": {"near_copies": [1.0, 0.3]}, "smallest": [1, 12]},
        {"by_class": {"near_copies": [1.0, 1.0]}, "bounded": True},
        {"by_class": {"coverage": [0.11, 0.2]}},
        {"by_class": {"coverage": [0.5, 0.1]}, "n_real": [40, 20, 9]},
        {"by_class": {"coverage": [0.025, 0.5]}, "n_real": [400, 200, 12]},
        {"last": {"d_accuracy_real": 0.97, "d_accuracy_generated": 1.0}},
        {"last": {"d_accuracy_real": 1.0, "d_accuracy_generated": 1.0}, "n_epochs": 9},
        {"last": {"m_grad_norm": 0.0, "m_real": 0.0}},
        {"last": {"m_grad_norm": 0.0}, "n_epochs": 9},
        {"held_out": {"a": (10, 6), "b": (2, 0), "c": (1, 0)}},
        {"held_out": {"c": (4, 0)}, "by_class": {"recall": [1, 1, 11 / 12]}},
        {"held_out": {}},
        {"by_class": {}, "history": []},
    ],
)
def test_what_may_be_chance_or_was_known_is_not_named(known):
    assert diagnose(outcome(**known)) == []


def test_the_last_epochs_alone_decide_of_d():
    ordinary, sure = outcome(), outcome(last=dict.fromkeys(OF_D, 1.0))
    mixed = [*ordinary.history, *sure.history[:N_EPOCHS]]
    assert len(diagnose(outcome(history=mixed))) == 1
    assert diagnose(outcome(history=[*mixed, ordinary.history[0]])) == []


@pytest.fixture
def collapsing():
    """A sampler whose G collapses, and rows."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 20])
    X = rng.normal(size=(60, 5)) + y[:, None]
    sampler = GAMOSampler(
        neighborhood=None,
        discriminator=None,
        learning_rate=0.1,
        max_rounds=60,
        random_state=0,
    )
    return sampler, X, y


def test_a_collapsed_generator_is_warned_of_at_the_user_s_line(collapsing):
    sampler, X, y = collapsing
    with pytest.warns(TrainingWarning) as caught:
        sampler.fit_resample(X, y)
    kinds = [str(w.message)[:11] for w in caught]
    assert {"G makes nea", "G collapsed"} <= set(kinds)
    assert len(kinds) == len(set(kinds))
    assert {w.filename for w in caught} == {__file__}
    assert sampler.history_[-1]["near_copies"] > 0.9
    assert sampler.history_[-1]["coverage"] < 0.1


def test_bounds_on_weights_answer_for_copies(collapsing):
    sampler, X, y = collapsing
    with pytest.warns(TrainingWarning) as caught:
        sampler.set_params(max_weight=0.8).fit_resample(X, y)
    assert sampler.history_[-1]["near_copies"] > 0.9
    assert not any("near copies" in str(w.message) for w in caught)


def test_a_learning_rate_that_stills_the_players_is_warned_of(table):
    model = GAMOClassifier(learning_rate=3.0, random_state=0, max_iter=15)
    with pytest.warns(TrainingWarning, match="no longer learned") as caught:
        model.fit(*table)
    assert len(caught) == 1


@pytest.mark.parametrize("estimator", [GAMOClassifier, GAMOSampler])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"neighborhood": None},
        {"neighborhood": 3},
        {"generator": "unconstrained"},
        {"discriminator": None},
    ],
)
def test_ordinary_games_are_silent(table, estimator, parameters):
    X, y = table
    model = estimator(max_rounds=60, random_state=0, **parameters)
    fit = getattr(model, "fit_resample", model.fit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(X, y)
    assert len(model.history_) >= 2 * N_EPOCHS


def test_memorised_noise_is_warned_of():
    """Labels by lot: nothing that is learned of the small class holds elsewhere."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 40)), np.repeat([0, 1], [90, 30])
    scores = iter(range(1000))
    model = GAMOClassifier(
        early_stopping=True,
        validation_fraction=0.4,
        scoring=lambda *_: float(next(scores)),  # the last weights stay
        max_iter=60,
        generator=None,
        learning_rate=1e-2,
        random_state=0,
    )
    match = r"M memorised rows.*class 1 \(all 18 learned from, \d of 12 held out\)"
    with pytest.warns(TrainingWarning, match=match) as caught:
        model.fit(X, y)
    assert len(caught) == 1
    assert model.history_[-1]["recall"] == [1.0, 1.0]
