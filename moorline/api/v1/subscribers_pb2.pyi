from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Customer(_message.Message):
    __slots__ = ("name", "tenant", "profiles", "devices", "sessions", "bytes_from", "bytes_to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FROM_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    tenant: int
    profiles: _containers.RepeatedScalarFieldContainer[str]
    devices: _containers.RepeatedCompositeFieldContainer[CustomerDevice]
    sessions: int
    bytes_from: int
    bytes_to: int
    def __init__(self, name: _Optional[str] = ..., tenant: _Optional[int] = ..., profiles: _Optional[_Iterable[str]] = ..., devices: _Optional[_Iterable[_Union[CustomerDevice, _Mapping]]] = ..., sessions: _Optional[int] = ..., bytes_from: _Optional[int] = ..., bytes_to: _Optional[int] = ...) -> None: ...

class CustomerDevice(_message.Message):
    __slots__ = ("name", "prefixes", "node", "port", "tunnel", "profiles", "location", "session")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PREFIXES_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_FIELD_NUMBER: _ClassVar[int]
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    prefixes: _containers.RepeatedScalarFieldContainer[str]
    node: str
    port: str
    tunnel: UserTunnel
    profiles: _containers.RepeatedScalarFieldContainer[str]
    location: str
    session: SubscriberSession
    def __init__(self, name: _Optional[str] = ..., prefixes: _Optional[_Iterable[str]] = ..., node: _Optional[str] = ..., port: _Optional[str] = ..., tunnel: _Optional[_Union[UserTunnel, _Mapping]] = ..., profiles: _Optional[_Iterable[str]] = ..., location: _Optional[str] = ..., session: _Optional[_Union[SubscriberSession, _Mapping]] = ...) -> None: ...

class UserTunnel(_message.Message):
    __slots__ = ("kind", "remote", "key")
    KIND_FIELD_NUMBER: _ClassVar[int]
    REMOTE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    remote: str
    key: int
    def __init__(self, kind: _Optional[str] = ..., remote: _Optional[str] = ..., key: _Optional[int] = ...) -> None: ...

class SubscriberSession(_message.Message):
    __slots__ = ("id", "server", "started_ns", "heard_ns", "bytes_from", "bytes_to", "packets_from", "packets_to")
    ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_FIELD_NUMBER: _ClassVar[int]
    STARTED_NS_FIELD_NUMBER: _ClassVar[int]
    HEARD_NS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FROM_FIELD_NUMBER: _ClassVar[int]
    BYTES_TO_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FROM_FIELD_NUMBER: _ClassVar[int]
    PACKETS_TO_FIELD_NUMBER: _ClassVar[int]
    id: str
    server: str
    started_ns: int
    heard_ns: int
    bytes_from: int
    bytes_to: int
    packets_from: int
    packets_to: int
    def __init__(self, id: _Optional[str] = ..., server: _Optional[str] = ..., started_ns: _Optional[int] = ..., heard_ns: _Optional[int] = ..., bytes_from: _Optional[int] = ..., bytes_to: _Optional[int] = ..., packets_from: _Optional[int] = ..., packets_to: _Optional[int] = ...) -> None: ...

class ApplyCustomersRequest(_message.Message):
    __slots__ = ("text", "source")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    text: str
    source: str
    def __init__(self, text: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class ApplyCustomersResponse(_message.Message):
    __slots__ = ("customers",)
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedCompositeFieldContainer[Customer]
    def __init__(self, customers: _Optional[_Iterable[_Union[Customer, _Mapping]]] = ...) -> None: ...

class ListCustomersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCustomersResponse(_message.Message):
    __slots__ = ("customers",)
    CUSTOMERS_FIELD_NUMBER: _ClassVar[int]
    customers: _containers.RepeatedCompositeFieldContainer[Customer]
    def __init__(self, customers: _Optional[_Iterable[_Union[Customer, _Mapping]]] = ...) -> None: ...

class GetCustomerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCustomerRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCustomerResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRadiusCountersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListRadiusCountersResponse(_message.Message):
    __slots__ = ("counters",)
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    counters: _containers.RepeatedCompositeFieldContainer[RadiusCounter]
    def __init__(self, counters: _Optional[_Iterable[_Union[RadiusCounter, _Mapping]]] = ...) -> None: ...

class RadiusCounter(_message.Message):
    __slots__ = ("client", "outcome", "packets")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    client: str
    outcome: str
    packets: int
    def __init__(self, client: _Optional[str] = ..., outcome: _Optional[str] = ..., packets: _Optional[int] = ...) -> None: ...

class FindEndpointsRequest(_message.Message):
    __slots__ = ("address", "tunnel")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    tunnel: str
    def __init__(self, address: _Optional[bytes] = ..., tunnel: _Optional[str] = ...) -> None: ...

class FindEndpointsResponse(_message.Message):
    __slots__ = ("location", "endpoints")
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    location: str
    endpoints: _containers.RepeatedCompositeFieldContainer[TunnelEndpoint]
    def __init__(self, location: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[TunnelEndpoint, _Mapping]]] = ...) -> None: ...

class TunnelEndpoint(_message.Message):
    __slots__ = ("node", "address", "tunnel", "price", "cost", "devices")
    NODE_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    TUNNEL_FIELD_NUMBER: _ClassVar[int]
    PRICE_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    node: str
    address: bytes
    tunnel: str
    price: float
    cost: int
    devices: int
    def __init__(self, node: _Optional[str] = ..., address: _Optional[bytes] = ..., tunnel: _Optional[str] = ..., price: _Optional[float] = ..., cost: _Optional[int] = ..., devices: _Optional[int] = ...) -> None: ...
