"""The explorer's server."""

import socket
from collections.abc import Callable
from ipaddress import ip_address

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from hyperfactor.errors import RequestError
from hyperfactor.explorer.app import make_app
from hyperfactor.explorer.collection import Collection

# Scripts, styles and data come from this server alone. Dash writes scripts into the page, and plotly makes functions.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; worker-src 'self' blob:; frame-ancestors 'none'"
)


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Print nothing for each request."""


def open_server(collection: Collection, host: str = "127.0.0.1", port: int = 8050) -> BaseWSGIServer:
    """Return a server that is bound to its address. `serve_forever` runs it.

    Parameters
    ----------
    collection : Collection
        What it shows.
    host : str
        Address to listen on.
    port : int
        Port to listen on; 0 for any that is free.

    Raises
    ------
    RequestError
        If the address cannot be used.
    """
    app: Flask = make_app(collection).server
    _protect(app, is_loopback(host))
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as trial:  # werkzeug would end the process
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
        return make_server(host, port, app, threaded=True, request_handler=_Quiet)
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or error
        raise RequestError(f"explore: got {host}, port {port}: {said}; needs an address that is free") from None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _protect(app: Flask, local: bool) -> None:
    """Let pages load from this server alone; if it is local, answer only requests for a local name."""

    @app.before_request
    def check() -> Response | None:
        name = request.host.rsplit(":", 1)[0].strip("[]")
        if local and not is_loopback(name):  # another site's name, made to point here
            return Response("explore: needs a request for 127.0.0.1 or localhost", 403)
        return None

    @app.after_request
    def limit(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response


def serve(collection: Collection, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve until the process is interrupted.

    Parameters
    ----------
    collection, host, port
        As for `open_server`.
    tell : function
        tell(line): called with lines for the user.
    """
    server = open_server(collection, host, port)
    if not is_loopback(host):
        tell(f"warning: {host} can be reached from other machines, and there is no password")
    shown = f"[{host}]" if ":" in host else host
    tell(f"explorer: http://{shown}:{server.port}/ (Ctrl-C ends it)")
    try:
        server.serve_forever()
    finally:
        server.server_close()
