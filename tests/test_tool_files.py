"""Peculiarities of files that annotation programs really write, each in the structure of its program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from activity_cli import LabelOptions
from activity_cli.errors import DatasetError
from activity_cli.labels.discovery import read_labels
from activity_cli.labels.formats.label_file import Annotations
from activity_cli.labels.formats.registry import read_annotations


def read(folder: Path, name: str, content: str) -> Annotations:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    found = read_annotations(path, LabelOptions())
    assert found is not None
    return found


def times(found: Annotations) -> list[tuple[str, str | None, float, float | None]]:
    return [(one.source, one.label, one.start_seconds, one.end_seconds) for one in found.found]


def frames(found: Annotations) -> list[tuple[str, str | None, tuple[int, int | None] | None]]:
    return [(one.source, one.label, one.frames) for one in found.found]


ELAN = """\
<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-03-01T10:00:00+01:00" FORMAT="2.6" VERSION="2.6"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv2.6.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///H:/day1/hall.wav" MIME_TYPE="audio/x-wav"
            RELATIVE_MEDIA_URL="file:/./hall.wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///H:/day1/front%20camera.mpg" MIME_TYPE="video/mpeg" TIME_ORIGIN="2000"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///H:/day1/side.mpg" MIME_TYPE="video/mpeg"/>
        <PROPERTY NAME="lastUsedAnnotationId">2</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1250"/>
    </TIME_ORDER>
    <TIER DEFAULT_LOCALE="nl" LINGUISTIC_TYPE_REF="gloss" PARTICIPANT="anna" TIER_ID="left hand">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>wave</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="left hand" TIER_ID="note">
        <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a2" ANNOTATION_REF="a1">
            <ANNOTATION_VALUE>slowly</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="remarks" PARTICIPANT="anna" TIER_ID="remarks"/>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="gloss" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def test_elan_labels_the_first_video_among_its_media(tmp_path: Path) -> None:
    found = read(tmp_path, "a.eaf", ELAN)
    assert times(found) == [("/H:/day1/front camera.mpg", "wave", 2.5, 3.25)]
    assert found.notes == [
        "a.eaf: links 2 videos. Its labels are those of '/H:/day1/front camera.mpg'.",
        "a.eaf: annotations of the tier 'left hand': 1.",
        "a.eaf: annotations without times that were left out: 1.",
    ]


def via(metadata: dict[str, Any]) -> str:
    return json.dumps(
        {
            "project": {"pid": "__VIA_PROJECT_ID__", "rev": "__VIA_PROJECT_REV_ID__", "vid_list": ["1", "2"]},
            "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
            "attribute": {
                "1": {
                    "aname": "TEMPORAL-SEGMENTS",
                    "anchor_id": "FILE1_Z2_XY0",
                    "type": 4,
                    "desc": "Temporal segment attribute added by default",
                    "options": {"default": "Default"},
                    "default_option_id": "",
                },
                "2": {"aname": "Object", "anchor_id": "FILE1_Z1_XY1", "type": 1, "options": {}},
                "3": {"aname": "Stroke", "anchor_id": "FILE1_Z2_XY0", "type": 3, "options": {"0": "serve", "1": "lob"}},
            },
            "file": {
                "1": {"fid": 1, "fname": "a.ogv", "type": 4, "loc": 2, "src": "https://host/a.ogv"},
                "2": {"fid": 2, "fname": "b.mp4", "type": 4, "loc": 3, "src": "/home/lab/b.mp4"},
            },
            "view": {"1": {"fid_list": [1]}, "2": {"fid_list": [2]}},
            "metadata": metadata,
        }
    )


def test_via_fills_in_its_first_attribute(tmp_path: Path) -> None:
    metadata = {
        "-glfwaaX": {"vid": "1", "flg": 0, "z": [2, 6.5], "xy": [], "av": {"1": "default", "3": "1"}},
        "+mHHT-tg": {"vid": "2", "flg": 0, "z": [9, 20], "xy": [], "av": {"1": "_DEFAULT", "3": "0"}},
        "fH-oMre1": {"vid": "1", "flg": 0, "z": [0.917], "xy": [4, 26, 18, 17, 13], "av": {"2": "racket"}},
        "1_onlyit": {"vid": "1", "flg": 0, "z": [7, 8], "xy": [], "av": {"1": "default"}},
    }
    assert times(read(tmp_path, "via.json", via(metadata))) == [
        ("a.ogv", "lob", 2.0, 6.5),
        ("b.mp4", "serve", 9.0, 20.0),
        ("a.ogv", "Default", 7.0, 8.0),
    ]


