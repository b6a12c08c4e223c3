"""Runs scenarios of the Python client against the program named by INTEROP_SERVER, or without it
against the official server:

    run.py                              everything
    run.py list                         the names of the scenarios
    run.py matrix                       the steps of the client matrix, see MATRIX
    run.py SCENARIO [FORM [TRANSPORT]]  FORM: asynchronous or synchronous
"""

import asyncio
import sys
import traceback

import socketio

from clients import TIMEOUT, TRANSPORTS, AsyncClient, Server, SyncClient

FORMS = {"asynchronous": AsyncClient, "synchronous": SyncClient}


async def connects_and_leaves(server, client):
    socket = client()
    await socket.connect(server.url)
    identifier = socket.id()
    assert identifier
    await socket.disconnect()
    # This client closes its connection without waiting until the DISCONNECT packet has left.
    reason = await server.reason(identifier)
    assert reason in ("client namespace disconnect", "transport close"), reason
    assert (await socket.next("disconnect"))[0] == "client disconnect"


async def is_thrown_out(server, client):
    socket = client()
    await socket.connect(server.url)
    identifier = socket.id()
    await socket.emit("throw out", True)
    assert await server.reason(identifier) == "server namespace disconnect"
    assert (await socket.next("disconnect"))[0] == "server disconnect"


async def echoes_text(server, client):
    socket = client()
    await socket.connect(server.url)
    values = [
        ["text", 1, -2.5, True, None, ["list", []], {"key": {}}],
        ["\u00fc \u20ac \u4f60\u597d \U0001f600"],
        [{"\u043a\u043b\u044e\u0447": "\u0000\u001e\u2028"}],
        ["\U0001f600" * 20_000],
    ]
    for value in values:
        await socket.emit("echo", *value)
        assert await socket.next("echo") == value


async def echoes_binary(server, client):
    socket = client()
    await socket.connect(server.url)
    values = [
        [b"\x00\x01\xfe\xff"],
        [b"\x01", "between", b"\x02", [b"\x03", {"deep": {"er": b"\x04"}}]],
        [{"file": b"ab" * 150_000, "name": "\u00fc.bin"}, b"\x05"],
    ]
    for value in values:
        await socket.emit("echo", *value)
        assert await socket.next("echo") == value


async def acknowledges_both_ways(server, client):
    socket = client()
    await socket.connect(server.url)
    assert await socket.call("answer", "one") == "one"
    several = ["one", 2, {"three": b"\x03"}]
    assert await socket.call("answer", *several) == several
    assert await socket.call("answer") is None
    assert await socket.call("ask", {"value": b"\x06"}) == [{"value": b"\x06"}, b"\x07"]


async def joins_namespaces(server, client):
    socket = client()
    namespaces = ["/", "/second", "/private"]
    await socket.connect(server.url, namespaces=namespaces, auth={"token": "good"})
    assert len({socket.id(namespace) for namespace in namespaces}) == 3
    assert await socket.call("where", namespace="/second") == "/second"
    assert await socket.call("where", namespace="/private") == "/private"
    assert await socket.call("answer", "main") == "main"


async def is_refused(server, client):
    socket = client()
    try:
        await socket.connect(server.url, namespaces=["/private"], auth={"token": "bad"})
    except socketio.exceptions.ConnectionError:
        [error] = await socket.next("connect_error")
        data = {"code": 401, "hint": ["ask", "again"]}
        assert error == {"message": "not welcome", "data": data}, error
    else:
        raise AssertionError("a bad token was accepted")


async def uses_rooms(server, client):
    sender, both, red = client(), client(), client()
    for socket in (sender, both, red):
        await socket.connect(server.url)
        await socket.call("join", "red")
    await both.call("join", "blue")
    is_red, is_blue = {"room": "red"}, {"room": "blue"}
    await sender.call("send", [is_red, is_blue], [], "one")
    await sender.call("send", [is_red], [is_blue], "two")
    await sender.call("send", [], [], "three")
    # What was sent before an answer has come before it.
    for socket in (sender, both, red):
        await socket.call("answer", None)
    assert [socket.received("news") for socket in (sender, both, red)] == [
        [],
        ["one", "three"],
        ["one", "two", "three"],
    ]


async def comes_back_after_a_restart(server, client):
    socket = client(reconnection=True, reconnection_delay=0.05, randomization_factor=0)
    await socket.connect(server.url)
    await socket.next("connect")
    identifier = socket.id()
    await server.restart()
    await socket.next("connect")
    assert socket.id() != identifier
    assert await socket.call("answer", "again") == "again"
    socket.check_transport()


SCENARIOS = [
    connects_and_leaves,
    is_thrown_out,
    echoes_text,
    echoes_binary,
    acknowledges_both_ways,
    joins_namespaces,
    is_refused,
    uses_rooms,
    comes_back_after_a_restart,
]

# The steps of js/matrix/steps.mjs. This client does not know recovery.
MATRIX = {
    "connect": connects_and_leaves,
    "refuse": is_refused,
    "echo": echoes_text,
    "binary": echoes_binary,
    "acks": acknowledges_both_ways,
    "rooms": uses_rooms,
    "namespaces": joins_namespaces,
    "reconnect": comes_back_after_a_restart,
    "recover": None,
}


async def run(scenario, form, transport):
    clients = []

    def client(**options):
        clients.append(FORMS[form](transport, **options))
        return clients[-1]

    async with Server() as server:
        try:
            await asyncio.wait_for(scenario(server, client), 3 * TIMEOUT)
        finally:
            for each in clients:
                await each.close()


def matrix():
    """Prints each cell as one line, as js/matrix.mjs does: client, transport, step, result."""
    failed = False
    for form in FORMS:
        for transport in TRANSPORTS:
            for step, scenario in MATRIX.items():
                result = "unknown"
                if scenario:
                    try:
                        asyncio.run(run(scenario, form, transport))
                        result = "ok"
                    except Exception:
                        traceback.print_exc()
                        result = "FAILED"
                        failed = True
                print(f"python-{form}", transport, step, result, flush=True)
    sys.exit(failed)


def main(wanted_scenario=None, wanted_form=None, wanted_transport=None):
    names = [scenario.__name__ for scenario in SCENARIOS]
    if wanted_scenario == "list":
        print(*names, sep="\n")
        return
    if wanted_scenario == "matrix":
        matrix()
    if wanted_scenario not in (None, *names):
        sys.exit(f"no scenario {wanted_scenario}; there are: {' '.join(names)}")
    for scenario in SCENARIOS:
        for form in FORMS:
            for transport in TRANSPORTS:
                this = (scenario.__name__, form, transport)
                wanted = (wanted_scenario, wanted_form, wanted_transport)
                if all(want in (None, name) for want, name in zip(wanted, this)):
                    asyncio.run(run(scenario, form, transport))
                    print("ok", *this, flush=True)


main(*sys.argv[1:])
