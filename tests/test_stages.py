"""The stages of a training one after the other: what each leaves, wherever it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from activity_cli import NetworkSettings, TrainSettings
from activity_cli.errors import TrainingError
from activity_cli.progress import SilentProgress
from activity_cli.settings import resolve_train, without_augmentation
from activity_cli.training.callbacks import Weights
from activity_cli.training.checkpoint import read_checkpoint, write_checkpoint
from activity_cli.training.inputs import RowInputs
from activity_cli.training.runner import FitResult, FitState, Hyperparameters, OnEpoch, fit
from activity_cli.training.stages import Outcome, Stage, plan_stages, run_stages
from training_support import MAIN, REFIT, REFIT_WARMUP, WARMUP, At, Recording, equal, press_ctrl_c, write_examples

FRAMES, WIDTH, NUM_CLIPS, BATCH = 2, 4, 8, 4
STEPS = NUM_CLIPS // BATCH
STEPS_OF_REFIT = 2 * STEPS
SMALL = NetworkSettings(encoder="small")
FINETUNE = TrainSettings(mode="finetune", warmup_epochs=2, epochs=2, learning_rate=0.1)
FROM_NOTHING = TrainSettings(network=SMALL, epochs=2, learning_rate=0.1, refit=True)
IDENTITY = {"seed": 0}

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")


def stages_of(settings: TrainSettings, *, validates: bool = True) -> tuple[Stage, ...]:
    return plan_stages(resolve_train(settings, NUM_CLIPS, ("a", "b")), validates=validates)


@pytest.fixture(autouse=True)
def no_graphs() -> Iterator[None]:
    """Networks this small take less time without graphs than building one takes."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RowInputs]:
    """Clips to train on, to validate on, and both together."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2 * NUM_CLIPS, FRAMES, WIDTH)).astype(np.float32)
    labels = (features.sum(axis=(1, 2)) > 0).astype(int)
    parts = {"train": slice(NUM_CLIPS), "val": slice(NUM_CLIPS, None), "both": slice(None)}
    return {
        name: RowInputs(
            write_examples(tmp_path_factory.mktemp(name), list(features[part]), labels[part]), FRAMES, WIDTH
        )
        for name, part in parts.items()
    }


def mislabeled(clips: RowInputs) -> RowInputs:
    return replace(clips, examples=replace(clips.examples, targets=clips.targets[:, ::-1].copy()))


class Tiny:
    """An encoder and a head of a few numbers, trained on real clips.

    Args:
        clips: By split.
        progress: Shows bars.
        validates: Whether there are validation clips.
        break_at: Title of a stage in which the loss is not a number.
        harms: Whether labels are wrong while the encoder is trained.
    """

    def __init__(
        self, clips: dict[str, RowInputs], progress: SilentProgress, *, validates: bool, break_at: str, harms: bool
    ) -> None:
        keras.utils.set_random_seed(1)
        self.clips, self.progress, self.validates = clips, progress, validates
        self.break_at, self.harms = break_at, harms
        features, mask = keras.Input((FRAMES, WIDTH)), keras.Input((FRAMES,), dtype="bool")
        self.encoder = keras.layers.Dense(5, activation="tanh")
        x = keras.layers.GlobalAveragePooling1D()(self.encoder(features), mask=mask)
        x = keras.layers.Dense(2)(keras.layers.Dropout(0.2)(x))
        self.model = keras.Model([features, mask], keras.ops.log_softmax(x))

    def fit(self, stage: Stage, resumed: FitState | None, on_epoch: OnEpoch) -> FitResult:
        self.encoder.trainable = stage.trains_encoder
        clips = self.clips["both" if stage.refits else "train"]
        if stage.title == self.break_at:
            infinite = np.full(len(clips.targets), np.inf, np.float32)
            clips = replace(clips, examples=replace(clips.examples, weights=infinite))
        if stage.trains_encoder and self.harms:
            clips = mislabeled(clips)
        return fit(
            self.model,
            clips,
            self.clips["val"] if self.validates and not stage.refits else None,
            Hyperparameters(
                stage=stage.name,
                title=stage.title,
                epochs=stage.epochs,
                patience=50,
                batch_size=BATCH,
                learning_rate=stage.learning_rate,
                rate_setting=stage.rate_setting,
                weight_decay=0.0,
                label_smoothing=0.1,
                seed=0,
                augmentation=without_augmentation(),
            ),
            self.progress,
            resumed=resumed,
            on_epoch=on_epoch,
        )

    def get_weights(self) -> Weights:
        weights: Weights = self.model.get_weights()
        return weights

    def set_weights(self, weights: Weights) -> None:
        self.model.set_weights(list(weights))


Run = Callable[..., tuple[Outcome, Weights]]


@pytest.fixture
def run(clips: dict[str, RowInputs], tmp_path: Path) -> Run:
    """Trains from the checkpoint, if there is one: what happened, and the weights at the end."""

    def call(
        settings: TrainSettings | tuple[Stage, ...] = FINETUNE,
        progress: SilentProgress | None = None,
        *,
        name: str = "state",
        validates: bool = True,
        break_at: str = "",
        harms: bool = False,
        clips: dict[str, RowInputs] = clips,
    ) -> tuple[Outcome, Weights]:
        progress = progress or SilentProgress()
        tiny = Tiny(clips, progress, validates=validates, break_at=break_at, harms=harms)
        path = tmp_path / f"{name}.npz"
        stages = settings if isinstance(settings, tuple) else stages_of(settings, validates=validates)
        outcome = run_stages(stages, tiny, path, IDENTITY, read_checkpoint(path), progress)
        return outcome, tiny.get_weights()

    return call


def names_in(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(record.stage for record in outcome.records))


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({}, []),
        ({"mode": "finetune"}, ["warm-up", "main", "refit warm-up", "refit"]),
        ({"mode": "finetune", "refit": False}, ["warm-up", "main"]),
        ({"mode": "joint"}, ["warm-up", "main"]),
        ({"mode": "joint", "refit": True}, ["warm-up", "main", "refit warm-up", "refit"]),
        ({"network": SMALL}, ["main"]),
        ({"network": SMALL, "refit": True}, ["main", "refit"]),
    ],
)
def test_the_stages_of_each_mode(settings: dict[str, object], names: list[str]) -> None:
    stages = stages_of(TrainSettings(**settings))  # type: ignore[arg-type]
    assert [stage.name for stage in stages] == names
    assert all(stage.splits == (("train", "val") if "refit" in stage.name else ("train",)) for stage in stages)
    # Without validation clips there is nothing to train on again.
    once = [name for name in names if "refit" not in name]
    unvalidated = stages_of(TrainSettings(**settings), validates=False)  # type: ignore[arg-type]
    assert [stage.name for stage in unvalidated] == once


@pytest.mark.slow
def test_ctrl_c_in_every_stage_and_going_on_gives_the_weights_of_an_undisturbed_training(run: Run) -> None:
    outcome, undisturbed = run(name="undisturbed")
    assert names_in(outcome) == ["warm-up", "main", "refit warm-up", "refit"]
    assert outcome.stage and outcome.stage.name == "refit" and outcome.best and outcome.best.stage == "main"
    before_refit = outcome.validated
    losses = [record.loss for record in outcome.records]

    # In the second epoch of a stage, and in the first: what is kept is of the stage that is named.
    stops = [
        (WARMUP, STEPS + 1, "warm-up"),
        (MAIN, 1, "warm-up"),
        (MAIN, STEPS + 1, "main"),
        (REFIT_WARMUP, 1, "main"),
        (REFIT_WARMUP, STEPS_OF_REFIT + 1, "main"),
        (REFIT, STEPS_OF_REFIT + 1, "main"),
    ]
    for title, step, kept in stops:
        outcome, weights = run(progress=At(title, step, press_ctrl_c))
        assert outcome.interrupted and not outcome.failure
        assert outcome.stage and outcome.best and outcome.stage.name == outcome.best.stage == kept
        assert equal(weights, outcome.validated)
        if "again" in title:
            assert equal(weights, before_refit)
    outcome, weights = run()
    assert not outcome.interrupted
    assert equal(weights, undisturbed)
    assert equal(outcome.validated, before_refit)
    assert [record.loss for record in outcome.records] == losses


def test_ctrl_c_before_anything_was_learned_is_passed_on(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(progress=At(WARMUP, 1, press_ctrl_c))


def test_without_validation_clips_the_last_whole_epoch_is_kept(run: Run) -> None:
    outcome, weights = run(FROM_NOTHING, At(MAIN, STEPS + 1, press_ctrl_c), validates=False)
    assert outcome.interrupted and len(outcome.records) == 1
    assert outcome.stage and outcome.stage.name == "main" and outcome.best == outcome.records[-1]
    outcome, weights = run(FROM_NOTHING, validates=False)
    assert names_in(outcome) == ["main"] and len(outcome.records) == 2
    _, undisturbed = run(FROM_NOTHING, name="undisturbed", validates=False)
    assert equal(weights, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "kept", "rate"),
    [
        (MAIN, "warm-up", "encoder_learning_rate"),
        (REFIT_WARMUP, "main", "learning_rate"),
        (REFIT, "main", "encoder_learning_rate"),
    ],
)
def test_a_loss_that_is_not_a_number_leaves_the_stage_before(run: Run, title: str, kept: str, rate: str) -> None:
    outcome, weights = run(break_at=title)
    assert outcome.stage and outcome.stage.name == kept
    assert "epoch 1" in outcome.failure and f"`{rate}`" in outcome.failure
    assert not outcome.interrupted
    assert equal(weights, outcome.validated)


def test_a_loss_that_is_not_a_number_in_the_first_stage_is_an_error(run: Run) -> None:
    with pytest.raises(TrainingError, match=r"epoch 1.*'warm-up'"):
        run(break_at=WARMUP)


@pytest.mark.slow
def test_an_encoder_that_harms_is_left_as_it_was_and_only_the_head_is_refit(run: Run) -> None:
    progress, harmful = Recording(), replace(FINETUNE, encoder_learning_rate=0.2)
    outcome, weights = run(harmful, progress, harms=True)
    (warning,) = progress.warnings
    assert "validation loss" in warning and "encoder_learning_rate" in warning
    assert names_in(outcome) == ["warm-up", "main", "refit warm-up"]
    assert outcome.best and outcome.best.stage == "warm-up"
    only_head = tuple(replace(stage, is_result=True) for stage in stages_of(harmful) if not stage.trains_encoder)
    frozen, expected = run(only_head, name="frozen")
    assert equal(weights, expected)
    assert equal(outcome.validated, frozen.validated)
    # The same where it was stopped in the refit.
    outcome, weights = run(harmful, At(REFIT_WARMUP, STEPS_OF_REFIT + 1, press_ctrl_c), name="b", harms=True)
    assert outcome.interrupted and outcome.stage and outcome.stage.name == "warm-up"
    assert equal(weights, frozen.validated)
    assert equal(run(harmful, name="b", harms=True)[1], expected)


@pytest.mark.slow
def test_a_refit_after_overfitting_is_warned_of(run: Run, clips: dict[str, RowInputs]) -> None:
    contrary = clips | {"val": mislabeled(clips["val"])}
    progress = Recording()
    outcome, _ = run(replace(FROM_NOTHING, epochs=8), progress, clips=contrary)
    (warning,) = progress.warnings
    best = min(record.val_loss for record in outcome.records if record.stage == "main")
    assert f"{best:.3g}" in warning and "refit" in warning


def test_the_state_of_another_network_is_refused_though_there_are_weights_to_keep(run: Run, tmp_path: Path) -> None:
    run(FROM_NOTHING, At(REFIT, STEPS_OF_REFIT + 1, press_ctrl_c))
    state = read_checkpoint(tmp_path / "state.npz")
    assert state is not None
    write_checkpoint(tmp_path / "state.npz", replace(state, variables=state.variables[:-1]))
    with pytest.raises(TrainingError) as caught:
        run(FROM_NOTHING)
    assert caught.value.code == "training.checkpoint"
