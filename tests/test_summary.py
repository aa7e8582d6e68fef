"""The game's summary in scikit-learn's HTML representation."""

import re
from html import escape

import numpy as np
import pytest
from imblearn.pipeline import make_pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOFeatures, GAMOSampler, load
from gamo_sampler.exceptions import TrainingWarning


def shown(estimator):
    """The cells of the summary's tables, a list per line, and the warnings."""
    html = estimator_html_repr(estimator)
    parts = re.findall("<summary>Game</summary>(.*?)</details>", html, re.DOTALL)
    assert len(parts) == 1
    lines = re.findall("<tr>(.*?)</tr>", parts[0], re.DOTALL)
    cells = [re.findall("<t[dh].*?>(.*?)</t[dh]>", line, re.DOTALL) for line in lines]
    return cells, re.findall("<li>(.*?)</li>", parts[0], re.DOTALL)


def has_none(estimator):
    return "<summary>Game</summary>" not in estimator_html_repr(estimator)


def test_a_classifier_sums_its_game_up(table):
    model = GAMOClassifier(max_iter=2, random_state=0)
    assert has_none(model)
    model.fit(*table)
    cells, messages = shown(model)
    assert ["epochs", "2"] in cells
    assert ["rounds", str(model.n_rounds_)] in cells
    assert ["device", "cpu"] in cells
    last = model.history_[-1]
    assert ["last loss g_d", f"{last['g_d']:.3g}"] in cells
    *_, header, none, first, second = cells
    assert header[1:3] == ["real rows", "generated rows"]
    assert none[:4] == ["0", "40", "0", "-"]
    assert first[:3] == ["1", "12", "28"]
    assert second[:3] == ["2", "7", "33"]
    sources = np.mean([float(line[3]) for line in (first, second)])
    assert sources == pytest.approx(last["effective_sources"], rel=0.01)
    assert second[4] == f"{last['recall'][2]:.3g}"
    assert '<th scope="col">real rows</th>' in estimator_html_repr(model)
    assert not messages
    assert "No warnings." in estimator_html_repr(model)
    assert has_none(clone(model))


def test_a_sampler_in_a_pipeline_does(table):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    pipe = make_pipeline(sampler, StandardScaler(), LogisticRegression())
    assert has_none(pipe)
    pipe.fit(*table)
    cells, _ = shown(pipe)
    assert ["rounds", "3"] in cells
    assert cells == shown(pipe[0])[0]
    html = pipe._repr_html_()
    assert html.count("<details") == html.count("</details>")
    assert html.count("<table") == html.count("</table>")


def test_the_game_within_another_estimator_is_shown(digits):
    X, y = digits[0].reshape(-1, 8, 8), digits[1]
    game = GAMOClassifier(feature_extractor="conv", max_rounds=2, random_state=0)
    game.fit(X, y)
    features = GAMOFeatures(game, prefit=True).fit(X, y)
    pix = GAMO2Pix(game, prefit=True, max_rounds=1, random_state=0).fit(X, y)
    for outer in (features, pix):
        html = estimator_html_repr(outer)
        assert html.count("<summary>Game</summary>") == 2  # of `classifier`, fitted too
    assert has_none(GAMO2Pix())
    alone = GAMOFeatures(clone(game)).fit(X, y)
    assert ["rounds", "2"] in shown(alone)[0]


def test_users_text_is_escaped():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 2))
    X[60:] += rng.normal(scale=0.1, size=(30, 2)) + 2
    labels = np.repeat(["<b>a</b>", "b & c"], [60, 30])
    model = GAMOSampler(
        neighborhood=None,
        discriminator=None,
        learning_rate=0.2,  # at 0.1 G collapses on some CPUs alone
        max_rounds=400,
        random_state=0,
    )
    with pytest.warns(TrainingWarning) as caught:
        model.fit_resample(X, labels)
    cells, messages = shown(model)
    assert [line[0] for line in cells[-2:]] == ["&lt;b&gt;a&lt;/b&gt;", "b &amp; c"]
    assert messages == [escape(str(w.message)) for w in caught]
    assert "class b &amp; c" in messages[0]
    assert "Warnings:" in estimator_html_repr(model)


def test_it_is_in_the_file(table, tmp_path):
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(*table)
    sampler.save(tmp_path / "sampler")
    again = load(tmp_path / "sampler")
    assert shown(again) == shown(sampler)
    sampler._summary["recall"].pop()
    sampler.save(tmp_path / "wrong")
    with pytest.raises(ValueError, match="the summary of the game is not of its"):
        load(tmp_path / "wrong")
    del sampler._summary  # as files were before there was one
    sampler.save(tmp_path / "before")
    assert has_none(load(tmp_path / "before"))


def test_there_was_no_game(table):
    X, y = table
    sampler = GAMOSampler(max_rounds=3, random_state=0)
    sampler.fit_resample(X, y)
    assert shown(sampler)
    with pytest.warns(UserWarning, match="nothing is generated"):
        sampler.fit_resample(X[:6], [0, 1, 0, 1, 0, 1])
    assert has_none(sampler)
    sampler.fit(X, y)
    assert has_none(sampler)


def test_classes_that_are_not_generated(table):
    X, y = table
    alone = GAMOClassifier(generator=None, max_iter=1, random_state=0).fit(X, y)
    cells, _ = shown(alone)
    assert [line[3] for line in cells[-3:]] == ["-"] * 3
    assert not [line for line in cells if line[0].startswith("last loss g")]
