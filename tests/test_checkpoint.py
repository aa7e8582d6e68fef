"""Training that goes on from a file, against training that was not broken off."""

import multiprocessing
import os
import signal
import time
from functools import partial
from itertools import count

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import fbeta_score, make_scorer
from torch import nn

from gamo_sampler import GAMOClassifier, GAMOSampler
from gamo_sampler._checkpoint import (
    FREE,
    KIND,
    Checkpoint,
    decoded,
    digest_of_rows,
    encoded,
    structure,
)
from gamo_sampler._described import described
from gamo_sampler._game import Game
from gamo_sampler._lazy import lazy_rows
from gamo_sampler._persistence import read_file, write_file
from gamo_sampler._training import Training

SMALL = {"batch_size": 10, "latent_dim": 10, "max_iter": 4, "random_state": 0}


def rows():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [30, 12, 7])
    return rng.normal(size=(49, 5)) + y[:, None], y


def weighted():
    return *rows(), {"sample_weight": np.arange(49) % 4 / 2}


def grouped():
    return *rows(), {"groups": np.arange(49) % 3}


def images():
    X, y = load_digits(n_class=3, return_X_y=True)
    return X[:60].reshape(-1, 8, 8), np.where(np.arange(60) % 4, 0, y[:60])


def mixed():
    """A frame with categories, dates and gaps."""
    X, y = rows()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["kind"] = pd.Categorical(np.array(["x", "y", "z"])[np.arange(49) % 3])
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(49), "D")
    frame.loc[::5, "b"] = np.nan
    return frame, np.array(["few", "many", "some"])[y]


def sparse():
    X, y = rows()
    return csr_array(np.where(X > 1, X, 0)), y


def with_dropout(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 16), nn.BatchNorm1d(16), nn.Dropout(0.5), nn.Linear(16, n_out)
    )


def channels_last(shape, n_out):
    """Its weights are not in memory as their shape has it."""
    layers = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 3, 3), nn.Flatten(), nn.LazyLinear(n_out)
    network = nn.Sequential(*layers)
    network(torch.zeros(1, *shape))
    return network.to(memory_format=torch.channels_last)


def classifier(**parameters):
    return GAMOClassifier(**SMALL | parameters)


def sampler(**parameters):
    return GAMOSampler(**SMALL | {"max_rounds": None} | parameters)


FITS = {
    "default": (classifier(), rows),
    "early_stopping": (classifier(early_stopping=True, scoring="accuracy"), rows),
    "conv": (classifier(feature_extractor="conv", early_stopping=True), images),
    "some_rows_through_f": (
        classifier(feature_extractor="conv", rounds_per_epoch=2, batch_size=8),
        images,
    ),
    "generator=None": (classifier(generator=None), rows),
    "unconstrained": (classifier(generator="unconstrained"), rows),
    "full_hull": (classifier(neighborhood=None, schedule="per_class"), rows),
    "averaging": (classifier(weight_averaging=0.9, early_stopping=True), rows),
    "averaging_f": (
        classifier(feature_extractor="conv", weight_averaging=0.9),
        images,
    ),
    "mixup": (classifier(mixup=0.3, loss="log_loss", class_weight="balanced"), rows),
    "dropout": (classifier(classifier=with_dropout, weight_averaging=0.9), rows),
    "dropout_f": (
        classifier(feature_extractor=partial(with_dropout), discriminator=None),
        rows,
    ),
    "channels_last": (classifier(feature_extractor=channels_last), images),
    "sample_weight": (classifier(early_stopping=True), weighted),
    "sampler": (sampler(), rows),
    "groups": (sampler(neighborhood=3), grouped),
    "mixed": (sampler(missing="propagate", categories="draw"), mixed),
    "sparse": (sampler(), sparse),
    "sampler_f": (
        sampler(feature_extractor=with_dropout, discriminator=with_dropout),
        rows,
    ),
}


def values(table):
    if hasattr(table, "toarray"):
        return table.toarray()
    return np.asarray(table.map(repr) if hasattr(table, "iloc") else table)


