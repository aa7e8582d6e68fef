"""The benchmarks' command line: runs, resumed runs, tables of known answers."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import stats
from sklearn.datasets import load_digits, load_iris
from sklearn.metrics import recall_score

from benchmarks import methods, mixed, pictures, protocols, report, rows, toy
from benchmarks.__main__ import main, parse_seeds
from gamo_sampler import GAMOClassifier, GAMOSampler

KEYS = {
    *("protocol", "condition", "loss", "method", "learner", "seed", "params"),
    *("acsa", "gm", "recall", "train_acsa", "train_gm", "m_updates", "n_test"),
    *("seconds", "versions"),
}


@pytest.fixture(autouse=True)
def denormals():
    """A run flushes denormals for the whole process: hypothesis refuses to go on."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def data_home(tmp_path_factory):
    """Two tiny tables."""
    home = tmp_path_factory.mktemp("data")
    (home / "tabular").mkdir()
    X, y = load_iris(return_X_y=True)
    np.savez(home / "tabular" / "two.npz", X=X[30:110], y=(y[30:110] == 2).astype(int))
    np.savez(home / "tabular" / "three.npz", X=X[:120], y=y[:120])
    index = "name,family\ntwo,iris\nthree,iris\n"
    (home / "tabular" / "index.csv").write_text(index)
    return home


@pytest.fixture
def small_images(monkeypatch):
    """Digits in place of every image protocol's data; the seeds that were drawn."""
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 3].reshape(-1, 8, 8).astype(np.uint8), y[y < 3]
    few = np.r_[:60, np.flatnonzero(y[60:200] == 0) + 60]
    seeds = []

    def fetch(name, *, random_state, data_home, counts=None):
        seeds.append(random_state)
        return SimpleNamespace(
            X_train=X[few], y_train=y[few], X_test=X[300:], y_test=y[300:]
        )

    datasets = pytest.importorskip("gamo_sampler.datasets")
    monkeypatch.setattr(datasets, "fetch_long_tailed", fetch)
    return seeds


def run(out, *arguments, protocol="mnist"):
    smoke = ["--device", "cpu", "--out", str(out), "--rounds", "3"]
    return main(["run", protocol, *smoke, *arguments])


# Running ------------------------------------------------------------------


def test_a_row_has_what_was_promised(tmp_path, small_images):
    out = tmp_path / "results.jsonl"
    assert run(out, "--methods", "cn", "gamo", "--seeds", "4") == 0
    plain, game = rows.read(out)
    assert set(plain) == set(game) == KEYS
    assert rows.key(plain) == ("mnist", "paper", "least_squares", "cn", "M", 4)
    assert small_images == [4, 4]
    assert plain["m_updates"] == game["m_updates"] == 3
    assert plain["n_test"] == 537 - 300
    assert plain["acsa"] == pytest.approx(np.mean(plain["recall"]))
    assert plain["gm"] == pytest.approx(np.prod(plain["recall"]) ** (1 / 3))
    assert plain["params"]["smoke"] == {"rounds": 3}
    assert "generator=None" in plain["params"]["estimator"]
    assert "random_state=4" in plain["params"]["estimator"]


def test_a_second_run_does_only_what_is_missing(tmp_path, small_images):
    out = tmp_path / "results.jsonl"
    run(out, "--methods", "cn", "--seeds", "0-1")
    text = out.read_text()
    run(out, "--methods", "cn", "--seeds", "0-1")
    assert small_images == [0, 1]
    assert out.read_text() == text

    out.write_text(text[:-20])
    assert len(rows.read(out)) == 1
    run(out, "--methods", "cn", "--seeds", "0-1")
    assert small_images == [0, 1, 1]
    assert [row["seed"] for row in rows.read(out)] == [0, 1]


def test_a_broken_line_inside_a_file_is_named(tmp_path):
    out = tmp_path / "results.jsonl"
    out.write_text('{"seed": \n{}\n')
    with pytest.raises(ValueError, match="line 1 is not a row of JSON"):
        rows.read(out)


def test_smoke_rows_do_not_mix_with_others(tmp_path, small_images):
    out = tmp_path / "results.jsonl"
    run(out, "--methods", "cn", "--seeds", "0")
    with pytest.raises(ValueError, match="rows made with --rounds 3"):
        main(["run", "mnist", "--methods", "cn", "--out", str(out)])


def test_a_failed_run_is_reported_and_the_others_go_on(tmp_path, data_home, capsys):
    (data_home / "tabular" / "broken.npz").write_bytes(b"")
    arguments = ["--methods", "none", "--seeds", "0", "--data-home", str(data_home)]
    out = tmp_path / "results.jsonl"
    try:
        assert run(out, *arguments, protocol="tabular") == 1
    finally:
        (data_home / "tabular" / "broken.npz").unlink()
    found = {row["protocol"] for row in rows.read(out)}
    assert found == {"tabular/two", "tabular/three"}
    assert "FAILED tabular/broken" in capsys.readouterr().err


