import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from lenspinn.errors import ConfigError
from lenspinn.web import serve_page, server

from .conftest import address_in


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def answer(
    address: str, method: str, path: str, body: bytes | None = None, kind: str = ""
) -> Answer:
    place = urlsplit(address)
    headers = {"Content-Type": kind} if kind else {}
    with closing(http.client.HTTPConnection(place.hostname, place.port, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return Answer(response.status, response.headers, response.read())


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^the page needs gradio: pip install lenspinn\[web\]$"):
        next(serve_page())


def test_a_port_that_is_taken_or_none_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"^port {port} of 127.0.0.1 cannot be used .*give"):
            next(serve_page(port=port))
    with pytest.raises(ConfigError, match="port must be between 0 and 65535, got 70000"):
        next(serve_page(port=70000))


def test_ctrl_c_ends_it_and_nothing_is_left(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "lenspinn.cli", "web", "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as served:
        line = served.stdout.readline()
        assert line.startswith("the page is at http://127.0.0.1:")
        assert answer(address_in(line), "GET", "/").status == 200
        assert list(tmp_path.glob("lenspinn_web_*"))
        served.send_signal(signal.SIGTERM)  # as Ctrl-C, and as systems end a service
        _, errors = served.communicate(timeout=60)
    assert served.returncode == 0
    assert errors == ""
    assert not list(tmp_path.glob("lenspinn_*"))


def test_the_page_is_its_functions_and_sends_nothing_about_its_users(address: str) -> None:
    page = json.loads(answer(address, "GET", "/config").body)
    names = {part["api_name"] for part in page["dependencies"]}
    assert names == {"play", "ask", "gallery", "sample", "study"}
    assert page["analytics_enabled"] is False


def test_a_browser_is_told_to_ask_nobody_else(address: str) -> None:
    policy = answer(address, "GET", "/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy


def test_files_of_the_machine_are_not_served(address: str) -> None:
    for path in ("/etc/passwd", str(Path(__file__).resolve())):
        assert answer(address, "GET", f"/gradio_api/file={path}").status in {403, 404}


def test_uploads_have_a_limit(address: str) -> None:
    edge = "edge"
    head = (
        f"--{edge}\r\nContent-Disposition: form-data; name=files; filename=x.fits\r\n\r\n"
    ).encode()
    body = head + bytes(server.MOST_UPLOADED + 1) + f"\r\n--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    assert answer(address, "POST", "/gradio_api/upload", body, kind).status == 413