def fitted(estimator, data):
    """Everything that a fit leaves behind, as arrays by name."""
    X, y, *given = data()
    given = dict(*given)
    if isinstance(estimator, GAMOSampler):
        X_resampled, y_resampled = estimator.fit_resample(X, y, **given)
        found = {"X": values(X_resampled), "y": np.asarray(y_resampled)}
        found["provenance"] = estimator.provenance_.toarray()
    else:
        found = {"p": estimator.fit(X, y, **given).predict_proba(X)}
    for name, network in estimator._networks().items():
        found |= {f"{name}.{k}": v.numpy() for k, v in network.state_dict().items()}
    if estimator.generator_ is not None:
        found |= {f"sample {i}": values(estimator.sample(3)[0]) for i in range(2)}
    for name in estimator.history_[0]:
        found[f"history.{name}"] = [record[name] for record in estimator.history_]
    return found


def check_equal(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


class BrokenOff(BaseException):
    pass


def break_off(estimator, data, epoch):
    """A fit that ends in the middle of the so manyth epoch that it plays."""
    play, calls = Game.play, count()

    def played(game, r):
        if next(calls) == game.rounds_per_epoch * (2 * epoch - 1) // 2:
            raise BrokenOff
        return play(game, r)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Game, "play", played)
        with pytest.raises(BrokenOff):
            fitted(estimator, data)


def checkpointed(estimator, path, interval=1):
    return clone(estimator).set_params(checkpoint=path, checkpoint_interval=interval)


