"""`lenspinn web`: the page, served to this machine until it is stopped."""

import importlib.util
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from lenspinn.errors import ConfigError

__all__ = ["HOST", "MOST_UPLOADED", "PORT", "serve_page"]

HOST = "127.0.0.1"
PORT = 7860
MOST_UPLOADED = 64 * 2**20
"""Largest size of an uploaded file, bytes."""
GRACE = 2
"""Time that open connections have when the page is stopped, s."""


def serve_page(*, port: int = PORT, host: str = HOST) -> Iterator[str]:
    """Serve the page, until Ctrl-C or SIGTERM.

    Nothing but this machine is asked for anything: no analytics, no share link, no fonts of others.
    Uploads are at most 64 MB each; they, and what is made of them, are removed an hour later and
    when the page is stopped.

    Parameters
    ----------
    port
        Port of the page; 0 takes any that is free.
    host
        Address to listen at. By default only this machine can open the page; 0.0.0.0 lets every
        machine that can reach this one.

    Yields
    ------
    str
        Address of the page, when it can be opened. Then it is served.

    Raises
    ------
    ConfigError
        Gradio is not installed, or the port is taken or out of range.
    """
    if importlib.util.find_spec("gradio") is None:
        raise ConfigError("the page needs gradio: pip install lenspinn[web]")
    if not 0 <= port <= 65535:
        raise ConfigError(f"port must be between 0 and 65535, got {port}")
    with closing(_listening(host, port)) as listening, _own_folder():
        from lenspinn.web.page import make_app  # brings gradio and torch

        app = make_app(most_uploaded=MOST_UPLOADED)
        yield f"the page is at http://{host}:{listening.getsockname()[1]} (Ctrl-C ends it)"
        _serve(app, listening)


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise ConfigError(
            f"port {port} of {host} cannot be used ({error.strerror}): give another --port"
        ) from error


@contextmanager
def _own_folder() -> Iterator[None]:
    """Let gradio keep uploads and downloads in a folder that goes with the page."""
    before = os.environ.get("GRADIO_TEMP_DIR")
    with tempfile.TemporaryDirectory(prefix="lenspinn_web_", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["GRADIO_TEMP_DIR"]
            else:
                os.environ["GRADIO_TEMP_DIR"] = before


def _serve(app: object, listening: socket.socket) -> None:
    import uvicorn

    if threading.current_thread() is threading.main_thread():
        # uvicorn ends at it and sends it on: by itself it would leave our folder behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=GRACE)  # type: ignore[arg-type]
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # how it is meant to end
        return
