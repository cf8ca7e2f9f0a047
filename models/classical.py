"""The classical models, as data: scikit-learn's estimators with the parameters that differ from its defaults.

Where a default does not fit small images and tables (plain QDA is singular on pixels that never change), the entry says
why. Search spaces hold the few parameters that matter most, each with the default inside.
"""

from __future__ import annotations

from models.entry import CLASSICAL, Model

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
        space={"shrink_threshold": (None, 0.1, 0.5, 1.0, 2.0)},
    ),
    Model(
        "gaussian_nb",
        "naive Bayes, one Gaussian per class and column",
        CLASSICAL,
        classifier="sklearn.naive_bayes:GaussianNB",
        # pixels that never change in a class have no variance; a thousandth of the largest keeps them from deciding all
        params={"var_smoothing": 1e-3},
        space={"var_smoothing": (1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)},
    ),
    Model(
        "lda",
        "linear discriminant analysis",
        CLASSICAL,
        classifier="sklearn.discriminant_analysis:LinearDiscriminantAnalysis",
        space={"solver": ("svd", "lsqr")},
    ),
    Model(
        "qda",
        "quadratic discriminant analysis, covariances shrunk",
        CLASSICAL,
        classifier="sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis",
        # plain QDA is singular where a pixel never changes, or where a class has fewer samples than there are features
        params={"solver": "eigen", "shrinkage": 0.1},
        space={"shrinkage": (0.01, 0.03, 0.1, 0.2, 0.4)},
    ),
    Model(
        "knn",
        "5 nearest neighbours",
        CLASSICAL,
        classifier="sklearn.neighbors:KNeighborsClassifier",
        regressor="sklearn.neighbors:KNeighborsRegressor",
        space={"n_neighbors": (1, 3, 5, 9, 15), "weights": ("uniform", "distance"), "p": (1, 2)},
        takes=("n_jobs",),
    ),
    Model(
        "ridge",
        "linear regression, weights shrunk",
        CLASSICAL,
        classifier=None,
        regressor="sklearn.linear_model:Ridge",
        space={"alpha": (0.01, 0.1, 1.0, 10.0, 100.0)},
        takes=("random_state",),
    ),
    Model(
        "logistic_regression",
        "multinomial logistic regression",
        CLASSICAL,
        classifier="sklearn.linear_model:LogisticRegression",
        params={"max_iter": 500},
        space={"C": (0.001, 0.01, 0.1, 1.0, 10.0)},
        takes=("random_state",),
    ),
    Model(
        "linear_svc",
        "linear support vector machine, one against the rest",
        CLASSICAL,
        classifier="sklearn.svm:LinearSVC",
        params={"C": 0.1, "dual": "auto"},
        space={"C": (0.001, 0.01, 0.1, 1.0, 10.0)},
        takes=("random_state",),
    ),
    Model(
        "svc_rbf",
        "support vector machine with a Gaussian kernel",
        CLASSICAL,
        classifier="sklearn.svm:SVC",
        regressor="sklearn.svm:SVR",
        params={"C": 10.0, "cache_size": 500},
        space={"C": (0.1, 1.0, 10.0, 100.0), "gamma": ("scale", "auto")},
    ),
    Model(
        "decision_tree",
        "one decision tree",
        CLASSICAL,
        classifier="sklearn.tree:DecisionTreeClassifier",
        regressor="sklearn.tree:DecisionTreeRegressor",
        space={"max_depth": (None, 5, 10, 20), "min_samples_leaf": (1, 2, 5, 10)},
        takes=("random_state",),
    ),
    Model(
        "random_forest",
        "100 trees on bootstrap samples",
        CLASSICAL,
        classifier="sklearn.ensemble:RandomForestClassifier",
        regressor="sklearn.ensemble:RandomForestRegressor",
        space={"n_estimators": (100, 200, 400), "max_features": ("sqrt", "log2", 0.3), "min_samples_leaf": (1, 2, 5)},
        takes=("random_state", "n_jobs"),
    ),
    Model(
        "extra_trees",
        "100 trees with random thresholds",
        CLASSICAL,
        classifier="sklearn.ensemble:ExtraTreesClassifier",
        regressor="sklearn.ensemble:ExtraTreesRegressor",
        space={"n_estimators": (100, 200, 400), "max_features": ("sqrt", "log2", 0.3), "min_samples_leaf": (1, 2, 5)},
        takes=("random_state", "n_jobs"),
    ),
    Model(
        "hist_gradient_boosting",
        "gradient boosting on binned columns, 30 rounds",
        CLASSICAL,
        classifier="sklearn.ensemble:HistGradientBoostingClassifier",
        regressor="sklearn.ensemble:HistGradientBoostingRegressor",
        # a round fits one tree per class; 30 wider steps come close to scikit-learn's 100 at a third of the time
        params={"max_iter": 30, "learning_rate": 0.2, "max_leaf_nodes": 15, "early_stopping": False},
        space={"max_iter": (30, 100, 300), "learning_rate": (0.05, 0.1, 0.2), "max_leaf_nodes": (7, 15, 31, 63)},
        takes=("random_state",),
    ),
    Model(
        "sklearn_mlp_100",
        "scikit-learn's own MLP, 100 hidden units",
        CLASSICAL,
        classifier="sklearn.neural_network:MLPClassifier",
        regressor="sklearn.neural_network:MLPRegressor",
        params={"hidden_layer_sizes": (100,), "max_iter": 50},
        space={"alpha": (1e-5, 1e-4, 1e-3, 1e-2), "learning_rate_init": (3e-4, 1e-3, 3e-3, 1e-2)},
        takes=("random_state",),
    ),
)
