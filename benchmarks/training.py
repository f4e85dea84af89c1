"""Training steps side by side: bidirectional LSTMs on utterances of many lengths, with CTC.

The usual way is `nn.LSTM(bidirectional=True)` over `pack_padded_sequence`, in random batches. audiornn reverses each
utterance within its own length, and batches utterances of like length. Weights, loss and optimiser are the same; what
counts is useful frames a second, padding not among them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from measure import Report, arguments, in_turns, n_cores
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from audiornn.settings import NetworkSettings
from audiornn.train.dataset import Batch, batch_order
from audiornn.train.losses import utterance_losses
from audiornn.train.network import BidirectionalLayer, Network
from audiornn.train.parallel import Workers

N_FEATURES, N_SYMBOLS, BATCH_SIZE, FRAMES_A_SECOND = 40, 30, 32, 100
N_UTTERANCES = 50 * BATCH_SIZE  # one of the pools that `batch_order` sorts by length
SYMBOLS_A_FRAME = 0.1


class PackedNetwork(nn.Module):
    """As most tutorials write it."""

    def __init__(self, n_layers: int, n_units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(N_FEATURES, n_units, n_layers, bidirectional=True, batch_first=True)
        self.output = nn.Linear(2 * n_units, N_SYMBOLS)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
        x, lengths = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return F.log_softmax(self.output(x), dim=-1), lengths

    def beside(self, network: Network) -> list[tuple[nn.Parameter, nn.Parameter]]:
        """Each weight with audiornn's for the same purpose."""
        pairs = list(zip(self.output.parameters(), network.output.parameters(), strict=True))
        for i, layer in enumerate(network.layers):
            assert isinstance(layer, BidirectionalLayer)
            for cell, suffix in ((layer.forwards, ""), (layer.backwards, "_reverse")):
                for name, weight in cell.named_parameters():
                    pairs.append((getattr(self.lstm, name.replace("_l0", f"_l{i}{suffix}")), weight))
        return pairs


class Corpus:
    """Utterances whose lengths are spread evenly on a logarithmic scale, and whose frames are noise."""

    def __init__(self, shortest: float, longest: float) -> None:
        rng = np.random.default_rng(0)
        seconds = np.exp(rng.uniform(np.log(shortest), np.log(longest), N_UTTERANCES))
        self.lengths = np.maximum(1, (FRAMES_A_SECOND * seconds).astype(np.int64))
        self.features = [rng.standard_normal((n, N_FEATURES), np.float32) for n in self.lengths]
        self.targets = [rng.integers(1, N_SYMBOLS, max(1, int(SYMBOLS_A_FRAME * n))) for n in self.lengths]

    def batch(self, indices: Sequence[int]) -> Batch:
        features = [torch.from_numpy(self.features[i]) for i in indices]
        targets = [torch.from_numpy(self.targets[i]) for i in indices]
        return Batch(
            nn.utils.rnn.pad_sequence(features, batch_first=True),
            torch.tensor([len(f) for f in features]),
            nn.utils.rnn.pad_sequence(targets, batch_first=True),
            torch.tensor([len(t) for t in targets]),
            tuple(map(str, indices)),
        )

    def in_random_batches(self, n_batches: int) -> list[Batch]:
        order = np.random.default_rng(1).permutation(N_UTTERANCES)
        return [self.batch(order[i * BATCH_SIZE : (i + 1) * BATCH_SIZE]) for i in range(n_batches)]

    def in_buckets(self, n_batches: int) -> list[Batch]:
        """Batches of `batch_order`, as many short ones as long ones."""
        batches = batch_order(self.lengths, BATCH_SIZE, seed=0, epoch=0)
        batches.sort(key=lambda indices: int(self.lengths[indices].sum()))
        middles = (np.arange(n_batches) + 0.5) * len(batches) / n_batches
        return [self.batch(batches[int(i)]) for i in middles]


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, n_cores()}), metavar="N", help="of torch (1 and all cores)"
    )
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=[0.5, 6.0], metavar="S", help="shortest and longest (0.5 6)"
    )
    parser.add_argument("--batches", type=int, default=2, metavar="N", help="random batches a round (2)")
    parser.add_argument("--parts", action="store_true", help="also each half of the gain by itself")
    options = parser.parse_args()
    report = Report("training", options.json)
    corpus = Corpus(*options.seconds)
    random_batches = corpus.in_random_batches(options.batches)
    buckets = corpus.in_buckets(5 * options.batches)  # they differ more from one to the next
    shortest, longest = options.seconds
    report.note(
        f"utterances of {shortest:g} to {longest:g} s, {BATCH_SIZE} a batch; useful frames: random batches "
        f"{useful_share(random_batches):.0%}, buckets {useful_share(buckets):.0%}",
        seconds=options.seconds,
    )
    for n_threads in options.threads:
        torch.set_num_threads(n_threads)
        for n_layers, n_units in ((2, 128), (3, 256)):
            both_agree(report, n_layers, n_units, buckets[0], random_batches[0])
            race(report, n_layers, n_units, random_batches, buckets, options.rounds, options.parts)
    report.finish()