def test_two_processes_find_what_one_finds(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.__main__.draw_toy", lambda arguments: None)
    found = {}
    for n_jobs in ("1", "2"):
        out = tmp_path / f"{n_jobs}.jsonl"
        arguments = ["--methods", "cn", "--seeds", "0-1", "--jobs", n_jobs]
        run(out, *arguments, protocol="toy")
        found[n_jobs] = {rows.key(row): row["recall"] for row in rows.read(out)}
    assert len(found["1"]) == 2
    assert found["1"] == found["2"]


def test_tables_give_a_row_per_learner(tmp_path, data_home):
    out = tmp_path / "results.jsonl"
    arguments = ["--seeds", "0", "--data-home", str(data_home)]
    run(out, *arguments, "--methods", "smote", "gamo", protocol="tabular")
    found = rows.read(out)
    assert len(found) == 2 * 2 * 4
    for row in found:
        assert set(row) == KEYS | {"roc_auc", "average_precision", "brier"}
        assert row["params"]["family"] == "iris"
        assert row["params"]["folds_without_rows"] == 0
        assert len(row["recall"]) == (2 if row["protocol"] == "tabular/two" else 3)
        assert row["n_test"] == (80 if row["protocol"] == "tabular/two" else 120)
        assert row["m_updates"] == (3 if row["learner"] == "cn" else None)
        if row["learner"] == "logistic":
            assert row["acsa"] > 0.85
            assert row["roc_auc"] > 0.95 > 0.5 > row["brier"]


def test_a_sampler_that_cannot_run_does_nothing(data_home):
    job = protocols.Job(
        "tabular/two", "paper", "least_squares", "smote", 0, str(data_home), "cpu", 3
    )
    X, y = np.arange(24.0).reshape(12, 2), np.repeat([0, 1], [10, 2])
    train, test = np.arange(11), np.arange(12)
    by_learner, _, nothing = protocols.run_fold(job, X, y, train, test)
    assert nothing
    assert by_learner["logistic"][0]["recall"][0] > 0


def one_hot(*codes, width):
    return (np.array(codes)[:, None] == np.arange(width)).astype(float)


def test_one_hot_columns_are_put_back_together():
    colour = one_hot(*[0, 1, 2, 1] * 5, width=3)
    shape = one_hot(*[0] * 10, *[1] * 9, -1, width=2)  # one row has none
    flag = np.repeat([0, 1.0], 10)
    number = np.arange(20.0)
    frame = mixed.put_together(np.column_stack([colour, number, shape, flag]))
    assert [str(dtype) for dtype in frame.dtypes] == [
        *("category", "float64", "category", "category")
    ]
    assert frame["x0"].tolist() == [1, 2, 3, 2] * 5
    assert_array_equal(frame["x3"], number)
    assert frame["x4"].tolist() == [1] * 10 + [2] * 9 + [0]
    assert frame["x6"].tolist() == [0] * 10 + [1] * 10


def test_flags_that_are_rarely_set_are_no_one_hot_columns():
    flags = np.zeros((20, 2))
    flags[3, 0] = flags[7, 1] = 1
    assert mixed.put_together(flags).shape == (20, 2)


@pytest.mark.parametrize("with_numbers", [True, False])
def test_tables_with_categories(tmp_path, monkeypatch, with_numbers):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [60, 20])
    X = one_hot(*rng.integers(0, 2, 80) + y, width=3)
    if with_numbers:
        X = np.column_stack([X, rng.normal(size=80) + 2 * y])
    folder = tmp_path / "tabular"
    folder.mkdir()
    np.savez(folder / "made.npz", X=X, y=y)
    (folder / "index.csv").write_text("name,family\nmade,made\n")
    monkeypatch.setattr(mixed, "TABLES", ("made",))
    out = tmp_path / "results.jsonl"
    arguments = ["--seeds", "0", "--data-home", str(tmp_path)]
    assert run(out, *arguments, protocol="mixed") == 0
    found = rows.read(out)
    assert {row["learner"] for row in found} == {"cn", "boosting"}
    assert {row["method"] for row in found} == set(methods.MIXED_SAMPLERS)
    assert len(found) == 8
    for row in found:
        assert row["protocol"] == "mixed/made"
        assert row["params"]["family"] == "made"
        if row["learner"] == "boosting" and with_numbers:
            assert row["roc_auc"] > 0.8
    assert run(out, *arguments, protocol="mixed") == 0
    assert rows.read(out) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere"], "Unknown protocol 'nowhere'"),
        (["run", "mnist", "--methods", "smoat"], "Unknown method 'smoat'"),
        (["run", "mnist", "--methods", "cn:mixup=.1"], "only --condition tune"),
        (["run", "mnist", "--condition", "tune"], "seeds of 100 and up, got 0"),
        (["run", "toy", "--condition", "today"], "conditions paper and tune"),
        (
            ["run", "mnist", "--condition=tune", "--seeds=100", "--methods=cn:mixup"],
            "is not a list of parameters",
        ),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        main([*arguments, "--out", str(tmp_path / "results.jsonl")])


