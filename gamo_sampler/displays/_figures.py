"""What the displays share: figures, colours that most eyes tell apart, images."""

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from .._audit import evenly
from .._images import as_rows

# M. A. Petroff, "Accessible Color Sequences for Data Visualization", 2021.
COLORS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
DARK = "#333333"
PALE = "#b8bec6"
MOST_NAMED = 10  # classes that a legend names
MOST_LEVELS = 20  # categories that an axis names
FEW_LEVELS = 5  # that stand side by side
LONGEST_NAME = 20


def check_has(estimator, name, display):
    """Refuse an estimator without what a display shows, by the name of it."""
    if not hasattr(estimator, name):
        raise TypeError(
            f"{display.__name__} needs an estimator with `{name}`, as GAMOSampler has "
            f"it, got {type(estimator).__name__}; of a pipeline give the step."
        )


def own_axes(display, ax, figsize=None):
    """The axes to draw on, a new figure's where `ax` is None; the display has them."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def own_panels(display, ax, n, size):
    """(n,) axes side by side, each of a size in inches, as `own_axes` of one."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        figsize = (size[0] * n, size[1])
        _, ax = plt.subplots(1, n, figsize=figsize, layout="constrained")
    axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(axes) != n:
        raise ValueError(f"ax must be {n} axes, one for each panel, got {len(axes)}.")
    display.axes_, display.figure_ = axes, axes[0].figure
    return axes


def colors_of(n):
    """(n, 4) colours of classes; of more than there are names for, a gradual change."""
    import matplotlib as mpl

    if n <= len(COLORS):
        return mpl.colors.to_rgba_array(COLORS[:n])
    return mpl.colormaps["viridis"](np.linspace(0, 0.95, n))


def named(n):
    """Positions of the classes that a legend names: all, or some evenly spaced."""
    return evenly(n, MOST_NAMED)


def name_of(label):
    """A label as text, of a length that leaves room for the picture."""
    text = str(label)
    long = len(text) > LONGEST_NAME
    text = f"{text[: LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}" if long else text
    # Matplotlib leaves names that begin with _ out of legends.
    return plain(f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text)


def plain(text):
    """Text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")


def label_axes(ax, xlabel, ylabel, levels):
    """Name the axes of points that are drawn, and their categories or dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    ax.set(xlabel=plain(xlabel), ylabel=plain(ylabel))
    for axis, own in zip((ax.xaxis, ax.yaxis), levels, strict=True):
        locator = axis.get_major_locator()
        if own is not None:
            shown = evenly(len(own), MOST_LEVELS)
            axis.set_ticks(shown, labels=[name_of(own[i]) for i in shown])
        elif isinstance(locator, AutoDateLocator):
            axis.set_major_formatter(ConciseDateFormatter(locator))
    if levels[0] is not None and len(levels[0]) > FEW_LEVELS:
        ax.tick_params(axis="x", rotation=90)


def tell_hidden(ax, *kinds):
    """Say how many points, of all kinds (x, y), cannot be drawn: values miss."""
    # What misses, of numbers and of dates, is not equal to itself.
    n = sum(np.count_nonzero((x != x) | (y != y)) for x, y in kinds)
    if n:
        ax.set_title(f"{n} rows with missing values are not shown", fontsize="small")


def as_pictures(X, image_shape, limits=None):
    """Images as matplotlib shows them, from 0 to 1, and their least and greatest value.

    (n, height, width), or with 3 or 4 channels (n, height, width, channels). `limits`
    are the values that become 0 and 1; None takes those of X.
    """
    rows, shape = as_rows(X, image_shape)
    if shape is None:
        raise ValueError(
            f"X has shape {np.shape(X)}; for flat rows image_shape=(channels, height, "
            "width) says how they are images."
        )
    if shape[0] not in (1, 3, 4):
        raise ValueError(
            f"Images of {shape[0]} channels cannot be shown, only those of 1, 3 or 4."
        )
    rows = np.asarray(rows, dtype=float)
    low, high = limits or (rows.min(), rows.max())
    images = ((rows - low) / ((high - low) or 1)).clip(0, 1).reshape(-1, *shape)
    images = images[:, 0] if shape[0] == 1 else np.moveaxis(images, 1, -1)
    return images, (low, high)


def bare(ax):
    """Axes without ticks and frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
