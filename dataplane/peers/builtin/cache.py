# SPDX-License-Identifier: Apache-2.0
"""An HTTP cache: nginx, transparent in both directions.

It has no address of its own, and asks nobody for names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from dataplane.peers.config import PeerConfig
from dataplane.peers.recipe import IN, OUT, TO_PROGRAM, ProgramPlan, Recipe

PORT: Final = 3128
NGINX: Final = "/usr/sbin/nginx"
HITS: Final = "hits"
"""Socket at which the agent hears of hits, in the folder of what is kept."""

_CONFIGURATION: Final = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    map $upstream_cache_status $hit {{ HIT 1; default 0; }}
    log_format flow escape=json '{{"source": "$remote_addr", "source_port": $remote_port, '
        '"destination": "$server_addr", "destination_port": $server_port}}';
    access_log {log};
    server_tokens off;
    client_body_temp_path {cache}/body; proxy_temp_path {cache}/proxy; fastcgi_temp_path {cache}/fastcgi;
    uwsgi_temp_path {cache}/uwsgi; scgi_temp_path {cache}/scgi;
    proxy_cache_path {cache}/content levels=1:2 keys_zone=content:16m max_size={megabytes}m use_temp_path=off;
    map $server_addr $origin {{ ~: [$server_addr]; default $server_addr; }}
    map $http_upgrade $upgrade {{ "" ""; default upgrade; }}
    client_max_body_size 0;
    server {{
        listen 0.0.0.0:{port};
        listen [::]:{port} ipv6only=on;
        location / {{
            # Where the customer was going, as it was going there; the name in the request could say anything,
            # so that the address is part of what a content is known by.
            proxy_pass http://$origin:$server_port;
            proxy_bind $remote_addr transparent;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upgrade;
            proxy_request_buffering off;
            proxy_cache content;
            proxy_cache_key "$server_addr $server_port $http_host $request_uri";
            proxy_cache_lock on;
            proxy_cache_revalidate on;
            proxy_cache_bypass $http_authorization;
            proxy_no_cache $http_authorization;
            add_header X-Cache-Status $upstream_cache_status always;
        }}
    }}
}}
"""


def recipe(config: PeerConfig, folder: Path, cache: Path) -> Recipe:
    """HTTP from the customers goes to nginx, and so does what answers its own questions in their name."""
    log = f"syslog:server=unix:{cache / HITS},nohostname flow if=$hit" if config.shortcut else "off"
    size = config.cache_megabytes
    content = _CONFIGURATION.format(folder=folder, cache=cache, port=PORT, megabytes=size, log=log)
    listening = ("-m", "dataplane.peers.transparent", str(PORT))
    nginx = (NGINX, "-e", "stderr", "-c", str(folder / "nginx.conf"))
    to_program = f"meta mark set meta mark | {TO_PROGRAM}"
    return Recipe(
        arriving=f"""\
        iifname "{OUT}" tcp sport 80 socket transparent 1 {to_program}
        iifname "{IN}" tcp dport 80 {to_program} tproxy ip to :{PORT}
        iifname "{IN}" tcp dport 80 {to_program} tproxy ip6 to :{PORT}""",
        programs=(ProgramPlan("nginx", (sys.executable, *listening, *nginx)),),
        files={"nginx.conf": content},
        caches=(cache,),
        listens=PORT,
    )
