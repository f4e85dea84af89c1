"""Training: one straight page.

What happens at step n depends on the recipe, its seed, n, and the number of cores that share a batch (which the
checkpoint remembers), never on how often the run was stopped: a resumed run ends bit for bit like an uninterrupted one
(on a CPU). At the end `model.onnx`, which listens, stands in the run's folder.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiornn.corpus.preparation import Prepared
from audiornn.errors import TrainingError
from audiornn.recipe import Recipe, find_packaged
from audiornn.settings import TrainingSettings
from audiornn.train.dataset import Batch, Dataset, looked_ahead
from audiornn.train.dev_score import DevScore, dev_score
from audiornn.train.export import write_model_file
from audiornn.train.finished import finished_card
from audiornn.train.mining import MinedWords
from audiornn.train.network import Network
from audiornn.train.parallel import Workers, fast_in_bf16, n_workers
from audiornn.train.run import Run
from audiornn.train.transfer import read_start, take_over
from audiornn.train.weight_noise import noisy_weights

__all__ = [
    "Interrupted",
    "learning_rate",
    "losses_and_gradients",
    "train",
    "train_and_dev",
    "untrained_network",
]

_ENOUGH = 20  # recordings of dev, a class each, by which an epoch can be chosen


class Interrupted(Exception):  # noqa: N818 - not an error
    """Training was stopped by the user and can go on from its checkpoint."""


def learning_rate(step: int, n_steps: int, settings: TrainingSettings) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to `final_rate` of the peak."""
    n_warmup = max(1, round(settings.warmup * n_steps))
    if step < n_warmup:
        return settings.learning_rate * (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    final = settings.final_rate
    return settings.learning_rate * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress)))


def newest_share(step: int, n_batches: int, settings: TrainingSettings) -> float:
    """What a step's weights count in the moving average: at first more, so that it soon forgets the initial ones."""
    return max(1 / max(1.0, settings.average * n_batches), 10 / (step + 11))


def train(
    prepared: Prepared,
    recipe: Recipe,
    run_dir: Path,
    *,
    resume: bool = False,
    report: Callable[[str], None] = print,
    show_progress: bool = False,
) -> Path:
    """Train a recipe's network, and write its model file.

    Args:
        prepared: the corpus.
        recipe: the settings; its features must be those of the corpus.
        run_dir: an empty or new folder, or with `resume` one that a run was stopped in.
        resume: go on from the run's last checkpoint.
        report: takes a line of text now and then.
        show_progress: whether a progress bar is drawn on standard error.

    Returns:
        The model file's path.

    Raises:
        TrainingError: a loss that is not finite, a checkpoint of another corpus, or a start that is missing or does
            not fit.
        Interrupted: Ctrl-C or a termination signal; the checkpoint is written.
    """
    settings = recipe.training
    device = choose_device(settings.device)
    train_set, dev_set = train_and_dev(prepared, recipe)
    network = untrained_network(recipe, train_set, len(prepared.vocabulary)).to(device)
    sounds = {name: buffer.tolist() for name, buffer in network.named_buffers()}  # before a start brings its own
    start = read_start(find_packaged(Path(settings.start))) if settings.start and not resume else None
    taken = None if start is None else take_over(network, recipe, prepared.vocabulary, start)
    run = Run.begin(
        run_dir,
        network,
        weight_decay=settings.weight_decay,
        digests=dict(prepared.digests),
        sounds=sounds,
        workers=n_workers(settings.threads, settings.batch_size, device),  # a resumed run sums in the same order
        bf16=settings.precision == "bf16" and fast_in_bf16(device),
        start=None if start is None else {"recipe": start.recipe.name, "licence": start.recipe.licence},
    )
    if resume:
        run.go_on(recipe)
    state = run.state
    n_batches = len(train_set.order(seed=settings.seed, epoch=0))
    n_steps = settings.epochs * n_batches
    report(
        f"{recipe.name}: {len(train_set):,} utterances, {network.n_parameters:,} parameters, "
        f"{settings.epochs} epochs of {n_batches} steps on {device}"
        + (f", {state['workers']} core{'s' * (state['workers'] > 1)}" if device.type == "cpu" else "")
        + (f", going on at step {state['step']:,}" if resume else "")
    )
    # By a handful of recordings nothing can be chosen.
    can_choose = len(dev_set) >= (_ENOUGH if recipe.task == "classify" else 1)
    for line in (*filter(None, [taken]), *worth_knowing(recipe, train_set, len(dev_set), can_choose, state["bf16"])):
        report(line)
    with (
        run.alone(),
        Workers(state["workers"], bf16=state["bf16"]) as workers,
        interruptible() as interrupted,
        run.log() as log,
    ):
        run.write_recipe(recipe)
        run.save()
        while state["step"] < n_steps and not state["finished"]:
            epoch, first = divmod(state["step"], n_batches)
            train_set.recall(state["studied"])
            order = train_set.order(seed=settings.seed, epoch=epoch)[first:]
            steps = range(state["step"], state["step"] + len(order))
            batches = (
                train_set.batch(indices, np.random.default_rng([settings.seed, 1, step]), progress=step / n_steps)
                for step, indices in zip(steps, order, strict=True)
            )
            started = time.perf_counter()
            network.train()
            bar = progress_bar(epoch, settings.epochs, n_batches, first, show_progress)
            for step, batch in zip(steps, looked_ahead(batches), strict=True):
                batch = batch.to(device)
                for group in run.optimiser.param_groups:
                    group["lr"] = learning_rate(step, n_steps, settings)
                losses = losses_and_gradients(workers, network, batch, recipe, step, step / n_steps)
                loss = losses.mean()
                norm = torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip_norm)
                if not (torch.isfinite(loss) and (torch.isfinite(norm) or has_finite_gradients(network))):
                    raise not_finite(losses, batch.ids, step, run_dir)  # before the weights take it
                run.optimiser.step()
                run.average(newest_share(step, n_batches, settings))

                state["step"] = step + 1
                state["loss_sum"] += loss.item()
                state["frames"] += int(batch.feature_lengths.sum())
                bar.set_postfix_str(f"loss {loss.item():.3f}", refresh=False)
                bar.update()
                if state["step"] % n_batches == 0:
                    break  # the epoch's end is saved with its dev score
                if interrupted():
                    bar.close()
                    state["seconds"] += time.perf_counter() - started
                    run.save()
                    raise Interrupted(stopped_at(state["step"], n_steps))
                if state["step"] % settings.checkpoint_steps == 0:
                    run.save()
            bar.close()
            state["seconds"] += time.perf_counter() - started

            scored = dev_set if len(dev_set) else train_set
            score = dev_score(run.averaged, scored, settings.batch_size, device, workers)
            run.keep_if_best(epoch, score, can_choose=can_choose)
            metrics = epoch_metrics(state, score, n_batches, learning_rate(state["step"] - 1, n_steps, settings))
            log(metrics)
            state["studied"] = train_set.study(run.averaged, epoch, workers, device)
            report(epoch_line(metrics, score, recipe, n_steps, dev="dev" if len(dev_set) else "train"))
            run.begin_epoch()
            state["finished"] = 0 < settings.patience <= epoch - state["best"][2]
            run.save()
            if interrupted() and state["step"] < n_steps and not state["finished"]:
                raise Interrupted(stopped_at(state["step"], n_steps))
            if state["finished"]:
                report(f"no better dev score for {settings.patience} epochs: stopping here")

    best = run.take_best()
    card = finished_card(network, prepared, recipe, state, best, train_set, dev_set, report)
    train_set.tell(state["studied"], run_dir, report)
    write_model_file(run_dir / "model.onnx", network.cpu(), card)
    return run_dir / "model.onnx"


