"""The parameters that both estimators document alike."""

from inspect import cleandoc

PARAMETERS = """loss : {"least_squares", "cross_entropy", "log_loss"}, \
            default="least_squares"
        The game of equations 4 to 6, or that of equations 2 and 3, in which M's
        outputs are c binary answers. "log_loss" is the usual cross-entropy, one
        answer among c.
    generator : {"convex", "unconstrained"} or callable, default="convex"
        G. "convex" is the paper's: a shared trunk on noise and label, and convex
        weights over real rows of the class (equation 1). "unconstrained" maps
        noise and label to a row directly. A callable builds such a network, see
        Notes.%(none)s
    discriminator : "auto", callable or None, default="auto"
        D. None plays without it (the paper's GAMO without D).
    classifier : "auto" or callable, default="auto"
        M.
    feature_extractor : {"conv"}, callable or None, default=None
        F, which maps rows to the space in which the game is played. None plays
        on the rows themselves. "conv" is two convolutions and a dense layer for
        images, three from 33 pixels on and one more for each doubling of the size, and
        the dense layer alone for rows without `image_shape`. An epoch
        with F trains F through a fixed M first, then plays on F(X).%(f)s
    image_shape : tuple of 3 int, default=None
        (channels, height, width), for rows that are images. Images share one
        scale for all pixels, [-1, 1]; other rows are standardised per column.
    neighborhood : "class", int or None, default="class"
        Which rows a generated row is made of. "class": it lies between a random row
        of the class and another one of the class, which the generator chooses of
        eight, none of them with more than exp(1/2) times the probability of another;
        more often near one of the two than in the middle. An int k of 2 or more:
        another one of the k - 1 nearest to it in the class. Finding those takes time
        that grows with the square of a class's size. None is the paper's full hull,
        a mixture of all rows of the class.
    max_sources : int or None, default=None
        Greatest number of real rows that a row given out by `sample` or `fit_resample`
        is made of: the heaviest. None is any number, which with ``neighborhood=None``
        is that of the class; two otherwise.
    max_weight : float, default=1.0
        Greatest weight of a real row in such a row, so that none is nearly a copy.
        Where one is greater, the weights of the row's sources are made more equal, no
        more than needed. In the game itself the weights are free.
    min_sources : float, default=1.0
        Least effective number of sources of such a row, 1 / sum(w^2), met alike. It
        can be met by up to two with a `neighborhood`, where a row lies between two.
    generator_target : {"complement", "squared", "log"}, default="squared"
        G's loss at M for a row of class i with probabilities p: the loss against
        the ones' complement of the label (as published), p_i^2, or
        -log(1 - p_i), in ascending order of strength where M is sure.
    discriminator_weight : float, default=1.0
        Weight of G's loss at D (L_9) against its loss at M (L_7 + L_8).
    generated_weight : {"objective", "algorithm"} or float, default="objective"
        Weight of the generated batch against the real one in M's loss.
        "objective" is equation 3: generated rows over real rows. "algorithm" is
        1, the equal batches of Algorithm 1.
    class_weight : "balanced", dict or None, default=None
        Weight of a row in M's loss by its label, real or generated, as in
        scikit-learn. "balanced" is n_samples / (n_classes n_i).
    logit_adjustment : float, default=0.0
        Strength tau: M learns with tau log(P_i) added to its scores, so that it has
        to score rare classes higher (Menon et al., ICLR 2021). Predictions are made
        without it. 1 with ``generator=None`` and ``loss="log_loss"`` is the balanced
        softmax. It adds to what generated rows and `class_weight` do: where these
        make the classes equal, M comes to prefer the rare ones.
    mixup : float, default=0.0
        Strength alpha: M learns on rows (of F(x) where there is an F), and F on rows
        of X, mixed with other rows of their batch, and their labels mixed alike, by
        shares from Beta(alpha, alpha) (Zhang et al., ICLR 2018). 0 mixes nothing.
    weight_averaging : float, default=0.0
        Decay of the exponential average of M's weights, and of F's where there is an
        F, over their steps, with which predictions are made and features extracted;
        (1 + n) / (10 + n) at step n where that is less. 0 takes the last weights. The
        game is played with the last weights in any case.
    sampling_strategy : float, str, dict or callable, default="auto"
        Which classes are generated, and how much they weigh, as in
        imbalanced-learn. A float f raises every class below round(f x largest
        class) to that size, for any number of classes.
    schedule : {"joint", "algorithm", "per_class"}, default="joint"
        The steps of a round. "joint": one per player on real and generated rows
        together, with as many real as generated rows of a class for D.
        "algorithm": M and D on real rows, M and D on generated rows, G against M,
        G against D, as in Algorithm 1. "per_class": the same with G's two steps
        for one class after the other, as in the published experiments.
    latent_dim : int, default=100
        Length of the noise vector z.
    hidden_layer_sizes : "auto" or tuple of int, default="auto"
        Widths of the hidden layers of M and D. G's trunk has two layers: the first
        width, and half the last one. "auto" takes the power of two at or above
        twice the number of features, between 32 and 256, and half of it.
    max_iter : int, default=100
        Number of epochs, of `rounds_per_epoch` rounds each.
    max_rounds : int, "auto" or None, default="auto"
        Greatest number of rounds in the whole fit, which ends it before `max_iter`
        on more than a few hundred rows. None is no limit. "auto" is 1000, but 50 in
        :class:`GAMOSampler` on rows themselves and with a `neighborhood`: there the
        generator starts from rows as good as SMOTE's, and a longer game gained
        nothing on tables.
    max_time : float or None, default=None
        Seconds after which training ends, counted from its first round and asked after
        each one, of which there is one at least; of processes that share the fit,
        after each epoch. None is no limit.
    rounds_per_epoch : int or None, default=None
        Rounds of an epoch, u and v of Algorithm 1: F where there is one learns on so
        many minibatches, then the game on F(X) has so many rounds. None is
        ceil(n_samples / batch_size), a pass over the rows.
    batch_size : int, default=32
        Real rows, and generated rows, per round; of all processes together where
        several share the fit.
    learning_rate : float, default=1e-3
        Adam's step size, for all players.
    beta_1 : float, default=0.5
        Adam's decay of the gradient's mean.
    beta_2 : float, default=0.999
        Adam's decay of the squared gradient's mean.
    epsilon : float, default=1e-7
        Adam's constant for numerical stability.
    label_smoothing : float, default=0.1
        D's targets are drawn from [1 - label_smoothing, 1] for real rows and
        [0, label_smoothing] for generated ones. G's own target is 1.
    early_stopping : bool, default=False
        Whether to hold rows out, score M on them after every epoch, stop when the
        score no longer rises, and go back to the best weights. Rows held out are
        not learned from, nor mixed into generated ones.
    validation_fraction : float, default=0.1
        Share of each class that is held out, at least one row of a class of two
        or more. Only used with `early_stopping`.
    n_iter_no_change : int, default=10
        Epochs without a better score before stopping. Only used with
        `early_stopping`.
    scoring : str, callable or None, default=None
        A scikit-learn scorer. None is minus the log-loss with all classes weighing
        the same. Only used with `early_stopping`.
    callbacks : list of callable, default=None
        Called after every epoch with a read-only view: `epoch`, its `record` of
        `history_`, the `history` so far, `classes`, and ``predict_proba(X)`` of the
        classifier as it stands. One that returns True ends training. What one raises
        ends it too, and leaves the estimator unfitted.
    checkpoint : str, path-like or None, default=None
        A file to which the training is written, so that another `fit` can go on from
        it: every `checkpoint_interval` epochs and at the end, whole or not at all. It
        takes the place of what is there. X is read once more for it.
    checkpoint_interval : int, default=10
        Epochs from one writing of `checkpoint` to the next.
    resume : bool, default=False
        Whether to go on from `checkpoint`. On a CPU that gives the bits of a fit that
        was not broken off. Where there is no such file, training starts from the
        beginning; where it is damaged, or of other data or parameters, too, with a
        warning that says which. `max_iter`, `max_rounds`, `max_time`, `callbacks`,
        `verbose`, `device` and `checkpoint_interval` may be others.
    verbose : int, default=0
        0 is silent. 1 shows a progress bar: the mean loss of each player and, with
        `early_stopping`, GM, the geometric mean of the recalls. 2 prints the memory
        that a minibatch takes, then a line per epoch.
    random_state : int, RandomState instance or None, default=None
        Seeds all draws. The same seed gives the same bits on a CPU with the same
        number of torch threads. None takes a fresh seed each time, and leaves
        numpy's global random state alone.
    device : str or torch.device, default="auto"
        Where to train. "auto" is a GPU where there is one, each process's own under
        torchrun, else the CPU."""

