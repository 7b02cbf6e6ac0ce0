from moorline.api.v1 import peers_pb2 as _peers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Graph(_message.Message):
    __slots__ = ("name", "tenant", "priority", "applied_ns", "former", "paths", "applies")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    APPLIED_NS_FIELD_NUMBER: _ClassVar[int]
    FORMER_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    APPLIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: int
    priority: int
    applied_ns: int
    former: int
    paths: _containers.RepeatedCompositeFieldContainer[GraphPath]
    applies: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[int] = ..., priority: _Optional[int] = ..., applied_ns: _Optional[int] = ..., former: _Optional[int] = ..., paths: _Optional[_Iterable[_Union[GraphPath, _Mapping]]] = ..., applies: _Optional[_Iterable[str]] = ...) -> None: ...

class GraphPath(_message.Message):
    __slots__ = ("key", "spi", "reverse", "mtu", "hops", "conditions", "packets", "bytes", "shortcut_packets", "shortcut_bytes")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SPI_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    HOPS_FIELD_NUMBER: _ClassVar[int]
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SHORTCUT_PACKETS_FIELD_NUMBER: _ClassVar[int]
    SHORTCUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    key: str
    spi: int
    reverse: bool
    mtu: int
    hops: _containers.RepeatedCompositeFieldContainer[GraphHop]
    conditions: _containers.RepeatedScalarFieldContainer[str]
    packets: int
    bytes: int
    shortcut_packets: int
    shortcut_bytes: int
    def __init__(self, key: _Optional[str] = ..., spi: _Optional[int] = ..., reverse: _Optional[bool] = ..., mtu: _Optional[int] = ..., hops: _Optional[_Iterable[_Union[GraphHop, _Mapping]]] = ..., conditions: _Optional[_Iterable[str]] = ..., packets: _Optional[int] = ..., bytes: _Optional[int] = ..., shortcut_packets: _Optional[int] = ..., shortcut_bytes: _Optional[int] = ...) -> None: ...

class GraphHop(_message.Message):
    __slots__ = ("kind", "fail_open", "index", "instances")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FAIL_OPEN_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    fail_open: bool
    index: int
    instances: _containers.RepeatedCompositeFieldContainer[GraphInstance]
    def __init__(self, kind: _Optional[str] = ..., fail_open: _Optional[bool] = ..., index: _Optional[int] = ..., instances: _Optional[_Iterable[_Union[GraphInstance, _Mapping]]] = ...) -> None: ...

class GraphInstance(_message.Message):
    __slots__ = ("name", "node", "state", "spare", "packets", "bytes", "buckets", "pinned")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SPARE_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BUCKETS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    state: _peers_pb2.FeaturePeerState
    spare: bool
    packets: int
    bytes: int
    buckets: int
    pinned: int
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., state: _Optional[_Union[_peers_pb2.FeaturePeerState, str]] = ..., spare: _Optional[bool] = ..., packets: _Optional[int] = ..., bytes: _Optional[int] = ..., buckets: _Optional[int] = ..., pinned: _Optional[int] = ...) -> None: ...

class ApplyGraphRequest(_message.Message):
    __slots__ = ("text", "source")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class ApplyGraphResponse(_message.Message):
    __slots__ = ("graph", "changes")
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    graph: Graph
    changes: _containers.RepeatedCompositeFieldContainer[GraphChange]
    def __init__(self, graph: _Optional[_Union[Graph, _Mapping]] = ..., changes: _Optional[_Iterable[_Union[GraphChange, _Mapping]]] = ...) -> None: ...

class DiffGraphResponse(_message.Message):
    __slots__ = ("changes",)
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[GraphChange]
    def __init__(self, changes: _Optional[_Iterable[_Union[GraphChange, _Mapping]]] = ...) -> None: ...

class GraphChange(_message.Message):
    __slots__ = ("what", "before", "after")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    what: str
    before: str
    after: str
    def __init__(self, what: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class ListGraphsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGraphsResponse(_message.Message):
    __slots__ = ("graphs",)
    GRAPHS_FIELD_NUMBER: _ClassVar[int]
    graphs: _containers.RepeatedCompositeFieldContainer[Graph]
    def __init__(self, graphs: _Optional[_Iterable[_Union[Graph, _Mapping]]] = ...) -> None: ...

class GetGraphRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteGraphRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteGraphResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TraceGraphRequest(_message.Message):
    __slots__ = ("name", "path", "customer", "server")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    customer: bytes
    server: bytes
    def __init__(self, name: _Optional[str] = ..., path: _Optional[str] = ..., customer: _Optional[bytes] = ..., server: _Optional[bytes] = ...) -> None: ...

class TraceGraphResponse(_message.Message):
    __slots__ = ("traces",)
    TRACES_FIELD_NUMBER: _ClassVar[int]
    traces: _containers.RepeatedCompositeFieldContainer[Trace]
    def __init__(self, traces: _Optional[_Iterable[_Union[Trace, _Mapping]]] = ...) -> None: ...

class Trace(_message.Message):
    __slots__ = ("path", "steps", "reached", "problem", "source", "destination")
    PATH_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    path: str
    steps: _containers.RepeatedCompositeFieldContainer[TraceStep]
    reached: bool
    problem: str
    source: bytes
    destination: bytes
    def __init__(self, path: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[TraceStep, _Mapping]]] = ..., reached: _Optional[bool] = ..., problem: _Optional[str] = ..., source: _Optional[bytes] = ..., destination: _Optional[bytes] = ...) -> None: ...

