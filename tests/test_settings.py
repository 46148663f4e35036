"""The declarations of settings: types, ranges, rules between settings, and what is left unset."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from activity_cli import ConfigError, NetworkSettings, PrepareSettings, Sampling, TrainSettings
from activity_cli.settings import (
    SETTINGS_OF,
    STREAM_NAMES,
    Leaf,
    Settings,
    build,
    leaves,
    parse_text,
    plain_values,
    resolve_prepare,
    resolve_train,
    without_augmentation,
)
from activity_cli.settings.encoders import ENCODER_SPECS
from activity_cli.settings.resolve import HeadPlan
from activity_cli.settings.train import EncoderName

LEAVES = [(command, leaf) for command, cls in SETTINGS_OF.items() for leaf in leaves(cls)]
ARGUMENTS: dict[str, dict[str, Any]] = {
    "prepare": {"videos": "videos"},
    "predict": {"inputs": ["a.mp4", "-"]},
    "convert": {"labels": "a.srt", "out": "a.csv"},
    "summarize": {"labels": ["a.srt"]},
}


def defaults(command: str, **values: Any) -> Settings:
    return build(SETTINGS_OF[command], ARGUMENTS.get(command, {}) | values)


@pytest.mark.parametrize(("command", "leaf"), LEAVES, ids=[f"{command}-{leaf.name}" for command, leaf in LEAVES])
def test_a_setting_is_described(command: str, leaf: Leaf) -> None:
    assert leaf.setting.help.endswith(".")
    assert leaf.optional == bool(leaf.setting.unset), "unset says what None means"
    mentioned = set(re.findall(r"`(\w+)", leaf.setting.help + leaf.setting.unset))
    assert mentioned <= {other.name for other in leaves(SETTINGS_OF[command])}
    assert leaf.required or leaf.default is None or leaf.convert(leaf.default) == leaf.default


@pytest.mark.parametrize("command", SETTINGS_OF)
def test_names_are_unique_within_a_command(command: str) -> None:
    names = [leaf.name for leaf in leaves(SETTINGS_OF[command])]
    assert len(names) == len(set(names))


def test_the_encoders_to_choose_from_are_those_in_the_table() -> None:
    assert get_args(EncoderName) == tuple(ENCODER_SPECS)


@pytest.mark.parametrize(
    ("command", "name", "possible", "impossible", "allowed"),
    [
        ("prepare", "num_frames", [1, 512], [0, 513, True, 1.5, "16", None], "1 to 512"),
        ("prepare", "frame_size", [32, 1024], [31, 1025], "32 to 1024"),
        ("prepare", "frames_per_second", [None, 1, 0.5], [0, 1001, float("nan")], "more than 0, up to 1000"),
        ("prepare", "val_fraction", [0, 0.9], [1, -0.1, float("inf")], "0 or more, less than 1"),
        ("prepare", "fit", ["pad"], ["squash", "", 1], "stretch, pad, crop"),
        ("prepare", "overwrite", [True], [1, "yes"], "true or false"),
        ("prepare", "out", ["a", Path("a")], [3, ""], "a path"),
        ("train", "weights", ["none", "file.h5"], [1, ""], "text"),
        ("train", "no_flip_label", [["a", "b"], ()], ["a", [1]], "a list of strings"),
        ("train", "learning_rate", [1e-6, 1], [0, 1.1], "more than 0, up to 1"),
        ("train", "seed", [0, 2**32 - 1], [-1, 2**32], "0 to 4294967295"),
    ],
)
def test_types_and_ranges(command: str, name: str, possible: list[Any], impossible: list[Any], allowed: str) -> None:
    for value in possible:
        defaults(command, **{name: value})
    for value in impossible:
        with pytest.raises(ConfigError, match=f"`{name}` cannot be ") as caught:
            defaults(command, **{name: value})
        assert caught.value.setting == name
        assert allowed in caught.value.hint or value == ""


def test_python_checks_as_the_command_line_does() -> None:
    with pytest.raises(ConfigError, match=r"`num_frames` cannot be 0. Allowed: 1 to 512."):
        Sampling(num_frames=0)
    assert PrepareSettings("videos").videos == Path("videos")  # type: ignore[arg-type]


def test_an_unknown_setting_is_an_error_that_names_the_closest() -> None:
    with pytest.raises(ConfigError, match=r"'num_frame' is not a setting. Did you mean 'num_frames'\?"):
        defaults("prepare", num_frame=3)


def _changed(leaf: Leaf) -> object:
    if leaf.choices:
        return leaf.choices[-1:] if leaf.is_list else leaf.choices[-1]
    return not leaf.default if leaf.kind is bool else leaf.default


@pytest.mark.parametrize("command", SETTINGS_OF)
def test_settings_survive_being_stored_as_plain_values(command: str) -> None:
    changed: dict[str, Any] = {leaf.name: _changed(leaf) for leaf in leaves(SETTINGS_OF[command]) if not leaf.required}
    settings = defaults(command, **changed)
    assert settings != defaults(command) or command == "predict"
    assert build(SETTINGS_OF[command], plain_values(settings)) == settings


def test_paths_and_switches_of_one_run_are_not_stored() -> None:
    stored = plain_values(TrainSettings(), stored_only=True)
    assert not stored.keys() & {"prepared", "out", "overwrite", "resume", "tensorboard"}
    assert {"encoder", "flip", "seed"} <= stored.keys()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("epochs", "3", 3),
        ("epochs", "", None),
        ("epochs", "many", "many"),
        ("dropout", "0.25", 0.25),
        ("dropout", "1e-3", 0.001),
        ("gray", "true", True),
        ("skeleton", "false", False),
        ("gray", "yes", "yes"),
        ("no_flip_label", "wave, turn", ["wave", "turn"]),
        ("encoder", "small", "small"),
    ],
)
def test_a_typed_value_is_a_number_or_a_switch_where_the_setting_is_one(name: str, text: str, value: object) -> None:
    (leaf,) = (leaf for leaf in leaves(TrainSettings) if leaf.name == name)
    assert parse_text(leaf, text) == value


def test_an_error_keeps_everything_on_its_way_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(ConfigError("No.", "Do this.", code="config.own", setting="mode")))
    assert (str(error), error.code, error.setting) == ("No. Do this.", "config.own", "mode")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"clips_per_video": 3, "frames_per_second": 2},
            "`frames_per_second` cannot be 2: `clips_per_video=3` samples frames from the whole video.",
        ),
        ({"stride_seconds": 1}, "`stride_seconds` cannot be 1: it needs `window_seconds`."),
        (
            {"val_fraction": 0.6, "test_fraction": 0.4},
            "`val_fraction=0.6` and `test_fraction=0.4` leave no clips for training.",
        ),
        ({"group_by": "person("}, "`group_by` is not a regular expression: 'person('"),
    ],
)
def test_prepare_refuses_settings_that_do_not_fit_together(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve_prepare(build(PrepareSettings, {"videos": "v"} | values))


def test_windows_follow_each_other_unless_a_stride_is_given() -> None:
    def stride(**values: Any) -> float | None:
        return resolve_prepare(build(PrepareSettings, {"videos": "v"} | values)).sampling.stride_seconds

    assert (stride(), stride(window_seconds=2), stride(window_seconds=2, stride_seconds=1)) == (None, 2, 1)


SMALL, RANDOM = {"encoder": "small"}, {"encoder": "mobilenet_v2", "weights": "none"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (SMALL | {"weights": "imagenet"}, "`weights` cannot be 'imagenet': there are no such weights"),
        (SMALL | {"mode": "frozen"}, "`mode` cannot be 'frozen': this mode needs a pretrained encoder, but 'small'"),
        (RANDOM | {"mode": "finetune"}, "`mode` cannot be 'finetune'"),
        ({"gray": True}, "`gray` cannot be true: 'efficientnet_lite0' needs color frames"),
        (
            {"truncate_blocks": 16},
            "`truncate_blocks` cannot be 16: the encoder 'efficientnet_lite0' has only 16 blocks",
        ),
        (SMALL | {"pyramid": 2}, "`pyramid` cannot be 2: the encoder 'small' has no spatial pyramid"),
        ({"head": "linear", "mode": "joint"}, "`head` cannot be 'linear': `mode=joint` needs a recurrent network"),
        (SMALL | {"head": "linear"}, "`head` cannot be 'linear': `mode=joint` needs a recurrent network"),
        (SMALL | {"streams": ["pose"]}, "`encoder` cannot be 'small': only the appearance stream uses it"),
        (
            {"streams": ["pose"], "weights": "imagenet"},
            "`weights` cannot be 'imagenet': only the appearance stream uses",
        ),
        ({"streams": ["motion"], "pca_components": 8}, "`pca_components` cannot be 8: only the appearance stream uses"),
        (
            {"streams": ["hands", "motion"]},
            "`streams` cannot be 'hands,motion': the hands stream finds",
        ),
        ({"streams": ["pose"], "mode": "joint"}, "`mode` cannot be 'joint': the appearance stream is trained by it"),
        (RANDOM | {"pca_components": 8}, "`pca_components` cannot be 8: the encoder 'mobilenet_v2' starts from"),
        ({"finetune_blocks": 1}, "`finetune_blocks` cannot be 1: only `mode=finetune` uses it"),
        (
            {"mode": "finetune", "truncate_blocks": 14, "finetune_blocks": 3},
            "`finetune_blocks` cannot be 3: the encoder 'efficientnet_lite0' has only 2 blocks",
        ),
        ({"warmup_epochs": 2}, "`warmup_epochs` cannot be 2: it has an effect only if"),
        (RANDOM | {"warmup_epochs": 2}, "`warmup_epochs` cannot be 2"),
        ({"encoder_learning_rate": 0.1}, "`encoder_learning_rate` cannot be 0.1: it has an effect only if"),
        ({"precision": "float16"}, "`precision` cannot be 'float16': `mode=frozen` always computes in float32"),
        ({"refit": False}, "`refit` cannot be false: `mode=frozen` always uses the validation clips"),
        ({"patience": 3}, "`patience` cannot be 3: `mode=frozen` runs all epochs"),
        ({"no_flip_label": ["jump"]}, "`no_flip_label`: no clip has the label 'jump'. Labels: up, down."),
        ({"augment": False, "crop": 0.3}, "`crop` cannot be 0.3: `augment=false` turns off all augmentation"),
    ],
)
def test_train_refuses_settings_that_do_not_fit_together(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve_train(build(TrainSettings, values), 100, ("up", "down"))


@pytest.mark.parametrize(
    ("values", "plan"),
    [
        ({}, {"weights": "imagenet", "mode": "frozen", "trained_blocks": 0, "warmup_epochs": 0, "refit": True}),
        ({"streams": ["pose"]}, {"mode": "frozen", "streams": ("pose",)}),
        ({}, {"streams": STREAM_NAMES}),
        ({"streams": ["pose", "motion"]}, {"streams": ("motion", "pose")}),
        (
            {"epochs": 7, "batch_size": 8, "learning_rate": 0.1, "weight_decay": 0},
            {"heads": HeadPlan(7, 8, 0.1, 0.0), "weight_decay": 0.0},
        ),
        (SMALL, {"weights": "none", "mode": "joint", "trained_blocks": 4, "warmup_epochs": 0, "refit": False}),
        ({"mode": "finetune"}, {"trained_blocks": 2, "encoder_learning_rate": 2e-4, "refit": True}),
        ({"mode": "joint", "epochs": 3, "warmup_epochs": 5}, {"trained_blocks": 15, "epochs": 3, "warmup_epochs": 5}),
        ({"augment": False}, {"augmentation": without_augmentation()}),
        (
            SMALL | {"patience": 2, "refit": True},
            {"patience": 2, "refit": True, "batch_size": 16, "weight_decay": 0.01},
        ),
    ],
)
def test_train_chooses_what_is_unset(values: dict[str, Any], plan: dict[str, Any]) -> None:
    resolved = resolve_train(build(TrainSettings, values), 100, ("up", "down"))
    assert {name: getattr(resolved, name) for name in plan} == plan
    assert None not in plain_values(resolved.network).values()


@pytest.mark.parametrize(
    ("values", "network"),
    [
        ({}, (1, 4, 256)),
        ({"encoder": "vgg16"}, (0, 2, 256)),
        ({"pca_components": 8}, (1, 4, 8)),
        (SMALL, (0, 1, 0)),
        (RANDOM, (0, 1, 0)),
    ],
)
def test_the_network_follows_the_weights(values: dict[str, Any], network: tuple[object, ...]) -> None:
    made: NetworkSettings = resolve_train(build(TrainSettings, values), 100, ("up", "down")).network
    assert (made.truncate_blocks, made.pyramid, made.pca_components) == network


def test_few_clips_have_more_epochs() -> None:
    few, many = (resolve_train(TrainSettings(), clips, ("up", "down")) for clips in (32, 10_000))
    assert (few.heads.epochs, many.heads.epochs) == (120, 30)
    few, many = (resolve_train(TrainSettings(mode="joint"), clips, ("up", "down")) for clips in (32, 10_000))
    assert (few.warmup_epochs, many.warmup_epochs) == (200, 30)
    assert few.patience > many.patience


def test_heads_beside_an_encoder_that_is_trained_take_no_setting_that_is_meant_for_it() -> None:
    usual, beside = (
        resolve_train(settings, 100, ("up", "down"))
        for settings in (TrainSettings(), TrainSettings(mode="joint", epochs=7, batch_size=3, learning_rate=0.1))
    )
    assert beside.heads == usual.heads
    assert (beside.epochs, beside.batch_size, beside.learning_rate) == (7, 3, 0.1)


def test_streams_are_those_of_the_prepared_folder() -> None:
    def streams(wanted: Sequence[str] | None, *available: str) -> tuple[str, ...]:
        values = {} if wanted is None else {"streams": list(wanted)}
        return resolve_train(build(TrainSettings, values), 100, ("up", "down"), available).streams

    assert streams(None, "appearance") == ("appearance",)
    assert streams(None, "appearance", "pose") == ("appearance", "pose")
    assert streams(["pose"], "appearance", "pose", "hands") == ("pose",)
    with pytest.raises(
        ConfigError, match=r"`streams` cannot be motion,pose: the prepared folder has no motion\."
    ) as caught:
        streams(["motion", "pose"], "appearance", "pose")
    assert caught.value.setting == "streams" and "It has appearance, pose." in caught.value.hint