def epoch_of(path):
    """The last epoch that a file holds."""
    header, tensors = read_file(path, KIND)
    return len(decoded(header["states"], tensors)[0]["history"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training"


# The same bits ------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_going_on_gives_the_bits_of_an_unbroken_run(name, path):
    estimator, data = FITS[name]
    expected = fitted(clone(estimator), data)
    goes_on = checkpointed(estimator, path)
    break_off(goes_on, data, 2)
    assert epoch_of(path) == 1
    goes_on.set_params(resume=True)
    break_off(clone(goes_on), data, 2)
    assert epoch_of(path) == 2
    check_equal(fitted(clone(goes_on), data), expected)


@pytest.mark.parametrize("name", ["dropout", "sampler"])
def test_checkpoints_change_nothing(name, path):
    estimator, data = FITS[name]
    found = fitted(checkpointed(estimator, path), data)
    check_equal(found, fitted(clone(estimator), data))


def test_patience_goes_on(path):
    """The best epoch is before the break, the stop after it."""
    scores = [1, 2, 9, 4, 5, 6, 7, 8]
    estimator = classifier(early_stopping=True, n_iter_no_change=4, max_iter=20)

    def scored(values):
        values = iter(values)
        return clone(estimator).set_params(scoring=lambda *_: next(values))

    expected = fitted(scored(scores), rows)
    assert len(expected["history.epoch"]) == 7
    break_off(checkpointed(scored(scores), path), rows, 5)
    goes_on = checkpointed(scored(scores[4:]), path).set_params(resume=True)
    check_equal(fitted(goes_on, rows), expected)


def test_a_fresh_seed_is_that_of_the_file(path):
    """The rows held out are the same, and so is all else."""
    fresh = classifier(random_state=None, early_stopping=True)
    break_off(checkpointed(fresh, path), rows, 3)
    header, _ = read_file(path, KIND)
    found = fitted(checkpointed(fresh, path).set_params(resume=True), rows)
    seeded = clone(fresh).set_params(random_state=header["seed"])
    check_equal(found, fitted(seeded, rows))
    others = [fitted(checkpointed(fresh, path), rows) for _ in range(2)]
    assert len({found["p"][0, 0] for found in [found, *others]}) == 3


def test_a_random_state_is_left_as_by_an_unbroken_run(path):
    unbroken = np.random.RandomState(3)
    expected = fitted(sampler(random_state=unbroken), rows)
    broken = sampler(random_state=np.random.RandomState(3))
    break_off(broken.set_params(checkpoint=path, checkpoint_interval=1), rows, 3)
    instance = np.random.RandomState(3)
    goes_on = broken.set_params(resume=True, random_state=instance)
    check_equal(fitted(goes_on, rows), expected)
    assert instance.randint(10**9) == unbroken.randint(10**9)


def test_a_random_state_that_has_been_drawn_from_is_another(path):
    broken = sampler(random_state=np.random.RandomState(3))
    break_off(broken.set_params(checkpoint=path, checkpoint_interval=1), rows, 3)
    with pytest.warns(UserWarning, match="with another random_state. Training starts"):
        fitted(broken.set_params(resume=True), rows)


def failing(*numbers):
    """Game.epoch, of which the calls of these numbers fail."""
    epoch, calls = Game.epoch, count(1)

    def played(game, *arguments):
        losses = epoch(game, *arguments)
        if next(calls) in numbers:
            game.failed = "m_real"
        return losses

    return played


def test_going_on_after_a_rollback(path, monkeypatch):
    """Learning rate and retries are those that the first failure left."""
    with monkeypatch.context() as patch:
        patch.setattr(Game, "epoch", failing(2, 5))  # of epoch 2, and of epoch 4
        with pytest.warns(UserWarning, match=r"retry . of 3") as caught:
            expected = fitted(classifier(), rows)
    said = [str(warning.message) for warning in caught]
    assert "learning_rate=1e-05 (retry 2 of 3)" in said[1]
    goes_on = checkpointed(classifier(), path)
    with monkeypatch.context() as patch:
        patch.setattr(Game, "epoch", failing(2))
        with pytest.warns(UserWarning, match=r"retry 1 of 3"):
            break_off(goes_on, rows, 4)
    assert epoch_of(path) == 2
    monkeypatch.setattr(Game, "epoch", failing(2))
    with pytest.warns(UserWarning, match=r"retry 2 of 3") as caught:
        check_equal(fitted(goes_on.set_params(resume=True), rows), expected)
    assert [str(warning.message) for warning in caught] == said[1:]


def test_an_epoch_that_fails_twice_starts_from_the_same_moments(monkeypatch):
    """Adam's fused steps change the tensors that it was given in place."""
    seen, play = [], failing(3, 4)

    def spy(game, *arguments):
        moments = game.M.optimizer.state_dict()["state"].values()
        seen.append(described([t.numpy() for s in moments for t in s.values()]))
        return play(game, *arguments)

    monkeypatch.setattr(Game, "epoch", spy)
    with pytest.warns(UserWarning, match=r"retry . of 3"):
        fitted(classifier(max_iter=3), rows)
    assert len(seen) == 5
    assert seen[2] == seen[3] == seen[4] != seen[1]


# Ends ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        classifier(),
        classifier(early_stopping=True, n_iter_no_change=1, max_iter=50),
        sampler(max_rounds=7),  # an epoch is 5 rounds
        sampler(max_rounds=3),
        sampler(random_state=None, max_rounds=3),
    ],
)
def test_a_finished_run_is_not_played_again(estimator, path, monkeypatch):
    expected = fitted(checkpointed(estimator, path, interval=100), rows)
    assert epoch_of(path) == len(expected["history.epoch"]) < 50
    written = path.read_bytes()
    monkeypatch.setattr(Training, "attempt", None)
    goes_on = checkpointed(estimator, path).set_params(resume=True)
    check_equal(fitted(goes_on, rows), expected)
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ({"max_iter": 2}, {"max_iter": 4}),
        ({"max_rounds": 10}, {"max_rounds": 17}),
        ({"max_rounds": 12}, {"max_rounds": 13}),
        ({"max_rounds": 12}, {"max_rounds": 20}),
        ({"max_rounds": 12}, {"max_rounds": 11}),
        ({"max_rounds": 12}, {"max_rounds": 10}),
    ],
)
@pytest.mark.parametrize("interval", [1, 100])
def test_more_epochs_or_rounds(first, then, interval, path, monkeypatch):
    """Where an epoch of 5 rounds was cut short, from its beginning."""
    fitted(checkpointed(sampler(**first), path, interval), rows)
    goes_on = checkpointed(sampler(**then), path).set_params(resume=True)
    expected = fitted(sampler(**then), rows)
    played, epoch = [], Game.epoch

    def spy(game, n_rounds, enough):
        played.append(n_rounds)
        return epoch(game, n_rounds, enough)

    monkeypatch.setattr(Game, "epoch", spy)
    check_equal(fitted(goes_on, rows), expected)
    assert sum(played) == then.get("max_rounds", 5 * 4) - 10


