"""Labels of other programs are read, segments are written, and what is written is read again as it was."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from activity_cli import ConvertSettings, LabelOptions, convert
from activity_cli.dataset.segment_files import read_segments
from activity_cli.errors import ActivityError, DatasetError
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.formats.registry import read_annotations
from activity_cli.results import TimelineSegment
from activity_cli.writers.segments import SEGMENT_WRITERS, file_for
from conftest import draw_video

# Each as its program writes it, shortened.
BORIS_PROJECT = {
    "time_format": "hh:mm:ss",
    "project_format_version": "7.0",
    "behaviors_conf": {
        "0": {"type": "State event", "key": "s", "code": "walk", "modifiers": ""},
        "1": {"type": "Point event", "key": "p", "code": "call", "modifiers": ""},
    },
    "observations": {
        "day 1": {
            "file": {"1": ["/home/lab/videos/a.avi", "/home/lab/videos/b.avi"], "2": []},
            "type": "MEDIA",
            "time offset": 10.0,
            "events": [
                [10.5, "anna", "walk", "", ""],
                [10.75, "ben", "walk", "", ""],
                [11.25, "anna", "walk", "", ""],
                [11.5, "", "call", "", ""],
                [12.5, "ben", "walk", "", ""],
            ],
            "media_info": {"length": {"/home/lab/videos/a.avi": 2.0, "/home/lab/videos/b.avi": 2.0}},
        },
        "in the field": {"file": {}, "type": "LIVE", "events": [[1.0, "", "call", "", ""]]},
    },
}
BORIS_AGGREGATED = """\
Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\
\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tComment start\tComment stop
one\t2016-12-01 23:01:31\t\ta.avi\t2.000\t25.0\tNo focal subject\twalk\t\t\tSTATE\t0.500\t1.250\t0.750\t\t
one\t2016-12-01 23:01:31\t\ta.avi\t2.000\t25.0\tanna\tcall\t\t\tPOINT\t1.500\t1.500\tNA\t\t
"""
BORIS_ROWS = """\
Observation id,observation #1,,,,,,,
,,,,,,,,
Media file(s),,,,,,,,
Player #1,a.avi,,,,,,,
,,,,,,,,
Time offset (s),5.0,,,,,,,
,,,,,,,,
Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status
00:00:05.500,videos/a.avi,2.000,25.0,anna,walk,,,START
5.750,videos/a.avi,2.000,25.0,ben,walk,,,START
6.250,videos/a.avi,2.000,25.0,anna,walk,,,STOP
6.900,videos/a.avi,2.000,25.0,ben,walk,,,STOP
"""
ELAN = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-03-01T10:00:00+01:00" FORMAT="3.0" VERSION="3.0">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/Users/lab/a.avi" MIME_TYPE="video/avi" RELATIVE_MEDIA_URL="./a.avi"/>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
        <TIME_SLOT TIME_SLOT_ID="ts3"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="anna" TIER_ID="gesture">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>walk</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
            <ANNOTATION_VALUE>run</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""
TEXTGRID_SHORT = '''\
File type = "ooTextFile"
Object class = "TextGrid"

0
2
<exists>
2
"IntervalTier"
"activity"
0
2
3
0
0.5
""
0.5
1.25
"walk ""fast"""
1.25
2
""
"TextTier"
"marks"
0
2
1
1.5
"call"
'''
SRT = "1\n00:00:00,500 --> 00:00:01,250\nwalk\n\n2\n00:00:01,500 --> 00:00:02,000\nrun\n"
VTT = "WEBVTT\n\nNOTE by hand\n\n00:00.500 --> 00:01.250 align:start\n<v anna>walk &amp; run\n"
VIA = {
    "project": {"pid": "__VIA_PROJECT_ID__", "data_format_version": "3.1.1", "vid_list": ["1"]},
    "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
    "attribute": {
        "1": {
            "aname": "TEMPORAL-SEGMENTS",
            "anchor_id": "FILE1_Z2_XY0",
            "type": 4,
            "options": {"default": "Default", "w": "walk"},
            "default_option_id": "",
        }
    },
    "file": {"1": {"fid": "1", "fname": "a.avi", "type": 4, "loc": 1, "src": ""}},
    "metadata": {
        "1_AbCdEfGh": {"vid": "1", "flg": 0, "z": [0.5, 1.25], "xy": [], "av": {"1": "w"}},
        "1_region": {"vid": "1", "flg": 0, "z": [0.7], "xy": [2, 1, 1, 9, 9], "av": {}},
    },
    "view": {"1": {"fid_list": ["1"]}},
}
CVAT = """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>7</id><name>day 1</name><mode>interpolation</mode></task><source>a.avi</source></meta>
  <track id="0" label="walk" source="manual">
    <box frame="6" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"></box>
    <box frame="12" keyframe="1" outside="0" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"></box>
    <box frame="15" keyframe="1" outside="1" occluded="0" xtl="1" ytl="1" xbr="9" ybr="9" z_order="0"></box>
  </track>
</annotations>
"""
LABEL_STUDIO = [
    {
        "id": 1,
        "data": {"video": "/data/upload/1/0a1b2c3d-a.avi"},
        "annotations": [
            {
                "was_cancelled": False,
                "result": [
                    {
                        "type": "timelinelabels",
                        "from_name": "videoLabels",
                        "value": {"ranges": [{"start": 7, "end": 15}], "timelinelabels": ["walk"]},
                    },
                    {"type": "labels", "value": {"start": 1.5, "end": 1.75, "labels": ["run"]}},
                ],
            }
        ],
    }
]
ACTIVITYNET = {
    "version": "VERSION 1.3",
    "taxonomy": [],
    "database": {
        "a": {"duration": 2.0, "subset": "training", "annotations": [{"segment": [0.5, 1.25], "label": "walk"}]}
    },
}
CREATE_ML = [{"video": "a.avi", "label": "walk", "start": 0.5, "end": 1.25}, {"video": "b.avi", "label": "run"}]
SIMBA = "\n".join(
    [",Nose_x,Nose_y,Nose_p,Attack,Sniffing", *(f"{n},{n}.5,3.25,0.9,{int(6 <= n < 15)},0" for n in range(24))]
)
TIMES = "# by hand\n0:00.5 walk\n0:01.25 - 0:01.5 run\n"

SAMPLES: dict[str, tuple[str, str, list[tuple[str, str, float, float, str]]]] = {
    "boris project": (
        "labels.boris",
        json.dumps(BORIS_PROJECT),
        [
            ("a.avi", "walk", 0.5, 1.25, "anna"),
            ("a.avi", "walk", 0.75, 2.0, "ben"),
            ("a.avi", "call", 1.4, 1.6, ""),
            ("b.avi", "walk", 0.0, 0.5, "ben"),
        ],
    ),
    "boris aggregated": (
        "labels.tsv",
        BORIS_AGGREGATED,
        [("a.avi", "walk", 0.5, 1.25, ""), ("a.avi", "call", 1.4, 1.6, "anna")],
    ),
    "boris rows": (
        "labels.csv",
        BORIS_ROWS,
        [("a.avi", "walk", 0.5, 1.25, "anna"), ("a.avi", "walk", 0.75, 1.9, "ben")],
    ),
    "elan": ("labels.eaf", ELAN, [("a.avi", "walk", 0.5, 1.25, "anna")]),
    "praat": (
        "a.TextGrid",
        TEXTGRID_SHORT,
        [("a.avi", 'walk "fast"', 0.5, 1.25, ""), ("a.avi", "call", 1.4, 1.6, "")],
    ),
    "srt": ("a.srt", SRT, [("a.avi", "walk", 0.5, 1.25, ""), ("a.avi", "run", 1.5, 2.0, "")]),
    "vtt": ("a.vtt", VTT, [("a.avi", "walk & run", 0.5, 1.25, "anna")]),
    "via": ("via_project.json", json.dumps(VIA), [("a.avi", "walk", 0.5, 1.25, "")]),
    "cvat": ("annotations.xml", CVAT, [("a.avi", "walk", 0.5, 1.25, "")]),
    "label studio": (
        "project-1.json",
        json.dumps(LABEL_STUDIO),
        [("a.avi", "walk", 0.5, 1.25, ""), ("a.avi", "run", 1.5, 1.75, "")],
    ),
    "activitynet": ("activity_net.json", json.dumps(ACTIVITYNET), [("a.avi", "walk", 0.5, 1.25, "")]),
    "create ml": (
        "annotations.json",
        json.dumps(CREATE_ML),
        [("a.avi", "walk", 0.5, 1.25, ""), ("b.avi", "run", 0.0, 2.0, "")],
    ),
    "simba": ("a.csv", SIMBA, [("a.avi", "Attack", 0.5, 1.25, "")]),
    "times": ("a.txt", TIMES, [("a.avi", "walk", 0.4, 0.6, ""), ("a.avi", "run", 1.25, 1.5, "")]),
    "audacity": ("a.txt", "0.500000\t1.250000\twalk\n", [("a.avi", "walk", 0.5, 1.25, "")]),
}


@pytest.fixture(scope="module")
def two_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.avi and b.avi: 24 frames each, at 12 frames per second."""
    root = tmp_path_factory.mktemp("two") / "videos"
    for name in "ab":
        draw_video(root / f"{name}.avi", num_frames=24)
    return root


DOCS = Path(__file__).parents[1] / "docs/formats.md"


@pytest.mark.parametrize("title", ["VIA 3", "Label Studio", "ActivityNet", "Create ML", "Segments of a timeline"])
def test_the_examples_in_the_documents_are_read(title: str, tmp_path: Path) -> None:
    section = DOCS.read_text(encoding="utf-8").split(f"# {title}\n")[1]
    path = write(tmp_path, "labels.json", section.split("```json\n")[1].split("```")[0])
    found = read_annotations(path, LabelOptions())
    assert found is not None and {one.label for one in found.found} - {None} == {"walk"}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def values(segments: list[TimelineSegment]) -> list[tuple[str, str | None, float, float, str]]:
    return [
        (one.source, one.label, round(one.start_seconds, 3), round(one.end_seconds, 3), one.subject) for one in segments
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_labels_of_other_programs_become_segments(name: str, two_videos: Path, tmp_path: Path) -> None:
    file_name, text, expected = SAMPLES[name]
    path = write(tmp_path, file_name, text)
    segments, _ = read_segments([path], two_videos, LabelOptions(event_seconds=0.2))
    assert values(segments) == expected


@pytest.mark.parametrize("name", SAMPLES)
def test_prepare_reads_them_too(name: str, two_videos: Path, tmp_path: Path) -> None:
    file_name, text, expected = SAMPLES[name]
    path = write(tmp_path, file_name, text)
    found = read_labels(two_videos, path, options=LabelOptions(event_seconds=0.2))
    # Who appears in one video, or in videos with a common subject, is one group.
    group = "+".join(sorted({subject for *_, subject in expected} - {""}))
    assert [(one.name, one.label, one.group) for one in found.segments] == [(row[0], row[1], group) for row in expected]
    assert not any(one.problem for one in found.segments)
    assert path.name in found.format
    if name == "activitynet":
        assert {one.split for one in found.segments} == {"train"}


HOSTILE = ['a, "b"', "x --> y", "<b>&amp;</b>", "öffnen 😀", "=1+1", "-", "it's; here|there", "00:01 walk"]


@pytest.mark.parametrize("name", SEGMENT_WRITERS)
def test_a_round_trip_gives_the_same_segments(name: str, tmp_path: Path) -> None:
    segments = [
        TimelineSegment("my clip.mp4", label, number + 0.125, number + 0.9, 0.5, subject="", model="m@1")
        for number, label in enumerate(HOSTILE)
    ]
    segments.append(TimelineSegment("my clip.mp4", None, 8.0, 9.5, reason="unknown"))
    writer = SEGMENT_WRITERS[name]
    (tmp_path / "my clip.mp4").touch()
    path = write(tmp_path, f"my clip{writer.suffixes[0]}", writer.header + writer.text(segments))
    found, _ = read_segments([path])
    if name in ("json", "csv"):
        assert found == segments
    else:
        assert values(found) == values(segments[:-1])


@pytest.mark.parametrize("name", ["json", "csv", "boris", "eaf", "textgrid"])
def test_tabs_and_line_breaks_in_a_label_do_not_break_a_file(name: str, tmp_path: Path) -> None:
    segments = [
        TimelineSegment("a.mp4", "one\ttwo\nthree", 0.0, 1.0, subject="anna"),
        TimelineSegment("a.mp4", "four", 1.0, 2.0, subject="ben"),
    ]
    writer = SEGMENT_WRITERS[name]
    (tmp_path / "a.mp4").touch()
    path = write(tmp_path, f"a{writer.suffixes[0]}", writer.header + writer.text(segments))
    # A label is read with plain spaces.
    expected = [replace(segments[0], label="one two three"), segments[1]]
    assert values(read_segments([path])[0]) == values(expected)


@pytest.mark.parametrize("name", ["eaf", "textgrid"])
def test_formats_with_tiers_refuse_overlaps(name: str) -> None:
    segments = [TimelineSegment("a.mp4", "walk", 0.0, 2.0), TimelineSegment("a.mp4", "run", 1.0, 3.0)]
    with pytest.raises(ActivityError, match=r"'walk' .* and 'run' .* overlap"):
        SEGMENT_WRITERS[name].text(segments)


def test_a_textgrid_has_no_holes() -> None:
    text = SEGMENT_WRITERS["textgrid"].text([TimelineSegment("a.mp4", "walk", 1.0, 2.0)])
    assert "intervals: size = 2" in text
    assert text.count("xmin = 0\n") == 3  # of the file, of the tier and of its first interval


def test_a_folder_of_files_is_read_and_unmatched_names_are_said(two_videos: Path, tmp_path: Path) -> None:
    write(tmp_path, "a.srt", SRT)
    write(tmp_path, "c.srt", SRT)
    write(tmp_path, "notes.txt", "nothing to see here\n")
    found = read_labels(two_videos, tmp_path)
    assert [(one.name, one.label) for one in found.segments if not one.problem] == [("a.avi", "walk"), ("a.avi", "run")]
    assert found.format.startswith("subtitles (SubRip) (2 files)")
    assert {one.problem.split("]")[0] for one in found.segments if one.name == "c"} == {"[video.missing"}
    assert [file.name for file in found.unused] == ["b.avi"]
    assert "1 video is not listed" in found.notes[-1]
    assert "in no known format: 1, such as 'notes.txt'" in found.notes[0]


def test_label_files_in_folders_belong_to_the_videos_in_such_folders(tmp_path: Path) -> None:
    for day in ("monday", "tuesday"):
        draw_video(tmp_path / "videos" / day / "a.avi", num_frames=24)
        (tmp_path / "labels" / day).mkdir(parents=True)
        write(tmp_path / "labels" / day, "a.srt", SRT)
    found = read_labels(tmp_path / "videos", tmp_path / "labels")
    assert {one.name for one in found.segments} == {"monday/a.avi", "tuesday/a.avi"} and not found.unused
    write(tmp_path, "a.srt", SRT)
    (one, *_) = read_labels(tmp_path / "videos", tmp_path / "a.srt").segments
    assert "'a' may be 'monday/a.avi' and 'tuesday/a.avi'" in one.problem


def test_events_without_a_length_are_left_out_and_counted(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "labels.boris", json.dumps(BORIS_PROJECT))
    found = read_labels(two_videos, path)
    assert "call" not in {one.label for one in found.segments}
    assert any("events without a length: 1" in note and "`event_seconds`" in note for note in found.notes)
    assert any("'in the field'" in note for note in found.notes)


def test_until_next_ends_a_time_where_the_next_one_begins(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "0:00 walk\n0:01.25 run\n")
    with pytest.raises(DatasetError, match="events without a length: 2"):
        read_segments([path])
    segments, _ = read_segments([path], two_videos, LabelOptions(until_next=True))
    assert values(segments) == [("a.avi", "walk", 0.0, 1.25, ""), ("a.avi", "run", 1.25, 2.0, "")]


def test_gaps_become_background_on_request_only(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "a.srt", SRT)
    assert {one.label for one in read_labels(two_videos, path).segments} == {"walk", "run"}
    found = read_labels(two_videos, path, options=LabelOptions(gaps_are="rest"))
    assert [(one.label, one.start_seconds, one.end_seconds) for one in found.segments] == [
        ("walk", 0.5, 1.25),
        ("rest", 1.25, 1.5),
        ("run", 1.5, 2.0),
    ]


def test_overlapping_labels_are_warned_of(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "0:00 - 0:01.5 walk\n0:01 - 0:02 run\n")
    (warning, *_) = read_labels(two_videos, path).warnings
    assert "'walk' and 'run'" in warning and "line 2" in warning


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.eaf", ENTITIES, "declares a document type"),
        ("a.eaf", ELAN.replace("</TIER>", ""), "is damaged XML"),
        ("a.eaf", ELAN.replace('"1250"', '"250"'), "annotation a1: 'walk' starts at 0.5 s but ends at 0.25 s"),
        ("a.eaf", ELAN.replace('"500"', '"-500"'), "starts at -0.5 s"),
        ("a.eaf", ELAN.replace("walk", "\udcff"), "is not UTF-8"),
        ("a.boris", json.dumps(BORIS_PROJECT)[:-30], "is damaged JSON"),
        ("a.boris", json.dumps(BORIS_PROJECT).replace("[12.5,", "[12.5, 1,"), "does not stop"),
        ("a.boris", json.dumps({**BORIS_PROJECT, "observations": [1]}), "is not as the program"),
        ("a.json", '{"database": ' + "[" * 100_000, "is nested too deeply"),
        (
            "a.json",
            '{"database": {"a": {"annotations": [{"label": "walk", "segment": [0, 1' + "0" * 400 + "]}]}}}",
            "'a': '10+' is not a number",
        ),
        (
            "a.json",
            '{"database": {"a": {"annotations": [{"label": "walk", "segment": [false, true]}]}}}',
            "'a': 'False' is not a number",
        ),
        ("a.tsv", BORIS_AGGREGATED.replace("a.avi", "b.avi", 1), "several media files"),
        ("a.TextGrid", TEXTGRID_SHORT[:150], "damaged TextGrid"),
        ("a.srt", SRT.replace("00:00:01,250", "00:00:00,250"), "line 2: 'walk' starts at 0.5 s but ends at 0.25 s"),
        ("a.txt", TIMES + "later: jump\n", "line 4: 'later: jump' is not a time and a label"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_line(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DatasetError, match=message) as caught:
        read_segments([path])
    assert "\n" not in str(caught.value)


def test_convert_chooses_the_format_by_the_suffix_and_writes_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "labels.boris", json.dumps(BORIS_PROJECT))
    done = convert(ConvertSettings(labels=path, out=tmp_path / "labels.csv"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "labels.csv").read_text())))
    assert [row["label"] for row in rows] == ["walk", "walk", "walk"] and done.files == (tmp_path / "labels.csv",)
    with pytest.raises(ActivityError, match=r"srt has one file for each video, but .* has 2 videos"):
        convert(ConvertSettings(labels=path, out=tmp_path / "labels.srt"))
    done = convert(ConvertSettings(labels=path, out=tmp_path / "out", format="srt"))
    # The paths in the project are those of another computer: they stay below the folder.
    folder = tmp_path / "out/home/lab/videos"
    assert done.files == (folder / "a.srt", folder / "b.srt")
    assert convert(ConvertSettings(labels=tmp_path / "out", out=tmp_path / "all.jsonl")).segments


def test_labels_after_the_end_of_the_video_are_an_error(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "annotations.xml", CVAT.replace('frame="6"', 'frame="90"').replace('"12"', '"91"'))
    path.write_text(path.read_text().replace('frame="15"', 'frame="95"'))
    with pytest.raises(DatasetError, match=r"'walk' is after the end of 'a\.avi', which lasts 2\.000 s"):
        read_segments([path], two_videos)


def test_a_table_with_numbered_rows_is_no_table_of_frames(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "labels.csv", ",path,label,note\n0,a.avi,walk,1\n1,b.avi,run,0\n")
    assert read_labels(two_videos, path).format == "a CSV (labels.csv) of labeled videos"


def test_a_textgrid_in_utf_16_and_subtitles_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_bytes(TEXTGRID_SHORT.replace("walk", "größe").encode("utf-16"))
    assert 'größe "fast"' in {one.label for one in read_segments([path])[0]}
    path = tmp_path / "a.srt"
    path.write_bytes(SRT.replace("run", "größe").encode("cp1252"))
    with pytest.raises(DatasetError, match=r"a\.srt, line 6: .* is not UTF-8"):
        read_segments([path])


def test_labels_in_frames_need_their_videos(two_videos: Path, tmp_path: Path) -> None:
    path = write(tmp_path, "annotations.xml", CVAT)
    with pytest.raises(DatasetError, match=r"'walk' counts frames, and the video 'a.avi' was not found"):
        read_segments([path])


def test_the_command_line_converts_and_summarizes(
    activity: Callable[..., object], two_videos: Path, tmp_path: Path
) -> None:
    path = write(tmp_path, "a.srt", SRT)
    result = activity("convert", path, "-", "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [json.loads(line)["label"] for line in result.stdout.splitlines()] == ["walk", "run"]
    result = activity("convert", path, tmp_path / "a.doc")
    assert result.exit_code == 2 and "Choose one with --format" in result.stderr
    groups = write(tmp_path, "groups.csv", "path,group\na,juniors\n")
    result = activity("summarize", path, "--bin-seconds", 1, "--groups", groups)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["start_seconds"], row["label"]) for row in rows] == [
        *(("0.0", "run"), ("0.0", "walk"), ("1.0", "run"), ("1.0", "walk")),
    ]
    assert {row["group"] for row in rows} == {"juniors"}
    walk = [row for row in rows if row["label"] == "walk"]
    assert [(row["total_seconds"], row["bouts"], row["latency_seconds"]) for row in walk] == [
        ("0.5", "1", "0.5"),
        ("0.25", "0", "0.0"),
    ]
    assert walk[0]["mean_bout_seconds"] == "0.75"


def test_a_summary_as_xlsx(activity: Callable[..., object], tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = write(tmp_path, "a.srt", SRT.replace("walk", "=walk()"))
    assert activity("summarize", path, "--out", tmp_path / "a.xlsx").exit_code == 0
    (head, *rows) = openpyxl.load_workbook(tmp_path / "a.xlsx").active.iter_rows(values_only=True)
    assert head[0] == "source" and rows[0][5] == "=walk()"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a.mp4", "a.srt"),
        ("/videos/b/a.mp4", "videos/b/a.srt"),
        ("../../a.mp4", "a.srt"),
        ("C:/Users/Ann/a.mp4", "Users/Ann/a.srt"),
        (r"C:\Users\Ann\a.mp4", "Users/Ann/a.srt"),
        ("a:b.mp4", "a:b.srt"),
    ],
)
def test_the_file_of_a_source_is_inside_the_folder(source: str, expected: str) -> None:
    assert file_for(source, Path("out"), ".srt") == Path("out", expected)