def test_seeds():
    assert parse_seeds("0-2,7") == [0, 1, 2, 7]


# Methods ------------------------------------------------------------------


def settings(**network):
    shared = {"loss": "least_squares", "random_state": 0, "device": "cpu"}
    return methods.Settings(shared | network, 6, {0: 60, 1: 20, 2: 20})


@pytest.mark.parametrize("name", ["gamo", "gamo_no_d", "cg", "cg_d", "cn", "smote"])
def test_all_get_the_same_updates_of_the_same_rows(name):
    model = methods.make(name, "paper", settings())
    network = model[-1] if name == "smote" else model
    assert methods.m_updates(model) == 6
    per_update = network.batch_size * (1 if network.generator is None else 2)
    assert per_update == 32


@pytest.mark.parametrize("name", ["schedule_algorithm", "schedule_per_class"])
def test_alternating_schedules_get_half_the_rounds(name):
    model = methods.make(name, "ablation", settings())
    assert (model.max_rounds, model.batch_size) == (3, 32)
    assert methods.m_updates(model) == 6


def test_the_published_game_keeps_its_parameters():
    model = methods.make("gamo_published", "paper", settings(learning_rate=1.0))
    assert (model.learning_rate, model.batch_size, model.max_rounds) == (2e-4, 32, 6)
    assert methods.m_updates(model) == 12
    sampler = methods.make("gamo_published", "paper", settings(), methods.SAMPLERS)
    assert (sampler.learning_rate, sampler.max_rounds) == (2e-4, 6)


@pytest.mark.parametrize("name", methods.ABLATION)
def test_an_ablation_changes_what_it_says(name):
    base = methods.make("gamo", "ablation", settings()).get_params()
    other = methods.make(name, "ablation", settings()).get_params()
    changed = {key for key in base if base[key] != other[key]}
    length = {"max_iter", "max_rounds", "batch_size"}
    assert changed - length == set(methods.ABLATION[name])


def test_parameters_to_tune_come_with_the_name():
    model = methods.make("cn:beta_1=0.9,mixup=0.4", "tune", settings())
    assert (model.beta_1, model.mixup) == (0.9, 0.4)


@pytest.mark.parametrize(
    ("method", "table", "message"),
    [
        ("smote:k_neighbours=1", methods.SAMPLERS, "Invalid parameter 'k_neighbours'"),
        ("none:x=1", methods.SAMPLERS, "Invalid parameter 'x'"),
        ("gamo_no_d:discriminator='auto'", methods.METHODS, "sets discriminator by"),
        ("cn:generated_weight=0.3", methods.METHODS, "sets generated_weight by"),
        ("threshold:generated_weight=0.3", methods.METHODS, "sets generated_weight"),
        ("cn:generator='convex'", methods.METHODS, "sets generator by itself"),
        ("logit_adjust:latent_dim=9", methods.METHODS, "sets latent_dim by itself"),
        ("logit_adjust_16:schedule='algorithm'", methods.METHODS, "sets schedule by"),
        ("balanced_softmax:logit_adjustment=0.5", methods.METHODS, "sets logit_adj"),
        ("cn:sampling_strategy='all'", methods.METHODS, "sets sampling_strategy by"),
        ("smote:neighborhood=10", methods.METHODS, "sets neighborhood by itself"),
    ],
)
def test_parameters_that_would_be_ignored_raise(method, table, message):
    with pytest.raises(ValueError, match=message):
        methods.make(method, "tune", settings(), table)


def test_parameters_of_over_samplers_are_theirs():
    model = methods.make("smote:k_neighbors=2", "tune", settings(), methods.SAMPLERS)
    assert model.sampler.k_neighbors == 2


def test_seeds_of_100_and_up_score_validation_rows(small_images):
    job = protocols.Job("mnist", "paper", "least_squares", "cn", 100, rounds=3)
    data = protocols.load("mnist", 100, None)
    expected = len(protocols.validation_split(data, 100).y_test)
    assert protocols.run(job)[0]["n_test"] == expected != len(data.y_test)


