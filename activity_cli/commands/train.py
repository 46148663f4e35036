"""train: prepared clips -> a bundle.

Three modes: a frozen encoder's features are computed once and only the sequence part learns; its last
blocks learn too, on what the blocks before them gave; or everything learns from the pixels. Where the
encoder has been trained before, a frozen training goes before the other two.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from activity_cli.dataset.flip import check_keep_sides
from activity_cli.dataset.manifest import PreparedFolder, read_prepared
from activity_cli.errors import ConfigError, DatasetError, OutputError, UsageError
from activity_cli.files import atomic_folder, path_lock, remove_stale, translate_os_error
from activity_cli.model.network import build_network, in_float32, layer_rows, set_mode
from activity_cli.model.precision import choose_precision
from activity_cli.model.sequence import reads_statistics
from activity_cli.progress import Progress, SilentProgress
from activity_cli.reports.charts import training_curves
from activity_cli.results import LayerRow, TrainResult
from activity_cli.settings import Augmentation, TrainSettings
from activity_cli.training.bundling import pack
from activity_cli.training.checkpoint import Checkpoint, checkpoint_path, read_checkpoint
from activity_cli.training.data import open_feeds
from activity_cli.training.devices import choose_strategy, make_deterministic
from activity_cli.training.memory import translate_memory_error
from activity_cli.training.plan import Plan, make_plan, resumable_settings
from activity_cli.training.provenance import training_facts
from activity_cli.training.stages import Course
from activity_cli.training.tensorboard import make_log_folder
from activity_cli.writers.csv import write_history_csv

__all__ = ["network_layers", "train"]

_CLIPS_COMPARED = 4


@translate_memory_error()
def train(config: TrainSettings, progress: Progress | None = None) -> TrainResult:
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
        TrainingError: The loss is not finite, memory is too small, or nothing was learned before an interruption.
    """
    progress = progress or SilentProgress()
    prepared = read_prepared(config.prepared)
    plan = make_plan(config, len(prepared.in_split("train")))
    _check(config, prepared, progress)
    check_keep_sides(config.augment, prepared.labels)
    with path_lock(config.out):
        return _train(config, plan, prepared, progress)


def _train(config: TrainSettings, plan: Plan, prepared: PreparedFolder, progress: Progress) -> TrainResult:
    _note_what_is_not_varied(config.augment, plan.mode, progress)
    if config.deterministic:
        make_deterministic()
    keras.utils.set_random_seed(config.seed)
    strategy = choose_strategy(config.devices, config.batch_size)
    num_devices = strategy.num_replicas_in_sync
    if left := config.batch_size % num_devices:
        progress.note(f"Batches have {config.batch_size - left} clips, so that {num_devices} devices share them alike.")
    # A frozen encoder has been run before in LiteRT; the sequence part gains nothing from fewer bits.
    policy = "float32" if plan.mode == "frozen" else choose_precision(config.precision)
    settings = resumable_settings(config, plan, prepared.fingerprint, policy, num_devices)
    state = checkpoint_path(config.out)
    remove_stale(state)
    resumed = _resumed(config, settings, state, progress)

    with strategy.scope():
        network = build_network(
            plan.network, prepared.sampling, len(prepared.labels), weights=plan.weights, policy=policy
        )
        set_mode(network, plan.mode, plan.network, plan.trained_blocks, learned=plan.learned)
    shipped = network
    if policy != "float32" or num_devices > 1:
        shipped = in_float32(network, plan.network, prepared.sampling, len(prepared.labels))
    feeds_of = partial(
        open_feeds,
        config,
        prepared=prepared,
        network=network,
        float_network=shipped,
        num_devices=num_devices,
        progress=progress,
    )
    feeds = feeds_of(plan)
    head = feeds_of(plan.head) if plan.head_epochs else None
    course = Course(feeds, head, policy, strategy, state, settings)
    history, refitted = course.learn(resumed)

    if shipped is not network:
        shipped.whole.set_weights(network.whole.get_weights())
    with atomic_folder(config.out) as folder:
        rest = training_facts(config, plan, prepared, history, policy, num_devices)
        rest["training"]["refit"] = refitted
        rest["training"]["weights_sha256"] = settings.get("weights_sha256")
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
        write_history_csv(folder / "history.csv", [*history.head_epochs, *history.epochs])
        training_curves([*history.head_epochs, *history.epochs], folder / "history.png", history.best_epoch)
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
        head_history=tuple(history.head_epochs),
        training_of=_training_of(plan),
    )