def test_what_was_taken_up_can_be_taken_up_again(path):
    """The state before an epoch that is cut short outlives a break in it."""
    goes_on = checkpointed(sampler(max_rounds=10), path)
    fitted(goes_on, rows)
    goes_on.set_params(max_rounds=12, resume=True)
    fitted(goes_on, rows)
    goes_on.set_params(max_rounds=20)
    check_equal(fitted(goes_on, rows), fitted(sampler(max_rounds=20), rows))


def test_fewer_epochs_than_have_been_played(path):
    fitted(checkpointed(classifier(max_iter=3), path), rows)
    goes_on = checkpointed(classifier(max_iter=2), path).set_params(resume=True)
    match = "another max_iter or max_rounds, fewer than have been played. Training st"
    with pytest.warns(UserWarning, match=match):
        check_equal(fitted(goes_on, rows), fitted(classifier(max_iter=2), rows))


@pytest.mark.parametrize(
    ("interval", "expected"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (9, [5])]
)
def test_epochs_that_are_written(interval, expected, path, monkeypatch):
    written, write = [], Checkpoint.write

    def spy(checkpoint, states, group):
        written.append(len(states[0]["history"]))
        write(checkpoint, states, group)

    monkeypatch.setattr(Checkpoint, "write", spy)
    fitted(checkpointed(classifier(max_iter=5), path, interval), rows)
    assert written == expected


# Files that do not fit ----------------------------------------------------------


def test_where_there_is_no_file_training_starts_in_silence(path):
    goes_on = checkpointed(classifier(), path).set_params(resume=True)
    check_equal(fitted(goes_on, rows), fitted(classifier(), rows))
    assert epoch_of(path) == 4


def test_verbose_tells_what_was_taken(path, capsys):
    goes_on = checkpointed(classifier(), path).set_params(resume=True, verbose=2)
    break_off(goes_on, rows, 3)
    assert f"Epochs taken from {path}: 0\n" in capsys.readouterr().out
    fitted(goes_on, rows)
    out = capsys.readouterr().out
    assert f"Epochs taken from {path}: 2\n" in out
    assert "Epoch 3, " in out
    assert "Epoch 2, " not in out


def test_the_bar_starts_where_training_does(path, capsys):
    goes_on = checkpointed(classifier(), path).set_params(resume=True, verbose=1)
    break_off(goes_on, rows, 3)
    capsys.readouterr()
    fitted(goes_on, rows)
    err = capsys.readouterr().err
    assert " 2/4 " in err
    assert " 1/4 " not in err
    assert " 4/4 " in err


CHANGES = {
    "loss": "log_loss",
    "generator": "unconstrained",
    "discriminator": None,
    "classifier": with_dropout,
    "feature_extractor": with_dropout,
    "neighborhood": 3,
    "hidden_layer_sizes": (8, 4),
    "class_weight": {0: 2.0},
    "sampling_strategy": {1: 20},
    "learning_rate": 2e-3,
    "early_stopping": True,
    "scoring": make_scorer(fbeta_score, beta=2),
    "random_state": 1,
    "batch_size": 9,
}


def quick(estimator=classifier, **parameters):
    return estimator(**{"max_iter": 1, "rounds_per_epoch": 1} | parameters)


@pytest.mark.parametrize("name", CHANGES)
def test_another_parameter_is_named(name, path):
    fitted(checkpointed(quick(), path), rows)
    other = quick(**{name: CHANGES[name]})
    goes_on = checkpointed(other, path).set_params(resume=True)
    match = f"training is of a fit with another {name}. Training starts afresh, and th"
    with pytest.warns(UserWarning, match=match) as caught:
        found = fitted(goes_on, rows)
    assert caught[0].filename == __file__
    check_equal(found, fitted(other, rows))
    check_equal(fitted(goes_on, rows), found)  # the file has been replaced


def other_digit():
    X, y = rows()
    X[0, 0] = np.nextafter(X[0, 0], 9)
    return X, y


