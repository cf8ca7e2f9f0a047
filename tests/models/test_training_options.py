"""Schedules, weights, smoothing, clipping, augmentation and checkpoints of ConvNetClassifier."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models import ConvNetClassifier, augmentation
from models.initializers import orthogonal
from models.losses import SoftmaxCrossEntropy
from models.optimizers import SGD, AdamW
from models.schedules import RULES, schedule

RNG = np.random.RandomState(0)
IMAGES = RNG.rand(60, 6, 6).astype(np.float32)
Y = np.arange(60) % 3
IMAGES[Y == 1, :3] += 1.0
IMAGES[Y == 2, :, :3] += 1.0


def net(**changes):
    options = {"architecture": "c4k3p1 bn m2 drop25 8 out", "max_iter": 4, "batch_size": 16, "random_state": 0}
    return ConvNetClassifier(**{**options, **changes})


def parameters(model):
    return np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_, *model.statistics_)])


# -- schedules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_a_schedule_begins_and_ends_where_it_should(name):
    rate = schedule(name, 101)
    start, end = {"constant": (1, 1), "step": (1, 0.01), "cosine": (1, 0), "one_cycle": (0.04, 4e-6)}[name]
    assert rate(0) == pytest.approx(start) and rate(100) == pytest.approx(end, abs=1e-12)
    assert max(map(rate, range(101))) == pytest.approx(1.0)


def test_a_warm_up_is_a_straight_line():
    assert [schedule("constant", 100, 4)(i) for i in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_the_rate_follows_the_schedule(solver, monkeypatch):
    from models import optimizers

    rates = []
    update = optimizers.Optimizer.update

    def noted(self, *arguments, **options):
        rates.append(self._rate if isinstance(self, optimizers.Adam) else self.learning_rate)
        return update(self, *arguments, **options)

    monkeypatch.setattr(optimizers.Optimizer, "update", noted)
    net(solver=solver, learning_rate="cosine", learning_rate_init=0.01, warmup_epochs=1).fit(IMAGES, Y)
    expected = [0.01 * schedule("cosine", 16, 4)(i) for i in range(16)]
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


# -- optimizers, losses ---------------------------------------------------------------------------------------------------


def test_decoupled_decay_does_not_pass_through_the_gradient():
    w, bias = np.array([1.0, 5.0]), 1
    AdamW(w, bias, 0.5).update(kernels.load("reference"), w, np.zeros(2), weight_decay=0.1)
    np.testing.assert_allclose(w, [0.95, 5.0])


def test_weight_decay_does_not_depend_on_the_batch(monkeypatch):
    from models import training

    seen = []
    monkeypatch.setattr(training, "training_step", lambda *a, **o: seen.append(o) or 0.5)
    net(weight_decay=0.01, alpha=9.0).fit(IMAGES, Y)
    assert {o["weight_decay"] for o in seen} == {0.01} and not any(o.get("alpha") for o in seen)


@pytest.mark.parametrize("weighted", [False, True])
def test_label_smoothing_is_the_cross_entropy_of_smoothed_targets(weighted):
    rng = np.random.default_rng(0)
    z, labels, delta = rng.standard_normal((7, 4)), rng.integers(0, 4, 7), np.empty((7, 4))
    weight = rng.random(7) if weighted else None
    loss = SoftmaxCrossEntropy(kernels.load("reference"), np.float64, 7, 4, smoothing=0.1)
    target = np.full((7, 4), 0.1 / 4)
    target[np.arange(7), labels] += 0.9
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    share = np.full(7, 1 / 7) if weight is None else weight / weight.sum()
    assert loss(z, labels, weight, delta) == pytest.approx(-(share @ (target * log_p).sum(axis=1)))
    np.testing.assert_allclose(delta, (np.exp(log_p) - target) * share[:, None], atol=1e-15)


def test_a_long_gradient_is_cut_to_length(monkeypatch):
    norms = []
    update = SGD.update

    def noted(self, kernels, vector, gradient, **options):
        norms.append(float(np.linalg.norm(gradient)))
        update(self, kernels, vector, gradient, **options)

    monkeypatch.setattr(SGD, "update", noted)
    net(max_grad_norm=0.05).fit(IMAGES, Y)
    assert max(norms) == pytest.approx(0.05, rel=1e-5)


# -- weights of samples and classes ---------------------------------------------------------------------------------------


def test_a_weight_of_two_is_the_sample_twice():
    """In one batch without normalization: the same sums."""
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    options = {"architecture": "c4k3 m2 out", "batch_size": 200, "shuffle": False, "alpha": 0.0, "standardize": False}
    one = net(**options).fit(IMAGES, Y, sample_weight=weights)
    two = net(**options).fit(np.concatenate([IMAGES, IMAGES[:20]]), np.concatenate([Y, Y[:20]]))
    np.testing.assert_allclose(parameters(one), parameters(two), rtol=1e-4, atol=1e-6)


def test_class_weights_multiply_sample_weights():
    X, y = IMAGES[:50], Y[:50]
    balanced = net(class_weight="balanced").fit(X, y)
    counts = np.bincount(y)
    by_hand = net().fit(X, y, sample_weight=(len(y) / (3 * counts))[y])
    np.testing.assert_allclose(parameters(balanced), parameters(by_hand), rtol=1e-5, atol=1e-7)
    named = net(class_weight={0: 1.0, 1: 5.0, 2: 1.0}).fit(X, y)
    assert (named.predict(X) == 1).sum() >= (net().fit(X, y).predict(X) == 1).sum()


def test_wrong_weights_are_refused():
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        net().fit(IMAGES, Y, sample_weight=np.full(60, -1.0))
    with pytest.raises(ValueError, match="partial_fit cannot know"):
        net(class_weight="balanced").partial_fit(IMAGES, Y, classes=[0, 1, 2])


# -- augmentation -----------------------------------------------------------------------------------------------------------


def test_changes_keep_the_data_and_draw_from_the_seed():
    before = IMAGES.copy()
    one, two = (net(augmentation="shift1 flip cutout2").fit(IMAGES, Y) for _ in range(2))
    np.testing.assert_array_equal(IMAGES, before)
    np.testing.assert_array_equal(parameters(one), parameters(two))
    assert not np.array_equal(parameters(one), parameters(net().fit(IMAGES, Y)))
    assert not np.array_equal(parameters(one), parameters(net(augmentation="flip", shuffle=False).fit(IMAGES, Y)))


def test_a_shift_moves_by_at_most_so_much():
    x = np.zeros((200, 7, 7, 1))
    x[:, 3, 3] = 1.0
    augmentation.Shift(2)(x, np.random.default_rng(0), -5.0)
    _, row, column, _ = np.nonzero(x == 1.0)
    assert len(row) == 200 and {*row} == {*column} == {1, 2, 3, 4, 5}
    assert set(np.unique(x)) == {-5.0, 0.0, 1.0}


def test_a_shift_beyond_the_image_leaves_the_fill():
    x = np.ones((50, 3, 3, 1))
    augmentation.Shift(9)(x, np.random.default_rng(0), 0.0)
    assert (x.reshape(50, -1).sum(axis=1) == 0).any()


def test_a_flip_mirrors_half_of_the_images():
    x = np.zeros((1000, 2, 3, 1))
    x[:, 0, 0] = 1.0
    augmentation.Flip()(x, np.random.default_rng(0), 0.0)
    assert (x[:, 0, 0] + x[:, 0, 2] == 1).all()
    assert 430 < x[:, 0, 2].sum() < 570


def test_a_cutout_is_a_square_within_the_image():
    x = np.ones((300, 9, 9, 2))
    augmentation.Cutout(4)(x, np.random.default_rng(0), 0.0)
    areas = (x[..., 0] == 0).sum(axis=(1, 2))
    assert areas.max() == 16 and areas.min() >= 4
    np.testing.assert_array_equal(x[..., 0], x[..., 1])


@pytest.mark.parametrize("given", ["shift", "flip2", "shift0", "crop9999", "zoom", ["flip", "?"]])
def test_unknown_changes(given):
    with pytest.raises(ValueError, match=r"augmentation: unknown token .* shift<pixels>"):
        net(augmentation=given).fit(IMAGES, Y)


# -- starting weights -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scheme", "variance"), [("he", 2 / 400), ("lecun", 1 / 400), ("glorot", 2 / 700)])
def test_variance_of_starting_weights(scheme, variance):
    X = np.zeros((4, 20, 20))
    model = ConvNetClassifier("300 out", initializer=scheme, max_iter=1, learning_rate_init=1e-12, random_state=0)
    assert model.fit(X, [0, 1, 0, 1]).coefs_[0].var() == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (3, 3, 2, 7)])
def test_orthogonal_weights(shape):
    w = orthogonal(np.random.RandomState(0), shape, np.float64).reshape(-1, shape[-1])
    small = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


# -- checkpoints --------------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for what ends a process."""