class TraceStep(_message.Message):
    __slots__ = ("node", "index", "kind", "instance", "microseconds")
    NODE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    MICROSECONDS_FIELD_NUMBER: _ClassVar[int]
    node: str
    index: int
    kind: str
    instance: str
    microseconds: int
    def __init__(self, node: _Optional[str] = ..., index: _Optional[int] = ..., kind: _Optional[str] = ..., instance: _Optional[str] = ..., microseconds: _Optional[int] = ...) -> None: ...

class Flow(_message.Message):
    __slots__ = ("source", "destination", "protocol", "source_port", "destination_port")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PORT_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_PORT_FIELD_NUMBER: _ClassVar[int]
    source: bytes
    destination: bytes
    protocol: int
    source_port: int
    destination_port: int
    def __init__(self, source: _Optional[bytes] = ..., destination: _Optional[bytes] = ..., protocol: _Optional[int] = ..., source_port: _Optional[int] = ..., destination_port: _Optional[int] = ...) -> None: ...

class RequestShortcutRequest(_message.Message):
    __slots__ = ("graph", "flow", "until", "idle_seconds", "peer")
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    graph: str
    flow: Flow
    until: str
    idle_seconds: int
    peer: str
    def __init__(self, graph: _Optional[str] = ..., flow: _Optional[_Union[Flow, _Mapping]] = ..., until: _Optional[str] = ..., idle_seconds: _Optional[int] = ..., peer: _Optional[str] = ...) -> None: ...

class Shortcut(_message.Message):
    __slots__ = ("id", "graph", "flow", "until", "idle_seconds", "created_ns", "requester", "packets", "bytes", "packets_back", "bytes_back", "peer")
    ID_FIELD_NUMBER: _ClassVar[int]
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    IDLE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    REQUESTER_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    PACKETS_BACK_FIELD_NUMBER: _ClassVar[int]
    BYTES_BACK_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    id: int
    graph: str
    flow: Flow
    until: str
    idle_seconds: int
    created_ns: int
    requester: str
    packets: int
    bytes: int
    packets_back: int
    bytes_back: int
    peer: str
    def __init__(self, id: _Optional[int] = ..., graph: _Optional[str] = ..., flow: _Optional[_Union[Flow, _Mapping]] = ..., until: _Optional[str] = ..., idle_seconds: _Optional[int] = ..., created_ns: _Optional[int] = ..., requester: _Optional[str] = ..., packets: _Optional[int] = ..., bytes: _Optional[int] = ..., packets_back: _Optional[int] = ..., bytes_back: _Optional[int] = ..., peer: _Optional[str] = ...) -> None: ...

class ListShortcutsRequest(_message.Message):
    __slots__ = ("graph",)
    GRAPH_FIELD_NUMBER: _ClassVar[int]
    graph: str
    def __init__(self, graph: _Optional[str] = ...) -> None: ...

class ListShortcutsResponse(_message.Message):
    __slots__ = ("shortcuts",)
    SHORTCUTS_FIELD_NUMBER: _ClassVar[int]
    shortcuts: _containers.RepeatedCompositeFieldContainer[Shortcut]
    def __init__(self, shortcuts: _Optional[_Iterable[_Union[Shortcut, _Mapping]]] = ...) -> None: ...

class WatchShortcutsRequest(_message.Message):
    __slots__ = ("own",)
    OWN_FIELD_NUMBER: _ClassVar[int]
    own: bool
    def __init__(self, own: _Optional[bool] = ...) -> None: ...

class ShortcutEvent(_message.Message):
    __slots__ = ("kind", "shortcut")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[ShortcutEvent.Kind]
        KIND_ADDED: _ClassVar[ShortcutEvent.Kind]
        KIND_EXPIRED: _ClassVar[ShortcutEvent.Kind]
    KIND_UNSPECIFIED: ShortcutEvent.Kind
    KIND_ADDED: ShortcutEvent.Kind
    KIND_EXPIRED: ShortcutEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    SHORTCUT_FIELD_NUMBER: _ClassVar[int]
    kind: ShortcutEvent.Kind
    shortcut: Shortcut
    def __init__(self, kind: _Optional[_Union[ShortcutEvent.Kind, str]] = ..., shortcut: _Optional[_Union[Shortcut, _Mapping]] = ...) -> None: ...
