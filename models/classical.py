"""The classical models, as data: scikit-learn's estimators with the parameters that differ from its defaults.

Where a default does not fit small images and tables (plain QDA is singular on pixels that never change), the entry says
why.

Search spaces hold the few parameters that matter most, each with the default inside. Ranges are published ones where a
parameter means the same here: auto-sklearn's [1]_ for support vector machines, neighbours, trees, boosting and networks.
What is ours says so in its comment.

References
----------
.. [1] Feurer et al. (2015), Efficient and robust automated machine learning, NeurIPS 28; the components of version 0.15.
.. [2] Gorishniy et al. (2021), Revisiting deep learning models for tabular data, NeurIPS 34, appendix E.
"""

from __future__ import annotations

from models.entry import CLASSICAL, Choice, IntLogUniform, IntUniform, LogUniform, Model, Space, Uniform

_CRITERION = {"criterion": Choice("gini", "entropy")}
#: auto-sklearn's but for max_features, a share of the columns here; "sqrt" is the default for classes, 1.0 for numbers
_FOREST = {
    "max_features": Choice("sqrt", Uniform(0.1, 1.0)),
    "min_samples_leaf": IntUniform(1, 20),
    "min_samples_split": IntUniform(2, 20),
    "bootstrap": Choice(True, False),
}


def mlp_space(n_hidden_layers: int) -> Space:
    """Return the space of a multi-layer perceptron, scikit-learn's or ours; layers change in width, never in number.

    Widths are powers of two times 25 from 25 to 400, about auto-sklearn's 16 to 264 and within the 1 to 512 of [2]_.
    Steps of SGD may be larger than Adam's, so each solver has its own range. An epoch of a small table is a few steps, so
    their number is searched, up to scikit-learn's default of 200.

    Examples
    --------
    >>> adam, sgd = mlp_space(1)
    >>> adam["learning_rate_init"].high, sgd["learning_rate_init"].high
    (0.03, 0.5)
    """
    common = {
        "hidden_layer_sizes": Choice(*((width,) * n_hidden_layers for width in (25, 50, 100, 200, 400))),
        "alpha": LogUniform(1e-7, 1e-1),
        "batch_size": Choice("auto", 32, 64, 128, 256),
        "max_iter": Choice(50, 100, 200),
    }
    return (
        {**common, "solver": Choice("adam"), "learning_rate_init": LogUniform(1e-4, 3e-2)},
        {**common, "solver": Choice("sgd"), "learning_rate_init": LogUniform(1e-4, 0.5)},
    )


