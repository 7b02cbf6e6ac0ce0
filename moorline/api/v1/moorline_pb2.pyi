from moorline.api.v1 import peers_pb2 as _peers_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ChannelStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_STATUS_UNSPECIFIED: _ClassVar[ChannelStatus]
    CHANNEL_STATUS_UP: _ClassVar[ChannelStatus]
    CHANNEL_STATUS_DOWN: _ClassVar[ChannelStatus]
    CHANNEL_STATUS_LOCAL: _ClassVar[ChannelStatus]

class PipelineState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PIPELINE_STATE_UNSPECIFIED: _ClassVar[PipelineState]
    PIPELINE_STATE_OURS: _ClassVar[PipelineState]
    PIPELINE_STATE_OTHER_CONTRACT: _ClassVar[PipelineState]
    PIPELINE_STATE_OTHER_PROGRAM: _ClassVar[PipelineState]
CHANNEL_STATUS_UNSPECIFIED: ChannelStatus
CHANNEL_STATUS_UP: ChannelStatus
CHANNEL_STATUS_DOWN: ChannelStatus
CHANNEL_STATUS_LOCAL: ChannelStatus
PIPELINE_STATE_UNSPECIFIED: PipelineState
PIPELINE_STATE_OURS: PipelineState
PIPELINE_STATE_OTHER_CONTRACT: PipelineState
PIPELINE_STATE_OTHER_PROGRAM: PipelineState

class Service(_message.Message):
    __slots__ = ("name", "node", "tenant", "ipv4", "ipv6", "ttl_seconds", "expires_ns", "registered_ns", "port")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_NS_FIELD_NUMBER: _ClassVar[int]
    REGISTERED_NS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    tenant: int
    ipv4: bytes
    ipv6: bytes
    ttl_seconds: int
    expires_ns: int
    registered_ns: int
    port: int
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., tenant: _Optional[int] = ..., ipv4: _Optional[bytes] = ..., ipv6: _Optional[bytes] = ..., ttl_seconds: _Optional[int] = ..., expires_ns: _Optional[int] = ..., registered_ns: _Optional[int] = ..., port: _Optional[int] = ...) -> None: ...

class RegisterServiceRequest(_message.Message):
    __slots__ = ("name", "node", "ttl_seconds", "addresses")
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    name: str
    node: str
    ttl_seconds: int
    addresses: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, name: _Optional[str] = ..., node: _Optional[str] = ..., ttl_seconds: _Optional[int] = ..., addresses: _Optional[_Iterable[bytes]] = ...) -> None: ...

class RenewServiceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UnregisterServiceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class UnregisterServiceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServiceRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListServicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListServicesResponse(_message.Message):
    __slots__ = ("services",)
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[Service]
    def __init__(self, services: _Optional[_Iterable[_Union[Service, _Mapping]]] = ...) -> None: ...

class LookupRequest(_message.Message):
    __slots__ = ("request_id", "client", "server")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    client: str
    server: str
    def __init__(self, request_id: _Optional[int] = ..., client: _Optional[str] = ..., server: _Optional[str] = ...) -> None: ...

class LookupResponse(_message.Message):
    __slots__ = ("request_id", "client", "server", "client_ipv4", "client_ipv6", "server_ipv4", "server_ipv6", "client_locators", "server_locators", "scid", "key", "parameters", "failure")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IPV4_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IPV6_FIELD_NUMBER: _ClassVar[int]
    SERVER_IPV4_FIELD_NUMBER: _ClassVar[int]
    SERVER_IPV6_FIELD_NUMBER: _ClassVar[int]
    CLIENT_LOCATORS_FIELD_NUMBER: _ClassVar[int]
    SERVER_LOCATORS_FIELD_NUMBER: _ClassVar[int]
    SCID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    request_id: int
    client: str
    server: str
    client_ipv4: bytes
    client_ipv6: bytes
    server_ipv4: bytes
    server_ipv6: bytes
    client_locators: _containers.RepeatedScalarFieldContainer[bytes]
    server_locators: _containers.RepeatedScalarFieldContainer[bytes]
    scid: int
    key: bytes
    parameters: ConnectionParameters
    failure: LookupFailure
    def __init__(self, request_id: _Optional[int] = ..., client: _Optional[str] = ..., server: _Optional[str] = ..., client_ipv4: _Optional[bytes] = ..., client_ipv6: _Optional[bytes] = ..., server_ipv4: _Optional[bytes] = ..., server_ipv6: _Optional[bytes] = ..., client_locators: _Optional[_Iterable[bytes]] = ..., server_locators: _Optional[_Iterable[bytes]] = ..., scid: _Optional[int] = ..., key: _Optional[bytes] = ..., parameters: _Optional[_Union[ConnectionParameters, _Mapping]] = ..., failure: _Optional[_Union[LookupFailure, _Mapping]] = ...) -> None: ...

