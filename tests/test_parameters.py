"""Wrong parameters of every estimator, and wrong arguments of everything public.

The cases follow from the constraints and from the signatures, so that a new parameter
or argument without cases fails a test.
"""

import copy
import inspect
import warnings
from collections.abc import Iterator
from numbers import Integral

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.optimize import LinearConstraint
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils._param_validation import (
    Interval,
    generate_invalid_param_val,
    make_constraint,
)

import gamo_sampler
from gamo_sampler import baselines, data, datasets, metrics

PACKAGES = [gamo_sampler, baselines, data, datasets, metrics]
PUBLIC = {name: getattr(p, name) for p in PACKAGES for name in p.__all__}
ESTIMATORS = {
    name: thing
    for name, thing in PUBLIC.items()
    if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
}
CHEAP = {"max_iter": 1, "max_rounds": 1, "random_state": 0}
NAN, INF = float("nan"), float("inf")


def cheap(cls, **parameters):
    known = cls._parameter_constraints
    own = {name: value for name, value in CHEAP.items() if name in known}
    needed = {"estimator": LogisticRegression()} if "estimator" in known else {}
    return cls(**own | needed | parameters)


# 16 rows of class 0 and 8 of class 1, of 6 columns.
X = np.random.default_rng(0).normal(size=(24, 6))
Y = np.repeat([0, 1], [16, 8])


# Parameters ---------------------------------------------------------------------


class Unknown:
    """Of no type that any constraint accepts."""


def no_module(n_in, n_out):
    return "network"


SHAPES = [(2, 3), (1, 2, 3, 1), (), (0, 2, 3), (-1, 2, -3), (1.5, 2, 2), (1, 2, 4)]
SHAPES += [("1", "2", "3"), [[1, 2, 3]], [[1, 2], 3], (NAN, 2, 3), (None, 2, 3)]
WIDTHS = [(), (0,), (8, -1), (8.5,), ("8",), [[8, 4]], [[8], 4], (NAN,), (None, 8)]
PRIORS = [(0.5,), (0.2, 0.3, 0.5), (0.5, 0.6), (-0.5, 1.5), (NAN, 1.0), (INF, 0.5)]
PRIORS += [[[0.5, 0.5]], ("a", "b"), [[0.5], 0.5], (None, 1.0)]
BUILDERS = [no_module, torch.nn.Linear(6, 2), int]
# What a constraint lets through and is wrong all the same: of arrays the shape and the
# entries, of mappings and callables what they give, of strings those that stand for
# something else.
INSIDE = {
    "image_shape": SHAPES,
    "hidden_layer_sizes": WIDTHS,
    "prior": PRIORS,
    "trained_prior": PRIORS,
    "categorical_features": [[7], [-7], [1.5], ["a"], [[0, 1]], [True] * 5, [[0], 1]],
    "class_weight": [{7: 1.0}, {0: NAN}, {0: -1.0}, {0: INF}, {0: "a"}, {0: None}],
    "sampling_strategy": [
        {7: 20},
        {1: 2},
        {1: 12.5},
        {1: NAN},
        {1: "12"},
        0.1,
        lambda y: 3,
        lambda y: "nonsense",
        lambda y: {1: 12.5},
    ],
    "generator": BUILDERS,
    "discriminator": BUILDERS,
    "classifier": [*BUILDERS, LogisticRegression()],
    "feature_extractor": BUILDERS,
    "scoring": [lambda *_: "good", lambda *_: NAN, lambda *_: None],
    "device": ["nonsense", "", "cuda:99", torch.device("cuda:99")],
    "estimator": [LogisticRegression],
    "callbacks": [[3], (None,), [print, "a"]],
    "checkpoint": ["", ".", "no such folder/fit"],
    "resume": [True],  # from no checkpoint
}
# What the others have to be for a parameter to count.
TOGETHER = {"scoring": {"early_stopping": True}}


def refused(constraints):
    """Values outside of each of the constraints that none of them lets through."""
    constraints = [make_constraint(c) for c in constraints]
    values = [Unknown(), Unknown]
    for constraint in constraints:
        try:
            values.append(generate_invalid_param_val(constraint))
        except NotImplementedError:
            continue
        if isinstance(constraint, Interval):
            values += [NAN, INF, -INF, np.float32(NAN), "1", [1], np.array([1, 2]), 1j]
            values += [np.datetime64("NaT")]
            if constraint.type is Integral:
                values += [1.5, 2.0, np.float64(3)]
    return [v for v in values if not any(c.is_satisfied_by(v) for c in constraints)]


