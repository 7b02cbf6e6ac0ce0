# SPDX-License-Identifier: Apache-2.0
"""docs/operations.md says all that there is to say: nothing missing, nothing that is no longer so."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import typer.main
from pydantic import BaseModel

from moorline.api.v1 import graphs_pb2 as graphs
from moorline.api.v1 import moorline_pb2 as api
from moorline.api.v1 import peers_pb2 as peers
from moorline.api.v1 import subscribers_pb2 as subscribers
from moorline.cli import graph_views, views
from moorline.cli.main import app
from moorline.cli.settings import Settings
from moorline.switch import SwitchConfig, SwitchPeer, SwitchPort
from moorline.wire import Event

HOP = graphs.GraphHop(instances=[graphs.GraphInstance()])
SESSION = subscribers.SubscriberSession()
DEVICES = subscribers.Customer(devices=[subscribers.CustomerDevice(session=SESSION)])
ROOT = Path(__file__).resolve().parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def event_rows() -> dict[str, list[str]]:
    section = OPERATIONS.split("## What became of a packet", 1)[1].split("\n## ", 1)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if "| `" in line
    ]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_event_is_explained_and_no_other() -> None:
    rows = event_rows()
    assert list(rows) == [event.name.lower() for event in Event]
    assert all(meaning for meaning, _ in rows.values())
    assert all(rows[event.name.lower()][1] for event in Event if event.is_drop)


def commands() -> Iterator[str]:
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        if inner is None or command.invoke_without_command:
            yield f"moorline {name}"
        for word in inner or ():
            yield f"moorline {name} {word}"


def test_every_command_has_a_section_and_an_example() -> None:
    sections = dict(re.findall(r"^### (moorline .+)\n\n((?:    .+\n)+)", OPERATIONS, re.MULTILINE))
    assert set(sections) == set(commands())
    assert all(example.strip().startswith(title) for title, example in sections.items())


def test_the_configuration_shows_all_keys_with_their_defaults() -> None:
    text = re.search(r"```toml\n(.+?)```", OPERATIONS, re.DOTALL)
    assert text is not None
    shown = Settings.model_validate(tomllib.loads(text[1]))
    assert [port.name for port in shown.node.ports] == ["eth0"]
    documented, default = shown.model_dump(), Settings().model_dump()
    differing = {
        f"{section}.{key}": (documented[section][key], value)
        for section in default
        for key, value in default[section].items()
        if documented[section][key] != value
    }
    assert set(differing) == {"node.ports"}, differing
    words = set(re.findall(r"\w+", text[1]))
    assert all_keys(Settings) <= words


def test_the_file_of_a_switch_shows_all_keys() -> None:
    text = re.search(r"```toml\n(\[\[ports.+?)```", OPERATIONS, re.DOTALL)
    assert text is not None
    shown = SwitchConfig.model_validate(tomllib.loads(text[1]))
    assert {port.role for port in shown.ports} == {"underlay", "gateway", "edge", "peer"}
    assert all_keys(SwitchPort) | all_keys(SwitchPeer) <= set(re.findall(r"\w+", text[1]))


def all_keys(model: type[BaseModel]) -> set[str]:
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        keys.add(field.alias or name)
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys |= all_keys(part)
    return keys


def test_every_field_of_json_is_named() -> None:
    rows = [
        views.service_row(api.Service()),
        views.lookup_row(api.LookupResponse()),
        views.connection_row(api.Connection()),
        views.rule_row(api.Rule()),
        views.node_row(api.Node()),
        views.switch_row(api.Node()),
        views.switch_port_row(api.SwitchPort()),
        views.locator_row(api.Locator()),
        views.port_row(api.Port()),
        graph_views.graph_row(graphs.Graph(paths=[graphs.GraphPath(hops=[HOP])])),
        graph_views.graph_change_row(graphs.GraphChange()),
        graph_views.trace_row(graphs.Trace(steps=[graphs.TraceStep()])),
        graph_views.shortcut_row(graphs.Shortcut()),
        graph_views.customer_row(DEVICES),
        *graph_views.customer_row(DEVICES)["devices"],
        graph_views.radius_row(subscribers.RadiusCounter()),
        graph_views.endpoint_row(subscribers.TunnelEndpoint()),
        graph_views.peer_row(peers.FeaturePeerStatus()),
        graph_views.peer_port_row(peers.FeaturePeerPort()),
        views.switch_peer_row(api.SwitchPeer()),
        views.port_event_row(api.PortEvent()),
        views.controller_row(api.ControllerStatus()),
        views.agent_row(api.AgentStatus()),
    ]
    fields = {field for row in rows for field in row}
    missing = {field for field in fields if f"`{field}`" not in OPERATIONS}
    assert not missing


def test_links_within_the_documents_lead_somewhere() -> None:
    for document in (ROOT / "README.md", ROOT / "docs" / "operations.md"):
        text = document.read_text()
        anchors = {
            re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        for target in re.findall(r"\]\(([^)]+)\)", text):
            path, _, anchor = target.partition("#")
            if path.startswith("http"):
                continue
            assert not path or (document.parent / path).exists(), target
            assert not anchor or path or anchor in anchors, target