def race(
    report: Report,
    n_layers: int,
    n_units: int,
    random_batches: list[Batch],
    buckets: list[Batch],
    rounds: int,
    parts: bool,
) -> None:
    packed, own = networks(n_layers, n_units)
    contenders: dict[str, Callable[[], None]] = {}
    work: dict[str, float] = {}
    threads = torch.get_num_threads()

    def enter(name: str, network: nn.Module, batches: list[Batch]) -> None:
        step = one_step if isinstance(network, PackedNetwork) else partial(shared_step, threads)
        contenders[name] = partial(train, step, network, torch.optim.AdamW(network.parameters(), lr=1e-3), batches)
        work[name] = sum(int(batch.feature_lengths.sum()) for batch in batches)

    enter("packed sequences, random batches", packed, random_batches)
    if parts:
        enter("packed sequences, buckets", packed, buckets)
        enter("audiornn's network, random batches", own, random_batches)
    enter("audiornn", own, buckets)
    timings = in_turns(contenders, rounds=rounds, work=work)
    title = f"LSTM {n_layers} × {n_units}, bidirectional, {threads} thread{'s' if threads > 1 else ''}"
    report.table(title, timings, unit="frames")


def train(
    step: Callable[[nn.Module, Batch], Tensor],
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: list[Batch],
) -> None:
    """One step a batch, as `audiornn.train.loop` takes it."""
    network.train()
    for batch in batches:
        optimiser.zero_grad(set_to_none=True)
        loss = step(network, batch)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        if not np.isfinite(loss.item()):
            sys.exit(f"training: the loss became {loss.item()}")


def one_step(network: nn.Module, batch: Batch) -> Tensor:
    """The usual way: PyTorch's own threads."""
    log_probs, lengths = network(batch.features, batch.feature_lengths)
    loss = utterance_losses(log_probs, lengths, batch, "transcribe").mean()
    loss.backward()
    return loss


def shared_step(n_threads: int, network: nn.Module, batch: Batch) -> Tensor:
    """audiornn's: each core takes its part of the batch."""
    assert isinstance(network, Network)
    with Workers(n_threads) as workers:
        return workers.losses_and_gradients(network, batch, "transcribe", seed=0).mean()


def both_agree(report: Report, n_layers: int, n_units: int, *batches: Batch) -> None:
    """Equal weights must give equal outputs, and gradients equal against the largest of each weight.

    What stands in the padding does not count.
    """
    packed, own = networks(n_layers, n_units)
    output_error = gradient_error = 0.0
    for batch in batches:
        outputs = []
        for network in (packed, own):
            network.zero_grad()
            log_probs, lengths = network(batch.features, batch.feature_lengths)
            utterance_losses(log_probs, lengths, batch, "transcribe").mean().backward()
            outputs.append(torch.cat([row[:n] for row, n in zip(log_probs.detach(), lengths, strict=True)]))
        output_error = max(output_error, largest_difference(*outputs))
        for theirs, ours in packed.beside(own):
            assert theirs.grad is not None
            assert ours.grad is not None
            relative = largest_difference(theirs.grad, ours.grad) / float(theirs.grad.abs().max())
            gradient_error = max(gradient_error, relative)
    report.note(
        f"{n_layers} × {n_units}, equal weights: outputs within {output_error:.0e}, gradients {gradient_error:.0e}",
        outputs=output_error,
        gradients=gradient_error,
    )
    if max(output_error, gradient_error) > 1e-4:
        sys.exit("training: the two networks are not the same, so their speeds cannot be compared")


def largest_difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def networks(n_layers: int, n_units: int) -> tuple[PackedNetwork, Network]:
    """Both networks, with equal weights."""
    torch.manual_seed(0)
    packed = PackedNetwork(n_layers, n_units)
    own = Network(
        NetworkSettings(n_layers=n_layers, n_units=n_units, dropout=0.0),
        n_features=N_FEATURES,
        n_outputs=N_SYMBOLS,
        task="transcribe",
    )
    with torch.no_grad():
        for theirs, ours in packed.beside(own):
            ours.copy_(theirs)
    return packed, own


def useful_share(batches: list[Batch]) -> float:
    return sum(int(b.feature_lengths.sum()) for b in batches) / sum(b.features[..., 0].numel() for b in batches)


if __name__ == "__main__":
    main()