CLASSICAL_MODELS = (
    Model(
        "dummy",
        "predicts the most frequent class, or the mean: the floor",
        CLASSICAL,
        classifier="sklearn.dummy:DummyClassifier",
        regressor="sklearn.dummy:DummyRegressor",
    ),
    Model(
        "nearest_centroid",
        "the class whose mean is nearest",
        CLASSICAL,
        classifier="sklearn.neighbors:NearestCentroid",
        # ours: distances of class means in units of the deviation within classes
        space={"shrink_threshold": Choice(None, LogUniform(1e-2, 10.0)), "metric": Choice("euclidean", "manhattan")},
    ),
    Model(
        "gaussian_nb",
        "naive Bayes, one Gaussian per class and column",
        CLASSICAL,
        classifier="sklearn.naive_bayes:GaussianNB",
        # pixels that never change in a class have no variance; a thousandth of the largest keeps them from deciding all
        params={"var_smoothing": 1e-3},
        space={"var_smoothing": LogUniform(1e-10, 1.0)},  # ours: from scikit-learn's default upwards
    ),
    Model(
        "lda",
        "linear discriminant analysis",
        CLASSICAL,
        classifier="sklearn.discriminant_analysis:LinearDiscriminantAnalysis",
        space=(
            {"solver": Choice("svd"), "shrinkage": Choice(None)},
            {"solver": Choice("lsqr"), "shrinkage": Choice("auto", Uniform(0.0, 1.0))},
        ),
    ),
    Model(
        "qda",
        "quadratic discriminant analysis, covariances shrunk",
        CLASSICAL,
        classifier="sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis",
        # plain QDA is singular where a pixel never changes, or where a class has fewer samples than there are features
        params={"solver": "eigen", "shrinkage": 0.1},
        # ours: what auto-sklearn searches as reg_param, 0 to 1, by its logarithm; scikit-learn refuses reg_param itself
        # where a class has fewer samples than there are columns
        space={"shrinkage": LogUniform(1e-3, 1.0)},
    ),
    Model(
        "knn",
        "5 nearest neighbours",
        CLASSICAL,
        classifier="sklearn.neighbors:KNeighborsClassifier",
        regressor="sklearn.neighbors:KNeighborsRegressor",
        space={"n_neighbors": IntLogUniform(1, 100), "weights": Choice("uniform", "distance"), "p": Choice(1, 2)},
        takes=("n_jobs",),
    ),
    Model(
        "ridge",
        "linear regression, weights shrunk",
        CLASSICAL,
        classifier=None,
        regressor="sklearn.linear_model:Ridge",
        space={"alpha": LogUniform(1e-4, 1e4)},  # ours: as wide as that of logistic regression
        takes=("random_state",),
    ),
    Model(
        "logistic_regression",
        "multinomial logistic regression",
        CLASSICAL,
        classifier="sklearn.linear_model:LogisticRegression",
        params={"max_iter": 500},
        space={"C": LogUniform(1e-4, 1e4)},  # that of scikit-learn's LogisticRegressionCV
        takes=("random_state",),
    ),
    Model(
        "linear_svc",
        "linear support vector machine, one against the rest",
        CLASSICAL,
        classifier="sklearn.svm:LinearSVC",
        params={"C": 0.1, "dual": "auto"},
        space={"C": LogUniform(1e-4, 1e4)},
        takes=("random_state",),
    ),
    Model(
        "svc_rbf",
        "support vector machine with a Gaussian kernel",
        CLASSICAL,
        classifier="models.svm:GaussianSVC",
        regressor="models.svm:GaussianSVR",
        params={"C": 10.0, "cache_size": 500},
        # gamma of auto-sklearn, 2^-15 to 2^3 about its default of 0.1, relative to "scale" and cut where all kernels are alike
        space={"C": LogUniform(2**-5, 2**15), "gamma_factor": LogUniform(2**-10, 2**6)},
        regressor_space={"epsilon": LogUniform(1e-3, 1.0)},
    ),
    Model(
        "decision_tree",
        "one decision tree",
        CLASSICAL,
        classifier="sklearn.tree:DecisionTreeClassifier",
        regressor="sklearn.tree:DecisionTreeRegressor",
        space={
            "max_depth": Choice(None, IntLogUniform(2, 64)),
            "min_samples_leaf": IntUniform(1, 20),
            "ccp_alpha": Choice(0.0, LogUniform(1e-5, 1e-1)),  # ours; relative to the impurity of classes
        },
        classifier_space=_CRITERION,
        takes=("random_state",),
    ),
    Model(
        "random_forest",
        "100 trees on bootstrap samples",
        CLASSICAL,
        classifier="sklearn.ensemble:RandomForestClassifier",
        regressor="sklearn.ensemble:RandomForestRegressor",
        space=_FOREST,
        classifier_space=_CRITERION,
        takes=("random_state", "n_jobs"),
    ),
    Model(
        "extra_trees",
        "100 trees with random thresholds",
        CLASSICAL,
        classifier="sklearn.ensemble:ExtraTreesClassifier",
        regressor="sklearn.ensemble:ExtraTreesRegressor",
        space=_FOREST,
        classifier_space=_CRITERION,
        takes=("random_state", "n_jobs"),
    ),
    Model(
        "hist_gradient_boosting",
        "gradient boosting on binned columns, 30 rounds",
        CLASSICAL,
        classifier="sklearn.ensemble:HistGradientBoostingClassifier",
        regressor="sklearn.ensemble:HistGradientBoostingRegressor",
        # a round fits one tree per class; 30 wider steps come close to scikit-learn's 100 at a third of the time. Without
        # any penalty such steps run away where there are many classes: leaves whose hessian is next to nothing
        params={
            "max_iter": 30, "learning_rate": 0.2, "max_leaf_nodes": 15, "l2_regularization": 0.1, "early_stopping": False,
        },
        # auto-sklearn's, which boosts 512 rounds; here their number is searched, as 30 are too few for the smallest steps
        space={
            "learning_rate": LogUniform(0.01, 1.0),
            "min_samples_leaf": IntLogUniform(1, 200),
            "max_leaf_nodes": IntLogUniform(3, 2047),
            "l2_regularization": Choice(0.0, LogUniform(1e-10, 1.0)),
            "max_iter": IntLogUniform(30, 300),
        },
        takes=("random_state",),
    ),
    Model(
        "sklearn_mlp_100",
        "scikit-learn's own MLP, 100 hidden units",
        CLASSICAL,
        classifier="sklearn.neural_network:MLPClassifier",
        regressor="sklearn.neural_network:MLPRegressor",
        params={"hidden_layer_sizes": (100,), "max_iter": 50},
        space=mlp_space(1),
        takes=("random_state",),
    ),
)

