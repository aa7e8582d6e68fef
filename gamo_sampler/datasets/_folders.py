"""CelebA, LSUN and SUN397 from folders of images on the user's disk."""

from collections import defaultdict
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.utils import Bunch, check_random_state

from .._typing import Counts, Seed, StrPath
from ._draw import draw

SIDE = 64  # height and width of the images, in pixels
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
HAIR = {
    "blonde": "Blond_Hair",
    "black": "Black_Hair",
    "bald": "Bald",
    "brown": "Brown_Hair",
    "gray": "Gray_Hair",
}
SCENES = ["classroom", "church_outdoor", "conference_room", "dining_room", "tower"]
SMALL = (15000, 1500, 750, 300, 150)
CELEBA = {"small": SMALL, "large": (28000, 4000, 3000, 1500, 750)}
LSUN = {"small": SMALL, "large": (50000, 5000, 3000, 1500, 750)}
N_TEST = 100
SUN397_CLASSES = 50
SUN397_N_TEST = 20


def load_celeba(
    root: StrPath,
    *,
    size: Literal["small", "large"] = "small",
    counts: Counts = None,
    n_test: int | None = None,
    random_state: Seed = None,
) -> Bunch:
    """CelebA's faces in five classes of hair colour.

    The classes are blonde, black, bald, brown and gray. An image belongs to one of
    them only where exactly one of the five attributes is set. Only images that are
    drawn are read, and scaled to 64 x 64 pixels.

    Parameters
    ----------
    root : str or path-like
        Folder with ``list_attr_celeba.txt`` and the folder ``img_align_celeba``.

    size : {"small", "large"}, default="small"
        Which of the published sizes: 15000, 1500, 750, 300 and 150 training rows,
        or 28000, 4000, 3000, 1500 and 750.

    counts : array-like of shape (5,), default=None
        Training rows of each class. None: those of `size`.

    n_test : int, default=None
        Test rows of each class, apart from the training rows. None: 100, as
        published.

    random_state : int, RandomState instance or None, default=None
        Determines which rows are drawn. The test rows do not depend on `counts`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X_train : ndarray of shape (n, 64, 64, 3), dtype uint8
            Training images, RGB from 0 to 255, grouped by class.
        y_train : ndarray of shape (n,), dtype int
            Their labels, 0 to 4.
        X_test, y_test : ndarray
            The same for the test rows.
        target_names : list of str
            Names of the classes.

    Raises
    ------
    ImportError
        If Pillow is missing.
    ValueError
        If `size` is unknown, `counts` or `n_test` are no positive integers, an
        attribute is missing from the list, or a class has fewer rows than are asked
        for.

    Examples
    --------
    >>> from gamo_sampler.datasets import load_celeba
    >>> data = load_celeba("celeba", random_state=0)  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (17700, 64, 64, 3)
    """
    root = Path(root)
    published = _published(CELEBA, size)
    files, y = _hair_colours(root / "list_attr_celeba.txt")
    return _load(
        [root / "img_align_celeba" / file for file in files],
        y,
        HAIR,
        counts=published if counts is None else counts,
        n_test=N_TEST if n_test is None else n_test,
        random_state=random_state,
    )


def load_lsun(
    root: StrPath,
    *,
    size: Literal["small", "large"] = "small",
    counts: Counts = None,
    n_test: int | None = None,
    random_state: Seed = None,
) -> Bunch:
    """Five of LSUN's scenes.

    The classes are classroom, church_outdoor, conference_room, dining_room and
    tower. Only images that are drawn are read. Their centre of 224 x 224 pixels, or
    the largest centred square of a smaller image, is scaled to 64 x 64.

    Parameters
    ----------
    root : str or path-like
        Folder with one folder of images (jpg, png or webp, nested or not) for each
        class.

    size : {"small", "large"}, default="small"
        Which of the published sizes: 15000, 1500, 750, 300 and 150 training rows,
        or 50000, 5000, 3000, 1500 and 750.

    counts : array-like of shape (5,), default=None
        Training rows of each class. None: those of `size`.

    n_test : int, default=None
        Test rows of each class, apart from the training rows. None: 100, as
        published.

    random_state : int, RandomState instance or None, default=None
        Determines which rows are drawn. The test rows do not depend on `counts`.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X_train : ndarray of shape (n, 64, 64, 3), dtype uint8
            Training images, RGB from 0 to 255, grouped by class.
        y_train : ndarray of shape (n,), dtype int
            Their labels, 0 to 4.
        X_test, y_test : ndarray
            The same for the test rows.
        target_names : list of str
            Names of the classes.

    Raises
    ------
    ImportError
        If Pillow is missing.
    ValueError
        If `size` is unknown, `counts` or `n_test` are no positive integers, or a
        class has fewer rows than are asked for.

    Examples
    --------
    >>> from gamo_sampler.datasets import load_lsun
    >>> data = load_lsun("lsun", size="large", random_state=0)  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (60250, 64, 64, 3)
    """
    published = _published(LSUN, size)
    paths, y = _labelled([_images_in(Path(root) / scene) for scene in SCENES])
    return _load(
        paths,
        y,
        SCENES,
        counts=published if counts is None else counts,
        n_test=N_TEST if n_test is None else n_test,
        random_state=random_state,
        patches=(224,),
    )


