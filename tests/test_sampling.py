"""Which frames make a clip: tables and laws."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from activity_cli.errors import ConfigError
from activity_cli.sampling.plan import at_rate, choose_frames, evenly_spaced
from activity_cli.settings import Sampling


@pytest.mark.parametrize(
    ("num_available", "num_frames", "expected"),
    [
        (12, 4, (1, 4, 7, 10)),
        (12, 1, (6,)),
        (1, 4, (0,)),
        (0, 4, ()),
        (3, 4, (0, 1, 2)),
        (4, 4, (0, 1, 2, 3)),
        (5, 4, (0, 1, 3, 4)),
        (100, 2, (25, 75)),
        (50, 6, (4, 12, 20, 29, 37, 45)),
    ],
)
def test_even_spacing_takes_the_middle_of_equal_parts(
    num_available: int, num_frames: int, expected: tuple[int, ...]
) -> None:
    assert evenly_spaced(num_available, num_frames) == expected


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7, 16, 33])
def test_even_spacing_keeps_its_laws_for_every_length(num_frames: int) -> None:
    for num_available in range(200):
        chosen = evenly_spaced(num_available, num_frames)
        assert len(chosen) == min(num_available, num_frames)
        assert all(earlier < later for earlier, later in pairwise(chosen))
        assert all(0 <= index < num_available for index in chosen)
        # Every part of the video is looked at: no gap is much wider than another.
        gaps = [later - earlier for earlier, later in pairwise(chosen)]
        assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("num_frames", [1, 3, 8, 16])
def test_a_reversed_video_gives_the_same_frames_reversed_where_the_middles_are_unique(num_frames: int) -> None:
    compared = 0
    for num_available in range(1, 200):
        middles = [(2 * part + 1) * num_available / (2 * num_frames) for part in range(num_frames)]
        if num_available > num_frames and any(middle.is_integer() for middle in middles):
            continue  # two frames are equally near: either may be taken
        chosen = evenly_spaced(num_available, num_frames)
        assert tuple(num_available - 1 - index for index in reversed(chosen)) == chosen
        compared += 1
    assert compared > 20


def steady(num_frames: int, fps: float, begin: float = 0.0) -> list[float]:
    return [begin + index / fps for index in range(num_frames)]


@pytest.mark.parametrize(
    ("times", "num_frames", "rate", "expected"),
    [
        ([], 4, 5.0, ()),
        ([0.0], 4, 5.0, (0,)),
        (steady(101, 10.0), 5, 10.0, (48, 49, 50, 51, 52)),  # from the middle
        (steady(101, 10.0), 5, 5.0, (46, 48, 50, 52, 54)),
        (steady(101, 10.0), 5, 0.5, (10, 30, 50, 70, 90)),
        (steady(11, 10.0), 100, 5.0, (0, 2, 4, 6, 8, 10)),  # shorter than the clip
        (steady(11, 10.0, begin=7.5), 100, 5.0, (0, 2, 4, 6, 8, 10)),  # a clock that begins late
        (steady(4, 10.0), 100, 100.0, (0, 1, 2, 3)),  # faster than the video: each frame once
        (steady(101, 10.0), 5, 20.0, (49, 50, 51)),  # five ticks span 0.2 seconds, whatever the video has there
        (steady(30, 10.0), 1, 25.0, (14,)),
        (steady(5, 1.0), 8, 0.01, (2,)),  # slower than the whole video: its middle
    ],
)
def test_a_fixed_rate_takes_frames_from_the_middle(
    times: list[float], num_frames: int, rate: float, expected: tuple[int, ...]
) -> None:
    assert at_rate(times, num_frames, rate) == expected


def test_a_fixed_rate_follows_time_stamps_not_frame_numbers() -> None:
    # One second at 10 frames a second, then one second at 2: a clock of 2 sees both alike.
    times = [index / 10 for index in range(10)] + [1.0, 1.5, 2.0]
    assert at_rate(times, 5, 2.0) == (0, 5, 10, 11, 12)


@pytest.mark.parametrize("seed", range(20))
def test_a_fixed_rate_keeps_its_laws_on_variable_frame_rates(seed: int) -> None:
    rng = random.Random(seed)
    times = [rng.uniform(0, 5)]
    while len(times) < rng.randint(1, 80):
        times.append(times[-1] + rng.choice([0.01, 0.04, 0.1, 0.7]))
    num_frames, rate = rng.randint(1, 20), rng.choice([0.3, 2.0, 12.5, 200.0])
    chosen = at_rate(times, num_frames, rate)
    assert 1 <= len(chosen) <= min(num_frames, len(times))
    assert all(earlier < later for earlier, later in pairwise(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < len(times)
    if len(chosen) > 1:
        before, after = times[chosen[0]] - times[0], times[-1] - times[chosen[-1]]
        assert abs(before - after) <= 2 * 0.7 + 1 / rate  # as much is left out before as after


def test_the_config_decides_between_the_two_ways() -> None:
    times = steady(101, 10.0)
    assert choose_frames(times, Sampling(num_frames=4)) == evenly_spaced(101, 4)
    assert choose_frames(times, Sampling(num_frames=4, frames_per_second=5.0)) == at_rate(times, 4, 5.0)
    assert choose_frames([], Sampling()) == ()


@pytest.mark.parametrize(
    "settings",
    [
        {"num_frames": 0},
        {"num_frames": 513},
        {"frames_per_second": 0.0},
        {"frames_per_second": -1.0},
        {"frames_per_second": float("nan")},
        {"frame_size": 31},
        {"fit": "stretch"},
    ],
)
def test_an_impossible_setting_is_refused_with_what_is_allowed(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Sampling(**settings)  # type: ignore[arg-type]
    assert next(iter(settings)) in caught.value.message
    assert caught.value.hint.startswith("Allowed: ")