@pytest.mark.parametrize("name", ["cn", "oversample", "gamo", "gamo_published"])
def test_f_and_m_take_as_many_turns_with_every_method(small_images, name):
    job = protocols.Job("fashion_mnist", "paper", "least_squares", name, 0, rounds=40)
    data = protocols.load("fashion_mnist", 0, None)
    settings = protocols.split_settings(job, data)
    model = methods.make(name, "paper", settings).fit(data.X_train, data.y_train)
    assert methods.network_of(model).n_iter_ == 20


def test_tuning_does_not_look_at_test_rows(small_images):
    job = protocols.Job("mnist", "tune", "least_squares", "cn", 100, rounds=3)
    data = protocols.load("mnist", 100, None)
    split = protocols.validation_split(data, job.seed)
    pool = {row.tobytes() for row in data.X_train}
    assert {row.tobytes() for row in split.X_test} <= pool
    assert len(split.y_train) + len(split.y_test) == len(data.y_train)
    assert protocols.run(job)[0]["n_test"] == len(split.y_test)


def needs(**parameters):
    """Skip where the classifier does not have these parameters."""
    missing = set(parameters) - set(GAMOClassifier().get_params())
    return pytest.mark.skipif(bool(missing), reason=f"no parameters {missing}")


@pytest.mark.parametrize("name", sorted({*methods.PAPER} - {"gamo_published"}))
@pytest.mark.parametrize("extractor", [None, "conv"])
def test_every_method_of_the_paper_fits(small_images, name, extractor):
    check_fits(name, "paper", extractor)


@needs(mixup=0, weight_averaging=0, logit_adjustment=0, class_weight=None)
@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_of_today_fits(small_images, name):
    check_fits(name, "today", "conv")


@pytest.mark.parametrize(
    ("name", "extractor", "made_by"),
    [
        ("gamo_augment", None, "GAMOSampler"),
        ("gamo_augment", "conv", "GAMO2Pix"),
        ("smote_augment", "conv", "SMOTE"),
    ],
)
def test_images_of_an_over_sampler_are_moved(small_images, name, extractor, made_by):
    check_fits(name, "paper", extractor)
    model = methods.make(name, "paper", settings(feature_extractor=extractor))
    still, moved = model[0].sampler, methods.augment(settings())
    assert type(still).__name__ == made_by
    assert model[0].set_params(sampler=None).get_params() == moved.get_params()


def test_the_control_has_as_many_real_rows_in_a_batch_as_the_game():
    control, whole, game = (
        methods.make(name, "today", settings()).get_params()
        for name in ("logit_adjust_16", "logit_adjust", "gamo")
    )
    assert control == whole | {"batch_size": game["batch_size"]}
    assert control["batch_size"] < whole["batch_size"]


def test_flat_images_of_the_game_are_those_of_the_sampler_s_defaults():
    model = methods.make("gamo_augment", "today", settings(image_shape=(1, 8, 8)))
    own = {"loss": "least_squares", "random_state": 0, "device": "cpu"}
    sampler = GAMOSampler(**own)
    assert model[0].sampler.get_params() == sampler.get_params()


def test_gamo2pix_fits_where_there_are_features(small_images):
    check_fits("gamo2pix", "paper", "conv")
    with pytest.raises(ValueError, match="needs a protocol with a feature extractor"):
        methods.make("gamo2pix", "paper", settings(image_shape=(1, 8, 8)))


def check_fits(name, condition, extractor):
    data = protocols.load("mnist", 0, None)
    given = settings(
        image_shape=(1, 8, 8), feature_extractor=extractor, hidden_layer_sizes=(16, 8)
    )
    given = replace(given, counts=protocols.class_counts(data.y_train))
    if condition == "today":
        given.network["loss"] = "log_loss"
    model = methods.make(name, condition, given).fit(data.X_train, data.y_train)
    assert not methods.did_nothing(model)
    p = model.predict_proba(data.X_test)
    np.testing.assert_array_equal(model.predict(data.X_test), p.argmax(1))
    np.testing.assert_allclose(p.sum(1), 1)


@pytest.mark.parametrize("name", ["smote", "gamo_sampler"])
def test_rows_in_feature_space_train_a_fresh_m(small_images, name):
    data = protocols.load("mnist", 0, None)
    given = settings(image_shape=(1, 8, 8), feature_extractor="conv")
    model = methods.make(name, "paper", given).fit(data.X_train, data.y_train)
    width = model.features_.extract_features(data.X_train).shape[1]
    assert model.head_.n_features_in_ == width
    assert not methods.did_nothing(model)


def test_threshold_divides_by_the_prior():
    class Fixed(GAMOClassifier):
        def fit(self, X, y):
            return self

        def predict_proba(self, X):
            return np.array([[0.6, 0.4]])

    model = methods.PriorCorrected(Fixed()).fit(np.zeros((4, 1)), [0, 0, 0, 1])
    expected = np.array([0.6 / 0.75, 0.4 / 0.25])
    np.testing.assert_allclose(
        model.predict_proba(np.zeros((1, 1)))[0], expected / expected.sum()
    )
    assert model.predict(np.zeros((1, 1))) == [1]


