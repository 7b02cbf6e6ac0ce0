# SPDX-License-Identifier: Apache-2.0
"""``moorline.v1.FeaturePeers``."""

from __future__ import annotations

from control.api.access import require_operator
from control.peer_messages import status
from control.peers import PeerInstance, Peers
from control.state import State
from moorline.api.v1 import peers_pb2 as pb
from moorline.tls import Identity


class FeaturePeersServicer:
    """See the proto file for what each method does."""

    def __init__(self, state: State, peers: Peers) -> None:
        self._state = state
        self._peers = peers

    async def ListFeaturePeers(  # noqa: N802, D102
        self, request: pb.ListFeaturePeersRequest, _caller: Identity
    ) -> pb.ListFeaturePeersResponse:
        if request.node:
            self._state.node(request.node)
        found = [
            peer
            for peer in self._peers.all()
            if request.kind in ("", peer.kind) and request.node in ("", peer.node)
        ]
        return pb.ListFeaturePeersResponse(peers=map(self._message, found))

    async def GetFeaturePeer(  # noqa: N802, D102
        self, request: pb.GetFeaturePeerRequest, _caller: Identity
    ) -> pb.FeaturePeerStatus:
        return self._message(self._peers.named(request.name))

    async def DrainFeaturePeer(  # noqa: N802, D102
        self, request: pb.DrainFeaturePeerRequest, caller: Identity
    ) -> pb.FeaturePeerStatus:
        require_operator(caller)
        return self._message(await self._peers.drain(request.name, wanted=request.drain))

    def _message(self, peer: PeerInstance) -> pb.FeaturePeerStatus:
        return status(peer, self._state.node(peer.node), drained=self._peers.is_drained(peer.name))
