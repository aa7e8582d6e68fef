"""What is on the pictures: points, bars, weights, labels, and what is refused."""

import ast
import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from imblearn.over_sampling import SMOTE
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from gamo_sampler import GAMO2Pix, GAMOClassifier, GAMOSampler, displays
from gamo_sampler.displays import (
    AuditDisplay,
    ContributorsDisplay,
    GeneratedRowsDisplay,
    ImageGridDisplay,
    SourceWeightsDisplay,
    TrainingHistoryDisplay,
)

NAMES = ["setosa", "versicolor", "virginica"]
SHORT = {"max_rounds": 5, "random_state": 0}


@pytest.fixture(autouse=True)
def no_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    """50, 50 and 10 rows, with names of columns and of classes."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X[:110], y[:110].map(dict(enumerate(NAMES)))


@pytest.fixture(scope="module")
def classifier(iris):
    return GAMOClassifier(max_iter=3, random_state=0).fit(*iris)


@pytest.fixture(scope="module")
def sampled(iris):
    sampler = GAMOSampler(neighborhood=None, **SHORT)
    return sampler, *sampler.fit_resample(*iris)


@pytest.fixture(scope="module")
def images():
    """Six dark and three bright images of 3 channels, the last dimension."""
    rng = np.random.RandomState(0)
    X = rng.randint(0, 50, (9, 8, 8, 3)).astype(np.uint8)
    X[6:] += 200
    return X, np.repeat([0, 1], [6, 3])


@pytest.fixture(scope="module")
def pix(images):
    game = GAMOClassifier(feature_extractor="conv", max_iter=1, **SHORT)
    sampler = GAMO2Pix(game, decoder="per_class", max_rounds=400, random_state=0)
    return sampler, *sampler.fit_resample(*images)


def points(artists):
    return np.concatenate([artist.get_offsets() for artist in artists])


def texts(legend):
    return [text.get_text() for text in legend.get_texts()]


def labels_of(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


# What they all do -----------------------------------------------------------


def test_each_draws_where_it_is_told(classifier, sampled, iris, images, pix):
    sampler = sampled[0]
    _, axes = plt.subplots(2, 4)
    made = [
        GeneratedRowsDisplay.from_estimator(classifier, *iris, n=5, ax=axes[0, 0]),
        SourceWeightsDisplay.from_estimator(sampler, *iris, ax=axes[0, 1]),
        ContributorsDisplay.from_estimator(sampler, 110, ax=axes[0, 2]),
        ImageGridDisplay.from_estimator(pix[0], images[0], ax=axes[0, 3]),
    ]
    for display, ax in zip(made, axes[0], strict=True):
        assert display.ax_ is ax
        assert display.figure_ is ax.figure
        assert display.plot() is display
        assert display.figure_ is not ax.figure
    several = [
        TrainingHistoryDisplay.from_estimator(classifier, ax=axes[1, :3]),
        AuditDisplay.from_estimator(sampler, ax=axes[1]),
    ]
    for display, n in zip(several, (3, 4), strict=True):
        assert list(display.axes_) == list(axes[1, :n])
        assert display.figure_ is axes[0, 0].figure
        with pytest.raises(ValueError, match=f"must be {n} axes, .* got 2"):
            display.plot(axes[0, :2])


def test_the_library_does_without_matplotlib(monkeypatch, classifier, iris):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for path in Path(displays.__path__[0]).glob("*.py"):
        first = [n for n in ast.parse(path.read_text()).body if "Import" in str(n)]
        assert not [n for n in map(ast.unparse, first) if " matplotlib" in n]
    with pytest.raises(ImportError, match=r"HistoryDisplay.plot requires matplotlib"):
        TrainingHistoryDisplay.from_estimator(classifier)


@pytest.mark.parametrize(
    "name",
    [
        module.name
        for module in pkgutil.iter_modules(displays.__path__, "gamo_sampler.displays.")
    ],
)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_doctests(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


# Training history -----------------------------------------------------------


def test_history_lines_are_the_records(classifier):
    display = TrainingHistoryDisplay.from_estimator(classifier)
    assert list(display.lines_) == ["losses", "health", "recall"]
    history = classifier.history_
    by_label = {line.get_label(): line for line in display.lines_["losses"]}
    wanted = [record["d_generated"] for record in history]
    line = by_label["D, generated rows"]
    np.testing.assert_array_equal(line.get_ydata(), wanted)
    np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3])
    coverage = display.lines_["health"][2]
    assert coverage.get_label() == "coverage"
    np.testing.assert_array_equal(
        coverage.get_ydata(), [record["coverage"] for record in history]
    )
    recalls = np.array([record["recall"] for record in history])
    for i, line in enumerate(display.lines_["recall"]):
        assert line.get_label() == NAMES[i]
        np.testing.assert_array_equal(line.get_ydata(), recalls[:, i])
    assert [ax.get_xlabel() for ax in display.axes_] == ["epoch"] * 3
    assert all(ax.get_ylabel() for ax in display.axes_)


def test_history_has_only_the_players_that_take_part(iris):
    alone = GAMOClassifier(generator=None, max_iter=2, random_state=0).fit(*iris)
    display = TrainingHistoryDisplay.from_estimator(alone)
    [line] = display.lines_["losses"]
    assert line.get_label() == "M, real rows"
    assert list(display.lines_) == ["losses", "recall"]
    with pytest.raises(ValueError, match=r"some of \[.*\], got \['sources'\]"):
        display.plot(panels=["sources"])
    with pytest.raises(ValueError, match="got \\[\\]"):
        display.plot(panels=[])


def test_panels_that_are_asked_for(classifier):
    panels = ["gradients", "distances", "sources"]
    display = TrainingHistoryDisplay.from_estimator(classifier, panels=panels)
    assert list(display.lines_) == panels
    assert display.axes_[0].get_yscale() == "log"
    assert display.axes_[2].get_ylim()[0] == 1


def test_history_of_early_stopping(iris):
    model = GAMOClassifier(early_stopping=True, max_iter=2, random_state=0).fit(*iris)
    display = TrainingHistoryDisplay.from_estimator(model, panels=["validation"])
    scores = [record["validation_score"] for record in model.history_]
    np.testing.assert_array_equal(display.lines_["validation"][0].get_ydata(), scores)


def test_history_of_decoders_has_a_line_each(pix):
    display = TrainingHistoryDisplay.from_estimator(pix[0])
    lines = display.lines_["losses"]
    assert len(lines) == 4
    assert texts(display.axes_[0].get_legend()) == ["reconstruction", "divergence"]
    first = [r["reconstruction"] for r in pix[0].history_ if r["decoder"] == 0]
    np.testing.assert_array_equal(lines[0].get_ydata(), first)


def test_of_many_classes_some_are_named():
    record = {"epoch": 1, "recall": np.linspace(0, 1, 40).tolist()}
    display = TrainingHistoryDisplay([record]).plot()
    assert len(display.lines_["recall"]) == 40
    named = texts(display.axes_[0].get_legend())
    assert len(named) == 10
    assert (named[0], named[-1]) == ("0", "39")
    assert len({tuple(line.get_color()) for line in display.lines_["recall"]}) == 40


def test_nothing_was_played():
    with pytest.raises(ValueError, match="no epoch was played"):
        TrainingHistoryDisplay([]).plot()


# Generated rows -------------------------------------------------------------


def test_rows_in_two_columns(classifier, iris):
    X, y = iris
    display = GeneratedRowsDisplay.from_estimator(
        classifier, X, y, n={"virginica": 7}, columns=["petal length (cm)", 0]
    )
    ax = display.ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == tuple(X.columns[[2, 0]])
    for label, artist in zip(NAMES, display.real_, strict=True):
        np.testing.assert_array_equal(
            artist.get_offsets(), X[y == label].iloc[:, [2, 0]]
        )
    [made] = display.generated_
    assert made.get_label() == "virginica"
    own = X[y == "virginica"].iloc[:, [2, 0]]
    found = made.get_offsets()
    assert found.shape == (7, 2)
    assert (own.min().to_numpy() <= found).all()
    assert (found <= own.max().to_numpy()).all()
    np.testing.assert_array_equal(
        made.get_facecolor(), display.real_[2].get_facecolor()
    )
    under, _, over = [artist.get_zorder() for artist in display.real_]
    assert under < made.get_zorder() < over
    assert texts(ax.get_legend()) == ["real", "generated", *NAMES]
    assert display.surface_ is None  # two columns do not tell the other two


def test_regions_are_what_the_classifier_predicts(iris):
    X, y = iris
    X = X.iloc[:, [2, 3]]
    model = GAMOClassifier(max_iter=3, random_state=0).fit(X, y)
    display = GeneratedRowsDisplay.from_estimator(
        model, X, y, n=10, columns=[1, 0], grid_resolution=20
    )
    across, up, predicted = display.regions
    assert predicted.shape == (20, 20)
    at = pd.DataFrame({X.columns[0]: np.full(20, up[3]), X.columns[1]: across})
    np.testing.assert_array_equal(predicted[3], model.predict(at))
    codes = display.surface_.get_array().reshape(20, 20)
    np.testing.assert_array_equal(display.classes_[codes.astype(int)], predicted)
    colors = display.surface_.cmap(display.surface_.norm(np.arange(3)))
    for color, artist in zip(colors, display.real_, strict=True):
        np.testing.assert_allclose(artist.get_facecolor()[0, :3], color[:3])
    assert across[0] < X.iloc[:, 1].min() < X.iloc[:, 1].max() < across[-1]


def test_regions_in_principal_components(iris):
    X, y = iris
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    sampler = GAMOSampler(**SHORT)
    sampler.fit_resample(X, y)
    display = GeneratedRowsDisplay.from_estimator(
        sampler, X, y, classifier=tree, random_state=0, grid_resolution=30
    )
    assert display.ax_.get_xlabel().startswith("principal component 1 (")
    standardised = ((X - X.mean()) / X.std(ddof=0)).to_numpy()
    _, _, axes = np.linalg.svd(standardised, full_matrices=False)
    wanted = standardised @ axes[:2].T
    found = np.array(display.real).T
    np.testing.assert_allclose(np.abs(found), np.abs(wanted), atol=1e-9)
    signs = np.sign((found * wanted).sum(0))
    across, up, predicted = display.regions
    in_x = (np.array([across[5], up[20]]) * signs) @ axes[:2]
    in_x = X.mean().to_numpy() + in_x * X.std(ddof=0).to_numpy()
    row = pd.DataFrame([in_x], columns=X.columns)
    assert predicted[20, 5] == tree.predict(row)[0]


def test_rows_of_any_over_sampler(iris):
    X, y = iris
    smote = SMOTE(random_state=0)
    X_resampled, y_resampled = smote.fit_resample(X, y)
    model = LogisticRegression(max_iter=1000).fit(X_resampled, y_resampled)
    display = GeneratedRowsDisplay.from_resampled(
        X_resampled, y_resampled, len(X), classifier=model, grid_resolution=5
    )
    assert sum(len(artist.get_offsets()) for artist in display.real_) == 110
    assert len(points(display.generated_)) == 40
    assert set(display.regions[2].ravel()) <= set(NAMES)
    for n in (0, 151):
        with pytest.raises(ValueError, match=f"from 1 to 150, .* got {n}"):
            GeneratedRowsDisplay.from_resampled(X_resampled, y_resampled, n)


def test_nothing_is_generated(iris):
    X, y = iris
    alone = GAMOClassifier(generator=None, max_iter=1, random_state=0).fit(X, y)
    display = GeneratedRowsDisplay.from_estimator(alone, X, y, n=0)
    assert display.generated_ == []
    assert len(points(display.real_)) == 110
    assert display.surface_ is not None
    with pytest.raises(ValueError, match="no class was generated"):
        GeneratedRowsDisplay.from_estimator(alone, X, y)


def test_rows_in_features_without_regions(images):
    X, y = images
    model = GAMOClassifier(feature_extractor="conv", max_iter=1, **SHORT).fit(X, y)
    display = GeneratedRowsDisplay.from_estimator(model, X, y, n=4, columns=[0, 3])
    np.testing.assert_allclose(
        np.array(display.real).T, model.extract_features(X)[:, [0, 3]]
    )
    assert display.surface_ is None
    assert display.ax_.get_xlabel() == "column 0"


def test_flat_images_are_read_in_the_layout_of_the_real_ones(images):
    X, y = images
    model = GAMOClassifier(max_iter=1, **SHORT).fit(X, y)
    display = GeneratedRowsDisplay.from_estimator(
        model, X, y, n=3, columns=[1, 2], random_state=0
    )
    flat, _ = model.sample(3, random_state=0)
    pixels = flat.reshape(3, 3, 64)[:, [1, 2], 0]  # channels 1 and 2 of the first pixel
    np.testing.assert_array_equal(points(display.generated_), pixels)


def mixed(n=60):
    rng = np.random.RandomState(0)
    return pd.DataFrame(
        {
            "amount": rng.normal(size=n),
            "sort": rng.choice(["b", "a", None], size=n),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), "D"),
        }
    ), np.repeat(["no", "yes"], [n - 10, 10])


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.from_pandas])
def test_categories_and_dates_on_the_axes(kind):
    X, y = mixed()
    X = kind(X)
    sampler = GAMOSampler(missing="propagate", **SHORT)
    sampler.fit_resample(X, y)
    display = GeneratedRowsDisplay.from_estimator(
        sampler, X, y, n=5, columns=["day", "sort"]
    )
    assert labels_of(display.ax_.yaxis) == ["(missing)", "a", "b"]
    codes = {"a": 1, "b": 2}
    sorts = nw.from_native(X)["sort"].to_list()
    wanted = [codes.get(sort, 0) for sort in sorts]
    np.testing.assert_array_equal(np.rint(display.real[1]), wanted)
    assert np.ptp(display.real[1] - wanted) > 0.3  # apart, not on one line
    assert "-" not in "".join(labels_of(display.ax_.xaxis))  # Jan, Feb and so on
    drawn = np.sort(points(display.real_)[:, 0])
    first = mpl.dates.date2num(np.datetime64("2024-01-01"))
    np.testing.assert_allclose(drawn, first + np.arange(60))


def test_long_names_and_many_categories_leave_room():
    X = pd.DataFrame({"code": [f"code {i:02d}" for i in range(90)], "x": range(90)})
    y = np.repeat(["a very long name of a class, indeed", "yes"], [80, 10])
    with pytest.raises(ValueError, match=r"'code 89'\], which no real row has"):
        GeneratedRowsDisplay.from_resampled(X, y, 85)
    X.loc[85:, "code"] = "code 00"
    display = GeneratedRowsDisplay.from_resampled(X, y, 85)
    named = labels_of(display.ax_.xaxis)
    assert len(named) == 20
    assert (named[0], named[-1]) == ("code 00", "code 84")
    assert display.ax_.get_xticks()[-1] == 84
    assert display.ax_.get_xticklabels()[0].get_rotation() == 90
    legend = texts(display.ax_.get_legend())
    assert legend[2:] == ["a very long name of\N{HORIZONTAL ELLIPSIS}", "yes"]


def test_components_are_of_numbers_that_are_known():
    X, y = mixed()
    with pytest.raises(ValueError, match="two columns of numbers at least, got 50 and"):
        GeneratedRowsDisplay.from_resampled(X, y, 50)
    X = X.assign(other=X["amount"] ** 2)
    display = GeneratedRowsDisplay.from_resampled(X, y, 50)
    assert len(points(display.real_)) == 50
    tree = DecisionTreeClassifier(random_state=0).fit(X[["amount"]], y)
    with pytest.raises(ValueError, match="regions only where the plane tells all"):
        GeneratedRowsDisplay.from_resampled(X, y, 50, classifier=tree)
    X.loc[3, "other"] = np.nan
    with pytest.raises(ValueError, match=r"but \['other'\] miss some"):
        GeneratedRowsDisplay.from_resampled(X, y, 50)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["amount", "size"], "columns has 'size', but the columns of X are"),
        ([0, 3], "columns has 3, but"),
        ([1, "sort"], "two different ones"),
        (["day"], "two different ones"),
    ],
)
def test_columns_that_are_not_two_of_the_table(columns, message):
    X, y = mixed()
    with pytest.raises(ValueError, match=message):
        GeneratedRowsDisplay.from_resampled(X, y, 50, columns=columns)


def test_sparse_rows_are_refused():
    with pytest.raises(TypeError, match=r"X.toarray\(\)"):
        GeneratedRowsDisplay.from_resampled(csr_array(np.eye(4)), np.arange(4), 2)


def test_styles_can_be_set(iris):
    X, y = iris
    display = GeneratedRowsDisplay.from_resampled(
        X, y, 105, real_kw={"s": 3}, generated_kw={"marker": "+", "s": 9}
    )
    assert display.real_[0].get_sizes() == [3]
    assert display.generated_[0].get_sizes() == [9]


# Weights --------------------------------------------------------------------


def test_source_weights_are_the_sums(sampled, iris):
    sampler = sampled[0]
    X, y = iris
    display = SourceWeightsDisplay.from_estimator(sampler, X, y, columns=[0, 1])
    totals = sampler.provenance_.toarray().sum(0)
    np.testing.assert_allclose(display.totals_, totals)
    assert totals.sum() == pytest.approx(40)
    order = np.argsort(totals, kind="stable")
    used = order[totals[order] > 0]
    artist = display.artist_
    np.testing.assert_allclose(artist.get_array(), totals[used])
    np.testing.assert_array_equal(artist.get_offsets(), X.iloc[used, :2])
    idle = display.ax_.collections[0]
    np.testing.assert_array_equal(idle.get_offsets(), X[totals == 0].iloc[:, :2])
    assert "generated rows" in display.colorbar_.ax.get_ylabel()
    assert display.ax_.get_ylabel() == X.columns[1]


def test_the_matrix_is_of_the_greatest_sums():
    weights = np.zeros((3, 40))
    weights[0, [5, 7]] = 0.75, 0.25
    weights[1, 7] = 1
    weights[2, [5, 9]] = 0.6, 0.4
    display = SourceWeightsDisplay(
        csr_array(weights), points=(np.arange(40),) * 2, xlabel="x", ylabel="y"
    ).plot(kind="matrix")
    assert labels_of(display.ax_.xaxis) == ["5", "7", "9"]  # sums 1.35, 1.25 and .4
    np.testing.assert_allclose(
        display.artist_.get_array(), [[0.75, 0.25, 0], [0.6, 0, 0.4], [0, 1, 0]]
    )


def test_weights_of_one_class(table):
    X, y = table
    sampler = GAMOSampler(**SHORT)
    sampler.fit_resample(X, y)
    display = SourceWeightsDisplay.from_estimator(sampler, X, y, label=1)
    assert display.weights.shape[0] == 28
    assert (display.totals_[y != 1] == 0).all()
    with pytest.raises(ValueError, match=r"of \[1, 2\], got 0"):
        SourceWeightsDisplay.from_estimator(sampler, X, y, label=0)
    with pytest.raises(ValueError, match="y must have shape"):
        SourceWeightsDisplay.from_estimator(sampler, X, y[:-1])
    with pytest.raises(ValueError, match="X must have shape"):
        SourceWeightsDisplay.from_estimator(sampler, X[:-1], y)
    with pytest.raises(ValueError, match="scatter, matrix, got 'bars'"):
        display.plot(kind="bars")


def test_many_rows_are_thinned_out():
    n = 1000
    rows = np.arange(n)
    weights = csr_array((np.ones(n), (rows, rows % 50)), shape=(n, 60))
    display = SourceWeightsDisplay(
        weights, points=(np.arange(60),) * 2, xlabel="x", ylabel="y"
    ).plot(kind="matrix")
    assert display.artist_.get_array().shape == (200, 30)


def test_no_weights_to_show(iris):
    empty = csr_array((0, 110))
    display = SourceWeightsDisplay(empty, points=([], []), xlabel="", ylabel="")
    with pytest.raises(ValueError, match="no row was generated"):
        display.plot()


def test_contributors_are_those_that_explain_names(sampled):
    sampler = sampled[0]
    wanted = sampler.explain(115)
    display = ContributorsDisplay.from_estimator(sampler, 115, n_sources=4)
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(widths[:4], wanted["weight"][:4])
    assert sum(widths) == pytest.approx(1)
    names = [f"row {row}" for row in wanted["row"][:4]]
    others = f"{len(wanted) - 4} others"
    assert labels_of(display.ax_.yaxis) == [*names, others]
    assert "115" in display.ax_.get_title()
    assert display.picture_axes_ == []


def test_contributors_of_a_real_row_and_of_none(sampled):
    display = ContributorsDisplay.from_estimator(sampled[0], 3)
    assert labels_of(display.ax_.yaxis) == ["row 3"]
    with pytest.raises(ValueError, match="row must be from 0 to 149"):
        ContributorsDisplay.from_estimator(sampled[0], 150)
    with pytest.raises(ValueError, match="n_sources == 0, must be >= 1"):
        ContributorsDisplay.from_estimator(sampled[0], 3, n_sources=0)


def test_contributors_that_are_images(pix, images):
    sampler, X_resampled, _ = pix
    display = ContributorsDisplay.from_estimator(sampler, 9, images=X_resampled)
    rows = sampler.explain(9)["row"].tolist()
    shown = [ax.images[0].get_array() for ax in display.picture_axes_]
    real = X_resampled[[*rows, 9]].astype(float)
    low, high = real.min(), real.max()
    np.testing.assert_allclose(shown, (real - low) / (high - low))
    assert display.picture_axes_[-1].get_title() == "row 9"


# Images ---------------------------------------------------------------------


def test_images_stand_beside_their_sources(pix, images):
    sampler = pix[0]
    X, _ = images
    display = ImageGridDisplay.from_estimator(sampler, X, n={1: 3}, random_state=0)
    made, _, weights = sampler.sample({1: 3}, random_state=0, return_weights=True)
    low, high = X.min(), X.max()
    assert len(display.images_) == 3
    for i, (own, *sources) in enumerate(display.images_):
        np.testing.assert_allclose(
            own.get_array(), (made[i].astype(float) - low) / (high - low)
        )
        row = weights[[i]]
        order = row.indices[np.argsort(-row.data, kind="stable")][:4]
        assert list(display.rows[i]) == order.tolist()
        for image, source in zip(sources, order, strict=True):
            real = (X[source].astype(float) - low) / (high - low)
            np.testing.assert_allclose(image.get_array(), real)
    assert labels_of(display.ax_.yaxis) == ["class 1"] * 3
    found = [text.get_text() for text in display.ax_.texts]
    assert found[0] == f"{display.rows[0][0]}: {display.weights[0][0]:.2f}"


@pytest.mark.parametrize("estimator", [GAMOSampler, GAMOClassifier])
def test_flat_images_of_the_game_itself(images, estimator):
    X, y = images
    flat = np.moveaxis(X, -1, 1).reshape(9, -1)
    model = estimator(image_shape=(3, 8, 8), **SHORT)
    fit = getattr(model, "fit_resample", model.fit)
    fit(flat, y)
    display = ImageGridDisplay.from_estimator(model, flat, random_state=0)
    [[own, *sources]] = display.images_  # one of the class that is generated
    mixed = sum(
        w * source.get_array()
        for w, source in zip(display.weights[0], sources, strict=True)
    )
    np.testing.assert_allclose(own.get_array(), mixed, atol=0.01)  # of whole pixels
    with pytest.raises(ValueError, match=r"the 9 images .* got 8"):
        ImageGridDisplay.from_estimator(model, flat[:8])


def test_grey_images_are_told_their_shape(digits):
    X, y = digits
    sampler = GAMOSampler(**SHORT)
    sampler.fit_resample(X, y)
    with pytest.raises(ValueError, match=r"image_shape=\(channels, height, width\)"):
        ImageGridDisplay.from_estimator(sampler, X)
    display = ImageGridDisplay.from_estimator(sampler, X, image_shape=(1, 8, 8))
    assert len(display.images_) == 9
    assert display.images_[0][0].get_array().shape == (8, 8)
    with pytest.raises(ValueError, match="Images of 2 channels cannot be shown"):
        ImageGridDisplay.from_estimator(sampler, X, image_shape=(2, 4, 8))


def test_no_images_are_generated(images, iris, pix):
    X, y = images
    with pytest.raises(ValueError, match="GAMO2Pix turns them into images"):
        ImageGridDisplay.from_estimator(pix[0].classifier_, X)
    flat = X.reshape(9, -1)
    free = GAMOClassifier(generator="unconstrained", **SHORT).fit(flat, y)
    with pytest.raises(ValueError, match="got generator='unconstrained'"):
        ImageGridDisplay.from_estimator(free, flat, image_shape=(3, 8, 8))
    alone = GAMOClassifier(generator=None, **SHORT).fit(flat, y)
    with pytest.raises(ValueError, match="no class was generated"):
        ImageGridDisplay.from_estimator(alone, flat, image_shape=(3, 8, 8))


# Audit ----------------------------------------------------------------------


def test_audit_bars_are_the_measures(table):
    X, y = table
    sampler = GAMOSampler(**SHORT)
    sampler.fit_resample(X, y)
    audit = sampler.audit()
    display = AuditDisplay.from_estimator(sampler)
    names = ["near_copies", "largest_weight", "effective_sources", "distance_ratio"]
    for name, bars in zip(names, display.bars_, strict=True):
        wanted = [audit[label][name] for label in (1, 2)]
        assert [bar.get_width() for bar in bars] == wanted
    assert labels_of(display.axes_[0].yaxis) == [
        "class 1\n28 from 12",
        "class 2\n33 from 7",
    ]
    assert labels_of(display.axes_[1].yaxis) == ["", ""]
    lines = [ax.lines[0].get_linestyle() for ax in display.axes_]
    assert lines == [":", ":", ":", "--"]


def test_measures_that_there_are_not():
    own = {
        "n_real": 1,
        "n_generated": 2,
        "largest_weight": 1.0,
        "effective_sources": 1.0,
        "near_copies": 1.0,
        "distance_ratio": float("nan"),
    }
    display = AuditDisplay.from_audit({"a": own})
    [text] = display.axes_[3].texts
    assert text.get_text() == "nan"
    assert display.bars_[3][0].get_width() == 0
    with pytest.raises(ValueError, match="no class was generated"):
        AuditDisplay.from_audit({})


def test_dollars_are_no_formulas(iris):
    X, y = iris
    frame = pd.DataFrame(np.asarray(X)[:, :2], columns=["$a_$", "$b"])
    _, codes = np.unique(y, return_inverse=True)
    labels = np.array(["$10k-$20k", "up to $5_$", "_$"])[codes]
    sampler = GAMOSampler(random_state=0)
    sampler.fit_resample(frame, labels)
    rows = GeneratedRowsDisplay.from_estimator(sampler, frame, labels)
    assert rows.ax_.get_xlabel() == r"\$a_\$"
    for display in (
        rows,
        TrainingHistoryDisplay.from_estimator(sampler),
        AuditDisplay.from_estimator(sampler),
        SourceWeightsDisplay.from_estimator(sampler, frame, labels),
    ):
        display.figure_.canvas.draw()  # where formulas are read
    history = TrainingHistoryDisplay.from_estimator(sampler, panels=["recall"])
    assert len(texts(history.axes_[0].get_legend())) == 3


def test_a_picture_leaves_the_estimator_as_it_was(iris):
    X, y = iris
    sampler, same = GAMOSampler(random_state=0), GAMOSampler(random_state=0)
    sampler.fit_resample(X, y)
    same.fit_resample(X, y)
    one, other = (
        GeneratedRowsDisplay.from_estimator(sampler, X, y, n=9) for _ in range(2)
    )
    assert_array_equal(one.generated, other.generated)
    assert_array_equal(sampler.sample(9)[0], same.sample(9)[0])


def test_rows_that_cannot_be_drawn_are_counted(iris):
    X, y = iris
    X = np.asarray(X, dtype=float)[:, :2].copy()
    X[:7, 1] = np.nan
    sampler = GAMOSampler(missing="propagate", random_state=0)
    X_resampled, y_resampled = sampler.fit_resample(X, y)
    n = np.isnan(X_resampled).any(axis=1).sum()
    rows = GeneratedRowsDisplay.from_resampled(X_resampled, y_resampled, len(X))
    assert rows.ax_.get_title() == f"{n} rows with missing values are not shown"
    sources = SourceWeightsDisplay.from_estimator(sampler, X, y)
    assert sources.ax_.get_title().startswith("7 rows with missing values")
    whole = GeneratedRowsDisplay.from_resampled(X[7:], y[7:], len(X) - 7)
    assert whole.ax_.get_title() == ""


def test_rows_in_another_order_are_refused(iris, sampled):
    X, y = iris
    for order in (slice(None, None, -1), np.random.RandomState(0).permutation(110)):
        with pytest.raises(ValueError, match="rows than `fit_resample` was given"):
            SourceWeightsDisplay.from_estimator(
                sampled[0], X.iloc[order], y.iloc[order]
            )


def test_a_classifier_of_other_labels_is_refused(iris):
    X, y = iris
    X = np.asarray(X)[:, :2]
    codes = np.unique(y, return_inverse=True)[1]
    coded = LogisticRegression().fit(X, codes)
    names = np.array(["a", "b", "c"])[codes]
    with pytest.raises(ValueError, match=r"knows \[0, 1, 2\], but y has \['a', 'b'"):
        GeneratedRowsDisplay.from_resampled(X, names, 60, classifier=coded)


@pytest.mark.parametrize(
    ("display", "arguments", "needed"),
    [
        (SourceWeightsDisplay, ([[0.0]], [0]), "provenance_"),
        (ContributorsDisplay, (0,), "explain"),
        (AuditDisplay, (), "audit"),
    ],
)
def test_estimators_of_other_kinds_are_named(classifier, display, arguments, needed):
    with pytest.raises(TypeError, match=f"`{needed}`.* got GAMOClassifier"):
        display.from_estimator(classifier, *arguments)


@pytest.mark.parametrize("linewidth", ["linewidth", "linewidths", "lw"])
@pytest.mark.parametrize("color", ["c", "color"])
def test_matplotlib_s_other_names(classifier, iris, linewidth, color):
    own = {linewidth: 3, color: "k"}
    rows = GeneratedRowsDisplay.from_estimator(
        classifier, *iris, real_kw=own, generated_kw=own
    )
    for artist in rows.real_ + rows.generated_:
        assert artist.get_linewidth() == [3]
        assert artist.get_facecolor()[0, :3].tolist() == [0, 0, 0]