class LookupFailure(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class ConnectionParameters(_message.Message):
    __slots__ = ("mtu", "idle_timeout_seconds")
    MTU_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    mtu: int
    idle_timeout_seconds: int
    def __init__(self, mtu: _Optional[int] = ..., idle_timeout_seconds: _Optional[int] = ...) -> None: ...

class ConnectionEnd(_message.Message):
    __slots__ = ("service", "node", "ipv4", "ipv6", "locators")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    service: str
    node: str
    ipv4: bytes
    ipv6: bytes
    locators: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, service: _Optional[str] = ..., node: _Optional[str] = ..., ipv4: _Optional[bytes] = ..., ipv6: _Optional[bytes] = ..., locators: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("packets", "bytes", "bits_per_second")
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BITS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    packets: int
    bytes: int
    bits_per_second: int
    def __init__(self, packets: _Optional[int] = ..., bytes: _Optional[int] = ..., bits_per_second: _Optional[int] = ...) -> None: ...

class Leg(_message.Message):
    __slots__ = ("scid", "client_side", "server_side")
    SCID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_SIDE_FIELD_NUMBER: _ClassVar[int]
    SERVER_SIDE_FIELD_NUMBER: _ClassVar[int]
    scid: int
    client_side: str
    server_side: str
    def __init__(self, scid: _Optional[int] = ..., client_side: _Optional[str] = ..., server_side: _Optional[str] = ...) -> None: ...

class Connection(_message.Message):
    __slots__ = ("scid", "tenant", "client", "server", "status", "parameters", "created_ns", "client_to_server", "server_to_client", "legs", "former_scids")
    SCID_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TO_SERVER_FIELD_NUMBER: _ClassVar[int]
    SERVER_TO_CLIENT_FIELD_NUMBER: _ClassVar[int]
    LEGS_FIELD_NUMBER: _ClassVar[int]
    FORMER_SCIDS_FIELD_NUMBER: _ClassVar[int]
    scid: int
    tenant: int
    client: ConnectionEnd
    server: ConnectionEnd
    status: ChannelStatus
    parameters: ConnectionParameters
    created_ns: int
    client_to_server: Usage
    server_to_client: Usage
    legs: _containers.RepeatedCompositeFieldContainer[Leg]
    former_scids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, scid: _Optional[int] = ..., tenant: _Optional[int] = ..., client: _Optional[_Union[ConnectionEnd, _Mapping]] = ..., server: _Optional[_Union[ConnectionEnd, _Mapping]] = ..., status: _Optional[_Union[ChannelStatus, str]] = ..., parameters: _Optional[_Union[ConnectionParameters, _Mapping]] = ..., created_ns: _Optional[int] = ..., client_to_server: _Optional[_Union[Usage, _Mapping]] = ..., server_to_client: _Optional[_Union[Usage, _Mapping]] = ..., legs: _Optional[_Iterable[_Union[Leg, _Mapping]]] = ..., former_scids: _Optional[_Iterable[int]] = ...) -> None: ...