CVAT = """\
<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task><id>5</id><name>hall</name><size>90</size><mode>interpolation</mode><overlap>5</overlap>
      <labels><label><name>walk</name><attributes></attributes></label></labels>
      <segments><segment><id>5</id><start>0</start><stop>89</stop><url>http://localhost:8080/?id=5</url></segment></segments>
      <original_size><width>640</width><height>480</height></original_size>
    </task>
    <dumped>2018-09-25 16:05:07.134046+03:00</dumped>
    <source>hall.mp4</source>
  </meta>
  <track id="0" label="walk" source="manual">
    <polygon frame="0" points="3.1,2.1;3.2,2.2;3.3,2.1" outside="0" occluded="0" keyframe="1"></polygon>
    <polygon frame="1" points="3.1,2.1;3.2,2.2;3.3,2.1" outside="1" occluded="0" keyframe="1"></polygon>
    <polygon frame="6" points="3.1,2.1;3.2,2.2;3.3,2.1" outside="0" occluded="1" keyframe="1"></polygon>
    <polygon frame="9" points="3.1,2.1;3.2,2.2;3.3,2.1" outside="0" occluded="0" keyframe="0"></polygon>
  </track>
  <track id="1" label="run" source="manual">
    <skeleton frame="3" keyframe="1" z_order="0">
      <points label="1" outside="0" occluded="0" keyframe="1" points="1.0,2.0"></points>
      <points label="2" outside="0" occluded="0" keyframe="1" points="1.0,3.0"></points>
    </skeleton>
    <skeleton frame="5" keyframe="1" z_order="0">
      <points label="1" outside="1" occluded="0" keyframe="1" points="1.0,2.0"></points>
      <points label="2" outside="0" occluded="0" keyframe="1" points="1.0,3.0"></points>
    </skeleton>
    <skeleton frame="7" keyframe="1" z_order="0">
      <points label="1" outside="1" occluded="0" keyframe="1" points="1.0,2.0"></points>
      <points label="2" outside="1" occluded="0" keyframe="1" points="1.0,3.0"></points>
    </skeleton>
    <skeleton frame="20" keyframe="1" z_order="0">
      <points label="1" outside="0" occluded="0" keyframe="1" points="1.0,2.0"></points>
      <points label="2" outside="0" occluded="0" keyframe="1" points="1.0,3.0"></points>
    </skeleton>
  </track>
</annotations>
"""


def test_a_skeleton_of_cvat_leaves_with_its_last_point(tmp_path: Path) -> None:
    assert frames(read(tmp_path, "annotations.xml", CVAT)) == [
        ("hall.mp4", "walk", (0, 0)),
        ("hall.mp4", "walk", (6, 9)),
        ("hall.mp4", "run", (3, 6)),
        ("hall.mp4", "run", (20, 20)),
    ]


LABEL_STUDIO = {
    "id": 7,
    "file_upload": "0f1e2d3c-a.mp4",
    "data": {"video": "/data/upload/3/0f1e2d3c-a.mp4"},
    "predictions": [],
    "annotations": [
        {
            "id": 9,
            "completed_by": 1,
            "was_cancelled": False,
            "result": [
                {
                    "value": {"ranges": [{"start": 3, "end": 5}], "timelinelabels": ["walk"]},
                    "from_name": "videoLabels",
                    "to_name": "video",
                    "type": "timelinelabels",
                },
                {
                    "value": {"framesCount": 24, "sequence": [{"frame": 1, "enabled": True}], "labels": ["person"]},
                    "from_name": "box",
                    "to_name": "video",
                    "type": "videorectangle",
                },
            ],
        }
    ],
}


def test_boxes_of_label_studio_are_left_out_with_a_note(tmp_path: Path) -> None:
    found = read(tmp_path, "project.json", json.dumps([LABEL_STUDIO]))
    assert frames(found) == [("a.mp4", "walk", (2, 4))]
    assert found.notes == ["project.json: labels without a start and an end that were left out: 1."]


