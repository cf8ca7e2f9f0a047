"""What closes a training step: the loss with its gradient, and the updates of the weights."""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base
from kernels.shapes import integer


class Training(Base):
    """What closes a training step: the loss with its gradient, and the updates of the weights."""

    def softmax_cross_entropy(self, logits, labels, *, out=None, n_threads=1):
        """Mean cross-entropy of softmax(logits) against class labels, and its gradient.

        Parameters
        ----------
        logits : ndarray (N, C)
        labels : integer ndarray (N,), each in 0..C-1
        out : ndarray (N, C), optional
            Receives the gradient.

        Returns
        -------
        loss : float
            Mean over the batch, summed in double precision; NaN for an empty batch (as in PyTorch).
        dlogits : ndarray (N, C)
            (softmax(logits) - one_hot(labels)) / N.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> loss, dlogits = kernels.load("reference").softmax_cross_entropy(np.zeros((1, 2)), np.array([1]))
        >>> round(loss, 6), dlogits
        (0.693147, array([[ 0.5, -0.5]]))
        """
        logits = check.array("logits", logits, ndim=2)
        n, n_classes = logits.shape
        if n_classes < 1:
            raise ValueError(f"logits must have at least one column, got shape {logits.shape}")
        labels = check.labels("labels", labels, n, n_classes)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, logits.shape, logits.dtype, logits, labels)
        if n == 0:
            return float("nan"), check.deliver(result, out)
        loss = self._impl.softmax_cross_entropy(check.contiguous(logits), labels, result, n_threads)
        return float(loss), check.deliver(result, out)

    def sgd_update(
        self, w, dw, velocity, *, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0, n_threads=1
    ):
        """One step of stochastic gradient descent with momentum, in place (PyTorch's form).

        g = dw + weight_decay * w; velocity = momentum * velocity + g;
        w -= learning_rate * (g + momentum * velocity if nesterov else velocity)

        Parameters
        ----------
        w, velocity : ndarray, any shape
            Overwritten.
        dw : ndarray of the same shape
        learning_rate, momentum, weight_decay : float

        Notes
        -----
        Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> w, velocity = np.array([1.0]), np.zeros(1)
        >>> kernels.load("reference").sgd_update(w, np.array([2.0]), velocity, learning_rate=0.25)
        >>> w, velocity
        (array([0.5]), array([2.]))
        """
        w = check.array("w", w)
        dw = check.array("dw", dw, dtype=w.dtype, shape=w.shape)
        w_new = check.in_place("w", w, w.dtype, w.shape, dw)
        v_new = check.in_place("velocity", velocity, w.dtype, w.shape, dw, w)
        options = (
            check.number("learning_rate", learning_rate, w.dtype, minimum=0.0),
            check.number("momentum", momentum, w.dtype, minimum=0.0),
            check.flag("nesterov", nesterov),
            check.number("weight_decay", weight_decay, w.dtype, minimum=0.0),
        )
        n_threads = check.threads("n_threads", n_threads)
        dw = check.contiguous(dw).reshape(-1)
        self._impl.sgd_update(w_new.reshape(-1), dw, v_new.reshape(-1), *options, n_threads)
        check.deliver(w_new, w)
        check.deliver(v_new, velocity)

    def adam_update(
        self, w, dw, m, v, *, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0, n_threads=1
    ):
        """One step of Adam, in place.

        g = dw + weight_decay * w; m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;
        w -= learning_rate * (m / (1 - beta_1**step)) / (sqrt(v / (1 - beta_2**step)) + epsilon)

        Parameters
        ----------
        w, m, v : ndarray, any shape
            Overwritten; m and v start as zeros.
        dw : ndarray of the same shape
        step : int
            1 at the first call.
        learning_rate, beta_1, beta_2, epsilon, weight_decay : float

        Notes
        -----
        Algorithm 1 of Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
        >>> kernels.load("reference").adam_update(w, np.array([2.0]), m, v, step=1, learning_rate=0.5)
        >>> w.round(6)
        array([0.5])
        """
        w = check.array("w", w)
        dw = check.array("dw", dw, dtype=w.dtype, shape=w.shape)
        w_new = check.in_place("w", w, w.dtype, w.shape, dw)
        m_new = check.in_place("m", m, w.dtype, w.shape, dw, w)
        v_new = check.in_place("v", v, w.dtype, w.shape, dw, w, m)
        options = (
            integer("step", step, minimum=1),
            check.number("learning_rate", learning_rate, w.dtype, minimum=0.0),
            check.number("beta_1", beta_1, w.dtype, minimum=0.0, below=1.0),
            check.number("beta_2", beta_2, w.dtype, minimum=0.0, below=1.0),
            check.number("epsilon", epsilon, w.dtype, minimum=0.0),
            check.number("weight_decay", weight_decay, w.dtype, minimum=0.0),
        )
        n_threads = check.threads("n_threads", n_threads)
        dw = check.contiguous(dw).reshape(-1)
        self._impl.adam_update(w_new.reshape(-1), dw, m_new.reshape(-1), v_new.reshape(-1), *options, n_threads)
        for new, old in ((w_new, w), (m_new, m), (v_new, v)):
            check.deliver(new, old)