def is_open(constraint):
    """Whether a value that satisfies it may be wrong all the same."""
    if constraint in (None, "boolean", "random_state", torch.device):
        return False
    try:
        generate_invalid_param_val(make_constraint(constraint))
    except NotImplementedError:
        return True
    return False


def said(error):
    return " ".join([str(error), *getattr(error, "__notes__", [])])


def check_refused(words, call, values):
    """Each value is refused by an error that has one of the words, "a|b"."""
    for value in values:
        try:
            call(value)
        except (TypeError, ValueError) as error:
            text = said(error)
            assert any(w in text for w in words.split("|")), f"{value!r}: {text}"
        else:
            pytest.fail(f"{value!r} is accepted")


PARAMETERS = [
    (name, parameter)
    for name, cls in ESTIMATORS.items()
    for parameter in cls._parameter_constraints
]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_wrong_parameters_are_named(name, parameter):
    cls = ESTIMATORS[name]
    constraints = cls._parameter_constraints
    others = TOGETHER.get(parameter, {})

    def fit(value):
        estimator = cheap(cls, **{parameter: value}, **others)
        getattr(estimator, "fit_resample", estimator.fit)(X, Y)

    check_refused(parameter, fit, refused(constraints[parameter]))
    check_refused(parameter, fit, INSIDE.get(parameter, []))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_no_parameter_is_forgotten(name):
    """Where a constraint says little, what is wrong inside is listed by hand."""
    constraints = ESTIMATORS[name]._parameter_constraints
    assert set(constraints) == set(ESTIMATORS[name]._get_param_names())
    loose = {p for p, own in constraints.items() if any(map(is_open, own))}
    assert loose <= set(INSIDE)
    assert all(len(refused(own)) >= 2 for own in constraints.values())


@pytest.mark.parametrize("fit", ["fit", "fit_resample"])
def test_every_way_to_fit_checks_parameters(fit):
    for name, cls in ESTIMATORS.items():
        if hasattr(cls, fit):
            parameter = next(iter(cls._parameter_constraints))
            estimator = cheap(cls, **{parameter: Unknown()})
            with pytest.raises(ValueError, match=f"'{parameter}' parameter of {name}"):
                getattr(estimator, fit)(X, Y)


def test_numpy_s_numbers_are_numbers():
    """As in scikit-learn, where True is the integer 1 as well."""
    python = {"batch_size": 8, "mixup": 0.5, "latent_dim": 1, "early_stopping": True}
    python |= {"max_iter": 100, "max_rounds": 200, "rounds_per_epoch": 40}
    numpy = {
        "max_iter": np.int8(100),  # of several rounds each, more than it holds
        "batch_size": np.uint8(8),
        "max_rounds": np.uint8(200),
        "rounds_per_epoch": np.uint8(40),  # of 8 rows each
        "mixup": np.float16(0.5),
        "latent_dim": True,
        "early_stopping": np.True_,
    }
    sizes = [(8, 4), np.array([8, 4]), [np.uint8(8), np.int64(4)], pd.Series([8, 4])]

    def predicted(values, size):
        model = cheap(gamo_sampler.GAMOClassifier, **values, hidden_layer_sizes=size)
        return model.fit(X, Y).predict_proba(X)

    expected = predicted(python, (8, 4))
    for size in sizes:
        np.testing.assert_array_equal(predicted(numpy, size), expected)
    shapes = [(1, 2, 3), np.array([1, 2, 3]), [np.int64(1), True + 1, 3]]
    for shape in shapes:
        model = cheap(gamo_sampler.GAMOClassifier, image_shape=shape).fit(X, Y)
        assert model._image_shape == (1, 2, 3)


# Arguments ----------------------------------------------------------------------

