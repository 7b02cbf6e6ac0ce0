# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: made, entered, configured over netlink, removed.

Programs enter by ``nsenter --net``, which leaves all mounts as they are: pins under /sys/fs/bpf stay visible,
which ``ip netns exec`` would hide by mounting /sys anew.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import Any, TypeVar

from pyroute2 import IPRoute

from dataplane.peers.namespace import enter_network
from tools.lab.cleanup import kill_inside
from tools.lab.errors import LabError
from tools.lab.process import Process
from tools.nursery import Child
from tools.nursery.place import Place

T = TypeVar("T")
Interface = IPv4Interface | IPv6Interface

_IFA_F_NODAD = 0x02


class Namespace:
    """A network namespace of a lab, by its unique name."""

    def __init__(self, name: str, logs: Path) -> None:
        self.name = name
        self.path = Path("/run/netns") / name
        self._logs = logs
        self._files: dict[str, Path] = {}
        self._indexes: dict[str, int] = {}
        _ip("netns", "add", name)
        # One thread lives inside, for good: what it opens, sockets and sysctls, belongs to the namespace.
        self._inside = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=self._enter)
        self._netlink: Any = self.call(IPRoute)
        # Link-local addresses are usable at once, and with them the search for neighbours.
        self.sysctl({f"net/ipv6/conf/{which}/accept_dad": "0" for which in ("all", "default")})
        self.set_link("lo", state="up")

    def close(self) -> None:
        """Remove it, with its interfaces. Programs that were not ended before are killed."""
        self.call(self._netlink.close)
        self._inside.shutdown()
        kill_inside(self.path)
        _ip("netns", "delete", self.name)

    # ---- programs ----

    def use_file(self, path: str, content: Path) -> None:
        """Show programs in this namespace the file ``content`` in place of ``path``."""
        self._files[path] = content

    def command(self, *program: str) -> list[str]:
        """The command line that runs ``program`` inside."""
        enter = ["nsenter", f"--net={self.path}", "--"]
        if not self._files:
            return [*enter, *program]
        mounts = [f"mount --bind {shlex.quote(str(own))} {path}" for path, own in self._files.items()]
        # Namespaces that the program makes are seen by all, the files are not.
        script = " && ".join(["mount --make-private /", *mounts, 'exec "$@"'])
        unshare = ("unshare", "--mount", "--propagation", "unchanged")
        return [*enter, *unshare, "--", "sh", "-c", script, "sh", *program]

    def run(
        self, *program: str, timeout: float = 30.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``program`` inside to its end; with ``check``, LabError when its exit status is not 0."""
        done = subprocess.run(
            self.command(*program),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            start_new_session=True,  # a terminal's Ctrl-C is for whoever waits here, who ends it then
        )
        return _checked(done, program) if check else done

    def start(self, name: str, *program: str) -> Process:
        """Start ``program`` inside; its output goes to ``<namespace>.<name>.log`` in the lab's folder."""
        return Process(f"{name} in {self.name}", self.command(*program), self._log(name))

    def start_child(self, words: Sequence[str]) -> Process:
        """Start ``moorline WORDS`` inside, as ``start`` does, from the nursery."""
        log = self._log("moorline")
        return Process(f"moorline in {self.name}", self._child(words, log, log), log)

    def run_child(
        self, words: Sequence[str], timeout: float = 30.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run ``moorline WORDS`` inside to its end, as ``run`` does, from the nursery."""
        program = ("moorline", *words)
        with tempfile.TemporaryDirectory(dir=self._logs) as folder:
            output, errors = Path(folder) / "output", Path(folder) / "errors"
            with Process(" ".join(program), self._child(words, output, errors), errors) as process:
                status = process.wait(timeout)
            done = subprocess.CompletedProcess(program, status, output.read_text(), errors.read_text())
        return _checked(done, program) if check else done

    def _child(self, words: Sequence[str], output: Path, errors: Path) -> Child:
        return Child(words, Place(self.path, self._files), output, errors)

    def _log(self, name: str) -> Path:
        return self._logs / f"{self.name}.{name}.log"

    def call(self, function: Callable[[], T]) -> T:
        """Call ``function`` inside, which must not block: the sockets that it opens stay inside."""
        return self._inside.submit(function).result()

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives inside, for use from anywhere."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def _enter(self) -> None:
        try:
            enter_network(self.path)
        except OSError as error:
            why = error.strerror
            raise LabError(f"namespace {self.name} cannot be entered ({why}): run as root") from None

    # ---- interfaces, addresses, routes ----

    def sysctl(self, values: dict[str, str]) -> None:
        """Set kernel parameters of this namespace; keys as paths below /proc/sys."""

        def write() -> None:
            for key, value in values.items():
                # /proc/sys/net shows the parameters of the namespace of the thread that opens it.
                (Path("/proc/sys") / key).write_text(value)

        self.call(write)

    def request(self, method: str, /, *words: Any, **fields: Any) -> Any:
        """A netlink request of pyroute2's ``IPRoute`` (``link``, ``addr``, ``route``); its whole answer."""

        def ask() -> Any:
            answer = getattr(self._netlink, method)(*words, **fields)
            return list(answer) if isinstance(answer, Iterator) else answer

        return self.call(ask)

    def index(self, interface: str) -> int:
        """Number of an interface; asked once, so that an address change costs only its own requests."""
        if interface not in self._indexes:
            self._indexes[interface] = self._look_up(interface)
        return self._indexes[interface]

    def _look_up(self, interface: str) -> int:
        found: list[int] = self.request("link_lookup", ifname=interface)
        if not found:
            raise LabError(f"namespace {self.name} has no interface {interface!r}")
        return found[0]

    def set_link(self, interface: str, **settings: Any) -> None:
        """Change an interface (``state="up"``, ``mtu=1400``, ``address="02:..."``)."""
        self.request("link", "set", index=self.index(interface), **settings)

    def delete_link(self, interface: str) -> None:
        """Take an interface away, as when a cable's card is pulled out."""
        self.request("link", "del", index=self.index(interface))
        self.forget_link(interface)

    def forget_link(self, interface: str) -> None:
        """An interface has gone: one of its name that comes is another."""
        self._indexes.pop(interface, None)

    def add_address(self, interface: str, address: Interface) -> None:
        """Add an address, usable at once: nobody else is here to have the same one."""
        no_detection = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
        self.request("addr", "add", index=self.index(interface), **_address(address), **no_detection)

    def delete_address(self, interface: str, address: Interface) -> None:
        """Take an address away."""
        self.request("addr", "del", index=self.index(interface), **_address(address))

    def set_default_route(self, interface: str, gateway: str, metric: int = 0) -> None:
        """Set the default route by ``interface``."""
        family = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        self.request(
            "route",
            "replace",
            family=family,
            dst="default",
            gateway=gateway,
            oif=self.index(interface),
            **({"priority": metric} if metric else {}),
        )

    def addresses(self, interface: str) -> Sequence[str]:
        """The addresses on an interface, text form, without link-local ones."""
        found = self.request("get_addr", index=self.index(interface))
        texts = [message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") for message in found]
        return [text for text in texts if not text.startswith("fe80:")]

    def mac(self, interface: str) -> str:
        """Hardware address of an interface."""
        (link,) = self.request("get_links", self.index(interface))
        address: str = link.get_attr("IFLA_ADDRESS")
        return address


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"ip {' '.join(words)} failed: {done.stderr.strip()}")


def _checked(
    done: subprocess.CompletedProcess[str], program: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise LabError(f"{' '.join(program)} failed with status {done.returncode}: {' | '.join(said[-5:])}")
    return done


def _address(address: Interface) -> dict[str, Any]:
    return {"address": str(address.ip), "prefixlen": address.network.prefixlen}


def connect(one: Namespace, one_interface: str, other: Namespace, other_interface: str) -> None:
    """Lay a cable: a veth pair with one end in each namespace, both up."""
    peer = {"ifname": other_interface, "net_ns_fd": other.name}
    one.request("link", "add", ifname=one_interface, kind="veth", peer=peer)
    one.set_link(one_interface, state="up")
    other.set_link(other_interface, state="up")