def other_labels():
    X, y = rows()
    return X, np.array([0, 1, 3])[y]


def other_weights():
    return *rows(), {"sample_weight": np.arange(49) % 5 / 2}


def other_groups():
    return *rows(), {"groups": np.arange(49) % 2}


@pytest.mark.parametrize(
    ("estimator", "data", "other", "names"),
    [
        (quick(), rows, other_digit, "X"),
        (quick(), rows, other_labels, "y"),
        (quick(), weighted, other_weights, "X, y, sample_weight"),  # rows of 0
        (quick(), rows, images, "X, sampling_strategy, y"),
        (quick(sampler), grouped, other_groups, "groups"),
        (quick(sampler), rows, grouped, "groups"),
        (quick(sampler, missing="propagate"), mixed, rows, "X, y"),
    ],
)
def test_other_data_are_named(estimator, data, other, names, path):
    fitted(checkpointed(estimator, path), data)
    goes_on = checkpointed(estimator, path).set_params(resume=True)
    with pytest.warns(UserWarning, match="Training starts afresh") as caught:
        found = fitted(goes_on, other)
    said = str(caught[0].message).split("another ")[1].split(".")[0]
    assert set(names.split(", ")) <= set(said.split(", "))
    check_equal(found, fitted(clone(estimator), other))


def test_another_kind_of_estimator_is_named(path):
    fitted(checkpointed(quick(), path), rows)
    goes_on = checkpointed(quick(sampler), path).set_params(resume=True)
    with pytest.warns(UserWarning, match="with another .*estimator"):
        fitted(goes_on, rows)


def test_a_builder_that_makes_another_network_is_named(path, monkeypatch):
    estimator = quick(classifier=with_dropout)
    fitted(checkpointed(estimator, path), rows)
    other = partial(nn.Dropout, 0.1)
    monkeypatch.setattr(nn, "Dropout", lambda _: other())
    goes_on = checkpointed(estimator, path).set_params(resume=True)
    with pytest.warns(UserWarning, match="with another classifier. Training starts"):
        found = fitted(goes_on, rows)
    check_equal(found, fitted(clone(estimator), rows))


def test_a_parameter_is_either_free_or_in_the_file(path):
    for estimator in (quick(), quick(sampler)):
        fitted(checkpointed(estimator, path), rows)
        run = read_file(path, KIND)[0]["run"]
        more = {"X", "y", "sample_weight", "groups", "estimator", "version"}
        assert set(run) == (set(estimator.get_params()) | more) - FREE