def worth_knowing(recipe: Recipe, train_set: Dataset, n_dev: int, can_choose: bool, in_bf16: bool) -> Iterator[str]:
    """What will be otherwise than the settings ask for, a line each; and of CTC how tight it is."""
    yield from recipe.idle_settings
    if not can_choose and (n_dev or recipe.training.patience):
        yield f"dev holds {n_dev} utterances, too few to choose an epoch by, or to stop early: the last is kept"
    if recipe.augment.noise_label and not len(train_set.noise):
        yield f"augment.noise_label: nothing is labelled {recipe.augment.noise_label!r}; all noise is synthetic"
    if recipe.training.precision == "bf16" and not in_bf16:
        yield "training.precision = 'bf16': the processor here would only imitate it; float32 instead"
    if recipe.task == "transcribe":
        spare = train_set.frames_to_spare()
        yield f"CTC: no impossible targets; the tightest has {spare:.1f} frames for each it needs"


def train_and_dev(prepared: Prepared, recipe: Recipe) -> tuple[Dataset, Dataset]:
    """The splits that training sees."""
    kind = MinedWords if recipe.task == "spot" else Dataset
    return kind(prepared, "train", recipe, prepared.vocabulary), kind(prepared, "dev", recipe, prepared.vocabulary)


def losses_and_gradients(
    workers: Workers, network: Network, batch: Batch, recipe: Recipe, step: int, progress: float
) -> torch.Tensor:
    """A step's loss of each utterance, (B,), and its gradients in the parameters; the seed and step tell all chance."""
    settings = recipe.training
    seed = settings.seed * 1_000_003 + step
    with noisy_weights(network, settings.weight_noise, seed):
        return workers.losses_and_gradients(
            network,
            batch,
            recipe.task,
            seed,
            smoothing=settings.label_smoothing,
            middle_ctc=settings.middle_ctc,
            consistency=settings.consistency * recipe.augment.strength(progress),
            pooling=recipe.spotting.pooling,
        )


