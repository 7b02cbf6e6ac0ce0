# SPDX-License-Identifier: Apache-2.0
"""Vectors as files: ``NAME.toml``, ``NAME.in.pcap`` and, when packets leave, ``NAME.out.pcap``.

The pcaps are classic ones (microseconds, Ethernet), packet *n* at second *n*, so that the same vector
always gives the same octets.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from scapy.data import DLT_EN10MB
from scapy.utils import RawPcapReader, RawPcapWriter

from moorline.wire import Event

from .model import DirectCounter, Entry, Outcome, PacketIn, Step, Vector, VectorError

ROOT = Path(__file__).resolve().parents[2] / "pcaps"
"""Where the repository keeps its vectors."""


def render(vector: Vector) -> dict[str, bytes]:
    """The vector's files: suffix (``.toml`` and so on) to contents."""
    files = {
        ".toml": _render_text(vector).encode(),
        ".in.pcap": _render_pcap(step.frame for step in vector.steps),
    }
    leaving = [step.expected.packet for step in vector.steps if step.expected.packet is not None]
    if leaving:
        files[".out.pcap"] = _render_pcap(leaving)
    return files


def write(vectors: Iterable[Vector], root: Path = ROOT) -> int:
    """Write all vectors below ``root`` and remove files of vectors that are no more; returns how many."""
    kept: set[Path] = set()
    count = 0
    for vector in vectors:
        count += 1
        kept |= add(vector, root)
    for path in [*root.glob("*/*.toml"), *root.glob("*/*.pcap")]:
        if path not in kept:
            path.unlink()
    return count


def add(vector: Vector, root: Path) -> set[Path]:
    """Write one vector below ``root``; returns its files."""
    made = set()
    for suffix, contents in render(vector).items():
        path = root / f"{vector.path}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
        made.add(path)
    return made


def names(root: Path = ROOT) -> list[str]:
    """``concern/name`` of every vector below ``root``, sorted."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in root.glob("*/*.toml"))


def read(name: str, root: Path = ROOT) -> Vector:
    """The vector ``concern/name`` below ``root``.

    Raises :class:`VectorError` when a file is missing, is malformed, or the pcaps hold fewer or more packets
    than the text says.
    """
    path = root / f"{name}.toml"
    try:
        text = tomllib.loads(path.read_text())
        return _vector(name, text, _frames(root, name, "in"), _frames(root, name, "out"))
    except FileNotFoundError as error:
        raise VectorError(
            f"vector {name} has no file {error.filename}; run python -m tools.vectors make"
        ) from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise VectorError(
            f"vector file {path} is malformed ({error!r}); correct its builder, make it again"
        ) from error


# ---- text

_OPTIONAL = ("params", "priority")


def _inline(mapping: Mapping[str, Any]) -> str:
    """The mapping as TOML's inline table; nested ones too."""
    members = (
        f"{key} = {_inline(value) if isinstance(value, Mapping) else json.dumps(value)}"
        for key, value in mapping.items()
    )
    return "{ " + ", ".join(members) + " }"


def _render_text(vector: Vector) -> str:
    head: dict[str, Any] = {"description": vector.description, "rule": vector.rule}
    if vector.hooks:
        head["hooks"] = list(vector.hooks)
    if vector.why:
        head["why"] = vector.why
    lists = {
        "entries": [_plain_entry(entry) for entry in vector.entries],
        "steps": [_plain_step(step) for step in vector.steps],
        "counters": [_plain_counter(counter) for counter in vector.counters],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in head.items()]
    if vector.differs:
        lines.append(f"differs = {_inline({target: event.name for target, event in vector.differs.items()})}")
    for name, rows in lists.items():
        if rows:
            lines += ["", f"{name} = [", *(f"  {_inline(row)}," for row in rows), "]"]
    return "\n".join(lines) + "\n"


def _plain_entry(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in asdict(entry).items() if value or name not in _OPTIONAL}


def _plain_counter(counter: DirectCounter) -> dict[str, Any]:
    return {name: value for name, value in asdict(counter).items() if value or name not in _OPTIONAL}


def _plain_step(step: Step) -> dict[str, Any]:
    plain: dict[str, Any] = {"port": step.port, "event": step.expected.event.name}
    if step.expected.packet is not None:
        plain["egress"] = step.expected.egress
    if step.expected.packet_in is not None:
        plain["mtu"] = step.expected.packet_in.mtu
    return plain


def _vector(name: str, text: Mapping[str, Any], arriving: list[bytes], leaving: list[bytes]) -> Vector:
    concern, _, short = name.partition("/")
    remaining = iter(leaving)
    if len(arriving) != len(text["steps"]):
        raise VectorError(
            f"vector {name} has {len(text['steps'])} steps and {len(arriving)} frames; make it again"
        )
    steps = tuple(_step(step, frame, remaining) for step, frame in zip(text["steps"], arriving, strict=True))
    if next(remaining, None) is not None:
        raise VectorError(f"vector {name} has more packets out than steps that send; make it again")
    return Vector(
        concern,
        short,
        text["description"],
        text["rule"],
        tuple(
            Entry(e["table"], e["key"], e["action"], e.get("params", {}), e.get("priority", 0))
            for e in text["entries"]
        ),
        steps,
        tuple(
            DirectCounter(c["table"], c["key"], c["packets"], c["bytes"], c.get("priority", 0))
            for c in text.get("counters", ())
        ),
        tuple(text.get("hooks", ())),
        {target: Event[event] for target, event in text.get("differs", {}).items()},
        text.get("why", ""),
    )


def _step(step: Mapping[str, Any], frame: bytes, leaving: Iterator[bytes]) -> Step:
    event = Event[step["event"]]
    if event is Event.TX:
        packet = next(leaving, None)
        if packet is None:
            raise VectorError("a vector has fewer packets out than steps that send; make it again")
        return Step(step["port"], frame, Outcome(event, step["egress"], packet))
    if event.name.startswith("PUNT_"):
        return Step(
            step["port"], frame, Outcome(event, packet_in=PacketIn(step["port"], event, step.get("mtu", 0)))
        )
    return Step(step["port"], frame, Outcome(event))


# ---- pcaps


def _render_pcap(frames: Iterable[bytes]) -> bytes:
    buffer = _KeptOpen()
    with RawPcapWriter(buffer, linktype=DLT_EN10MB, endianness="<", sync=False) as writer:
        writer.write_header(None)
        for second, frame in enumerate(frames):
            writer.write_packet(frame, sec=second, usec=0)
    return buffer.getvalue()


def _frames(root: Path, name: str, direction: str) -> list[bytes]:
    path = root / f"{name}.{direction}.pcap"
    if direction == "out" and not path.exists():
        return []
    with RawPcapReader(str(path)) as reader:
        return [frame for frame, _ in reader]


class _KeptOpen(BytesIO):
    """A buffer that outlives the writer that closes it."""

    def close(self) -> None:
        """Nothing: the contents are wanted afterwards."""
