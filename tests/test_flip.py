"""Which labels a mirrored clip shows."""

from __future__ import annotations

import pytest

from activity_cli import Augmentation
from activity_cli.labels.flip import may_flip, mirrored_labels
from activity_cli.settings import without_augmentation

USUAL = Augmentation()


@pytest.mark.parametrize(
    "pair",
    [
        ("turn_left", "turn_right"),
        ("LeftHook", "RightHook"),
        ("leftHook", "rightHook"),
        ("TURN LEFT", "TURN RIGHT"),
        ("hook_l", "hook_r"),
        ("hook_L", "hook_R"),
        ("spin-cw", "spin-ccw"),
        ("CW", "CCW"),
        ("spin_clockwise", "spin_counterclockwise"),
        ("Clockwise", "Anticlockwise"),
        ("left_then_right", "right_then_left"),
        ("turnlefthand", "turnrighthand"),
        ("leanleftward", "leanrightward"),
        ("LH_wave", "RH_wave"),
    ],
)
def test_paired_labels_are_swapped(pair: tuple[str, str]) -> None:
    assert mirrored_labels(["jump", *pair, "wave"], USUAL) == (0, 2, 1, 3)
    assert mirrored_labels([pair[1], pair[0]], USUAL) == (1, 0)
    assert not any(may_flip(label, USUAL) for label in pair)


@pytest.mark.parametrize(
    "label", ["wave", "bright", "upright", "cleft", "leftover", "brightness", "roll", "crawl", "shrug"]
)
def test_a_label_without_a_side_stays_itself(label: str) -> None:
    assert mirrored_labels([label, "jump"], USUAL) == (0, 1)


@pytest.mark.parametrize(
    "labels",
    [
        ("turn_left", "wave"),
        ("turn_left", "step_right"),
        ("turn_left", "Turn_Right"),  # perhaps the same, perhaps not
        ("left_right", "wave"),
        ("clockwise", "counterclockwise", "anticlockwise"),
    ],
)
def test_with_a_side_that_has_no_partner_nothing_is_mirrored(labels: tuple[str, ...]) -> None:
    assert mirrored_labels(labels, USUAL) is None


def test_nothing_is_mirrored_where_it_is_turned_off_or_a_label_is_named() -> None:
    labels = ("turn_left", "turn_right", "salute")
    assert mirrored_labels(labels, USUAL) == (1, 0, 2)
    assert mirrored_labels(labels, Augmentation(flip=False)) is None
    assert mirrored_labels(labels, without_augmentation()) is None
    assert mirrored_labels(labels, Augmentation(no_flip_label=("salute",))) is None
