"""Embeddings: words are numbers of rows of a table, and a text is the mean of its words' rows.

Taking the rows and taking their mean is one kernel: the rows themselves, (N, T, D), are never written. That mean under a
linear machine is fastText's classifier (Joulin, Grave, Bojanowski & Mikolov, "Bag of tricks for efficient text
classification", EACL 2017), under hidden layers a deep averaging network (Iyyer, Manjunatha, Boyd-Graber & Daumé, "Deep
unordered composition rivals syntactic methods for text classification", ACL 2015).

Legend: N texts; T words of the longest; V words there are, rows of the table; D length of a word's vector.
"""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base
from kernels.shapes import check_elements


class Embedding(Base):
    """The mean of rows of a table that indices point to, and its gradient for the table."""

    @staticmethod
    def _texts(indices, lengths, n_texts, n_rows):
        """Return indices (N, T) and lengths (N,), checked, as C-contiguous int64."""
        indices = check.integers("indices", indices, (n_texts, None), n_rows)
        return indices, check.integers("lengths", lengths, (indices.shape[0],), indices.shape[1] + 1)

    def embedding_mean(self, weight, indices, lengths, *, out=None, n_threads=1):
        """Mean of the rows of a table that the first words of each text point to: y[n] = mean(weight[indices[n, :lengths[n]]]).

        Parameters
        ----------
        weight : ndarray (V, D)
        indices : integer ndarray (N, T), each in 0..V-1
            What stands behind a text's length is padding: any index of the table, 0 say.
        lengths : integer ndarray (N,), each in 0..T
            How many words a text has. One without words is all zeros (as in PyTorch's EmbeddingBag).
        out : ndarray (N, D), optional

        Returns
        -------
        ndarray (N, D)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> weight = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 6.0]])
        >>> texts, lengths = np.array([[1, 2, 2], [2, 0, 0]]), np.array([2, 1])
        >>> kernels.load("reference").embedding_mean(weight, texts, lengths)
        array([[2., 4.],
               [3., 6.]])
        """
        weight = check.array("weight", weight, ndim=2)
        indices, lengths = self._texts(indices, lengths, None, weight.shape[0])
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, (indices.shape[0], weight.shape[1]), weight.dtype, weight, indices, lengths)
        # a bound call finds other indices later: each is checked again where it is used
        if not self._impl.embedding_mean(check.contiguous(weight), indices, lengths, result, n_threads):
            raise ValueError(f"indices or lengths changed during the call, to what is not in 0..{len(weight) - 1}")
        return check.deliver(result, out)

    def embedding_mean_backward(self, dy, indices, lengths, n_rows, *, out=None, n_threads=1):
        """Gradient of :meth:`embedding_mean` for the table: each word of a text gets its share of the text's `dy`.

        Parameters
        ----------
        dy : ndarray (N, D)
        indices : integer ndarray (N, T), each in 0..n_rows-1
        lengths : integer ndarray (N,), each in 0..T
        n_rows : int
            V, the rows of the table.
        out : ndarray (V, D), optional

        Returns
        -------
        ndarray (V, D)
            Zero where no word points to.

        Notes
        -----
        Threads divide the columns, and each goes through all words in their order: any number of them gives the same bits.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> texts, lengths = np.array([[1, 2, 2], [2, 0, 0]]), np.array([2, 1])
        >>> kernels.load("reference").embedding_mean_backward(np.ones((2, 1)), texts, lengths, 3)
        array([[0. ],
               [0.5],
               [1.5]])
        """
        dy = check.array("dy", dy, ndim=2)
        n_rows = check.integer("n_rows", n_rows, minimum=0)
        check_elements("n_rows", (n_rows, dy.shape[1]))
        indices, lengths = self._texts(indices, lengths, dy.shape[0], n_rows)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, (n_rows, dy.shape[1]), dy.dtype, dy, indices, lengths)
        if not self._impl.embedding_mean_backward(check.contiguous(dy), indices, lengths, result, n_threads):
            raise ValueError(f"indices or lengths changed during the call, to what is not in 0..{n_rows - 1}")
        return check.deliver(result, out)
