"""python-socketio as the client's scenarios need it: the same events as `node.mjs`, which names them, but those of recovery.

Environment: PORT, and for TLS the files TLS_CERT and TLS_KEY. It prints `READY <url>`.
"""

import asyncio
import os
import ssl

import socketio
from aiohttp import web

sio = socketio.AsyncServer(async_mode="aiohttp")
log = []
tokens = []


@sio.event
async def echo(sid, *args):
    await sio.emit("echo", args, to=sid)
    return args


@sio.event
async def ask(sid, event, wait, *args):
    try:
        answer = await sio.call(event, args, to=sid, timeout=wait / 1000)
    except socketio.exceptions.TimeoutError:
        return "nobody answers"
    return answer if isinstance(answer, tuple) else (answer,)


@sio.event
async def deaf(_sid):
    # What a handler returns is acknowledged, so this one does not return.
    await asyncio.Event().wait()


@sio.event
async def flaky(_sid, key, losses):
    log.append(key)
    number = log.count(key)
    if number <= losses:
        await asyncio.Event().wait()
    return number


@sio.on("log")
async def log_of(_sid, prefix):
    return [key for key in log if key.startswith(prefix)]


@sio.on("id")
async def identifier(sid):
    return sid


@sio.event
async def leave(sid):
    await sio.disconnect(sid)


def where_in(name):
    async def where(_sid):
        return name

    sio.on("where", where, namespace=name)


where_in("/second")
where_in("/third")


@sio.on("connect", namespace="/guarded")
async def admit(_sid, _environ, auth):
    token = (auth or {}).get("token")
    tokens.append(token)
    if not str(token).startswith("good"):
        raise socketio.exceptions.ConnectionRefusedError("not welcome", {"code": 401, "hint": ["ask", "again"]})


@sio.on("tokens", namespace="/guarded")
async def tokens_of(_sid, prefix):
    return [token for token in tokens if str(token).startswith(prefix)]


class Whole:
    """A body that has come as a whole."""

    def __init__(self, body):
        self._body = body

    async def read(self, _length):
        return self._body


@web.middleware
async def whole_bodies(request, handler):
    """On aiohttp, python-engineio takes what it reads first of a long body for all of it."""
    if request.method == "POST":
        request._payload = Whole(await request.read())
    return await handler(request)


async def main():
    app = web.Application(middlewares=[whole_bodies])
    sio.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    encryption = None
    if "TLS_CERT" in os.environ:
        encryption = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        encryption.load_cert_chain(os.environ["TLS_CERT"], os.environ["TLS_KEY"])
    port = int(os.environ.get("PORT", 0))
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=encryption)
    await site.start()
    scheme = "https" if encryption else "http"
    print(f"READY {scheme}://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
