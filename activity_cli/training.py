"""train: prepared clips -> a bundle.

Three modes: a frozen encoder's features are computed once and only the sequence part learns; its last
blocks learn too, on what the blocks before them gave; or everything learns from the pixels.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.bundling import pack
from activity_cli.config import TrainConfig
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.dataset.sides import check_keep_sides
from activity_cli.errors import ConfigError, DatasetError, OutputError, TrainingError, UsageError
from activity_cli.files import explained, folder_aside
from activity_cli.learning.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from activity_cli.learning.devices import choose_strategy, make_deterministic
from activity_cli.learning.feeds import Feeds, open_feeds
from activity_cli.learning.loop import Recipe, fit
from activity_cli.learning.plan import Plan, make_plan, resumable_settings
from activity_cli.learning.record import training_facts
from activity_cli.learning.watcher import History
from activity_cli.model.network import build_network, in_float32, layer_rows, set_mode
from activity_cli.model.precision import choose_precision
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.csv_rows import write_history_csv
from activity_cli.reports.curves import history_picture
from activity_cli.results import LayerRow, TrainResult

__all__ = ["network_layers", "train"]

_CLIPS_COMPARED = 4


def train(config: TrainConfig, progress: Progress | None = None) -> TrainResult:
    """Trains a CNN LSTM and writes it as a bundle.

    The weights of the epoch with the lowest validation loss are kept, also when a person interrupts
    the training or the loss stops being a number. With ``refit``, a second training on training and
    validation clips together follows, whose last weights are what is saved. After every epoch the
    state is kept beside the model: a training that was killed goes on when it is asked for again.

    Args:
        config: What and how.
        progress: Who listens.

    Raises:
        DatasetError: The prepared folder is missing, unfinished, damaged or cannot be learned from.
        ConfigError: Settings that are not possible together, or with these clips.
        OutputError: There is a bundle already, or it cannot be written.
        TrainingError: The loss is not finite, or nothing was learned before an interruption.
    """
    progress = progress or SilentProgress()
    prepared = read_prepared(config.prepared)
    plan = make_plan(config, len(prepared.in_split("train")))
    settings = resumable_settings(config, plan, prepared.fingerprint)
    state = checkpoint_path(config.out)
    resumed = _resumed(config, settings, state, progress)
    _check(config, prepared, progress)
    check_keep_sides(config.augment, prepared.labels)
    if config.deterministic:
        make_deterministic()
    keras.utils.set_random_seed(config.seed)
    strategy = choose_strategy(config.devices, config.batch_size)
    # A frozen encoder has been run before in LiteRT; the sequence part gains nothing from fewer bits.
    policy = "float32" if plan.mode == "frozen" else choose_precision(config.precision)

    with strategy.scope():
        network = build_network(
            plan.network, prepared.sampling, len(prepared.labels), weights=plan.weights, policy=policy
        )
        set_mode(network, plan.mode, plan.network, plan.trained_blocks, learned=plan.learned)
    shipped = network
    if policy != "float32" or strategy.num_replicas_in_sync > 1:
        shipped = in_float32(network, plan.network, prepared.sampling, len(prepared.labels))
    feeds = open_feeds(config, plan, prepared, network, shipped, strategy.num_replicas_in_sync, progress)
    run = partial(
        fit, strategy=strategy, progress=progress, checkpoint=state, settings=settings, tensorboard=config.tensorboard
    )
    history, refitted = _learn(feeds, _recipe(config, plan, policy), run, resumed)

    if shipped is not network:
        shipped.whole.set_weights(network.whole.get_weights())
    with folder_aside(config.out) as folder:
        rest = training_facts(config, plan, prepared, history, policy, strategy.num_replicas_in_sync)
        rest["training"]["refit"] = refitted
        bundle = pack(
            shipped,
            folder,
            prepared.labels,
            prepared.sampling,
            plan.network,
            _compared(prepared),
            rest,
            feeds.litert_encoder,
        )
        write_history_csv(folder / "history.csv", history.epochs)
        history_picture(history.epochs, history.best_epoch, folder / "history.png")
    if not history.interrupted:
        state.unlink(missing_ok=True)
    return TrainResult(
        model=config.out,
        name=bundle.name,
        labels=prepared.labels,
        history=tuple(history.epochs),
        best_epoch=history.best_epoch,
        interrupted=history.interrupted,
        litert_max_abs_difference=bundle.document["litert"]["max_abs_difference"],
        history_picture=config.out / "history.png",
        diverged=history.diverged,
        refitted=refitted,
        stopped_again=history.stopped_again,
    )


def _learn(
    feeds: Feeds, recipe: Recipe, run: Callable[..., History], resumed: Checkpoint | None
) -> tuple[History, bool]:
    """Trains once, judged by the validation clips, and where that is wanted once more on all clips.

    Returns:
        What happened the first time, and whether the weights are those of the second.
    """
    network = feeds.network.whole
    initial = network.get_weights()
    judged = "val" if feeds.prepared.in_split("val") else None
    if resumed and resumed.earlier:
        history = History(list(resumed.earlier[0]), resumed.earlier[1])
        fallback = list(resumed.best)
    else:
        feed = feeds.feed("train", judged=judged)
        history = run(feed, replace(recipe, keep_last=judged is None), resumed=resumed)
        fallback, resumed = feed.model.get_weights(), None
    if not feeds.plan.refit or judged is None or history.interrupted or history.diverged:
        return history, False
    again = replace(recipe, keep_last=True, title="Training on all clips")
    # The curves are those of the first training.
    run = partial(run, tensorboard=None, earlier=history, fallback=fallback)
    try:
        network.set_weights(initial)
        second = run(feeds.feed("train", "val", judged=None), again, resumed=resumed)
    except (KeyboardInterrupt, TrainingError) as error:
        # What has been learned the first time is not lost.
        feeds.model.set_weights(fallback)
        second = History(interrupted=isinstance(error, KeyboardInterrupt), diverged=str(error))
    if len(second.epochs) == recipe.epochs:
        return history, True
    history.interrupted = history.stopped_again = second.interrupted
    history.diverged = "" if second.interrupted else f"In the second training, on all clips: {second.diverged}"
    return history, False


def network_layers(config: TrainConfig) -> list[LayerRow]:
    """Every layer of the network that :func:`train` would train, those of the CNN included.

    Raises:
        DatasetError: The prepared folder is missing, unfinished or damaged.
        ConfigError: Settings that are not possible together, or with these clips.
    """
    prepared = read_prepared(config.prepared)
    plan = make_plan(config, len(prepared.in_split("train")))
    network = build_network(plan.network, prepared.sampling, len(prepared.labels), weights=plan.weights)
    set_mode(network, plan.mode, plan.network, plan.trained_blocks, learned=plan.learned)
    return layer_rows(network)


def _resumed(config: TrainConfig, settings: dict[str, Any], state: Path, progress: Progress) -> Checkpoint | None:
    """The state to go on from. The same command gives the same weights whether it was killed or not."""
    if config.overwrite and not config.resume:
        return None
    found = read_checkpoint(state)
    if found is None:
        if config.resume:
            raise UsageError(
                f"There is no unfinished training for {str(config.out)!r}.", "Leave --resume out to begin one."
            )
        return None
    differing = sorted(name for name in {*settings, *found.settings} if settings.get(name) != found.settings.get(name))
    if not differing:
        progress.note(f"Going on after epoch {len(found.epochs)} of a training that did not end.")
        return found
    if config.resume:
        raise ConfigError(
            f"The unfinished training for {str(config.out)!r} was begun with other settings: {', '.join(differing)}.",
            "Use the same again, or begin anew with --overwrite.",
        )
    progress.note(f"An unfinished training with other settings ({', '.join(differing)}) is given up.")
    return None


def _check(config: TrainConfig, prepared: PreparedFolder, progress: Progress) -> None:
    out = config.out
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        if not (out / "bundle.json").is_file():
            raise OutputError(f"{str(out)!r} exists and is not a model.", "Choose another place with --out.")
        if not config.overwrite and not config.resume:
            raise OutputError(
                f"There is a model at {str(out)!r} already.",
                "Use --overwrite to replace it, or another place with --out; --resume goes on with one that was "
                "interrupted.",
                code="output.exists",
            )
    if os.path.ismount(out) or out.resolve() == Path.cwd():
        raise OutputError(f"{str(out)!r} cannot be replaced as a whole.", "Choose a folder inside of it with --out.")
    # Before hours of training: the same steps that saving begins with.
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    present = {record.label for record in prepared.in_split("train")}
    if len(present) < 2:
        raise DatasetError(
            f"{prepared.folder} has training clips of {len(present)} label(s); two or more are needed.",
            "Add videos, or make the val and test fractions smaller.",
        )
    if not prepared.in_split("val"):
        progress.warn("No validation clips: nothing tells how the training goes, or when to stop it.")


def _recipe(config: TrainConfig, plan: Plan, policy: str) -> Recipe:
    return Recipe(
        epochs=plan.epochs,
        patience=config.patience,
        learning_rate=plan.learning_rate,
        weight_decay=config.weight_decay,
        label_smoothing=config.label_smoothing,
        scaled_loss=policy == "mixed_float16",
    )


def _compared(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few real clips, the shortest and the longest among them, and one frame alone."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]
