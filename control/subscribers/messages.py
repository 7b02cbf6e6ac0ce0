# SPDX-License-Identifier: Apache-2.0
"""Customers as messages of ``moorline.v1``."""

from __future__ import annotations

from control.subscribers.directory import Subscribers
from control.subscribers.records import Device, Session
from moorline.api.v1 import subscribers_pb2 as pb


def customer(subscribers: Subscribers, name: str) -> pb.Customer:
    """A customer with its devices as they are now."""
    account, spec = subscribers.account(name), subscribers.spec(name)
    devices = subscribers.of_customer(name)
    tenant = spec.tenant if spec is not None else next((device.tenant for device in devices), 0)
    return pb.Customer(
        name=name,
        tenant=tenant,
        profiles=spec.profiles if spec is not None else (),
        devices=map(_device, devices),
        sessions=account.sessions,
        bytes_from=account.traffic.bytes_from,
        bytes_to=account.traffic.bytes_to,
    )


def _device(device: Device) -> pb.CustomerDevice:
    tunnel = device.tunnel
    return pb.CustomerDevice(
        name=device.name,
        prefixes=map(str, device.prefixes),
        node=device.node,
        port=device.port,
        tunnel=pb.UserTunnel(kind=tunnel.kind, remote=str(tunnel.remote), key=tunnel.key) if tunnel else None,
        profiles=device.profiles,
        location=device.location,
        session=_session(device.session) if device.session is not None else None,
    )


def _session(session: Session) -> pb.SubscriberSession:
    return pb.SubscriberSession(
        id=session.id,
        server=session.server,
        started_ns=session.started_ns,
        heard_ns=session.heard_ns,
        bytes_from=session.traffic.bytes_from,
        bytes_to=session.traffic.bytes_to,
        packets_from=session.traffic.packets_from,
        packets_to=session.traffic.packets_to,
    )