def load_sun397(
    root: StrPath,
    *,
    counts: Counts = None,
    n_test: int | None = None,
    random_state: Seed = None,
) -> Bunch:
    """Fifty of SUN397's scenes, drawn at random, with the sizes they have.

    Only images that are drawn are read. The centre of 512 x 512 pixels, of a smaller
    image that of 224 x 224, of a still smaller one the largest centred square, is
    scaled to 64 x 64.

    Parameters
    ----------
    root : str or path-like
        Folder of the unpacked archive. Every folder below it that holds images is a
        class, such as ``a/abbey`` and ``a/apartment_building/outdoor``.

    counts : array-like of shape (c,), default=None
        Training rows of each class; c classes are drawn. None: 50 classes, with all
        images but the test rows.

    n_test : int, default=None
        Test rows of each class, apart from the training rows. None: 20, as
        published.

    random_state : int, RandomState instance or None, default=None
        Determines which classes and rows are drawn.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X_train : ndarray of shape (n, 64, 64, 3), dtype uint8
            Training images, RGB from 0 to 255, grouped by class.
        y_train : ndarray of shape (n,), dtype int
            Their labels, 0 to c - 1.
        X_test, y_test : ndarray
            The same for the test rows.
        target_names : list of str
            Names of the classes: their folders below `root`, in alphabetical order.

    Raises
    ------
    ImportError
        If Pillow is missing.
    ValueError
        If `root` has too few classes, `counts` or `n_test` are no positive integers,
        or a class has fewer rows than are asked for.

    Notes
    -----
    Which 50 classes the published experiments drew is not known; the largest of
    them had 14.21 times as many images as the smallest.

    Examples
    --------
    >>> from gamo_sampler.datasets import load_sun397
    >>> data = load_sun397("SUN397", random_state=0)  # doctest: +SKIP
    >>> data.X_test.shape  # doctest: +SKIP
    (1000, 64, 64, 3)
    """
    rng = check_random_state(random_state)
    classes = _by_folder(Path(root))
    n_classes = SUN397_CLASSES
    if counts is not None and np.ndim(counts):
        n_classes = len(counts)
    if len(classes) < n_classes:
        raise ValueError(
            f"{n_classes} classes are to be drawn, but root={str(root)!r} has "
            f"{len(classes)} folders with images."
        )
    names = sorted(rng.choice(list(classes), n_classes, replace=False).tolist())
    paths, y = _labelled([classes[name] for name in names])
    n_test = SUN397_N_TEST if n_test is None else n_test
    if counts is None:
        # At least one, so that the draw reports a class with nothing left.
        counts = np.maximum(np.bincount(y) - n_test, 1)
    return _load(
        paths,
        y,
        names,
        counts=counts,
        n_test=n_test,
        random_state=rng,
        patches=(512, 224),
    )


def _published(sizes, size):
    names = sorted(sizes)
    if size not in names:
        raise ValueError(f"size must be one of {names}, got {size!r}.")
    return sizes[size]


def _load(paths, y, names, *, counts, n_test, random_state, patches=()):
    """Draw rows, test rows first so that they do not depend on `counts`; read them."""
    test, train = draw(y, names, random_state, n_test=n_test, counts=counts)
    return Bunch(
        X_train=_read([paths[row] for row in train], patches),
        y_train=y[train],
        X_test=_read([paths[row] for row in test], patches),
        y_test=y[test],
        target_names=list(names),
    )


def _hair_colours(path):
    """Files with exactly one of the hair colours, and their labels."""
    with open(path) as lines:
        lines.readline()  # the number of images
        attributes = lines.readline().split()
    missing = sorted(set(HAIR.values()) - set(attributes))
    if missing:
        raise ValueError(f"{path} has no attributes {missing} in its second line.")
    columns = [1 + attributes.index(attribute) for attribute in HAIR.values()]
    files = np.loadtxt(path, skiprows=2, usecols=0, dtype=str, ndmin=1)
    is_set = np.loadtxt(path, skiprows=2, usecols=columns, dtype=int, ndmin=2) == 1
    single = is_set.sum(axis=1) == 1
    return files[single], is_set[single].argmax(axis=1)


def _images_in(folder):
    """Images below `folder`, in an order that does not depend on the disk."""
    return sorted(
        path
        for path in folder.rglob("*")
        # macOS leaves a file "._NAME" of its own beside each on other disks.
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
    )


def _by_folder(root):
    """Images of each folder below `root` that holds some."""
    folders = defaultdict(list)
    for path in _images_in(root):
        folders[path.parent.relative_to(root).as_posix()].append(path)
    return folders


def _labelled(classes):
    """Paths of all classes, one after the other, and their labels."""
    paths = [path for images in classes for path in images]
    return paths, np.repeat(np.arange(len(classes)), [len(c) for c in classes])


def _read(paths, patches):
    """Images, (n, 64, 64, 3): what `_box` cuts from each, scaled."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'Images are read by Pillow: pip install "gamo_sampler[images]".'
        ) from error

    def pixels(path):
        try:
            with Image.open(path) as image:
                # Not resize's own box: its filter looks at pixels outside the box.
                patch = image.crop(_box(*image.size, patches))
        except OSError as error:
            raise OSError(f"{path} is no image that can be read: {error}") from error
        if patch.mode.startswith("I"):  # 16 bits, which `convert` would cut off at 255
            patch = Image.fromarray((np.asarray(patch) // 257).astype(np.uint8))
        return np.asarray(patch.convert("RGB").resize((SIDE, SIDE)))

    dtype = np.dtype((np.uint8, (SIDE, SIDE, 3)))
    return np.fromiter(map(pixels, paths), dtype, len(paths))


def _box(width, height, patches):
    """The largest centred patch that fits, else square; no patches: the whole."""
    if not patches:
        return 0, 0, width, height
    shorter = min(width, height)
    side = next((patch for patch in patches if patch <= shorter), shorter)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