WHOLE = [0, -1, 1.5, "3", None, NAN, INF, Unknown()]
ROWS = [24, -1, 1.5, "a", [[0, 1]], [True] * 5, [NAN], None, [[0], [1, 2]], Unknown()]
COUNTS = [0, -1, 1.5, "3", NAN, Unknown(), (2, 2, 2), (2, 0), (2, 1.5), (2, 99)]
GROUPS = ["x", 3, np.zeros(5), np.zeros((24, 2)), Unknown()]
NUMBERS = [*WHOLE, 2.0, [1, 2], {}, {7: 1}, {1: 0}, {1: 1.5}, {1: "2"}, {0: 1}, 1j]
WEIGHTS = ["x", -1.0, np.zeros(5), np.ones((24, 2)), [NAN] * 24, [INF] * 24]
WEIGHTS += [-np.ones(24), np.zeros(24), ["a"] * 24, np.arange(24) == 3, Unknown()]
UNUSUAL = ["x", None, 3, [], Unknown()]
TABLES = [3, "a", None, X[:0], X[:, :3], X[:, 0], X * NAN, Unknown()]
LEARNERS = [3, {}, [], "a", Unknown(), {"learners": 3}, {"learners": Unknown()}]
VALUES = [3, np.zeros(5), None, Unknown(), [[1], [1, 2]]]
CLASSES = [[0], [0, 2], [0, 1, 2], 3, ["a", "b"], Unknown()]
PATHS = ["path", "root", "source", "target", "data_home"]
FOLDS = [3, [], [([30], [1])], [(1,)], "a", [([0.5], [1])], Unknown()]
WRONG = {
    "n": NUMBERS,
    "batch_size": WHOLE,
    "chunk_size": WHOLE,
    "n_neighbors": [*WHOLE, 24],
    "n_repeats": WHOLE,
    "n_splits": [*WHOLE, 1],
    "verbose": [-1, 1.5, "x", None, NAN, Unknown()],
    "random_state": ["x", -1, 1.5, 2**32, [], Unknown()],
    "rows": ROWS,
    "row": [47, *WHOLE[1:]],
    "groups": GROUPS,
    "sample_weight": WEIGHTS,
    "prior": [*PRIORS, "x", 3, Unknown()],
    "values": VALUES,
    "how": UNUSUAL,
    "folds": FOLDS,
    "constraints": [3, "a", None, [3], LinearConstraint([[1]], 0, 1), Unknown()],
    "categorical_features": [[9], "x", 3, [[0, 1]], [True] * 5, [[0], 1]],
    "weights": [None, 3, "a", np.eye(2)],
    "dataset": UNUSUAL,
    "name": UNUSUAL,
    "size": UNUSUAL,
    "learners": LEARNERS,
    "estimator": [None, 3, "a", gamo_sampler.GAMOClassifier, Unknown()],
    "sampler": [3, "a", gamo_sampler.GAMOSampler, Unknown()],
    "label": ["z", 3, ["y"], None, Unknown()],
    "features": ["x", 3, int, lambda X: 3, lambda X: X[:3], Unknown()],
    "real": TABLES,
    "generated": TABLES,
    "counts": COUNTS,
    "n_test": COUNTS,
    "classes": CLASSES,
    "builders": [3, "a", None, no_module],  # it was saved without any
}
WRONG |= {key: [3.5, [], 1j] for key in PATHS}
# Errors that say it in other words than the argument's name.
OTHERWISE = {
    "random_state": "eed",  # scikit-learn's check_random_state: "to seed", "Seed must"
    "label": "No column is called",
    "classes": "label type|array-like",  # scikit-learn's unique_labels
    "sample_weight": "weights|to float|float()",  # scikit-learn's _check_sample_weight
    "constraints": "constraint's A",
    **dict.fromkeys(PATHS, "os.PathLike"),  # Python's
}
# Not ours to check.
LEFT_OUT = {
    "X",  # checked like scikit-learn's and imbalanced-learn's, by their own tests
    "y",
    "return_weights",  # taken for its truth, as Python takes it
    "n_jobs",  # joblib's
    "input_features",  # scikit-learn's
    "Recipe categorical_features",  # when it is applied
}

C = gamo_sampler.GAMOClassifier
LOGISTIC = {"learners": {"logistic": LogisticRegression()}, "n_splits": 2}
# Arguments that a call needs, or that others need to count.
RIGHT = {
    "GAMOSampler.carry": {"values": np.arange(24), "how": "draw"},
    "GAMO2Pix.carry": {"values": np.arange(24), "how": "draw"},
    "compare": {"X": X, "y": Y, "n_repeats": 1, **LOGISTIC},
    "fetch_long_tailed": {"name": "mnist"},
    **{name: {"real": X, "generated": X} for name in metrics.__all__},
}
DRAWN = {"n_test": 2, "random_state": 0}


def methods(cls):
    """Names of the public methods that this package defines or inherits of its own."""
    found = inspect.getmembers(cls, inspect.isroutine)
    return [
        name
        for name, method in found
        if not name.startswith("_") and method.__module__.startswith("gamo_sampler")
    ]


def callables():
    """(name, function) of everything public that takes arguments but estimators."""
    for name, thing in PUBLIC.items():
        if name not in ESTIMATORS and callable(thing):
            yield name, thing
        for method in methods(thing) if inspect.isclass(thing) else []:
            yield f"{name}.{method}", getattr(thing, method)


ARGUMENTS = [
    (name, argument)
    for name, function in callables()
    for argument in inspect.signature(function).parameters
    if not {argument, f"{name} {argument}"} & (LEFT_OUT | {"self"})
]


