"""WebSockets with Quart, in an event loop."""

from pathlib import Path

from quart import Quart, request, websocket

app = Quart(__name__)
RELEASE = Path.cwd().resolve().name


@app.get("/")
async def home():
    return RELEASE


@app.get("/connection")
async def connection():
    """Return the client's connection as the scope contains it."""
    scope = request.scope
    return {
        "client": scope["client"][0],
        "scheme": request.scheme,
        "host": request.host,
        "server": list(scope["server"]),
        "upgrade": request.headers.get("Upgrade", ""),
    }


@app.websocket("/ws")
async def echo():
    await websocket.send(RELEASE)
    while True:
        await websocket.send(await websocket.receive())