def damaged(content):
    """By kinds of damage: none of it can be gone on from."""
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    newer = content.replace(b"gamo_sampler 1", b"gamo_sampler 9", 1)
    cut = [content[: len(content) * i // 6] for i in range(6)]
    return [bytes(flipped), newer, *cut]


def test_a_damaged_file_costs_a_warning_alone(path):
    goes_on = checkpointed(quick(), path).set_params(resume=True)
    expected = fitted(goes_on, rows)
    content = path.read_bytes()
    for wrong in damaged(content):
        path.write_bytes(wrong)
        match = r"training cannot be loaded: .* Training starts afresh, and the file"
        with pytest.warns(UserWarning, match=match):
            check_equal(fitted(goes_on, rows), expected)
        assert epoch_of(path) == 1


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("ours", [False, True])
def test_a_file_that_is_no_checkpoint_is_not_replaced(ours, resume, path):
    if ours:
        write_file(path, "diary", {"run": {}}, {})
    else:
        path.write_bytes(b"Dear diary")
    content = path.read_bytes()
    estimator = checkpointed(quick(), path).set_params(resume=resume)
    with pytest.raises(ValueError, match="As a checkpoint it would be replaced: take"):
        fitted(estimator, rows)
    assert path.read_bytes() == content


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_costs_neither_the_old_file_nor_the_training(
    fails, path, monkeypatch
):
    fitted(checkpointed(classifier(max_iter=2), path), rows)
    content = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    goes_on = checkpointed(classifier(max_iter=3), path).set_params(resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, fails, full)
        match = (
            "could not be written: .*No space left.* Training goes on; .*training is"
        )
        with pytest.warns(UserWarning, match=match) as caught:
            found = fitted(goes_on, rows)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    check_equal(found, fitted(classifier(max_iter=3), rows))
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
    check_equal(fitted(goes_on, rows), found)


def test_a_name_that_cannot_be_written_is_refused_before_training(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(Training, "attempt", None)
    for wrong in (tmp_path, tmp_path / "absent" / "training"):
        with pytest.raises(
            ValueError, match=r"checkpoint=.* must name a file in a fol"
        ):
            fitted(classifier(checkpoint=wrong), rows)


def test_resume_needs_a_checkpoint():
    with pytest.raises(ValueError, match="resume=True needs a checkpoint"):
        fitted(sampler(resume=True), rows)


def test_a_path_is_that_of_the_start(path, monkeypatch):
    """A name without a folder, and a listener that goes elsewhere."""
    monkeypatch.chdir(path.parent)
    (path.parent / "elsewhere").mkdir()
    goes = checkpointed(classifier(early_stopping=True), path.name)
    fitted(
        goes.set_params(scoring=lambda *_: os.chdir(path.parent / "elsewhere") or 1),
        rows,
    )
    assert path.exists()
    assert not list((path.parent / "elsewhere").iterdir())


class Remembers(nn.Linear):
    """A network with a state that is no tensor, which its outputs follow."""

    seen = 0

    def forward(self, x):
        self.seen += self.training
        return super().forward(x) * (1 + self.seen % 3)

    def get_extra_state(self):
        return {"seen": self.seen}

    def set_extra_state(self, state):
        self.seen = state["seen"]


def test_an_extra_state_goes_on(path):
    estimator = classifier(classifier=Remembers)
    goes_on = checkpointed(estimator, path)
    break_off(goes_on, rows, 3)
    X, y = rows()
    found = goes_on.set_params(resume=True).fit(X, y)
    expected = estimator.fit(X, y)
    assert found.history_ == expected.history_
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))


def test_what_a_file_cannot_hold_is_refused_before_training(path, monkeypatch):
    monkeypatch.setattr(Training, "attempt", None)
    monkeypatch.setattr(Remembers, "get_extra_state", lambda _: {"seen": {1, 2}})
    match = r"cannot hold state.game.M.network._extra_state.seen, a set"
    with pytest.raises(ValueError, match=match):
        fitted(classifier(classifier=Remembers, checkpoint=path), rows)


# Parts --------------------------------------------------------------------------


def test_encoded_and_decoded():
    value = {
        "a.b": torch.arange(3),
        "a": {"b": torch.zeros(2, 0), 3: [1, 2.5, None, True, "x", {}]},
        "floats": (np.inf, -np.inf, 0.1, np.float64(1 / 3)),
    }
    tensors = {}
    found = decoded(encoded(value, tensors), tensors)
    assert len(tensors) == 2
    assert found["a"][3] == [1, 2.5, None, True, "x", {}]
    assert found["floats"] == [np.inf, -np.inf, 0.1, 1 / 3]
    torch.testing.assert_close(found["a.b"], value["a.b"])
    assert found["a"]["b"].shape == (2, 0)
    [nan] = decoded(encoded([np.nan], {}), {})
    assert np.isnan(nan)


def test_rows_have_one_digest_however_they_are_stored(tmp_path):
    X = np.random.default_rng(0).normal(size=(10_000, 3))
    np.save(tmp_path / "X.npy", X)
    digest = digest_of_rows(X)
    assert digest_of_rows(np.asfortranarray(X)) == digest
    assert (
        digest_of_rows(lazy_rows(np.load(tmp_path / "X.npy", mmap_mode="r"))) == digest
    )
    others = [X[:-1], X.astype(np.float32), X.reshape(-1, 6), X[::-1]]
    changed = X.copy()
    changed[-1, -1] += 1e-9
    found = {digest_of_rows(other) for other in [*others, changed]}
    assert len(found - {digest}) == 5


def test_descriptions_tell_values_apart():
    values = [
        None, 0, 0.0, "0", [0], {0: 0}, np.zeros(1), np.zeros(1, int),
        np.array(["a", None], object), np.array(["a", 0], object),
        np.random.RandomState(0), np.random.RandomState(1),
        rows, images, nn.Linear, partial(rows), partial(rows, 1), partial(images),
        make_scorer(fbeta_score, beta=1), make_scorer(fbeta_score, beta=2),
    ]  # fmt: skip
    assert len({described(value) for value in values}) == len(values)
    assert described(np.random.RandomState(0)) == described(np.random.RandomState(0))
    assert described((1, 2)) == described([1, 2])
    assert described([lambda: 0][0]).endswith(".<lambda>")
    assert "0x" not in described(object())


def test_structures_are_those_of_layers_and_shapes():
    with torch.device("meta"):  # where nothing is drawn
        networks = [
            nn.Linear(2, 3),
            nn.Linear(2, 3).double(),
            nn.Linear(3, 2),
            nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.1)),
            nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.2)),
        ]
        assert structure(nn.Linear(2, 3)) == structure(networks[0])
    assert len({described(structure(network)) for network in networks}) == 5