@pytest.fixture(scope="module")
def owners():
    """Fitted, by the name of the class."""
    found = {name: cheap(PUBLIC[name]) for name in ("GAMOClassifier", "GAMOSampler")}
    inner = cheap(C, feature_extractor="conv")
    for name in ("GAMO2Pix", "GAMOFeatures"):
        found[name] = cheap(PUBLIC[name], classifier=inner)
    for estimator in found.values():
        getattr(estimator, "fit_resample", estimator.fit)(X, Y)
    return found | {"Recipe": found["GAMOSampler"].recipe_}


@pytest.fixture(scope="module")
def files(tmp_path_factory, owners):
    """A folder with what the functions that read files need."""
    folder = tmp_path_factory.mktemp("files")
    owners["Recipe"].save(folder / "recipe.npz")
    owners["GAMOSampler"].save(folder / "sampler.gamo")
    pd.DataFrame(X).add_prefix("x").assign(y=Y).to_parquet(folder / "rows.parquet")
    names = ("x_train", "y_train", "x_test", "y_test")
    mnist = 2 * [np.zeros((60, 28, 28), np.uint8), np.repeat(np.arange(10), 6)]
    np.savez(folder / "mnist.npz", **dict(zip(names, mnist, strict=True)))
    hair = list(datasets._folders.HAIR.values())
    lines = ["25", " ".join(hair)]
    for i, scene in enumerate(datasets._folders.SCENES):
        (folder / scene).mkdir()
        for k in range(5):
            Image.new("RGB", (8, 8)).save(folder / scene / f"{k}.png")
            codes = 2 * np.eye(5, dtype=int)[i] - 1
            lines.append(" ".join([f"../{scene}/{k}.png", *map(str, codes)]))
    (folder / "img_align_celeba").mkdir()
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines))
    return folder


def call(name, given, owners, files):
    owner, _, method = name.partition(".")
    right = RIGHT.get(name, {}) | {
        "resample_parquet": {
            "source": files / "rows.parquet",
            "target": files / "balanced",
            "label": "y",
            "sampler": cheap(gamo_sampler.GAMOSampler),
        },
        "BalancedDataset": {"estimator": owners["GAMOClassifier"], "X": X, "y": Y},
        "GAMOClassifier.export": {"path": files / "classifier.pt2"},
        "Recipe.load": {"path": files / "recipe.npz"},
        "load": {"path": files / "sampler.gamo"},
        "fetch_long_tailed": DRAWN | {"data_home": files, "counts": [2] * 10},
        "load_celeba": DRAWN | {"root": files, "counts": [2] * 5},
        "load_lsun": DRAWN | {"root": files, "counts": [2] * 5},
        "load_sun397": DRAWN | {"root": files, "counts": [2] * 2},
    }.get(name, {})
    thing = PUBLIC[owner]
    if method:
        data = {"X": X, "y": Y} if owner in owners else {}
        thing = getattr(copy.deepcopy(owners.get(owner, thing)), method)
        takes = inspect.signature(thing).parameters
        right |= {name: value for name, value in data.items() if name in takes}
        right |= {"n": 2} if "n" in takes else {}
    right |= given
    takes = inspect.signature(thing).parameters.values()
    first = [right.pop(p.name) for p in takes if p.kind is p.POSITIONAL_ONLY]
    result = thing(*first, **right)
    return list(result) if isinstance(result, Iterator) else result


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_wrong_arguments_are_named(name, argument, owners, files):
    words = f"{argument}|{OTHERWISE.get(argument, argument)}"
    wrong = WRONG[argument]
    if name == "load_sun397" and argument == "counts":  # of as many classes as it has
        wrong = [value for value in wrong if np.ndim(value) and value != (2, 2, 2)]
    if name == "GAMOClassifier.partial_fit":  # of one row, if that is the batch
        wrong = [value for value in wrong if np.asarray(value).dtype != np.bool_]

    def given(value):
        call(name, {argument: value}, owners, files)

    check_refused(words, given, wrong)


# `compare` takes long, in its own tests.
@pytest.mark.parametrize("name", sorted({name for name, _ in ARGUMENTS} - {"compare"}))
def test_right_arguments_are_accepted(name, owners, files):
    """Else the others would be refused for those."""
    needed = {"row": 20, "rows": [3], "groups": Y, "constraints": [], "prior": None}
    needed |= {"dataset": "mnist"}
    needed |= {"weights": owners["Recipe"].weights, "input_features": None}
    thing = dict(callables())[name]
    takes = inspect.signature(thing).parameters
    given = {k: v for k, v in needed.items() if k in takes}
    if name.endswith(".save"):
        given["path"] = files / "new.npz"
    with warnings.catch_warnings(action="ignore"):
        call(name, given, owners, files)