class ListConnectionsRequest(_message.Message):
    __slots__ = ("service", "node")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    service: str
    node: str
    def __init__(self, service: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class ListConnectionsResponse(_message.Message):
    __slots__ = ("connections",)
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    connections: _containers.RepeatedCompositeFieldContainer[Connection]
    def __init__(self, connections: _Optional[_Iterable[_Union[Connection, _Mapping]]] = ...) -> None: ...

class GetConnectionRequest(_message.Message):
    __slots__ = ("scid",)
    SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    def __init__(self, scid: _Optional[int] = ...) -> None: ...

class WatchConnectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ConnectionEvent(_message.Message):
    __slots__ = ("kind", "connection", "time_ns")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[ConnectionEvent.Kind]
        KIND_PRESENT: _ClassVar[ConnectionEvent.Kind]
        KIND_ADDED: _ClassVar[ConnectionEvent.Kind]
        KIND_CHANGED: _ClassVar[ConnectionEvent.Kind]
        KIND_REMOVED: _ClassVar[ConnectionEvent.Kind]
    KIND_UNSPECIFIED: ConnectionEvent.Kind
    KIND_PRESENT: ConnectionEvent.Kind
    KIND_ADDED: ConnectionEvent.Kind
    KIND_CHANGED: ConnectionEvent.Kind
    KIND_REMOVED: ConnectionEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    kind: ConnectionEvent.Kind
    connection: Connection
    time_ns: int
    def __init__(self, kind: _Optional[_Union[ConnectionEvent.Kind, str]] = ..., connection: _Optional[_Union[Connection, _Mapping]] = ..., time_ns: _Optional[int] = ...) -> None: ...

class CloseConnectionRequest(_message.Message):
    __slots__ = ("scid",)
    SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    def __init__(self, scid: _Optional[int] = ...) -> None: ...

class CloseConnectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SuspendConnectionRequest(_message.Message):
    __slots__ = ("scid",)
    SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    def __init__(self, scid: _Optional[int] = ...) -> None: ...

class RotateConnectionRequest(_message.Message):
    __slots__ = ("scid",)
    SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    def __init__(self, scid: _Optional[int] = ...) -> None: ...

class Rule(_message.Message):
    __slots__ = ("name", "client", "server", "allow")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    ALLOW_FIELD_NUMBER: _ClassVar[int]
    name: str
    client: str
    server: str
    allow: bool
    def __init__(self, name: _Optional[str] = ..., client: _Optional[str] = ..., server: _Optional[str] = ..., allow: _Optional[bool] = ...) -> None: ...

class DeleteRuleRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteRuleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRulesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRulesResponse(_message.Message):
    __slots__ = ("rules", "default_allow")
    RULES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_ALLOW_FIELD_NUMBER: _ClassVar[int]
    rules: _containers.RepeatedCompositeFieldContainer[Rule]
    default_allow: bool
    def __init__(self, rules: _Optional[_Iterable[_Union[Rule, _Mapping]]] = ..., default_allow: _Optional[bool] = ...) -> None: ...

class Locator(_message.Message):
    __slots__ = ("address", "port", "interface", "mtu")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    port: int
    interface: str
    mtu: int
    def __init__(self, address: _Optional[bytes] = ..., port: _Optional[int] = ..., interface: _Optional[str] = ..., mtu: _Optional[int] = ...) -> None: ...

class Node(_message.Message):
    __slots__ = ("name", "id", "connected", "converged", "locators", "generation", "version", "services", "connections", "connection_capacity", "ports", "last_seen_ns", "problem", "switch", "via", "border", "relayed_connections", "unknown_scids")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    CONVERGED_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_NS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    SWITCH_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    BORDER_FIELD_NUMBER: _ClassVar[int]
    RELAYED_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_SCIDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: int
    connected: bool
    converged: bool
    locators: _containers.RepeatedCompositeFieldContainer[Locator]
    generation: int
    version: str
    services: int
    connections: int
    connection_capacity: int
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    last_seen_ns: int
    problem: str
    switch: Switch
    via: str
    border: bool
    relayed_connections: int
    unknown_scids: int
    def __init__(self, name: _Optional[str] = ..., id: _Optional[int] = ..., connected: _Optional[bool] = ..., converged: _Optional[bool] = ..., locators: _Optional[_Iterable[_Union[Locator, _Mapping]]] = ..., generation: _Optional[int] = ..., version: _Optional[str] = ..., services: _Optional[int] = ..., connections: _Optional[int] = ..., connection_capacity: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., last_seen_ns: _Optional[int] = ..., problem: _Optional[str] = ..., switch: _Optional[_Union[Switch, _Mapping]] = ..., via: _Optional[str] = ..., border: _Optional[bool] = ..., relayed_connections: _Optional[int] = ..., unknown_scids: _Optional[int] = ...) -> None: ...

class Switch(_message.Message):
    __slots__ = ("p4runtime", "device_id", "ports", "pipeline", "peers")
    P4RUNTIME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    p4runtime: str
    device_id: int
    ports: _containers.RepeatedCompositeFieldContainer[SwitchPort]
    pipeline: PipelineState
    peers: _containers.RepeatedCompositeFieldContainer[SwitchPeer]
    def __init__(self, p4runtime: _Optional[str] = ..., device_id: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[SwitchPort, _Mapping]]] = ..., pipeline: _Optional[_Union[PipelineState, str]] = ..., peers: _Optional[_Iterable[_Union[SwitchPeer, _Mapping]]] = ...) -> None: ...