@needs(class_weight=None)
def test_effective_numbers():
    weights = methods.effective_number(settings()).class_weight
    ratio = (1 - 0.999**60) / (1 - 0.999**20)
    assert weights[1] / weights[0] == pytest.approx(ratio)
    assert sum(weights.values()) == pytest.approx(3)


def test_images_become_float_rows_with_channels_first():
    images = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    X, shape = protocols.flat(images)
    assert (X.dtype, shape) == (np.float32, (3, 3, 4))
    np.testing.assert_array_equal(X[1].reshape(shape)[2], images[1, :, :, 2])


# Figure 1 -----------------------------------------------------------------


def test_toy_rows_and_picture(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("gamo_sampler.baselines")
    out = tmp_path / "toy.jsonl"
    assert run(out, "--seeds", "0", protocol="toy") == 0
    assert [row["method"] for row in rows.read(out)] == list(toy.PANELS)
    assert (tmp_path / "toy.png").stat().st_size > 10_000


def test_toy_titles_hold_both_recalls():
    Figure = pytest.importorskip("matplotlib.figure").Figure
    data = toy.make_toy(0)
    model = GAMOClassifier(random_state=0, device="cpu", max_rounds=20)
    model.fit(data.X_train, data.y_train)
    ax = Figure().subplots()
    toy.plot_panel(ax, "gamo", model, data)
    recalls = recall_score(data.y_test, model.predict(data.X_test), average=None)
    assert ax.get_title() == "GAMO\nrecall {:.2f} and {:.2f}".format(*recalls)
    assert np.bincount(data.y_train).tolist() == [1000, 50]


# Reports ------------------------------------------------------------------


def result(method, seed, gm, protocol="mnist", family=None, learner="M"):
    return {
        "protocol": protocol,
        "condition": "paper",
        "loss": "least_squares",
        "method": method,
        "learner": learner,
        "seed": seed,
        "params": {"family": family},
        "acsa": gm,
        "gm": gm,
        "train_acsa": 1.0,
        "train_gm": 1.0,
    }


def hand_made():
    scores = {
        "cn": [0.80, 0.82, 0.81, 0.85, 0.83],
        "smote": [0.83, 0.86, 0.82, 0.84, 0.84],
        "gamo": [0.88, 0.87, 0.89, 0.86, 0.88],
    }
    return [
        result(method, seed, gm)
        for method, values in scores.items()
        for seed, gm in enumerate(values)
    ]


@pytest.mark.parametrize("extras", [{}, {"generated_weight": 0.3}])
def test_margins_after_resampling_are_those_of_the_rows_before(digits, extras):
    X, y = digits
    settings = methods.Settings(
        {"random_state": 0, "loss": "log_loss"},
        3,
        dict(zip(*np.unique(y, return_counts=True), strict=True)),
        {"logit_adjustment": 1.0} | extras,
    )
    model = methods.METHODS["smote"](settings).fit(X, y)
    assert len(model.estimator_.trained_prior_) == len(settings.counts)
    # All rows weigh the same, and the margin divides by the classes' rows before.
    made = model.sampler_.fit_resample(X, y)[1]
    assert len(made) > len(y)
    before = np.array([*settings.counts.values()])
    expected = np.unique(made, return_counts=True)[1] / before
    expected /= expected.sum()
    np.testing.assert_allclose(model.estimator_.trained_prior_, expected, rtol=1e-5)
    assert methods.m_updates(model) == 3
    assert model.predict_proba(X).shape == (len(X), len(expected))
    model.estimator.set_params(class_weight="balanced")
    with pytest.raises(ValueError, match="class_weight must be None"):
        model.fit(X, y)


SAMPLERS = ["oversample", "smote", "borderline_smote", "adasyn", "augment", "cgan"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_over_samplers_make_as_many_rows_as_they_weigh_in_the_game(digits, name):
    X, y = digits
    before = np.unique(y, return_counts=True)[1]
    network = {"random_state": 0, "image_shape": (1, 8, 8), "device": "cpu"}
    given = methods.Settings(network, 3, dict(enumerate(before)))
    given = replace(given, extras={"generated_weight": 0.3})
    sampler = getattr(methods, name)(given)
    made = np.array([*sampler.sampling_strategy.values()]) - before
    assert made.sum() == pytest.approx(0.3 * len(y), abs=len(before) / 2)
    game = methods.game(given).set_params(max_rounds=1).fit(X, y)
    # Classes as often as in the game.
    share = game._deficit / game._deficit.sum()
    np.testing.assert_allclose(made[made > 0], made.sum() * share, atol=1)
    if name in ("oversample", "smote", "augment"):
        found = np.unique(sampler.fit_resample(X, y)[1], return_counts=True)[1]
        assert_array_equal(found - before, made)


def test_fewer_rows_are_a_positive_number_of_them():
    with pytest.raises(ValueError, match=r"must be a positive number .* got 'algo"):
        methods.make("smote:generated_weight='algorithm'", "tune", settings())


@pytest.mark.parametrize(
    "name", ["smote", "balanced_sampling", "adasyn", "gamo_sampler"]
)
def test_samplers_of_today_make_as_many_rows_as_weigh_in_the_game(name):
    game = methods.make("gamo", "today", settings())
    model = methods.make(name, "today", settings())
    sampler = getattr(model.sampler, "sampler", model.sampler)
    made = sum(sampler.sampling_strategy.values()) - 100
    assert made == game.generated_weight * 100


@pytest.mark.parametrize("name", methods.OF_IMAGES)
def test_images_have_the_margin_where_features_are_learned(name):
    learned = methods.make(name, "today", settings(feature_extractor="conv"))
    assert methods.network_of(learned).logit_adjustment == 1
    assert learned.sampler.sampling_strategy == "auto"
    if name != "gamo2pix":  # which needs features
        flat = methods.make(name, "today", settings(image_shape=(1, 8, 8)))
        assert methods.network_of(flat).logit_adjustment == 0
        assert flat[0].sampling_strategy == "auto"


def test_scores_of_every_set(tmp_path):
    found = [
        result(method, seed, gm + seed / 10, f"mixed/{name}", name, "cn")
        for method, name, gm in [
            *(("none", "a", 0.2), ("none", "b", 0.4)),
            *(("gamo", "a", 0.6), ("gamo", "b", 0.7)),
        ]
        for seed in (0, 1)
    ]
    report.write_reports(found, tmp_path)
    text = (tmp_path / "mixed_paper_least_squares_cn_sets.rst").read_text()
    assert cells_of(text) == [
        *("GM of", "a", "b", "mean"),
        *("gamo", "0.650", "0.750", "0.700"),
        *("none", "0.250", "0.450", "0.350"),
    ]


def test_scores_of_all_sets_of_images(tmp_path):
    found = [
        result("cn", 0, 0.5, "mnist"),
        result("gamo", 0, 0.7, "mnist"),
        result("gamo", 0, 0.4, "cifar10"),
        result("gamo", 1, 0.6, "cifar10"),
    ]
    report.write_reports(found, tmp_path)
    name = "images_paper_least_squares_gm"
    assert cells_of((tmp_path / f"{name}.rst").read_text()) == [
        *("GM of", "cifar10", "mnist", "mean"),
        *("gamo", "0.500", "0.700", "0.600"),
        *("cn", "", "0.500", ""),
    ]
    report.write_reports(found[:2], tmp_path / "one")
    assert not (tmp_path / "one" / f"{name}.rst").exists()


def cells_of(text):
    lines = text.splitlines()
    return [line[7:] for line in lines if line.startswith(("   * -", "     -"))]


def test_means_tests_and_ranks_of_a_table(tmp_path):
    out = tmp_path / "results.jsonl"
    out.write_text("".join(json.dumps(row) + "\n" for row in hand_made()))
    assert main(["report", str(out), "--out", str(tmp_path / "tables")]) == 0
    name = "mnist_paper_least_squares_M"
    text = (tmp_path / "tables" / f"{name}.rst").read_text()
    assert [line[7:] for line in text.splitlines() if line.startswith("   * - ")] == [
        "method",
        "gamo",
        "smote",
        "cn",
    ]
    scores = [0.8, 0.82, 0.81, 0.85, 0.83], [0.88, 0.87, 0.89, 0.86, 0.88]
    t = stats.ttest_rel(*scores).pvalue
    # Five differences of one sign: 2 / 2^5.
    cells = ["0.822\xa0±\xa00.019", "-0.054", f"{t:.2g}", "0.062", "2.80"]
    assert text.split("   * - cn\n")[1].split("\n\n")[0] == "\n".join(
        f"     - {cell}" for cell in ["5", *cells, *cells, "1.000", "1.000"]
    )
    assert "versions of the source" not in text


def test_the_order_is_that_of_paired_differences():
    """A method is not first by the sets that it alone has been run on."""
    found = hand_made() + [result("augment", seed, 0.95) for seed in range(7, 9)]
    found += [result("augment", 0, 0.79)]
    [(_, group)] = report.grouped(found)
    order = report.from_the_best(report.cells(group, "gm"))
    assert order == ["gamo", "smote", "cn", "augment"]
    order = report.from_the_best(report.cells(group, "gm").drop(columns="gamo"))
    assert order[0] == "augment"
    scores = report.cells(group, "gm").drop(index=[(0, "mnist", 0)])
    assert report.from_the_best(scores[["augment", "cn", "gamo", "smote"]]) == [
        *("gamo", "smote", "cn"),
        "augment",  # which has no run in common with gamo any more
    ]


def test_few_units_have_no_tests_ranks_or_plots(tmp_path):
    report.write_reports(hand_made(), tmp_path)  # their plots do not stay
    found = [row for row in hand_made() if row["seed"] < 4]
    report.write_reports(found, tmp_path)
    text = (tmp_path / "mnist_paper_least_squares_M.rst").read_text()
    cells = ["4", *["0.820\xa0±\xa00.022", "-0.055", "", "", ""] * 2, "1.000", "1.000"]
    assert text.split("   * - cn\n")[1].split("\n\n")[0] == "\n".join(
        f"     - {cell}".rstrip() for cell in cells
    )
    assert not [*tmp_path.glob("*.png")]


def test_tuning_seeds_count_for_tuning_only():
    found = [*hand_made(), result("cn", 100, 1.0)]
    [(_, group)] = report.grouped(found)
    assert 100 not in {*group["seed"]}
    [(_, group)] = report.grouped([row | {"condition": "tune"} for row in found])
    assert 100 in {*group["seed"]}


def test_versions_of_the_source_are_counted(tmp_path):
    found = [
        row | {"versions": {"source": f"{row['seed'] % 2}"}} for row in hand_made()
    ]
    report.write_reports(found, tmp_path)
    text = (tmp_path / "mnist_paper_least_squares_M.rst").read_text()
    assert "The rows are of 2 versions of the source at least." in text
    [(_, group)] = report.grouped([*found, result("cn", 8, 0.8)])
    assert report.sources(group) == 3


def test_scores_without_a_threshold(tmp_path):
    values = {"none": (0.9, 0.8, 0.1), "gamo": (0.7, 0.85, 0.2)}
    names = ("average_precision", "roc_auc", "brier")
    found = [
        result(method, 0, 0.5, f"tabular/{i}", str(i), "forest")
        | dict(zip(names, np.add(own, i / 1000), strict=True))
        for method, own in values.items()
        for i in range(5)
    ]
    report.write_reports(found, tmp_path)
    path = tmp_path / "tabular_paper_least_squares_forest_probabilities.rst"
    text = path.read_text()
    cells = [line[7:] for line in text.splitlines() if line.startswith("     -")]
    assert cells[13:26] == [
        "5",
        *("0.902\xa0±\xa00.002", "+0.200", "0.062", "1.00"),
        *("0.802\xa0±\xa00.002", "-0.050", "0.062", "2.00"),
        *("0.102\xa0±\xa00.002", "-0.100", "0.062", "1.00"),  # the smaller, the better
    ]


def test_ranks_and_tests_take_complete_pairs_only():
    found = [*hand_made(), result("cn", 9, 1.0)]
    [(_, group)] = report.grouped(found)
    scores = report.cells(group, "gm")
    assert len(scores) == 6
    ranks = report.mean_ranks(scores)
    assert ranks.to_dict() == {"cn": 2.8, "gamo": 1.0, "smote": 2.2}
    _, p = report.paired_tests(scores, "cn")
    assert p == pytest.approx(0.0625)
    assert np.isnan(report.paired_tests(scores, "gamo")).all()
    assert np.isnan(report.paired_tests(scores.drop(columns="gamo"), "cn")).all()


def as_cells(scores):
    index = [(seed, "mnist", seed) for seed in range(len(scores))]
    names = ["unit", "protocol", "seed"]
    return scores.set_axis(pd.MultiIndex.from_tuples(index, names=names))


def test_ties_and_constant_differences():
    values = {"cn": 0.5, "gamo": 0.5, "smote": 0.75}
    scores = as_cells(pd.DataFrame(values, index=range(5)))
    assert np.isnan(report.paired_tests(scores, "cn")).all()
    assert report.paired_tests(scores, "smote")[0] == 0
    assert report.mean_ranks(scores)["cn"] == 2.5


def test_families_count_once():
    found = [
        result(method, seed, gm + seed / 100, f"tabular/{name}", family, "forest")
        for method, offset in {"gamo": 0.1, "none": 0.0}.items()
        for name, family, gm in [
            ("yeast1", "yeast", 0.5 + offset),
            ("yeast2", "yeast", 0.7 + offset),
            ("car", "car", 0.4 + offset),
        ]
        for seed in range(2)
    ]
    [(name, group)] = report.grouped(found)
    assert name == "tabular_paper_least_squares_forest"
    scores = report.units(report.cells(group, "gm"))
    assert scores["none"].round(6).to_dict() == {"car": 0.405, "yeast": 0.605}


def test_a_set_that_a_method_lacks_counts_for_none_of_those_compared():
    found = [
        result(method, 0, gm, f"tabular/{name}", "yeast", "forest")
        for method, name, gm in [
            ("none", "yeast1", 0.8),
            ("none", "yeast2", 0.2),
            ("gamo", "yeast1", 0.8),
        ]
    ]
    [(_, group)] = report.grouped(found)
    scores = report.cells(group, "gm")
    assert report.units(scores).loc["yeast"].to_dict() == {"gamo": 0.8, "none": 0.8}
    assert report.units(scores[["none"]]).loc["yeast", "none"] == 0.5


def test_friedman_and_critical_difference():
    values = {"a": 3.0, "b": 2.0, "c": 1.0}
    scores = as_cells(pd.DataFrame(values, index=range(5)))
    # All agree: chi-squared of n (k - 1) = 10 with 2 degrees of freedom.
    assert report.friedman(scores) == pytest.approx(np.exp(-5))
    # Demšar (2006): q = 2.569 for four methods, 14 sets.
    assert report.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_cliques_are_the_largest_runs():
    assert report.cliques([1.0, 1.5, 2.2, 4.0], 1.0) == [(0, 1), (1, 2)]
    assert report.cliques([1.0, 1.5, 1.9], 1.0) == [(0, 2)]
    assert report.cliques([1.0, 3.0], 1.0) == []


def test_scores_beside_those_in_print(tmp_path):
    report.write_reports(hand_made(), tmp_path)
    text = (tmp_path / "mnist_paper_least_squares_M_printed.rst").read_text()
    cells = [line[7:] for line in text.splitlines() if line.startswith("     -")]
    of_cn, _, of_cgan = (cells[3 * i :][:3] for i in (1, 2, 3))
    assert of_cn == ["0.88 / 0.86", "0.822 / 0.822", "5"]
    assert of_cgan == ["0.89 / 0.88", "", "0"]


def test_nothing_in_print_of_other_conditions(tmp_path):
    report.write_reports(
        [row | {"condition": "today"} for row in hand_made()], tmp_path
    )
    assert not [*tmp_path.glob("*printed.rst")]


def test_rank_plots(tmp_path):
    pytest.importorskip("matplotlib")
    report.write_reports(hand_made(), tmp_path)
    [plot] = tmp_path.glob("*.png")
    assert plot.name == "mnist_paper_least_squares_M_gm.png"
    assert plot.stat().st_size > 5000


def test_a_report_of_nothing_raises(tmp_path):
    with pytest.raises(ValueError, match="No rows in"):
        main(["report", str(tmp_path / "none.jsonl"), "--out", str(tmp_path)])


def test_pictures_run_resume_and_report(small_images, tmp_path, capsys):
    out = tmp_path / "pictures.jsonl"
    command = ["fashion_mnist", "--seeds", "0,1", "--rounds", "2", "--device", "cpu"]
    command += ["--out", str(out), "--methods"]
    assert pictures.main([*command, "gamo2pix", "smote"]) == 0
    first = rows.read(out)
    assert pictures.main([*command, "gamo2pix", "gamo2pix_published", "smote"]) == 0
    found = rows.read(out)
    assert found[: len(first)] == first
    assert [(r["seed"], r["method"]) for r in found[4:]] == [
        (0, "gamo2pix_published"),
        (1, "gamo2pix_published"),
    ]
    for row in found:
        assert len(row["frechet_by_class"]) == 2
        assert row["frechet"] == pytest.approx(np.mean(row["frechet_by_class"]))
        assert ("acsa" in row) == (row["method"] != "gamo2pix_published")
    for method in ("gamo2pix", "smote"):
        assert (tmp_path / f"pictures_{method}.png").stat().st_size > 1000
    report.write_reports(found, tmp_path)
    table = (tmp_path / "fashion_mnist_pictures_least_squares_M.rst").read_text()
    assert "(smoke test" in table
    values = [row["frechet"] for row in found if row["method"] == "smote"]
    assert f"{np.mean(values):.3f}\xa0±\xa0{np.std(values, ddof=1):.3f}" in table


def test_copies_are_not_new():
    class Judge:
        def extract_features(self, X):
            return X

    rng = np.random.default_rng(0)
    seen, unseen, other = rng.normal(size=(3, 60, 2))
    copies = pictures.measures((seen, unseen), seen, Judge())
    assert copies["novelty"] == 0
    assert copies["frechet"] < 0.5
    fresh = pictures.measures((seen, unseen), other, Judge())
    assert fresh["novelty"] == pytest.approx(1, abs=0.5)
    far = pictures.measures((seen, unseen), other + 10, Judge())
    assert far["novelty"] > 10
    assert (far["precision"], far["coverage"]) == (0, 0)
    assert far["frechet"] > 100
