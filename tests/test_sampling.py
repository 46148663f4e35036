"""Which clips a video is cut into, and which frames they have: tables and laws."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from activity_cli.errors import ConfigError
from activity_cli.sampling.plan import (
    SAMPLERS,
    SHORT_CLIPS,
    Segment,
    Span,
    even,
    evenly_spaced,
    plan_cuts,
    plan_identity,
    random_segments,
    rate,
    windows,
)
from activity_cli.settings import Sampling

RNG = random.Random(0)


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
        # No part of the video is left out: no gap is much wider than another.
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


def at_rate(times: list[float], num_frames: int, fps: float) -> tuple[int, ...]:
    return rate(Span(times, times[-1]), Sampling(num_frames=num_frames, frames_per_second=fps), RNG)


def steady(num_frames: int, fps: float, begin: float = 0.0) -> list[float]:
    return [begin + index / fps for index in range(num_frames)]


@pytest.mark.parametrize(
    ("times", "num_frames", "fps", "expected"),
    [
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
    times: list[float], num_frames: int, fps: float, expected: tuple[int, ...]
) -> None:
    assert at_rate(times, num_frames, fps) == expected


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
    num_frames, fps = rng.randint(1, 20), rng.choice([0.3, 2.0, 12.5, 200.0])
    chosen = at_rate(times, num_frames, fps)
    assert 1 <= len(chosen) <= min(num_frames, len(times))
    assert all(earlier < later for earlier, later in pairwise(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < len(times)
    if len(chosen) > 1:
        before, after = times[chosen[0]] - times[0], times[-1] - times[chosen[-1]]
        assert abs(before - after) <= 2 * 0.7 + 1 / fps  # as much is left out before as after


def test_even_spacing_of_a_variable_frame_rate_follows_time() -> None:
    # One second at 10 frames a second, then one second with a single picture.
    times = [index / 10 for index in range(11)]
    assert even(Span(times, 2.0, steady=False), Sampling(num_frames=4), RNG) == (2, 5, 7, 10)
    assert even(Span(times, 2.0, steady=True), Sampling(num_frames=4), RNG) == (1, 4, 6, 9)


@pytest.mark.parametrize("is_steady", [True, False])
def test_random_segments_have_one_frame_of_each_part_and_repeat_with_their_seed(is_steady: bool) -> None:
    span, sampling = Span(steady(160, 25.0), 6.4, is_steady), Sampling(num_frames=16)
    drawn = [random_segments(span, sampling, random.Random(seed)) for seed in range(20)]
    for indices in drawn:  # a variable rate is cut by time, which is rounded
        assert all(10 * part <= index <= 10 * part + 9 + (not is_steady) for part, index in enumerate(indices))
    assert len(set(drawn)) == 20
    assert random_segments(span, sampling, random.Random(7)) == drawn[7]


@pytest.mark.parametrize(
    ("start", "end", "length", "stride", "expected"),
    [
        (0.0, 10.0, None, None, [(0.0, 10.0)]),
        (0.0, 10.0, 4.0, None, [(0.0, 4.0), (4.0, 8.0)]),
        (0.0, 10.0, 4.0, 3.0, [(0.0, 4.0), (3.0, 7.0), (6.0, 10.0)]),
        (2.0, 5.0, 1.0, 1.0, [(2.0, 3.0), (3.0, 4.0), (4.0, 5.0)]),
        (0.0, 3.0, 4.0, 1.0, [(0.0, 3.0)]),  # shorter than a window
        (0.0, 3.9995, 4.0, 1.0, [(0.0, 3.9995)]),  # nearly one
    ],
)
def test_windows(
    start: float, end: float, length: float | None, stride: float | None, expected: list[tuple[float, float]]
) -> None:
    assert list(windows(start, end, Sampling(window_seconds=length, stride_seconds=stride))) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("mask", (3, 4, 5)), ("repeat_last", (3, 4, 5, 5, 5, 5, 5, 5)), ("wrap", (3, 4, 5, 3, 4, 5, 3, 4)), ("drop", ())],
)
def test_short_clips(policy: str, expected: tuple[int, ...]) -> None:
    assert SHORT_CLIPS[policy]((3, 4, 5), 8) == expected
    [cut] = plan_cuts(steady(3, 10.0), Sampling(num_frames=8, short_clips=policy))  # type: ignore[arg-type]
    assert cut.indices == SHORT_CLIPS[policy]((0, 1, 2), 8)


def test_each_segment_is_cut_by_itself() -> None:
    times = steady(100, 10.0)
    cuts = plan_cuts(times, Sampling(num_frames=2), [Segment(2.0, 4.0), Segment(9.0), Segment(50.0, 60.0)])
    assert [(cut.segment, cut.start_seconds, cut.end_seconds, cut.indices, cut.stop) for cut in cuts] == [
        (0, 2.0, 4.0, (25, 35), 40),
        (1, 9.0, 10.0, (92, 97), 100),
    ]
    assert plan_cuts([], Sampling()) == []
    [cut] = plan_cuts(times, Sampling(num_frames=4, frames_per_second=5.0))
    assert cut.indices == at_rate(times, 4, 5.0)


def test_the_seed_and_the_video_decide_random_clips_and_nothing_else() -> None:
    times, sampling = steady(100, 10.0), Sampling(num_frames=4, clips_per_video=3)
    first, *drawn = plan_cuts(times, sampling, seed=1, key="a")
    assert plan_cuts(times, sampling, seed=1, key="a") == [first, *drawn]
    assert len({cut.identity for cut in drawn}) == 2
    for seed, key in ((2, "a"), (1, "b")):
        other, *others = plan_cuts(times, sampling, seed=seed, key=key)
        assert other == first
        assert [cut.indices for cut in others] != [cut.indices for cut in drawn]
        assert not {cut.identity for cut in others} & {cut.identity for cut in drawn}
    assert plan_identity(sampling, 1) != plan_identity(sampling, 2)
    assert plan_identity(Sampling(), 1) == plan_identity(Sampling(), 2)


def test_a_setting_is_part_of_the_identity_of_the_samplers_that_read_it_alone() -> None:
    times = steady(100, 10.0)
    [cut] = plan_cuts(times, Sampling(num_frames=4))
    [same] = plan_cuts(times, Sampling(num_frames=4, frame_size=32, fit="crop"))
    [other] = plan_cuts(times, Sampling(num_frames=5))
    assert cut.identity == same.identity != other.identity
    # A window is a clip like any other: whoever cut it out before has the same.
    window = plan_cuts(times, Sampling(num_frames=4, window_seconds=2.0))[1]
    [segment] = plan_cuts(times, Sampling(num_frames=4), [Segment(2.0, 4.0)])
    assert (window.identity, window.indices, window.stop) == (segment.identity, segment.indices, segment.stop)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_drawn_in_its_docstring(name: str) -> None:
    assert "|" in (SAMPLERS[name].choose.__doc__ or "")
    assert SAMPLERS[name].version >= 1


@pytest.mark.parametrize(
    "settings",
    [
        {"num_frames": 0},
        {"num_frames": 513},
        {"frames_per_second": 0.0},
        {"frames_per_second": -1.0},
        {"frames_per_second": float("nan")},
        {"frame_size": 31},
        {"fit": "squash"},
    ],
)
def test_an_impossible_setting_is_refused_with_what_is_allowed(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Sampling(**settings)  # type: ignore[arg-type]
    assert next(iter(settings)) in caught.value.message
    assert caught.value.hint.startswith("Allowed: ")
