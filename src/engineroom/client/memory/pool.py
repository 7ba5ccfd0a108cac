"""Large tensors through the system's shared memory, where client and server share one; the network otherwise.

That they do is proven by registering a region: its name is drawn at random, so a server that finds it sees the same
memory. A container or a forwarded port does not, and a server that allows no such thing refuses.
"""

import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Protocol, TypeAlias

from engineroom.client.deadline import left_s
from engineroom.client.memory.placement import Placed, plan_from_request
from engineroom.client.memory.region import FOLDER, PREFIX, Region, sweep
from engineroom.client.protocol.transport import Address, Arrays, Request
from engineroom.errors import CallError, DeadlineExceeded, InferenceFailed, ModelNotFound, ServerUnavailable

POOL_BYTES = 2**30
"""Most shared memory of one client at one server; beyond it, the network."""

REST_S = 30.0
"""Seconds over the network after a region could not be had, or was lost again at once."""

LOST = "Unable to find shared memory region"
TOO_SMALL = "shared memory size specified with the request for output"
IN_USE = "currently in use"
"""Triton's words (2.51): of a region that it does not know, nothing having been computed; of an output that is larger
than its place; of a region that it will not forget while it works on a request."""

Send: TypeAlias = Callable[[Request, Placed | None], Coroutine[Any, Any, Arrays]]
"""Sends one request, with the tensors that have a place in shared memory left out."""


class Registrar(Protocol):
    """Triton's system shared memory extension, over one protocol. Every method raises `CallError`."""

    async def register(self, name: str, size_bytes: int) -> None:
        """Have the server map the region of that name."""

    async def unregister(self, name: str) -> None:
        """Have it forget a region."""

    async def registered(self) -> tuple[str, ...]:
        """Names of the regions that it knows."""


def is_tried(address: Address) -> bool:
    """Whether shared memory is worth a try at an address: one of this machine's own, unless the caller says."""
    if address.connecting.shared_memory is not None:
        return address.connecting.shared_memory
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


class SharedMemory:
    """The regions of one client at one server, kept for the next request of their size. Safe for threads.

    A region is used again only when the server has answered: what nobody waits for any more may still be written.

    Args:
        registrar: Tells the server.
        tried: Whether to try at all.
    """

    def __init__(self, registrar: Registrar, tried: bool) -> None:
        self._registrar = registrar
        self._unsized: set[str] = set()
        self._next_try = 0.0 if tried else float("inf")
        self._swept = False
        self._lock = threading.Lock()
        self._free: list[Region] = []
        self._bytes = 0
        self._leaving: list[str] = []

    async def ask(self, request: Request, send: Send) -> Arrays:
        """Answer one request, whichever way its tensors travel.

        Raises:
            CallError: As `Transport.infer`.
        """
        for _ in range(3):  # once more where the server has lost the region, and where an output is too large for it
            placed = await self._placed(request)
            if placed is None:
                break
            kept = False
            try:
                placed.write(request)
                answer = await send(_now(request), placed)
                kept = True
                return answer
            except (InferenceFailed, ModelNotFound) as error:
                kept = LOST not in str(error)
                if not self._mended(request, str(error)):
                    raise
            finally:
                self._put_back(placed.region, kept)
        else:
            self._rest(0)
        return await send(_now(request), None)

    async def close(self) -> None:
        """Remove every region, here and at the server."""
        with self._lock:
            self._next_try = float("inf")
            free, self._free = self._free, []
        for region in free:
            self._drop(region)
        await self._unregister()

    async def _placed(self, request: Request) -> Placed | None:
        if time.monotonic() < self._next_try:
            return None
        plan = plan_from_request(request, request.model not in self._unsized)
        region = await self._region(plan.size_bytes) if plan else None
        return Placed(region, plan) if plan and region else None

    def _mended(self, request: Request, said: str) -> bool:
        """Whether a failure was of the way and not of the request: then the request is worth sending again."""
        if LOST in said:  # the server has started anew, and knows none of the others either
            with self._lock:
                lost, self._free = self._free, []
            for region in lost:
                self._drop(region)
            return True
        if TOO_SMALL in said:
            self._unsized.add(request.model)
            return request.idempotent
        return False

    async def _region(self, size_bytes: int) -> Region | None:
        size_bytes = 1 << (size_bytes - 1).bit_length()
        with self._lock:
            fitting = [region for region in self._free if size_bytes <= region.size_bytes <= 4 * size_bytes]
            if fitting:
                region = min(fitting, key=lambda one: one.size_bytes)
                self._free.remove(region)
                return region
            surplus = self._free if self._bytes + size_bytes > POOL_BYTES else []
            self._free = [] if surplus else self._free
        for region in surplus:
            self._drop(region)
        return await self._new_region(size_bytes)

    async def _new_region(self, size_bytes: int) -> Region | None:
        with self._lock:
            if self._bytes + size_bytes > POOL_BYTES:
                return None
            self._bytes += size_bytes
        try:
            if not self._swept:
                sweep()
            await self._unregister()
            region = Region(size_bytes)
        except OSError:
            self._rest(size_bytes)
            return None
        try:
            await self._registrar.register(region.name, size_bytes)
            await self._sweep_server()
        except BaseException as error:
            self._drop(region)
            if not isinstance(error, CallError):
                raise
            if not isinstance(error, DeadlineExceeded):  # the caller's time is up, which says nothing of the server
                self._rest(0)
            return None
        return region

    def _rest(self, size_bytes: int) -> None:
        with self._lock:
            self._bytes -= size_bytes
            self._next_try = max(self._next_try, time.monotonic() + REST_S)

    def _put_back(self, region: Region, kept: bool) -> None:
        with self._lock:
            kept = kept and self._next_try < float("inf")
            if kept:
                self._free.append(region)
        if not kept:
            self._drop(region)

    def _drop(self, region: Region) -> None:
        region.close()
        with self._lock:
            self._bytes -= region.size_bytes
            self._leaving.append(region.name)

    async def _sweep_server(self) -> None:
        """Have the server forget what clients have left that were killed: their files are gone already."""
        if self._swept:
            return
        self._swept = True
        try:
            known = await self._registrar.registered()
        except CallError:
            return
        with self._lock:
            self._leaving += [name for name in known if name.startswith(PREFIX) and not (FOLDER / name).exists()]
        await self._unregister()

    async def _unregister(self) -> None:
        with self._lock:
            leaving, self._leaving = self._leaving, []
        for name in leaving:
            try:
                await self._registrar.unregister(name)
            except (ServerUnavailable, DeadlineExceeded):  # it is asked again by the next client
                return
            except CallError as error:
                if IN_USE in str(error):
                    with self._lock:
                        self._leaving.append(name)


def _now(request: Request) -> Request:
    """The request with what is left of its time, where some of it was spent on the way."""
    waits_s = left_s()
    return replace(request, timeout_s=waits_s) if waits_s < request.timeout_s - 0.001 else request