def test_choices_in_the_short_export_of_label_studio(tmp_path: Path) -> None:
    end = {"annotator": 1, "annotation_id": 9, "created_at": "2024-01-01T10:00:00Z", "lead_time": 3.2}
    tasks = [
        {"video": "/data/upload/3/0f1e2d3c-a.mp4", "person": "anna", "id": 7, "activity": "walk", **end},
        {"video": "/data/upload/3/1f1e2d3c-b.mp4", "person": "ben", "id": 8, "activity": {"choices": ["walk", "run"]}}
        | end,
    ]
    expected = [("a.mp4", "walk", 0.0, None), ("b.mp4", "walk", 0.0, None), ("b.mp4", "run", 0.0, None)]
    assert times(read(tmp_path, "project.json", json.dumps(tasks))) == expected


CREATE_ML = [("a.mov", "Lunge", 0, 3.1), ("b.mov", "Squat", "8:3.2", "8:4.5"), ("b.mov", "Jump", "1:59:5.8", "1:59:7")]
CREATE_ML_TIMES = [("a.mov", "Lunge", 0.0, 3.1), ("b.mov", "Squat", 483.2, 484.5), ("b.mov", "Jump", 7145.8, 7147.0)]


def test_times_of_create_ml(tmp_path: Path) -> None:
    names = ("video", "label", "start", "end")
    found = read(tmp_path, "labels.json", json.dumps([dict(zip(names, row, strict=True)) for row in CREATE_ML]))
    assert times(found) == CREATE_ML_TIMES
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(", ".join(map(str, row)) for row in (names, *CREATE_ML)))
    for name in "ab":
        (tmp_path / f"{name}.mov").touch()
    segments = read_labels(tmp_path, table).segments
    assert {(one.name, one.label, one.start_seconds, one.end_seconds) for one in segments} == set(CREATE_ML_TIMES)


SIMBA = """\
,Nose_1_x,Nose_1_y,Nose_1_p,Tail_end_1_x,Tail_end_1_y,Tail_end_1_p,Sum_probabilities,Low_prob_detections_0.1,\
Probability_Attack,Attack,Sniffing
0,790.7249,916.4318,1,587.8229,736.9772,0.6324,1.6,0,0.03,0,0
1,791.6718,915.0392,1,593.2743,736.32574,0.33785266,1.3,0,0.92,1,0
2,792.40735,913.02936,1,636.87836,731.10693,0.07344,1,1,0.88,1,1
"""


def test_the_behaviors_of_simba_are_the_columns_after_its_features(tmp_path: Path) -> None:
    found = frames(read(tmp_path, "Together_1.csv", SIMBA))
    assert sorted(found) == [("Together_1", "Attack", (1, 2)), ("Together_1", "Sniffing", (2, 2))]


ACTIVITYNET = {
    "version": "VERSION 1.3",
    "taxonomy": [{"nodeId": 269, "nodeName": "Sliding", "parentId": 268, "parentName": "Playing"}],
    "database": {
        "sJ-go9H6z_o": {
            "duration": 128.07,
            "subset": "validation",
            "resolution": "320x240",
            "url": "https://host/watch?v=sJ-go9H6z_o",
            "annotations": [{"segment": [0.01, 124.17], "label": "Sliding"}],
        },
        "V1zhqaGFY2A": {"duration": 196.2, "subset": "testing", "resolution": "320x240", "annotations": []},
    },
}


def test_videos_of_activitynet_without_labels_are_not_labeled(tmp_path: Path) -> None:
    found = read(tmp_path, "activity_net.v1-3.min.json", json.dumps(ACTIVITYNET))
    assert times(found) == [("sJ-go9H6z_o", "Sliding", 0.01, 124.17)]
    assert found.found[0].split == "validation"


AUDACITY = "0.500000\t1.250000\twalk\n\\\t120.000000\t4000.000000\n2.000000\t2.000000\tcall\n"


def test_label_tracks_of_audacity_with_frequencies_and_points(tmp_path: Path) -> None:
    found = read(tmp_path, "labels.txt", AUDACITY)
    assert times(found) == [("labels", "walk", 0.5, 1.25)]
    assert found.notes == [
        "labels.txt: events without a length: 1. They were left out; `event_seconds` gives them a length."
    ]


IMAGES = '<?xml version="1.0"?><annotations><image id="0" name="1.jpg"><tag label="walk"></tag></image></annotations>'
VIA_TABLE = (
    '# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)\n"1_j5","[""a.mp4""]"\n'
)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", IMAGES, "labels images, not parts of a video. In CVAT, export 'CVAT for video 1.1'."),
        ("a.csv", VIA_TABLE, "is a table of VIA. Save the project in VIA, as JSON."),
    ],
)
def test_other_exports_of_the_same_programs(name: str, content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, name, content)
    assert str(caught.value).endswith(f"{name} {message}")
