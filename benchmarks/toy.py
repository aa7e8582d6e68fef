"""The paper's Figure 1: a class that lies around the other, in two dimensions."""

import numpy as np
from sklearn.metrics import recall_score
from sklearn.utils import Bunch, check_random_state

from . import methods

N_MAJORITY, N_MINORITY, N_TEST = 1000, 50, 500
PANELS = {
    "cn": "CN",
    "cgan": "cGAN+CN",
    "gamo_no_d": "GAMO without D",
    "gamo": "GAMO",
}
N_SHOWN = 200


def make_toy(seed):
    """A blob (class 0) in the arms of a crescent (class 1), 1000 to 50 rows."""
    rng = check_random_state(seed)
    X_train, y_train = draw(N_MAJORITY, N_MINORITY, rng)
    X_test, y_test = draw(N_TEST, N_TEST, rng)
    return Bunch(
        X_train=X_train,
        y_train=y_train,
        X_test=X_test,
        y_test=y_test,
        image_shape=None,
    )


def draw(n_majority, n_minority, rng):
    blob = rng.normal(scale=0.6, size=(n_majority, 2))
    angle = rng.uniform(-0.75 * np.pi, 0.75 * np.pi, n_minority)
    arc = 2.0 * np.column_stack([np.cos(angle), np.sin(angle)])
    crescent = arc + rng.normal(scale=0.25, size=(n_minority, 2))
    y = np.repeat([0, 1], [n_majority, n_minority])
    return np.concatenate([blob, crescent]), y


def plot(models, data, path):
    """The four panels: regions, real and generated rows, recalls of both classes.

    Parameters
    ----------
    models : dict
        Fitted estimators by the names in PANELS.
    data : Bunch
        From `make_toy`.
    path : str or Path
        Where the picture goes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes = figure.subplots(1, len(models), sharex=True, sharey=True)
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        plot_panel(ax, name, model, data)
    axes[0].legend(loc="upper left", fontsize="small")
    figure.savefig(path, dpi=150, bbox_inches="tight")


def plot_panel(ax, name, model, data):
    low, high = data.X_test.min(0) - 0.3, data.X_test.max(0) + 0.3
    xx, yy = np.meshgrid(*np.linspace(low, high, 200).T)
    regions = model.predict(np.column_stack([xx.ravel(), yy.ravel()]))
    ax.contourf(xx, yy, regions.reshape(xx.shape), alpha=0.2, cmap="coolwarm")
    styles = {0: {"c": "tab:blue", "s": 3}, 1: {"c": "tab:red", "s": 9}}
    for label, style in styles.items():
        ax.scatter(*data.X_train[data.y_train == label].T, **style)
    rows = generated(model, data)
    ax.scatter(*rows.T, c="tab:green", marker="+", s=14, lw=0.7, label="generated")
    recalls = recall_score(data.y_test, model.predict(data.X_test), average=None)
    ax.set_title("{}\nrecall {:.2f} and {:.2f}".format(PANELS[name], *recalls))
    ax.set(aspect="equal", xticks=[], yticks=[])


def generated(model, data):
    """Rows of class 1 that the model made up, none for a plain network."""
    if hasattr(model, "named_steps"):
        X, _ = model[0].fit_resample(data.X_train, data.y_train)
        return X[len(data.X_train) :][:N_SHOWN]
    if model.generator is None:
        return np.empty((0, 2))
    return model.sample({1: N_SHOWN}, random_state=0)[0]


def fit_panels(settings, data):
    """All panels' models, fitted."""
    models = {name: methods.make(name, "paper", settings) for name in PANELS}
    return {name: m.fit(data.X_train, data.y_train) for name, m in models.items()}