NOTES = """A network given as a parameter is a builder, a class or function called as
    ``builder(n_in, n_out)`` that returns a `torch.nn.Module`. It maps (m, n_in) to
    (m, n_out) scores; softmax and sigmoid are applied for it. With d the number of
    features (of F where there is one) and c the number of classes:

    =================  ======================================  =================
    parameter          n_in                                    n_out
    =================  ======================================  =================
    classifier         d                                       c
    discriminator      d + c, a row and its one-hot label      1
    generator          latent_dim + c, noise and one-hot       d
                       label
    feature_extractor  n_features, or `image_shape`            a suggestion; d is
                                                               what it returns
    =================  ======================================  ================="""


def documented(none="", f=""):
    """Class decorator: the shared parameters and notes into the docstring.

    `none` and `f` are what the class has to add on `generator` and
    `feature_extractor`.
    """

    def fill(cls):
        if cls.__doc__:  # python -OO has none
            own = PARAMETERS.replace("%(none)s", none).replace("%(f)s", f)
            # Python 3.13 takes the indentation of docstrings away, others do not.
            text = cleandoc(cls.__doc__).replace("%(parameters)s", cleandoc(own))
            cls.__doc__ = text.replace("%(notes)s", cleandoc(NOTES)) + "\n"
        return cls

    return fill