class SwitchPort(_message.Message):
    __slots__ = ("number", "role", "addresses", "gateways", "mtu", "vlan", "mac", "interface", "tenant", "prefixes", "tunnels")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    GATEWAYS_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    VLAN_FIELD_NUMBER: _ClassVar[int]
    MAC_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    TUNNELS_FIELD_NUMBER: _ClassVar[int]
    number: int
    role: str
    addresses: _containers.RepeatedScalarFieldContainer[str]
    gateways: _containers.RepeatedScalarFieldContainer[str]
    mtu: int
    vlan: int
    mac: str
    interface: str
    tenant: int
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    tunnels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, number: _Optional[int] = ..., role: _Optional[str] = ..., addresses: _Optional[_Iterable[str]] = ..., gateways: _Optional[_Iterable[str]] = ..., mtu: _Optional[int] = ..., vlan: _Optional[int] = ..., mac: _Optional[str] = ..., interface: _Optional[str] = ..., tenant: _Optional[int] = ..., prefixes: _Optional[_Iterable[str]] = ..., tunnels: _Optional[_Iterable[str]] = ...) -> None: ...

class SwitchPeer(_message.Message):
    __slots__ = ("name", "kind", "ports", "macs", "header", "by_mac", "addresses", "rewrites", "spare", "local", "remote")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    MACS_FIELD_NUMBER: _ClassVar[int]
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BY_MAC_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    REWRITES_FIELD_NUMBER: _ClassVar[int]
    SPARE_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    name: str
    kind: str
    ports: _containers.RepeatedScalarFieldContainer[int]
    macs: _containers.RepeatedScalarFieldContainer[str]
    header: str
    by_mac: bool
    addresses: _containers.RepeatedScalarFieldContainer[str]
    rewrites: bool
    spare: bool
    local: str
    remote: str
    def __init__(self, name: _Optional[str] = ..., kind: _Optional[str] = ..., ports: _Optional[_Iterable[int]] = ..., macs: _Optional[_Iterable[str]] = ..., header: _Optional[str] = ..., by_mac: _Optional[bool] = ..., addresses: _Optional[_Iterable[str]] = ..., rewrites: _Optional[bool] = ..., spare: _Optional[bool] = ..., local: _Optional[str] = ..., remote: _Optional[str] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("number", "interface", "role", "hook", "up", "mtu", "addresses", "prefixes", "tenant", "tunnels")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HOOK_FIELD_NUMBER: _ClassVar[int]
    UP_FIELD_NUMBER: _ClassVar[int]
    MTU_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    TUNNELS_FIELD_NUMBER: _ClassVar[int]
    number: int
    interface: str
    role: str
    hook: str
    up: bool
    mtu: int
    addresses: _containers.RepeatedScalarFieldContainer[str]
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    tenant: int
    tunnels: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, number: _Optional[int] = ..., interface: _Optional[str] = ..., role: _Optional[str] = ..., hook: _Optional[str] = ..., up: _Optional[bool] = ..., mtu: _Optional[int] = ..., addresses: _Optional[_Iterable[str]] = ..., prefixes: _Optional[_Iterable[str]] = ..., tenant: _Optional[int] = ..., tunnels: _Optional[_Iterable[str]] = ...) -> None: ...

class ListNodesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[Node]
    def __init__(self, nodes: _Optional[_Iterable[_Union[Node, _Mapping]]] = ...) -> None: ...

class GetNodeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SetNodeRequest(_message.Message):
    __slots__ = ("name", "via", "border")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIA_FIELD_NUMBER: _ClassVar[int]
    BORDER_FIELD_NUMBER: _ClassVar[int]
    name: str
    via: str
    border: bool
    def __init__(self, name: _Optional[str] = ..., via: _Optional[str] = ..., border: _Optional[bool] = ...) -> None: ...

class RemoveNodeRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveNodeResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateJoinTokenRequest(_message.Message):
    __slots__ = ("node", "ttl_seconds")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TTL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    node: str
    ttl_seconds: int
    def __init__(self, node: _Optional[str] = ..., ttl_seconds: _Optional[int] = ...) -> None: ...

class JoinToken(_message.Message):
    __slots__ = ("node", "token", "expires_ns")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_NS_FIELD_NUMBER: _ClassVar[int]
    node: str
    token: str
    expires_ns: int
    def __init__(self, node: _Optional[str] = ..., token: _Optional[str] = ..., expires_ns: _Optional[int] = ...) -> None: ...

class AddSwitchRequest(_message.Message):
    __slots__ = ("name", "p4runtime", "device_id", "ports", "peers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    P4RUNTIME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    PEERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    p4runtime: str
    device_id: int
    ports: _containers.RepeatedCompositeFieldContainer[SwitchPort]
    peers: _containers.RepeatedCompositeFieldContainer[SwitchPeer]
    def __init__(self, name: _Optional[str] = ..., p4runtime: _Optional[str] = ..., device_id: _Optional[int] = ..., ports: _Optional[_Iterable[_Union[SwitchPort, _Mapping]]] = ..., peers: _Optional[_Iterable[_Union[SwitchPeer, _Mapping]]] = ...) -> None: ...

class ReplacePipelineRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListPortEventsRequest(_message.Message):
    __slots__ = ("node",)
    NODE_FIELD_NUMBER: _ClassVar[int]
    node: str
    def __init__(self, node: _Optional[str] = ...) -> None: ...

class ListPortEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[PortEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[PortEvent, _Mapping]]] = ...) -> None: ...

