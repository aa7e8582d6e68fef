"""Fitted estimators in files of JSON and tensors, and back from them."""

from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import check_is_fitted

from . import _stored_frames  # noqa: F401 - its codecs
from ._persistence import read_file, write_file
from ._stored import CODECS, Reader, Writer, codec, field, require
from ._typing import StrPath
from ._version import __version__

KIND = "estimator"


class SaveMixin:
    """For estimators that can be saved.

    `_fitted_kinds` has the types of fitted attributes by name, those of a file are
    checked by it. `_check_saved` refuses a state that could not be restored, and
    `_restore` completes one that comes from a file.
    """

    _fitted_kinds: dict = {}

    def save(self, path: StrPath) -> None:
        """Write the fitted estimator to a file, which :func:`load` reads.

        The file holds JSON and tensors, and nothing that is executed when it is
        loaded. As the estimator does, it holds the rows that are mixed.

        Parameters
        ----------
        path : str or path-like
            Its name, to which no suffix is added. A file of that name is replaced
            once the new one is whole and on the disk; if that fails, it stays.

        Raises
        ------
        ValueError
            Where the estimator holds what cannot be saved, by name: nothing is written
            then. Functions and classes that it was given, such as builders of networks
            or a `scoring`, are not saved, but given to `load` again.
        """
        check_is_fitted(self)
        out = Writer()
        estimator = out.value(self, "")
        header = {
            "version": __version__,
            "given": sorted(out.given),
            "shared": out.shared,
            "estimator": estimator,
        }
        write_file(path, KIND, header, out.tensors)

    def _check_saved(self):
        """Refuse, before anything is written, what could not be restored."""

    def _restore(self):
        """Complete and check what was read."""


def load(path: StrPath, /, **builders: Any) -> Any:
    """Read an estimator that its `save` wrote.

    Parameters
    ----------
    path : str or path-like
        The file. Nothing that it holds is executed, so that it may come from anyone;
        see :ref:`saving` for what that does not tell.
    **builders : callable
        The functions and classes that the estimator was made with, by the names of its
        parameters, as those of other parameters that held functions:
        ``load(path, classifier=build)``. Within another estimator the name is that of
        `set_params`, ``classifier__feature_extractor=build``.

    Returns
    -------
    estimator : GAMOClassifier, GAMOSampler, GAMO2Pix or GAMOFeatures
        The fitted estimator, as it was when it was saved: its predictions are the same,
        and `sample` goes on with the random state where it was.

    Raises
    ------
    ValueError
        Where the file is damaged, of another kind, or of a newer format; where one of
        the functions is missing, or one too many was given.
    OSError
        Where the system cannot read it; `FileNotFoundError` where there is none.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from gamo_sampler import GAMOClassifier, load
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = GAMOClassifier(max_iter=1, random_state=0).fit(X[:110], y[:110])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save(f"{folder}/iris.gamo")
    ...     again = load(f"{folder}/iris.gamo")
    >>> (again.predict_proba(X) == classifier.predict_proba(X)).all()
    np.True_
    """
    header, tensors = read_file(path, KIND)
    try:
        _check_given(field(header, "given", list), builders)
        source = Reader(tensors, field(header, "shared", list), builders)
        estimator = source.field(header, "estimator", SaveMixin)
        check_is_fitted(estimator)
        return estimator
    except Exception as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error


def _check_given(names, builders):
    missing = [name for name in names if name not in builders]
    if missing:
        given = ", ".join(f"{name}=..." for name in missing)
        raise ValueError(
            f"it was saved with functions that are not in the file; give them to "
            f"load: {given}."
        )
    for name, value in builders.items():
        require(name in names, f"{name}={value!r} is given, but it has no use for it.")
        ok = callable(value) or _has_callables(value)
        require(ok, f"{name}={value!r} is no function.")


def _has_callables(value):
    return isinstance(value, list | tuple) and any(map(callable, value))


def saved(cls):
    """Register an estimator's class, so that files may name it."""
    CODECS[f"gamo_sampler.{cls.__name__}"] = _Estimator(cls)
    return cls


class _Estimator:
    shared = True

    def __init__(self, cls):
        self.cls = cls

    def write(self, value, out, path):
        prefix = f"{path}." if path else ""
        value._check_saved()
        params = value.get_params(deep=False)
        state = {n: v for n, v in vars(value).items() if n not in params}
        return {
            "parameters": {n: _given(v, out, prefix + n) for n, v in params.items()},
            "fitted": {n: out.value(v, prefix + n) for n, v in state.items()},
        }

    def read(self, spec, source):
        params = field(spec, "parameters", dict)
        unknown = sorted(set(params) - set(self.cls._get_param_names()))
        require(not unknown, f"{self.cls.__name__} has no parameters {unknown}.")
        estimator = self.cls(**{n: source.value(v) for n, v in params.items()})
        estimator._validate_params()
        fitted = field(spec, "fitted", dict)
        vars(estimator).update(self.attributes(fitted, source))
        estimator._restore()
        return estimator

    def attributes(self, fitted, source):
        """Fitted attributes, which hide nothing that the class has."""
        for name in fitted:
            ok = name in self.cls._fitted_kinds or not hasattr(self.cls, name)
            require(ok and name.isidentifier(), f"{name!r} is no fitted attribute.")
        kinds = self.cls._fitted_kinds
        return {n: source.field(fitted, n, kinds.get(n, object)) for n in fitted}


def _given(value, out, path):
    """A parameter, or that it has to be given again."""
    if callable(value) or _has_callables(value):
        return out.given_again(path)
    return out.value(value, path)


@codec("sklearn.FrozenEstimator")
class _Frozen:
    """One more layer, of which names say nothing."""

    def write(self, value, out, path):
        return {"estimator": out.value(value.estimator, path)}

    def read(self, spec, source):
        return FrozenEstimator(source.field(spec, "estimator", BaseEstimator))


@codec("sklearn.MetadataRequest")
class _Requests:
    """What `set_fit_request` and its like were asked for."""

    def write(self, value, out, path):
        methods = [n for n, v in vars(value).items() if hasattr(v, "requests")]
        requests = {n: dict(getattr(value, n).requests) for n in methods}
        return {"owner": str(value.owner), "requests": out.value(requests, path)}

    def read(self, spec, source):
        request = MetadataRequest(owner=field(spec, "owner", str))
        for method, names in source.field(spec, "requests", dict).items():
            own = vars(request).get(method)
            require(hasattr(own, "add_request"), f"{method!r} takes no metadata.")
            for name, alias in names.items():
                own.add_request(param=name, alias=alias)
        return request
