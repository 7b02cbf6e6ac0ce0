# SPDX-License-Identifier: Apache-2.0
"""An HTTP cache: squid, transparent in both directions.

It has no address of its own. What it keeps is what came from an address that the name in the request has: it
asks for that, and what a customer got elsewhere under the name of another is passed and not kept
(CVE-2009-0801).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dataplane.agent.dns_upstream import PORT as NAMES_PORT
from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import IN, OUT, TO_PROGRAM, ProgramPlan, Recipe
from dataplane.peers.resolver import ADDRESS

PORT: Final = 3128
HITS_PORT: Final = 3129
"""UDP port, in the namespace, at which the agent hears of hits."""

_OWN_PORT: Final = 3127
"""For addresses of pages of its own, of which nobody has use; squid does not start without."""

USER: Final = "proxy"
"""Who squid is in Debian."""

_START: Final = (
    *("unshare", "--mount", "sh", "-c"),
    'mount -t tmpfs squid /dev/shm && squid -N -z "$@" && exec squid -N "$@"',
    "squid",
)
"""Its shared memory has a name, which no other squid is to have, and goes with it. The first squid makes the
folders of what is kept, and ends.
"""

_CONFIGURATION: Final = """\
http_port {port} tproxy
http_port {address}:{own_port}
visible_hostname {name}
pid_filename none
cache_log /dev/null
debug_options ALL,0
netdb_filename none
pinger_enable off
digest_generation off
global_internal_static off
url_rewrite_extras %>a
store_id_extras %>a
shutdown_lifetime 0 seconds
max_filedescriptors 16384
hosts_file none
dns_nameservers {address}
# A customer waits for the answer: what is not known soon is passed, and not kept.
dns_timeout 1 second
dns_retransmit_interval 1 second
cache_mem 32 MB
maximum_object_size {megabytes} MB
cache_dir aufs {cache}/content {megabytes} 16 16
coredump_dir {cache}
# As long as the server says, and no longer by guessing.
minimum_expiry_time 0 seconds
refresh_pattern . 0 0% 4320
via off
forwarded_for transparent
http_upgrade_request_protocols OTHER allow all
on_unsupported_protocol tunnel all
acl web localport 80
http_access deny manager
http_access deny CONNECT
http_access allow web
http_access deny all
acl unasked hier_code HIER_NONE
logformat hit {{"status": "%Ss", "source": "%>a", "source_port": %>p, \
"destination": "%>la", "destination_port": %>lp}}
access_log {log}
"""


def recipe(config: PeerConfig, folder: Path, cache: Path) -> Recipe:
    """HTTP from the customers goes to squid, and so does what answers its own questions in their name."""
    # Each hit in a datagram of its own.
    hits = f"udp://{ADDRESS}:{HITS_PORT} logformat=hit buffer-size=0bytes unasked"
    content = _CONFIGURATION.format(
        name=config.name,
        port=PORT,
        address=ADDRESS,
        own_port=_OWN_PORT,
        cache=cache,
        megabytes=config.cache_megabytes,
        log=hits if config.shortcut else "none",
    )
    to_program = f"meta mark set meta mark | {TO_PROGRAM}"
    return Recipe(
        arriving=f"""\
        iifname "{OUT}" tcp sport 80 socket transparent 1 {to_program}
        iifname "{IN}" tcp dport 80 {to_program} tproxy ip to :{PORT}
        iifname "{IN}" tcp dport 80 {to_program} tproxy ip6 to :{PORT}""",
        programs=(ProgramPlan("squid", (*_START, "-f", str(folder / "squid.conf"))),),
        files={"squid.conf": content},
        keeper=USER,
        asks_names=True,
        listens=frozenset({PORT, NAMES_PORT}),
    )