class PortEvent(_message.Message):
    __slots__ = ("node", "port", "interface", "event", "packets", "bytes")
    NODE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    node: str
    port: int
    interface: str
    event: str
    packets: int
    bytes: int
    def __init__(self, node: _Optional[str] = ..., port: _Optional[int] = ..., interface: _Optional[str] = ..., event: _Optional[str] = ..., packets: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class GetControllerStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ControllerStatus(_message.Message):
    __slots__ = ("version", "started_ns", "store", "services", "connections", "nodes", "nodes_connected", "nodes_converged")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    NODES_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    NODES_CONVERGED_FIELD_NUMBER: _ClassVar[int]
    version: str
    started_ns: int
    store: str
    services: int
    connections: int
    nodes: int
    nodes_connected: int
    nodes_converged: int
    def __init__(self, version: _Optional[str] = ..., started_ns: _Optional[int] = ..., store: _Optional[str] = ..., services: _Optional[int] = ..., connections: _Optional[int] = ..., nodes: _Optional[int] = ..., nodes_connected: _Optional[int] = ..., nodes_converged: _Optional[int] = ...) -> None: ...

class JoinRequest(_message.Message):
    __slots__ = ("node", "token_secret", "certificate_request")
    NODE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_SECRET_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    node: str
    token_secret: bytes
    certificate_request: bytes
    def __init__(self, node: _Optional[str] = ..., token_secret: _Optional[bytes] = ..., certificate_request: _Optional[bytes] = ...) -> None: ...

class JoinResponse(_message.Message):
    __slots__ = ("certificate", "authority")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    authority: bytes
    def __init__(self, certificate: _Optional[bytes] = ..., authority: _Optional[bytes] = ...) -> None: ...

class NodeReport(_message.Message):
    __slots__ = ("hello", "locators", "ports", "feature_peers")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    FEATURE_PEERS_FIELD_NUMBER: _ClassVar[int]
    hello: NodeHello
    locators: LocatorsChanged
    ports: PortsChanged
    feature_peers: FeaturePeersChanged
    def __init__(self, hello: _Optional[_Union[NodeHello, _Mapping]] = ..., locators: _Optional[_Union[LocatorsChanged, _Mapping]] = ..., ports: _Optional[_Union[PortsChanged, _Mapping]] = ..., feature_peers: _Optional[_Union[FeaturePeersChanged, _Mapping]] = ...) -> None: ...

class NodeHello(_message.Message):
    __slots__ = ("version", "p4runtime_port", "connection_capacity", "locators", "ports", "access_port", "feature_peers")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    P4RUNTIME_PORT_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ACCESS_PORT_FIELD_NUMBER: _ClassVar[int]
    FEATURE_PEERS_FIELD_NUMBER: _ClassVar[int]
    version: str
    p4runtime_port: int
    connection_capacity: int
    locators: LocatorsChanged
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    access_port: int
    feature_peers: _containers.RepeatedCompositeFieldContainer[_peers_pb2.FeaturePeer]
    def __init__(self, version: _Optional[str] = ..., p4runtime_port: _Optional[int] = ..., connection_capacity: _Optional[int] = ..., locators: _Optional[_Union[LocatorsChanged, _Mapping]] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., access_port: _Optional[int] = ..., feature_peers: _Optional[_Iterable[_Union[_peers_pb2.FeaturePeer, _Mapping]]] = ...) -> None: ...

class LocatorsChanged(_message.Message):
    __slots__ = ("generation", "locators")
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    generation: int
    locators: _containers.RepeatedCompositeFieldContainer[Locator]
    def __init__(self, generation: _Optional[int] = ..., locators: _Optional[_Iterable[_Union[Locator, _Mapping]]] = ...) -> None: ...

class PortsChanged(_message.Message):
    __slots__ = ("ports",)
    PORTS_FIELD_NUMBER: _ClassVar[int]
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    def __init__(self, ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ...) -> None: ...

class FeaturePeersChanged(_message.Message):
    __slots__ = ("feature_peers",)
    FEATURE_PEERS_FIELD_NUMBER: _ClassVar[int]
    feature_peers: _containers.RepeatedCompositeFieldContainer[_peers_pb2.FeaturePeer]
    def __init__(self, feature_peers: _Optional[_Iterable[_Union[_peers_pb2.FeaturePeer, _Mapping]]] = ...) -> None: ...

class NodeUpdate(_message.Message):
    __slots__ = ("welcome", "endpoints", "peer", "peer_removed", "translation", "translation_removed", "synchronized", "several")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    PEER_REMOVED_FIELD_NUMBER: _ClassVar[int]
    TRANSLATION_FIELD_NUMBER: _ClassVar[int]
    TRANSLATION_REMOVED_FIELD_NUMBER: _ClassVar[int]
    SYNCHRONIZED_FIELD_NUMBER: _ClassVar[int]
    SEVERAL_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    endpoints: Endpoints
    peer: PeerChanged
    peer_removed: PeerRemoved
    translation: Translation
    translation_removed: TranslationRemoved
    synchronized: Synchronized
    several: NodeUpdates
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., endpoints: _Optional[_Union[Endpoints, _Mapping]] = ..., peer: _Optional[_Union[PeerChanged, _Mapping]] = ..., peer_removed: _Optional[_Union[PeerRemoved, _Mapping]] = ..., translation: _Optional[_Union[Translation, _Mapping]] = ..., translation_removed: _Optional[_Union[TranslationRemoved, _Mapping]] = ..., synchronized: _Optional[_Union[Synchronized, _Mapping]] = ..., several: _Optional[_Union[NodeUpdates, _Mapping]] = ...) -> None: ...

