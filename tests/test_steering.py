"""What long training shows, and what ends it."""

import os
import pickle
import random
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from itertools import count
from tempfile import TemporaryFile

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from gamo_sampler import GAMOClassifier, GAMOFeatures, GAMOSampler, _bar
from gamo_sampler._lazy import ReadAhead
from gamo_sampler._listeners import in_short, line
from gamo_sampler._stops import Stops


def fitted(table, **parameters):
    return GAMOClassifier(**{"max_iter": 3, "random_state": 0} | parameters).fit(*table)


def same_fit(a, b):
    """Whether two classifiers are the same, bit for bit."""
    weights = (model.classifier_.state_dict() for model in (a, b))
    assert a.history_ == b.history_
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def run(script, *arguments):
    """A script in a process of its own, which shows its warnings."""
    return subprocess.run(
        [sys.executable, "-W", "default", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


# What it shows


def test_silent_by_default(table, capfd):
    fitted(table, early_stopping=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("verbose", "is_silent"), [(0, True), (1, False)])
def test_silent_in_parallel_processes(table, verbose, is_silent):
    def shown():
        """What a fit writes to the streams of the process that it is in."""
        with TemporaryFile() as file:
            streams = [os.dup(number) for number in (1, 2)]
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            try:
                fitted(table, verbose=verbose, early_stopping=True)
            finally:
                for number, stream in enumerate(streams, start=1):
                    os.dup2(stream, number)
            file.seek(0)
            return os.getpid(), file.read().decode()

    found = Parallel(n_jobs=2)(delayed(shown)() for _ in range(2))
    assert all(pid != os.getpid() for pid, _ in found)
    assert [text == "" for _, text in found] == [is_silent] * 2


def test_a_bar(table, capfd):
    fitted(table, verbose=1, early_stopping=True)
    out, err = capfd.readouterr()
    assert out == ""
    *_, last = err.strip().split("\r")
    number = r"-?\d\S*"
    assert re.search(
        rf"3/3 \[\S+<\S+, .*, M={number}, D={number}, G={number}, GM={number}\]", last
    )


def test_a_line_per_epoch(table, capfd):
    fitted(table, verbose=2, early_stopping=True)
    out, err = capfd.readouterr()
    memory, *epochs = out.splitlines()
    assert memory.startswith("memory: ")
    assert len(epochs) == 3
    for number, epoch in enumerate(epochs, start=1):
        assert epoch.startswith(f"Epoch {number}, m_real = 0.")
        assert re.search(r", validation_gm = \d\.\d{6}$", epoch)
    assert err == ""


def test_what_is_shown_of_a_record():
    record = {
        "epoch": 4,
        "f": 0.5,
        "m_real": 0.25,
        "m_generated": 0.75,
        "g_m": 1234.5,
        "validation_score": -1.5,
        "validation_gm": 0.8125,
        "another": 7.0,
    }
    assert in_short(record) == {
        "F": "0.5",
        "M": "0.5",
        "G": "1.23e+03",
        "GM": "0.812",
    }
    assert line(record) == (
        "Epoch 4, f = 0.500000, m_real = 0.250000, m_generated = 0.750000, "
        "g_m = 1234.500000, validation_score = -1.500000, validation_gm = 0.812500"
    )


NOTEBOOK = f"""
import runpy, sys, types, warnings

class ZMQInteractiveShell:
    config = {{"IPKernelApp": {{}}}}

def module(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(contents)

module("IPython", get_ipython=ZMQInteractiveShell)
module("IPython.display", HTML=str, display=print)
module("ipykernel.zmqshell")
widgets = ("HTML", "FloatProgress", "HBox", "VBox", "IntProgress")
module("ipywidgets", **{{name: type(name, (), {{}}) for name in widgets}})
if sys.argv[1:] == ["without"]:
    sys.modules["ipywidgets"] = None
filters = list(warnings.filters)
bar = runpy.run_path({_bar.__file__!r})["tqdm"]
assert warnings.filters == filters
import tqdm.notebook
print(issubclass(bar, tqdm.notebook.tqdm))
"""


@pytest.mark.parametrize(
    ("widgets", "notebook_s"), [("with", True), ("without", False)]
)
def test_in_a_notebook_the_bar_is_the_one_that_works_there(widgets, notebook_s):
    done = run(NOTEBOOK, widgets)
    assert (done.stdout, done.stderr) == (f"{notebook_s}\n", "")


@pytest.mark.parametrize("verbose", [1, 2])
def test_showing_changes_nothing(table, verbose, capfd):
    quiet, loud = fitted(table), fitted(table, verbose=verbose)
    assert quiet.history_ == loud.history_
    assert capfd.readouterr() != ("", "")


# Time


@pytest.fixture
def ticks(monkeypatch):
    """A clock that goes on by one each time that it is looked at."""
    monkeypatch.setattr("gamo_sampler._stops.monotonic", count().__next__)


@pytest.mark.parametrize("generator", ["convex", None])
def test_time_ends_training_within_an_epoch(table, ticks, generator):
    parameters = {"generator": generator, "rounds_per_epoch": 100}
    model = fitted(table, max_time=5, **parameters)
    assert (model.n_rounds_, model.n_iter_) == (5, 1)
    # Its record is the mean of what was played.
    same_fit(model, fitted(table, max_rounds=5, **parameters))


def test_time_ends_training_in_a_later_epoch(table, ticks):
    model = fitted(table, max_time=9, rounds_per_epoch=4, max_iter=9)
    # The clock is looked at after epochs, too.
    assert (model.n_rounds_, model.n_iter_) == (8, 2)
    same_fit(model, fitted(table, max_rounds=8, rounds_per_epoch=4, max_iter=9))


def test_one_round_is_played_at_least(table):
    assert fitted(table, max_time=1e-9).n_rounds_ == 1
    plain = fitted(table, max_iter=3, rounds_per_epoch=4, max_time=1e6)
    assert plain.n_rounds_ == 12
    assert GAMOSampler(max_time=1e-9).fit_resample(*table)[0].shape == (120, 5)


def test_nothing_to_play_is_no_round(table):
    X, y = table
    sampler = GAMOSampler(sampling_strategy={1: 12})
    with pytest.warns(UserWarning, match="nothing is generated"):
        sampler.fit_resample(X, y)
    assert sampler.n_rounds_ == 0


@pytest.mark.parametrize("max_time", [5, 12])
def test_time_ends_the_feature_extractor_s_part_too(digits, ticks, max_time):
    """With a round on its features; those are the ones of the F that remains."""
    X, y = digits
    model = GAMOClassifier(
        feature_extractor="conv",
        image_shape=(1, 8, 8),
        rounds_per_epoch=8,
        max_time=max_time,
        batch_size=16,
        random_state=0,
    ).fit(X, y)
    assert model.n_rounds_ == max(1, max_time - 8)
    assert set(model.history_[0]) >= {"f", "m_real", "d_real", "g_m"}
    pool = model._pool.numpy()
    rows = model.extract_features(X[model._members])
    np.testing.assert_allclose(pool, rows, rtol=1e-4, atol=1e-5)


def test_reading_ahead_ends_with_the_game(table, tmp_path, ticks, monkeypatch):
    X, y = table
    monkeypatch.setattr("gamo_sampler._torch.MAX_RESIDENT_ROWS", 10)
    mapped = np.memmap(tmp_path / "x", float, "w+", shape=X.shape)
    mapped[:] = X
    open_passes = []
    over = ReadAhead.over

    def spied(rows, batches):
        open_passes.append(True)
        try:
            yield from over(rows, batches)
        finally:
            open_passes.pop()

    monkeypatch.setattr(ReadAhead, "over", spied)
    model = fitted((mapped, y), max_time=5, rounds_per_epoch=50)
    assert model.n_rounds_ == 5
    assert open_passes == []
    expected = fitted(table, max_rounds=5, rounds_per_epoch=50)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("max_time", [0, -1.0, "1", np.nan])
def test_a_time_that_is_none(table, max_time):
    with pytest.raises(ValueError, match="max_time"):
        fitted(table, max_time=max_time)


# Callbacks


def as_list(record):
    """What a callback sees of a record, as `history_` has it."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in record.items()}


def test_a_callback_sees_each_epoch(table):
    X, y = table
    labels = np.array(["a", "b", "c"])[y]
    frame = pd.DataFrame(X, columns=list("pqrst"))
    seen = []

    def see(view):
        probabilities = view.predict_proba(frame[:4])
        seen.append((view.epoch, view.record, view.history, probabilities))
        assert view.classes.tolist() == ["a", "b", "c"]
        assert repr(view).startswith("EpochView(epoch=")

    model = fitted((frame, labels), callbacks=[see], early_stopping=True)
    epochs, records, histories, probabilities = zip(*seen, strict=True)
    assert epochs == (1, 2, 3)
    assert [as_list(record) for record in records] == model.history_
    assert [len(history) for history in histories] == [1, 2, 3]
    assert [as_list(record) for record in histories[-1]] == model.history_
    assert np.abs(np.diff(probabilities, axis=0)).max(axis=(1, 2)).min() > 0
    # As it stood: a run of two epochs ends there.
    before = fitted((frame, labels), max_iter=2, early_stopping=True)
    assert_array_equal(before.predict_proba(frame[:4]), probabilities[1])


def test_raw_images_go_into_predict_proba(digits):
    X, y = digits
    images = X.reshape(-1, 8, 8)
    shapes = []
    model = GAMOClassifier(
        feature_extractor="conv",
        max_rounds=1,
        callbacks=[lambda view: shapes.append(view.predict_proba(images[:3]).shape)],
        random_state=0,
    )
    GAMOFeatures(model).fit(images, y)
    assert shapes == [(3, 10)]


def test_a_sampler_s_callbacks(table):
    X, y = table
    found = []
    callbacks = [lambda view: found.append(view.predict_proba(X).sum())]
    sampler = GAMOSampler(callbacks=callbacks, max_iter=2, random_state=0)
    sampler.fit_resample(X, y)
    assert found == pytest.approx([59, 59])
    frame = pd.DataFrame(X, columns=list("pqrst")).assign(word="a")
    with pytest.raises(ValueError, match="predict_proba takes rows of numbers"):
        sampler.fit_resample(frame, y)


def test_a_callback_cannot_change_what_it_sees(table):
    X, _ = table
    refused = []

    def meddle(view):
        for error, attempt in [
            (FrozenInstanceError, lambda: setattr(view, "epoch", 7)),
            (FrozenInstanceError, lambda: setattr(view, "predict_proba", None)),
            (TypeError, lambda: view.record.update(epoch=7)),
            (TypeError, lambda: view.record.__setitem__("epoch", 7)),
            (AttributeError, lambda: view.history.append({})),
            (TypeError, lambda: view.history[0].__setitem__("epoch", 7)),
            (ValueError, lambda: view.classes.__setitem__(0, 7)),
        ]:
            try:
                attempt()
            except (error, AttributeError):
                refused.append(error)
        view.predict_proba(X)[:] = np.nan

    model = fitted(table, callbacks=[meddle])
    assert len(refused) == 3 * 7
    same_fit(model, fitted(table))


@pytest.mark.parametrize("answer", [True, np.True_])
def test_true_of_any_ends_training(table, answer):
    calls = []

    def second(view):
        calls.append(view.epoch)
        return answer if view.epoch == 2 else None

    model = fitted(table, callbacks=(second, calls.append), max_iter=9)
    assert model.n_iter_ == 2
    assert len(calls) == 4  # all of them are called in each epoch
    same_fit(model, fitted(table, max_iter=2))


@pytest.mark.parametrize("answer", [None, False, 1, "stop", np.False_])
def test_other_answers_do_not(table, answer):
    assert fitted(table, callbacks=[lambda view: answer]).n_iter_ == 3


def test_what_a_callback_raises_goes_up_and_leaves_nothing_fitted(table):
    class PrunedError(Exception):
        pass

    def prune(view):
        raise error

    error = PrunedError("early")
    model = fitted(table).set_params(callbacks=[prune])
    with pytest.raises(PrunedError) as caught:
        model.fit(*table)
    assert caught.value is error
    with pytest.raises(NotFittedError):
        model.predict(table[0])


class Dropout(torch.nn.Module):
    """Of a user's own: it draws from torch's process-wide random state."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.layer = torch.nn.Linear(n_in, n_out)

    def forward(self, x):
        return torch.nn.functional.dropout(self.layer(x), 0.2, self.training)


@pytest.mark.parametrize("classifier", ["auto", Dropout])
def test_a_callback_draws_from_the_user_s_random_state(table, classifier):
    drawn = []

    def draw(view):
        drawn.append(torch.rand(()).item())
        np.random.rand()  # noqa: NPY002
        random.random()

    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        expected = torch.rand(3).tolist()
        torch.manual_seed(7)
        model = fitted(table, classifier=classifier, callbacks=[draw])
        assert torch.rand(()).item() not in expected
    random.setstate(state)
    np.random.set_state(legacy)  # noqa: NPY002
    assert drawn == expected
    same_fit(model, fitted(table, classifier=classifier))


def test_a_fit_within_a_callback(table):
    inner = []

    def fit(view):
        inner.append(fitted(table, classifier=Dropout))

    model = fitted(table, classifier=Dropout, callbacks=[fit])
    for other in inner:
        same_fit(model, other)


@pytest.mark.parametrize(
    ("callbacks", "error", "message"),
    [
        ([print, 3], TypeError, r"callbacks\[1\] is 3"),
        (print, ValueError, "'callbacks' parameter"),
    ],
)
def test_callbacks_are_functions_in_a_list(table, callbacks, error, message):
    with pytest.raises(error, match=message):
        fitted(table, callbacks=callbacks)


def test_callbacks_survive_clone_and_pickle(table):
    model = fitted(table, callbacks=[stop_at_once])
    assert model.n_iter_ == 1
    assert clone(model).fit(*table).n_iter_ == 1
    assert pickle.loads(pickle.dumps(model)).fit(*table).n_iter_ == 1


def stop_at_once(view):
    return True


# Best weights, however training ends


def scored(scores, then=lambda: None):
    """A scorer that gives these scores in turn, and does something at the last one."""
    scores = list(scores)

    def scorer(*_):
        if len(scores) == 1:
            then()
        return scores.pop(0)

    return scorer


@pytest.mark.parametrize(
    "ending",
    [
        {"max_iter": 3},
        {"max_rounds": 6},
        {"max_time": 7},
        {"callbacks": [lambda view: view.epoch == 3]},
    ],
    ids=lambda ending: next(iter(ending)),
)
def test_the_best_weights_are_restored(table, ticks, ending):
    parameters = {"early_stopping": True, "rounds_per_epoch": 2, "max_iter": 9}
    model = fitted(table, scoring=scored([0, 1, 0.5, 0.5]), **parameters | ending)
    best = fitted(table, scoring=scored([0, 1]), **parameters | {"max_iter": 2})
    assert model.n_iter_ == 3
    assert model.history_[:2] == best.history_
    X, _ = table
    assert_array_equal(model.predict_proba(X), best.predict_proba(X))


# Ctrl-C


@pytest.fixture
def handler():
    """Python's own, which a process in the background may lack."""
    given = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    assert signal.signal(signal.SIGINT, given) is signal.default_int_handler


def press(times=1):
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)


def press_in_epoch(number, times=1):
    return lambda view: press(times) if view.epoch == number else None


INTERRUPTED = "Training was interrupted in epoch 2: it ends with the weights "


def test_ctrl_c_ends_training_with_a_warning(table, handler):
    with pytest.warns(UserWarning, match=INTERRUPTED + "that it had then") as caught:
        model = fitted(table, callbacks=[press_in_epoch(2)], max_iter=9)
    assert caught[0].filename == __file__
    assert model.n_iter_ == 2
    same_fit(model, fitted(table, max_iter=2))


def test_ctrl_c_lets_the_round_be_finished(table, handler):
    calls = count(1)

    class Pressing(torch.nn.Linear):
        def forward(self, x):
            if self.training and next(calls) == 7:
                press()
            return super().forward(x)

    parameters = {"rounds_per_epoch": 5, "max_iter": 9}
    with pytest.warns(UserWarning, match=INTERRUPTED):
        model = fitted(table, classifier=Pressing, **parameters)
    assert (model.n_rounds_, model.n_iter_) == (7, 2)
    same_fit(model, fitted(table, classifier=Pressing, max_rounds=7, **parameters))


def test_ctrl_c_restores_the_best_weights(table, handler):
    parameters = {"early_stopping": True, "max_iter": 9}
    scoring = scored([1, 0], then=press)
    with pytest.warns(UserWarning, match=INTERRUPTED + "of epoch 1, which scored best"):
        model = fitted(table, scoring=scoring, **parameters)
    best = fitted(table, scoring=scored([1]), **parameters | {"max_iter": 1})
    X, _ = table
    assert_array_equal(model.predict_proba(X), best.predict_proba(X))


def test_a_second_ctrl_c_ends_it_at_once(table, handler):
    model = GAMOClassifier(callbacks=[press_in_epoch(2, times=2)], random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*table)
    with pytest.raises(NotFittedError):
        model.predict(table[0])


def test_ctrl_c_before_the_first_round_is_over(table, handler):
    class Pressing(torch.nn.Linear):
        def forward(self, x):
            if self.training:
                press()
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        fitted(table, classifier=Pressing)


def test_another_handler_than_python_s_is_left_alone(table, handler):
    pressed = []
    own = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        assert fitted(table, callbacks=[press_in_epoch(2)]).n_iter_ == 3
    finally:
        signal.signal(signal.SIGINT, own)
    assert pressed == [True]


def test_a_handler_installed_meanwhile_stays(handler):
    def other(*_):
        pass

    with Stops() as stops:
        signal.signal(signal.SIGINT, other)
    left = signal.signal(signal.SIGINT, handler)
    assert left is other
    # Whoever kept ours finds it like Python's own.
    with pytest.raises(KeyboardInterrupt):
        stops.interrupt(signal.SIGINT, None)


def test_in_other_threads_nothing_is_installed(table, handler):
    seen = []
    callbacks = [lambda view: seen.append(signal.getsignal(signal.SIGINT))]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(fitted, table, callbacks=callbacks).result()
    assert seen == [handler] * 3
    fitted(table, callbacks=callbacks)
    assert handler not in seen[3:]


def test_a_search_goes_on_after_ctrl_c_and_ends_at_the_second(handler):
    X, y = load_iris(return_X_y=True)

    def search(times):
        model = GAMOClassifier(
            callbacks=[press_in_epoch(2, times)], max_iter=9, random_state=0
        )
        return GridSearchCV(model, {"batch_size": [32, 64]}, cv=2).fit(X, y)

    with pytest.warns(UserWarning, match=INTERRUPTED) as caught:
        found = search(times=1)
    assert len(caught) == 5  # the fits of two folds, and the last one
    assert found.best_estimator_.n_iter_ == 2
    with pytest.raises(KeyboardInterrupt):
        search(times=2)


LONG = """
import signal

from sklearn.datasets import load_iris
from gamo_sampler import GAMOClassifier

signal.signal(signal.SIGINT, signal.default_int_handler)
X, y = load_iris(return_X_y=True)
model = GAMOClassifier(max_iter=10**9, max_rounds=None, verbose=2)
print("Score", model.fit(X[:110], y[:110]).score(X, y), flush=True)
"""


def test_ctrl_c_from_another_process():
    command = [sys.executable, "-u", "-c", LONG]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        for line in process.stdout:
            if line.startswith("Epoch 3"):
                break
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out.splitlines()[-1].startswith("Score 0.")
    assert "UserWarning: Training was interrupted in epoch " in err