def network_layers(config: TrainSettings) -> list[LayerRow]:
    """Every layer of the network that :func:`train` would train, those of the CNN included.

    Raises:
        DatasetError: The prepared folder is missing, unfinished or damaged.
        ConfigError: Settings that are not possible together, or with these clips.
    """
    prepared = read_prepared(config.prepared)
    plan = make_plan(config, len(prepared.in_split("train")))
    check_keep_sides(config.augment, prepared.labels)
    network = build_network(plan.network, prepared.sampling, len(prepared.labels), weights=plan.weights)
    set_mode(network, plan.mode, plan.network, plan.trained_blocks, learned=plan.learned)
    return layer_rows(network)


def _resumed(config: TrainSettings, settings: dict[str, Any], state: Path, progress: Progress) -> Checkpoint | None:
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
        where = ", in which the encoder stays as it is so far" if found.head else ""
        progress.note(f"Going on after epoch {len(found.epochs)} of a training that did not end{where}.")
        return found
    if config.resume:
        raise ConfigError(
            f"The unfinished training for {str(config.out)!r} was begun with other settings: {', '.join(differing)}.",
            "Use the same again, or begin anew with --overwrite.",
        )
    progress.note(f"An unfinished training with other settings ({', '.join(differing)}) is given up.")
    return None


def _training_of(plan: Plan) -> str:
    """What learns alone beside a linear layer; empty: the whole network learns together."""
    alone = plan.mode == "frozen" and reads_statistics(plan.network)
    return {"lstm": "LSTM", "bilstm": "BiLSTM", "gru": "GRU"}[plan.network.sequence] if alone else ""


def _note_what_is_not_varied(augment: Augmentation, mode: str, progress: Progress) -> None:
    usual = Augmentation()
    if mode == "joint" or augment.views > 1 or augment == Augmentation.none():
        return
    if (augment.crop, augment.color) != (usual.crop, usual.color):
        progress.warn(
            f"Crop and color change nothing in the mode {mode!r}, which varies clips in time only: add --views 3, or "
            "use --mode joint."
        )


def _check(config: TrainSettings, prepared: PreparedFolder, progress: Progress) -> None:
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
    with translate_os_error(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    if config.tensorboard:
        if config.tensorboard.resolve().is_relative_to(out.resolve()):
            raise OutputError(
                f"The logs for TensorBoard cannot be in {str(out)!r}, which is replaced as a whole in the end.",
                "Choose a folder beside it with --tensorboard.",
            )
        make_log_folder(config.tensorboard)
    present = {record.label for record in prepared.in_split("train")}
    if len(present) < 2:
        raise DatasetError(
            f"{prepared.folder} has training clips of {len(present)} label(s); two or more are needed.",
            "Add videos, or make the val and test fractions smaller.",
        )
    if not prepared.in_split("val"):
        progress.warn("No validation clips: nothing tells how the training goes, or when to stop it.")


def _compared(prepared: PreparedFolder) -> list[npt.NDArray[np.uint8]]:
    """A few real clips, the shortest and the longest among them, and one frame alone."""
    records = sorted(prepared.in_split("train"), key=lambda record: (record.clip_frames, record.path))
    places = np.linspace(0, len(records) - 1, min(_CLIPS_COMPARED, len(records))).astype(int)
    clips = [np.asarray(prepared.clips.read(records[place].clip)) for place in places]
    return [*clips, clips[-1][:1]]