class NodeUpdates(_message.Message):
    __slots__ = ("updates",)
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    updates: _containers.RepeatedCompositeFieldContainer[NodeUpdate]
    def __init__(self, updates: _Optional[_Iterable[_Union[NodeUpdate, _Mapping]]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("node_id", "node", "virtual_prefixes")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    VIRTUAL_PREFIXES_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    node: str
    virtual_prefixes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, node_id: _Optional[int] = ..., node: _Optional[str] = ..., virtual_prefixes: _Optional[_Iterable[str]] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("service", "ipv4", "ipv6", "port")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    IPV4_FIELD_NUMBER: _ClassVar[int]
    IPV6_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    service: str
    ipv4: bytes
    ipv6: bytes
    port: int
    def __init__(self, service: _Optional[str] = ..., ipv4: _Optional[bytes] = ..., ipv6: _Optional[bytes] = ..., port: _Optional[int] = ...) -> None: ...

class Endpoints(_message.Message):
    __slots__ = ("endpoints",)
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    def __init__(self, endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ...) -> None: ...

class PeerChanged(_message.Message):
    __slots__ = ("node_id", "node", "generation", "locators", "key", "relayed")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    RELAYED_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    node: str
    generation: int
    locators: _containers.RepeatedCompositeFieldContainer[Locator]
    key: bytes
    relayed: bool
    def __init__(self, node_id: _Optional[int] = ..., node: _Optional[str] = ..., generation: _Optional[int] = ..., locators: _Optional[_Iterable[_Union[Locator, _Mapping]]] = ..., key: _Optional[bytes] = ..., relayed: _Optional[bool] = ...) -> None: ...

class PeerRemoved(_message.Message):
    __slots__ = ("node_id",)
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    node_id: int
    def __init__(self, node_id: _Optional[int] = ...) -> None: ...

class Translation(_message.Message):
    __slots__ = ("scid", "peer_node_id", "local", "peer", "status", "former_scid")
    SCID_FIELD_NUMBER: _ClassVar[int]
    PEER_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    LOCAL_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FORMER_SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    peer_node_id: int
    local: ConnectionEnd
    peer: ConnectionEnd
    status: ChannelStatus
    former_scid: int
    def __init__(self, scid: _Optional[int] = ..., peer_node_id: _Optional[int] = ..., local: _Optional[_Union[ConnectionEnd, _Mapping]] = ..., peer: _Optional[_Union[ConnectionEnd, _Mapping]] = ..., status: _Optional[_Union[ChannelStatus, str]] = ..., former_scid: _Optional[int] = ...) -> None: ...

class TranslationRemoved(_message.Message):
    __slots__ = ("scid",)
    SCID_FIELD_NUMBER: _ClassVar[int]
    scid: int
    def __init__(self, scid: _Optional[int] = ...) -> None: ...

class Synchronized(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAgentStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class AgentStatus(_message.Message):
    __slots__ = ("node", "node_id", "version", "controller", "controller_connected", "ports", "locators", "endpoints", "pipeline_digest", "started_ns")
    NODE_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    LOCATORS_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    node: str
    node_id: int
    version: str
    controller: str
    controller_connected: bool
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    locators: _containers.RepeatedCompositeFieldContainer[Locator]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    pipeline_digest: str
    started_ns: int
    def __init__(self, node: _Optional[str] = ..., node_id: _Optional[int] = ..., version: _Optional[str] = ..., controller: _Optional[str] = ..., controller_connected: _Optional[bool] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., locators: _Optional[_Iterable[_Union[Locator, _Mapping]]] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., pipeline_digest: _Optional[str] = ..., started_ns: _Optional[int] = ...) -> None: ...

class ListTranslationsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTranslationsResponse(_message.Message):
    __slots__ = ("translations",)
    TRANSLATIONS_FIELD_NUMBER: _ClassVar[int]
    translations: _containers.RepeatedCompositeFieldContainer[Translation]
    def __init__(self, translations: _Optional[_Iterable[_Union[Translation, _Mapping]]] = ...) -> None: ...
