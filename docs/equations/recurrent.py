"""Recurrent cells and back-propagation through time, as a textbook writes them; one sequence, plain numpy.

Shapes: x (T, n_inputs), what is read; h (T + 1, n_units), the states, h[0] before the first frame; dh (T, n_units),
∂loss/∂h_t as far as the loss sees h_t itself. What a backward pass returns is ∂loss/∂(whatever it is named after).

The backward pass is one idea: h_t touches the loss by itself, and through h_{t+1}. So walk from the last frame to the
first with what comes back from the frame after, add what the loss says here, and send it through the cell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "bidirectional",
    "gru_backward",
    "gru_forward",
    "logistic",
    "lstm_backward",
    "lstm_forward",
    "vanilla_backward",
    "vanilla_forward",
]

Array = NDArray[np.float64]


def logistic(a: Array) -> Array:
    """σ(a) = 1 / (1 + e^−a), written so that no exponential overflows."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def relu(a: Array) -> Array:
    """max(0, a)."""
    return np.maximum(a, 0.0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "relu": relu, "logistic": logistic}

#: The derivative at a, told by h = activation(a).
DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "tanh": lambda h: 1 - h**2,
    "relu": lambda h: (h > 0).astype(float),
    "logistic": lambda h: h * (1 - h),
}


# --- the vanilla cell (Elman 1990): h_t = σ(W · [h_{t−1}, x_t] + b), W (n_units, n_units + n_inputs) ---


def vanilla_forward(x: Array, h_0: Array, W: Array, b: Array, activation: str) -> Array:
    """All states h, (T + 1, n_units)."""
    h = [h_0]
    for x_t in x:
        a_t = W @ np.concatenate([h[-1], x_t]) + b
        h.append(ACTIVATIONS[activation](a_t))
    return np.array(h)


def vanilla_backward(x: Array, h: Array, W: Array, activation: str, dh: Array) -> tuple[Array, Array, Array, Array]:
    """dx, dh_0, dW, db (Werbos 1990)."""
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(len(W))
    back = np.zeros(len(W))  # ∂loss/∂h_t through all later frames
    for t in reversed(range(len(x))):
        da = (dh[t] + back) * DERIVATIVES[activation](h[t + 1])
        dW += np.outer(da, np.concatenate([h[t], x[t]]))
        db += da
        back, dx[t] = np.split(W.T @ da, [len(W)])
    return dx, back, dW, db


# --- LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000),
#     W (4 n_units, n_units + n_inputs) ---
#
#     i, f, o = σ(…)   g = tanh(…)     each from W · [h_{t−1}, x_t] + b, in the order i f g o
#     c_t = f c_{t−1} + i g            h_t = o tanh(c_t)


def lstm_forward(x: Array, h_0: Array, c_0: Array, W: Array, b: Array) -> tuple[Array, Array, Array]:
    """States h and c, each (T + 1, n_units), and the gates (T, 4, n_units)."""
    h, c, gates = [h_0], [c_0], []
    for x_t in x:
        i, f, g, o = np.split(W @ np.concatenate([h[-1], x_t]) + b, 4)
        i, f, g, o = logistic(i), logistic(f), np.tanh(g), logistic(o)
        c.append(f * c[-1] + i * g)
        h.append(o * np.tanh(c[-1]))
        gates.append([i, f, g, o])
    return np.array(h), np.array(c), np.array(gates)


def lstm_backward(
    x: Array, h: Array, c: Array, gates: Array, W: Array, dh: Array
) -> tuple[Array, Array, Array, Array, Array]:
    """dx, dh_0, dc_0, dW, db. The cell state is the way back on which nothing is multiplied but the forget gate."""
    n = h.shape[1]
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(4 * n)
    back_h, back_c = np.zeros(n), np.zeros(n)
    for t in reversed(range(len(x))):
        i, f, g, o = gates[t]
        squashed = np.tanh(c[t + 1])
        dh_t = dh[t] + back_h
        dc_t = back_c + dh_t * o * (1 - squashed**2)
        da = np.concatenate(
            [
                dc_t * g * i * (1 - i),
                dc_t * c[t] * f * (1 - f),
                dc_t * i * (1 - g**2),
                dh_t * squashed * o * (1 - o),
            ]
        )
        dW += np.outer(da, np.concatenate([h[t], x[t]]))
        db += da
        back_h, dx[t] = np.split(W.T @ da, [n])
        back_c = dc_t * f
    return dx, back_h, back_c, dW, db


# --- GRU (Cho et al. 2014) as PyTorch and cuDNN have it: the reset gate acts after the matrix product, which has a bias
#     of its own. W (3 n_units, n_inputs) reads the frame and U (3 n_units, n_units) the state, in the order r z n ---
#
#     r, z = σ(W x_t + b + U h_{t−1} + b′)      n = tanh(W x_t + b + r (U h_{t−1} + b′))
#     h_t = (1 − z) n + z h_{t−1}


def gru_forward(x: Array, h_0: Array, W: Array, U: Array, b: Array, b_state: Array) -> tuple[Array, Array]:
    """States h (T + 1, n_units), and for each frame r, z, n and U h + b′ of the candidate, (T, 4, n_units)."""
    h, gates = [h_0], []
    for x_t in x:
        from_x = np.split(W @ x_t + b, 3)
        from_h = np.split(U @ h[-1] + b_state, 3)
        r, z = logistic(from_x[0] + from_h[0]), logistic(from_x[1] + from_h[1])
        n = np.tanh(from_x[2] + r * from_h[2])
        h.append((1 - z) * n + z * h[-1])
        gates.append([r, z, n, from_h[2]])
    return np.array(h), np.array(gates)


def gru_backward(
    x: Array, h: Array, gates: Array, W: Array, U: Array, dh: Array
) -> tuple[Array, Array, Array, Array, Array, Array]:
    """dx, dh_0, dW, dU, db, db′."""
    dx, dW, dU = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U)
    db, db_state = np.zeros(len(W)), np.zeros(len(U))
    back = np.zeros(h.shape[1])
    for t in reversed(range(len(x))):
        r, z, n, from_h = gates[t]
        dh_t = dh[t] + back
        dn = dh_t * (1 - z) * (1 - n**2)
        dz = dh_t * (h[t] - n) * z * (1 - z)
        dr = dn * from_h * r * (1 - r)
        da, da_state = np.concatenate([dr, dz, dn]), np.concatenate([dr, dz, dn * r])
        dW += np.outer(da, x[t])
        dU += np.outer(da_state, h[t])
        db += da
        db_state += da_state
        dx[t] = W.T @ da
        back = dh_t * z + U.T @ da_state
    return dx, back, dW, dU, db, db_state


# --- both directions (Schuster & Paliwal 1997) ---


def bidirectional(ahead: Callable[[Array], Array], behind: Callable[[Array], Array], x: Array) -> Array:
    """(T, 2 n_units): the states of a cell that reads x, beside those of another one that reads it backwards.

    Args:
        ahead: from (T, n_inputs) to the states (T + 1, n_units).
        behind: the same, of the other cell.
        x: what is read.
    """
    return np.concatenate([ahead(x)[1:], behind(x[::-1])[1:][::-1]], axis=1)
