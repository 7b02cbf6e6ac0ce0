from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FeaturePeerHeader(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_PEER_HEADER_NONE: _ClassVar[FeaturePeerHeader]
    FEATURE_PEER_HEADER_VLAN: _ClassVar[FeaturePeerHeader]
    FEATURE_PEER_HEADER_QINQ: _ClassVar[FeaturePeerHeader]
    FEATURE_PEER_HEADER_MPLS: _ClassVar[FeaturePeerHeader]
    FEATURE_PEER_HEADER_GRE: _ClassVar[FeaturePeerHeader]
    FEATURE_PEER_HEADER_PBB: _ClassVar[FeaturePeerHeader]

class FeaturePeerState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FEATURE_PEER_STATE_UNSPECIFIED: _ClassVar[FeaturePeerState]
    FEATURE_PEER_STATE_UP: _ClassVar[FeaturePeerState]
    FEATURE_PEER_STATE_DOWN: _ClassVar[FeaturePeerState]
    FEATURE_PEER_STATE_DRAINING: _ClassVar[FeaturePeerState]
FEATURE_PEER_HEADER_NONE: FeaturePeerHeader
FEATURE_PEER_HEADER_VLAN: FeaturePeerHeader
FEATURE_PEER_HEADER_QINQ: FeaturePeerHeader
FEATURE_PEER_HEADER_MPLS: FeaturePeerHeader
FEATURE_PEER_HEADER_GRE: FeaturePeerHeader
FEATURE_PEER_HEADER_PBB: FeaturePeerHeader
FEATURE_PEER_STATE_UNSPECIFIED: FeaturePeerState
FEATURE_PEER_STATE_UP: FeaturePeerState
FEATURE_PEER_STATE_DOWN: FeaturePeerState
FEATURE_PEER_STATE_DRAINING: FeaturePeerState

class FeaturePeer(_message.Message):
    __slots__ = ("name", "kind", "tenant", "ports", "header", "by_mac", "addresses", "rewrites", "spare", "local", "remote", "up", "problem")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BY_MAC_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    REWRITES_FIELD_NUMBER: _ClassVar[int]
    SPARE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    tenant: int
    ports: _containers.RepeatedCompositeFieldContainer[FeaturePeerPort]
    header: FeaturePeerHeader
    by_mac: bool
    addresses: _containers.RepeatedScalarFieldContainer[bytes]
    rewrites: bool
    spare: bool
    local: bytes
    remote: bytes
    up: bool
    problem: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., tenant: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[FeaturePeerPort, _Mapping]]] = ..., header: _Optional[_Union[FeaturePeerHeader, str]] = ..., by_mac: _Optional[bool] = ..., addresses: _Optional[_Iterable[bytes]] = ..., rewrites: _Optional[bool] = ..., spare: _Optional[bool] = ..., local: _Optional[bytes] = ..., remote: _Optional[bytes] = ..., up: _Optional[bool] = ..., problem: _Optional[str] = ...) -> None: ...

class FeaturePeerPort(_message.Message):
    __slots__ = ("number", "interface", "mac", "port_mac")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    PORT_MAC_FIELD_NUMBER: _ClassVar[int]
    number: int
    interface: str
    mac: bytes
    port_mac: bytes
    def __init__(self, number: _Optional[int] = ..., interface: _Optional[str] = ..., mac: _Optional[bytes] = ..., port_mac: _Optional[bytes] = ...) -> None: ...

class FeaturePeerStatus(_message.Message):
    __slots__ = ("peer", "node", "state", "drained")
    PEER_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    peer: FeaturePeer
    node: str
    state: FeaturePeerState
    drained: bool
    def __init__(self, peer: _Optional[_Union[FeaturePeer, _Mapping]] = ..., node: _Optional[str] = ..., state: _Optional[_Union[FeaturePeerState, str]] = ..., drained: _Optional[bool] = ...) -> None: ...

class ListFeaturePeersRequest(_message.Message):
    __slots__ = ("kind", "node")
    KIND_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    node: str
    def __init__(self, kind: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class ListFeaturePeersResponse(_message.Message):
    __slots__ = ("peers",)
    PEERS_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedCompositeFieldContainer[FeaturePeerStatus]
    def __init__(self, peers: _Optional[_Iterable[_Union[FeaturePeerStatus, _Mapping]]] = ...) -> None: ...

class GetFeaturePeerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DrainFeaturePeerRequest(_message.Message):
    __slots__ = ("name", "drain")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    drain: bool
    def __init__(self, name: _Optional[str] = ..., drain: _Optional[bool] = ...) -> None: ...
