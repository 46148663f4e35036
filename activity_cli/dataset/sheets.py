"""The pictures of a prepared folder: the contact sheet, and the pose sheet where the pose was computed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from activity_cli.dataset.manifest import PreparedFolder
from activity_cli.files import translate_os_error
from activity_cli.reports.poses import PoseStrip, draw_poses
from activity_cli.reports.sheet import contact_sheet
from activity_cli.results import ClipRecord
from activity_cli.sampling.plan import evenly_spaced
from activity_cli.streams.hands import split_hands
from activity_cli.streams.motion import mean_flow
from activity_cli.streams.pose import split_pose

__all__ = ["draw_sheets"]

_CLIPS_PER_LABEL = 3


def draw_sheets(prepared: PreparedFolder, *, is_changed: bool) -> tuple[Path, Path | None]:
    """Draws the sheets that are missing, or all of them where the folder has changed.

    Returns:
        ``contact_sheet.png`` and ``pose_sheet.png``; None where the pose was not computed.

    Raises:
        OutputError: A picture cannot be written.
    """
    sheet, pose_sheet = prepared.folder / "contact_sheet.png", prepared.folder / "pose_sheet.png"
    by_label: dict[str, list[ClipRecord]] = defaultdict(list)
    for record in prepared.in_split("all"):
        by_label[record.label].append(record)
    chosen = [
        by_label[label][place]
        for label in sorted(by_label)
        # From all over the list, to show different persons instead of several clips of the first.
        for place in evenly_spaced(len(by_label[label]), _CLIPS_PER_LABEL)
    ]
    num_frames = prepared.sampling.num_frames
    if is_changed or not sheet.exists():
        captions = [f"{_caption(one)} · {one.clip_frames} frames" for one in chosen]
        rows = [(one.label, text, prepared.clips.read(one.clip)) for one, text in zip(chosen, captions, strict=True)]
        contact_sheet(rows, sheet, num_frames)
    if "pose" not in prepared.stream_names:
        with translate_os_error(pose_sheet):
            pose_sheet.unlink(missing_ok=True)
        return sheet, None
    if is_changed or not pose_sheet.exists():
        draw_poses([_pose_strip(prepared, one) for one in chosen], pose_sheet, num_frames)
    return sheet, pose_sheet


def _caption(record: ClipRecord) -> str:
    return f"{record.path} · {record.split}"


def _pose_strip(prepared: PreparedFolder, record: ClipRecord) -> PoseStrip:
    pose = split_pose(prepared.streams.read("pose", record.clip))
    hands = flow = None
    if "hands" in prepared.stream_names:
        hands = split_hands(prepared.streams.read("hands", record.clip)).drawn()
    if "motion" in prepared.stream_names:
        flow = mean_flow(prepared.streams.read("motion", record.clip))
    return PoseStrip(
        label=record.label,
        caption=f"{_caption(record)} · somebody in {record.person_frames} of {record.clip_frames} frames",
        frames=prepared.clips.read(record.clip),
        aspect=record.height / (record.width * record.sample_aspect_ratio),
        fit=prepared.sampling.fit,
        joints=pose.picture,
        found=pose.found > 0,
        hands=hands,
        flow=flow,
    )