def untrained_network(recipe: Recipe, train_set: Dataset, n_outputs: int) -> Network:
    """A recipe's network as training begins: weights from the seed, normalisation from the training set."""
    torch.manual_seed(recipe.training.seed)
    network = Network(
        recipe.model,
        n_features=recipe.features.n_features,
        n_outputs=n_outputs,
        task=recipe.task,
        normalisation=recipe.features.normalisation,
        output_kind=recipe.output_kind,
    )
    if recipe.task == "regress":
        track_mean, track_deviation = train_set.track_mean_and_deviation()
        if recipe.model.bins:
            lowest, highest = (torch.from_numpy(limit)[:, None] for limit in train_set.track_limits())
            network.track_bins.copy_(lowest + (highest - lowest) * torch.linspace(0, 1, recipe.model.bins))
        else:
            network.track_mean.copy_(torch.from_numpy(track_mean))
            network.track_scale.copy_(torch.from_numpy(track_deviation))
    if recipe.features.normalisation == "global":
        mean, deviation = train_set.mean_and_deviation()
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(1 / np.maximum(deviation, 1e-3)))
    return network


def epoch_metrics(state: Mapping[str, Any], score: DevScore, n_batches: int, rate: float) -> dict[str, Any]:
    """An epoch in numbers, from the run's state as it ends."""
    return {
        "epoch": state["step"] // n_batches,
        "step": state["step"],
        "train_loss": state["loss_sum"] / n_batches,
        "dev_loss": score.loss,
        "dev_error_rate": score.error_rate,
        "dev_errors": score.errors,
        "blank_share": score.blank_share,
        "learning_rate": rate,
        "frames_per_second": round(state["frames"] / max(1e-9, state["seconds"])),
        "seconds": round(state["seconds"], 3),
    }


def epoch_line(metrics: dict[str, Any], score: DevScore, recipe: Recipe, n_steps: int, dev: str) -> str:
    """One epoch in one line, with the diagnosis of CTC's start where there is one to make."""
    # A spotter's is no miss rate: each word counts once for each number of false alarms.
    counted = "misses at 0–8 false alarms" if recipe.task == "spot" else "error rate"
    line = (
        f"epoch {metrics['epoch']:3d}/{recipe.training.epochs}  step {metrics['step']:6,}  "
        f"loss {metrics['train_loss']:.4f}  {dev} loss {score.loss:.4f}  "
        + (
            f"{dev} {counted} {100 * score.error_rate:6.2f} % ({score.errors:,}/{score.reference_length:,})  "
            if recipe.task != "regress"
            else ""
        )
        + f"{metrics['frames_per_second']:,} frames/s"
    )
    if recipe.task == "transcribe":
        line += f"  blank {100 * score.blank_share:.0f} %"
        if score.error_rate > 0.9 and (score.blank_share > 0.95 or score.error_rate > 0.99):
            # CTC learns "nothing is ever said" first; it leaves that plateau soon after the warm-up, or never.
            usual = plateau_end(n_steps, recipe.training)
            if metrics["step"] <= usual:
                line += f"  blank plateau: normal until about step {usual:,}"
            else:
                line += (
                    f"  still on the blank plateau after step {usual:,}: check that transcripts match their audio, "
                    "then try a lower training.learning_rate or a larger model.stride"
                )
    return line


def plateau_end(n_steps: int, settings: TrainingSettings) -> int:
    """The step by which CTC has usually left its blank plateau: twice the warm-up, at least 500 steps."""
    return max(500, round(2 * settings.warmup * n_steps))


def stopped_at(step: int, n_steps: int) -> str:
    """What an interrupted run says last."""
    return f"stopped and saved at step {step:,} of {n_steps:,}; `audiornn train --resume` goes on from there"


def choose_device(name: str) -> torch.device:
    """The device of a setting; "auto" takes CUDA where there is one.

    Raises:
        TrainingError: CUDA is asked for and not there.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainingError("no CUDA device is available to PyTorch here; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def has_finite_gradients(network: Network) -> bool:
    """Whether only their norm is too large a number: clipping has then made them zero."""
    return all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)


def not_finite(losses: torch.Tensor, ids: tuple[str, ...], step: int, run_dir: Path) -> TrainingError:
    """The error that names the utterances whose loss went wrong; all of a batch where only their gradient did."""
    bad = [identifier for identifier, loss in zip(ids, losses.tolist(), strict=True) if not math.isfinite(loss)]
    what, bad = ("loss", bad) if bad else ("gradient", list(ids))
    return TrainingError(
        f"the {what} is not finite at step {step + 1}, for {', '.join(bad[:5])}{' …' if len(bad) > 5 else ''}: "
        f"look at those recordings, or lower training.learning_rate; the last checkpoint is in {run_dir}"
    )


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """While inside, Ctrl-C and termination are remembered, to be heeded between two steps; a second Ctrl-C is not."""
    seen: list[int] = []

    def remember(number: int, frame: Any) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: signals are somebody else's
        yield lambda: False
        return
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress_bar(epoch: int, n_epochs: int, n_batches: int, first: int, show: bool) -> Any:
    """Steps of an epoch, with the time left."""
    from tqdm import tqdm

    return tqdm(
        total=n_batches, initial=first, desc=f"epoch {epoch + 1}/{n_epochs}", unit="step", leave=False, disable=not show
    )