@pytest.mark.parametrize(
    "options",
    [
        {}, {"solver": "adamw", "learning_rate": "one_cycle", "augmentation": "shift1"}, {"solver": "adam"},
        {"early_stopping": True, "validation_fraction": 0.2}, {"shuffle": False, "architecture": "c4k3 m2 out"},
        {"class_weight": "balanced", "label_smoothing": 0.1},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("after", [1, 3])
def test_a_training_that_was_cut_off_goes_on(options, after, tmp_path, monkeypatch):
    options = {**options, "max_iter": 5}
    whole = net(**options).fit(IMAGES, Y)
    cut = net(**options, checkpoint=tmp_path / "c.safetensors")
    done = ConvNetClassifier._epoch_done

    def killing(self, network, order):
        done(self, network, order)
        if self.n_iter_ == after:
            raise Killed

    monkeypatch.setattr(ConvNetClassifier, "_epoch_done", killing)
    with pytest.raises(Killed):
        cut.fit(IMAGES, Y)
    monkeypatch.undo()
    resumed = net(**options, checkpoint=str(tmp_path / "c.safetensors"))
    epochs = []
    one_epoch = ConvNetClassifier._one_epoch
    monkeypatch.setattr(ConvNetClassifier, "_one_epoch", lambda self, *a: epochs.append(1) or one_epoch(self, *a))
    resumed.fit(IMAGES, Y)
    assert len(epochs) == whole.n_iter_ - after
    np.testing.assert_array_equal(parameters(resumed), parameters(whole))
    assert resumed.loss_curve_ == whole.loss_curve_ and resumed.validation_scores_ == whole.validation_scores_


@pytest.mark.parametrize(
    "change", [{"random_state": 1}, {"learning_rate_init": 0.03}, {"architecture": "c4k3 m2 out"}], ids=str
)
def test_another_training_begins_anew(change, tmp_path):
    path = tmp_path / "c.safetensors"
    net(checkpoint=path).fit(IMAGES, Y)
    np.testing.assert_array_equal(
        parameters(net(checkpoint=path, **change).fit(IMAGES, Y)), parameters(net(**change).fit(IMAGES, Y))
    )


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "missing"])
def test_a_damaged_checkpoint_is_none(damage, tmp_path):
    path = tmp_path / "c.safetensors"
    whole = net(checkpoint=path).fit(IMAGES, Y)
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-50], "empty": b"", "noise": content[::-1], "missing": b""}[damage])
    if damage == "missing":
        path.unlink()
    np.testing.assert_array_equal(parameters(net(checkpoint=path).fit(IMAGES, Y)), parameters(whole))


def test_a_checkpoint_that_cannot_be_written_ends_nothing(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="checkpoint .* not written"):
        model = net(checkpoint=tmp_path / "file" / "c.safetensors").fit(IMAGES, Y)
    np.testing.assert_array_equal(parameters(model), parameters(net().fit(IMAGES, Y)))
