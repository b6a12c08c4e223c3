"""The two forms of the Python client behind one asynchronous face, and the server they talk to."""

import asyncio
import os
import pathlib

import socketio

REFERENCE = pathlib.Path(__file__).parent.parent / "js" / "reference-server.mjs"
TIMEOUT = 20
# What each name of a transport means to this client; the last one is where it must end up.
TRANSPORTS = {
    "polling": ["polling"],
    "websocket": ["websocket"],
    "upgrade": ["polling", "websocket"],
}


class Server:
    """The program named by INTEROP_SERVER, or else the reference, on a port of its choice."""

    async def __aenter__(self):
        await self._start("0")
        return self

    async def _start(self, port):
        ours = os.environ.get("INTEROP_SERVER")
        command = [ours] if ours else ["node", str(REFERENCE)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PORT": port}
        )
        line = await self._process.stdout.readline()
        word, self.url = line.decode().split()
        assert word == "READY", line

    async def restart(self):
        """Kills the process, and starts another one on the same port. This client stays away when
        it polls and the server closes its session, as it does when it is asked to end."""
        self._process.kill()
        await self._process.wait()
        await self._start(self.url.rpartition(":")[2])

    async def __aexit__(self, *_):
        self._process.kill()
        await self._process.wait()

    async def reason(self, identifier, namespace="/"):
        """Why the server says that a socket has ended."""
        prefix = f"DISCONNECT {namespace} {identifier} "
        async for line in self._process.stdout:
            if line.decode().startswith(prefix):
                return line.decode().removeprefix(prefix).strip()
        raise AssertionError(f"the server ended without: {prefix}")


class AsyncClient:
    """The client for asyncio."""

    def __init__(self, transport, **options):
        self.transport = transport
        self._client = self._create(**{"reconnection": False, **options})
        self._received = {}
        self._ended = False

    async def connect(self, url, namespaces=("/",), auth=None):
        loop = asyncio.get_running_loop()
        events = {"echo": "/", "news": "/", "connect": "/", "disconnect": "/"}
        for event, namespace in {**events, "connect_error": "/private"}.items():
            queue = self._received[event] = asyncio.Queue()

            def receive(*args, event=event, queue=queue):
                if event in ("connect", "disconnect"):
                    self._ended = event == "disconnect"
                # The synchronous client calls from a thread of its own.
                loop.call_soon_threadsafe(queue.put_nowait, args)

            self._client.on(event, receive, namespace=namespace)
        # An answer of several values is a tuple.
        self._client.on("question", lambda value: (value, b"\x07"))
        await self._call(
            self._client.connect,
            url,
            auth=auth,
            transports=TRANSPORTS[self.transport],
            namespaces=list(namespaces),
            wait_timeout=TIMEOUT,
        )
        self.check_transport()

    def check_transport(self):
        """Whoever has connected has arrived at the transport."""
        assert self._client.transport() == TRANSPORTS[self.transport][-1], self._client.transport()

    def id(self, namespace="/"):
        return self._client.get_sid(namespace)

    async def emit(self, event, *args, namespace="/"):
        await self._call(self._client.emit, event, args, namespace=namespace)

    async def call(self, event, *args, namespace="/"):
        """Emits and gives the acknowledgement: a value, or several as a list."""
        answer = await self._call(
            self._client.call, event, args, namespace=namespace, timeout=TIMEOUT
        )
        return list(answer) if isinstance(answer, tuple) else answer

    async def next(self, event):
        """The arguments of the next event of this name."""
        return list(await asyncio.wait_for(self._received[event].get(), TIMEOUT))

    def received(self, event):
        """The first arguments of the events that have come so far."""
        queue = self._received[event]
        return [queue.get_nowait()[0] for _ in range(queue.qsize())]

    async def disconnect(self):
        # Told to leave while one of its requests is on its way, this client would not say goodbye,
        # and would wait for the next ping instead.
        await self._call(self._client.eio.queue.join)
        await self._call(self._client.disconnect)

    async def close(self):
        """Leaves, unless the connection has ended or is just ending: then the threads of the
        synchronous client would wait for each other."""
        if self._client.connected and not self._ended:
            await self.disconnect()

    def _create(self, **options):
        return socketio.AsyncClient(**options)

    async def _call(self, function, *args, **named):
        return await function(*args, **named)


class SyncClient(AsyncClient):
    """The client for threads."""

    def _create(self, **options):
        return socketio.Client(**options)

    async def _call(self, function, *args, **named):
        return await asyncio.to_thread(function, *args, **named)
