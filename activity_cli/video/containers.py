"""What the first bytes of a file say, without a decoder: why it is no video, and how its pictures are to be shown."""

from __future__ import annotations

import os
import shlex
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from activity_cli.errors import VideoError

__all__ = ["Header", "check_file", "explain", "read_header", "reads_in_order"]

_MOV_BOXES = frozenset([b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp"])
_EBML = b"\x1a\x45\xdf\xa3"
# Where Matroska keeps the yaw of the pictures: ±180 degrees mirror them. A float of 4 or 8 bytes.
_YAW = {b"\x76\x73\x84": ">f", b"\x76\x73\x88": ">d"}
_ASF_ENCRYPTION = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e")
_TS_PACKET = 188
_PICTURES = {b"\xff\xd8\xff": "a JPEG picture", b"\x89PNG": "a PNG picture", b"BM": "a bitmap picture"}
# Brands of the MP4 family that say so, and whether the pictures may be animated.
_STILL_BRANDS = {b"heic": "a HEIC picture", b"heix": "a HEIC picture", b"mif1": "a HEIF picture"}
_STILL_BRANDS |= {b"avif": "an AVIF picture", b"avis": "an animated AVIF picture"}
_OTHERS = {b"PK\x03\x04": "a ZIP archive", b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7z archive"}
_OTHERS |= {b"\x1f\x8b": "a gzip archive", b"%PDF": "a PDF document"}
_HEAD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Header:
    """What a container says of its pictures.

    Attributes:
        mirrored: They are to be shown mirrored, which OpenCV does not know of.
        encrypted: They are encrypted.
        has_index: Whether the index is there, without which a file of the MP4 family cannot be read.
        picture: What it is instead of a video, such as ``a HEIC picture``; empty: it may be one.
    """

    mirrored: bool = False
    encrypted: bool = False
    has_index: bool = True
    picture: str = ""


def check_file(path: Path) -> None:
    """Gives the plain reasons why a file cannot be read; the decoders have one message for all of them.

    Raises:
        VideoError: The file cannot be read (``video.missing``, ``video.unreadable``) or is empty (``video.empty``).
    """
    code = "video.unreadable"
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            with path.open("rb") as file:
                if file.read(1):
                    return
            reason, hint, code = "the file is empty", "Copy it again.", "video.empty"
        elif stat.S_ISDIR(mode):
            reason, hint = "a folder, not a video", "Name the videos in it."
        else:
            reason, hint = "a pipe or a device, not a file", "Copy it to a file first."
    except FileNotFoundError:
        reason, hint, code = "no such file", "Check the path.", "video.missing"
    except OSError as error:
        reason, hint = f"cannot be read: {(error.strerror or str(error)).lower()}", "Check the file's permissions."
    raise VideoError(f"{path.name}: {reason}.", hint, code=code)


def read_header(path: Path) -> Header:
    """Reads the index of a file of the MP4 family or of Matroska; of other containers nothing is known."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            if start[:4] == _EBML:
                file.seek(0)
                return Header(mirrored=_has_mirroring_yaw(file.read(_HEAD_BYTES)))
            if start[4:] == b"ftyp" and (picture := _STILL_BRANDS.get(file.read(4))):
                return Header(picture=picture)
            return _read_mov(file) if start[4:] in _MOV_BOXES else Header()
    except (OSError, struct.error):
        return Header()


def reads_in_order(head: bytes) -> bool:
    """Whether the video that begins so can be decoded while it arrives, and gives the same frames as from a file.

    Matroska, MPEG-TS and fragmented MP4 can. A plain MP4 file has an index that may be at its end.
    """
    if head[:4] == _EBML or (len(head) > _TS_PACKET and head[0] == head[_TS_PACKET] == ord("G")):
        return True
    if head[4:8] not in _MOV_BOXES:
        return False
    file = BytesIO(head)
    try:
        boxes = dict(_boxes(file, 0, len(head)))
        return b"moov" in boxes and b"mvex" in dict(_boxes(file, *boxes[b"moov"]))
    except struct.error:
        return False


def _has_mirroring_yaw(head: bytes) -> bool:
    for mark, form in _YAW.items():
        place = head.find(mark) + len(mark)
        value = head[place : place + struct.calcsize(form)]
        if place >= len(mark) and len(value) == struct.calcsize(form) and abs(struct.unpack(form, value)[0]) == 180:
            return True
    return False


def _read_mov(file: BinaryIO) -> Header:
    boxes = dict(_boxes(file, 0, file.seek(0, os.SEEK_END)))
    if b"moov" not in boxes:
        return Header(has_index=False)
    inside = list(_boxes(file, *boxes[b"moov"]))
    turned = next((_turns_over(file, place, 36, 48) for kind, place in inside if kind == b"mvhd"), False)
    for kind, place in inside:
        track = dict(_boxes(file, *place)) if kind == b"trak" else {}
        media = dict(_boxes(file, *track.get(b"mdia", (0, 0))))
        if b"tkhd" not in track or b"hdlr" not in media or _bytes(file, media[b"hdlr"][0] + 8, 4) != b"vide":
            continue
        tables = dict(_boxes(file, *dict(_boxes(file, *media.get(b"minf", (0, 0)))).get(b"stbl", (0, 0))))
        codec = _bytes(file, tables[b"stsd"][0] + 12, 4) if b"stsd" in tables else b""
        mirrored = turned != _turns_over(file, track[b"tkhd"], 40, 52)
        return Header(mirrored=mirrored, encrypted=codec in (b"encv", b"drmi"))
    return Header()


def _turns_over(file: BinaryIO, place: tuple[int, int], short: int, long: int) -> bool:
    """Whether the matrix of a box mirrors: its determinant is negative."""
    offset = long if _bytes(file, place[0], 1) == b"\1" else short
    a, b, _, c, d = struct.unpack(">5i", _bytes(file, place[0] + offset, 20))
    return bool(a * d - b * c < 0)


def _bytes(file: BinaryIO, place: int, number: int) -> bytes:
    file.seek(place)
    return file.read(number)


def _boxes(file: BinaryIO, begin: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """The kind of each box, and where its content begins and ends."""
    while begin + 8 <= end:
        size, kind = struct.unpack(">I4s", _bytes(file, begin, 8))
        header = 16 if size == 1 else 8
        if size == 1:
            size = struct.unpack(">Q", _bytes(file, begin + 8, 8))[0]
        size = size or end - begin
        if size < header:
            return
        yield kind, (begin + header, min(begin + size, end))
        begin += size


def explain(path: Path, streams: str = "", codec: str = "") -> VideoError:
    """Why no decoder gives a frame of a file.

    Args:
        path: The file.
        streams: ``sound``, ``cover`` or ``picture`` where the container holds nothing else; empty where that is not
            known.
        codec: Name of the codec of the pictures; empty where it is not known.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    header = read_header(path)
    # A shell would take a name such as -i.mp4 for an option.
    name = shlex.quote(path.name if not path.name.startswith("-") else f"./{path.name}")
    convert = f"Convert it: ffmpeg -i {name} -c:v libx264 -pix_fmt yuv420p converted.mp4"
    code = "video.undecodable"
    if _is_text(head):
        reason = "this is text, such as a web page or a pointer file, not a video"
        hint = (
            "Run 'git lfs pull'."
            if head.startswith(b"version https://git-lfs")
            else "Name or download the video itself."
        )
    elif not any(head):
        reason, hint = "the file holds only zeros", "It was not copied completely. Copy it again."
    elif what := next((what for mark, what in _OTHERS.items() if head.startswith(mark)), ""):
        reason, hint = f"this is {what}, not a video", "Unpack it, or name the video."
    elif what := header.picture or _picture(head):
        reason, code = f"this is {what}, not a video", "video.no_picture"
        hint = "Convert it to MP4." if "animated" in what else "Name the file with the video."
    elif not header.has_index:
        reason = "the recording or the copy was interrupted, and its index is missing"
        hint = "Copy it again. If it is so on the camera, a tool such as untrunc may rebuild the index."
    elif header.encrypted or _is_encrypted(head):
        reason, hint = "the video is encrypted", "Get it without copy protection."
    elif streams == "sound":
        reason, hint, code = "the file has sound only, no video", "Name the file with the video.", "video.no_picture"
    elif streams == "cover":
        reason = "the file has sound with a cover picture, but no moving picture"
        hint, code = "Name the file with the video.", "video.no_picture"
    elif streams == "picture":
        reason, hint, code = (
            "this is a single picture, not a video",
            "Name the file with the video.",
            "video.no_picture",
        )
    elif codec:
        reason, hint = f"no frame can be decoded (codec: {codec}); the file is damaged or the codec is unknown", convert
    else:
        reason = "activity cannot decode this file"
        hint = f"Check whether it plays. {convert}"
    return VideoError(f"{path.name}: {reason}.", hint, code=code)


def _picture(head: bytes) -> str:
    """What kind of picture a file is; empty: it is none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return (
            "an animated WebP picture"
            if head[12:16] == b"VP8X" and head[20:21] >= b"\2" and head[20] & 2
            else "a WebP picture"
        )
    return next((what for mark, what in _PICTURES.items() if head.startswith(mark)), "")


def _is_text(head: bytes) -> bool:
    """Whether a file begins as text, in UTF-8 or UTF-16."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return b"<" in head[:64]
    start = head[:512]
    controls = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in start)
    return not controls and len(start.decode("utf-8", "ignore").encode()) > len(start) - 4 and len(start) > 1


def _is_encrypted(head: bytes) -> bool:
    if head[:1] == b"G" and head[_TS_PACKET : _TS_PACKET + 1] == b"G":
        return any(head[place + 3] & 0x80 for place in range(0, len(head) - _TS_PACKET, _TS_PACKET))
    return _ASF_ENCRYPTION in head