_XIAO = "as in table 3 of the Fashion-MNIST paper (Xiao et al. 2017)"

#: Their parameters are the point of them, so they have no search space (``models/published.py``).
PUBLISHED_MODELS = (
    Model(
        "xiao2017_gaussian_nb",
        f"naive Bayes {_XIAO}",
        CLASSICAL,
        classifier="sklearn.naive_bayes:GaussianNB",  # theirs had equal priors, which those of balanced classes are
    ),
    Model(
        "xiao2017_decision_tree",
        f"decision tree, entropy, depth 10, {_XIAO}",
        CLASSICAL,
        classifier="sklearn.tree:DecisionTreeClassifier",
        params={"criterion": "entropy", "max_depth": 10},
        takes=("random_state",),
    ),
    Model(
        "xiao2017_logistic_regression",
        f"one logistic regression per class, C = 1, {_XIAO}",
        CLASSICAL,
        classifier="models.published:one_vs_rest_logistic_regression",
        params={"C": 1.0, "max_iter": 300},
        takes=("random_state",),
    ),
    Model(
        "xiao2017_knn",
        f"5 nearest neighbours by L1, weighted by distance, {_XIAO}",
        CLASSICAL,
        classifier="sklearn.neighbors:KNeighborsClassifier",
        params={"n_neighbors": 5, "p": 1, "weights": "distance"},
        takes=("n_jobs",),
    ),
    Model(
        "xiao2017_random_forest",
        f"100 trees, entropy, depth 100, {_XIAO}",
        CLASSICAL,
        classifier="sklearn.ensemble:RandomForestClassifier",
        params={"criterion": "entropy", "max_depth": 100, "n_estimators": 100},
        takes=("random_state", "n_jobs"),
    ),
    Model(
        "xiao2017_sklearn_mlp_100",
        f"scikit-learn's MLP with one hidden layer of 100, {_XIAO}",
        CLASSICAL,
        classifier="sklearn.neural_network:MLPClassifier",
        params={"hidden_layer_sizes": (100,)},
        takes=("random_state",),
    ),
    Model(
        "xiao2017_svc_rbf",
        f"support vector machine, Gaussian kernel, C = 10, {_XIAO}",
        CLASSICAL,
        classifier="sklearn.svm:SVC",
        params={"C": 10.0, "gamma": "auto", "cache_size": 1000},  # the default of gamma was one over the columns
        takes=("random_state",),
    ),
)  # fmt: skip