# Killed -------------------------------------------------------------------------

PROCESSES = multiprocessing.get_context("forkserver")
# Torch imports the other one when it makes the first optimiser.
PROCESSES.set_forkserver_preload([__name__, "torch._dynamo"])
LONG = {
    "dropout": classifier(
        classifier=with_dropout,
        weight_averaging=0.9,
        early_stopping=True,
        n_iter_no_change=100,
    ),
    "conv": classifier(feature_extractor="conv"),
    "neighbors": classifier(neighborhood=4, schedule="algorithm"),
    "sampler": sampler(mixup=0.2, missing="propagate"),
}
DATA = {"dropout": rows, "conv": images, "neighbors": weighted, "sampler": mixed}


def long_fit(name, n_epochs):
    return clone(LONG[name]).set_params(max_iter=n_epochs, max_rounds=None)


def train(name, n_epochs, path):
    torch.set_num_threads(1)
    goes_on = checkpointed(long_fit(name, n_epochs), path).set_params(resume=True)
    fitted(goes_on, DATA[name])


def kill_in_training(path, rng, *arguments):
    """Start the fit, and kill it at a random moment after one of its next epochs."""
    process = PROCESSES.Process(target=train, args=(*arguments, path))
    process.start()
    for _ in range(rng.integers(1, 4)):
        await_write(process, path)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    return epoch_of(path)


def await_write(process, path):
    before = inode(path)
    while inode(path) == before:
        assert process.is_alive()
        time.sleep(1e-3)


def inode(path):
    return path.stat().st_ino if path.exists() else None


def check_killed(name, n_kills, n_epochs, path):
    """Killed so many times, and at the end the bits of an unbroken run."""
    rng = np.random.default_rng()
    epochs = [kill_in_training(path, rng, name, n_epochs) for _ in range(n_kills)]
    assert sorted(set(epochs)) == epochs  # each went on from the one before
    assert epochs[-1] < n_epochs
    goes_on = checkpointed(long_fit(name, n_epochs), path).set_params(resume=True)
    expected = fitted(long_fit(name, n_epochs), DATA[name])
    check_equal(fitted(goes_on, DATA[name]), expected)


def test_killed_three_times(path):
    check_killed("dropout", 3, 20, path)


def train_to_the_second_write(stage, path):
    """Killed at its `stage`, a function of os."""
    own, calls = getattr(os, stage), count(1)

    def killed(*arguments):
        # A write syncs the file and the folder, and renames once.
        if next(calls) == {"fsync": 3, "replace": 2}[stage]:
            os.kill(os.getpid(), signal.SIGKILL)
        return own(*arguments)

    setattr(os, stage, killed)
    train("dropout", 4, path)


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_killed_as_it_writes(stage, path):
    process = PROCESSES.Process(target=train_to_the_second_write, args=(stage, path))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert epoch_of(path) == 1
    [left] = set(path.parent.iterdir()) - {path}
    assert left.name.startswith(".gamo_sampler-")
    goes_on = checkpointed(long_fit("dropout", 4), path).set_params(resume=True)
    check_equal(fitted(goes_on, rows), fitted(long_fit("dropout", 4), rows))


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_killed_at_random_moments(name, path):
    check_killed(name, 8, 60, path)
