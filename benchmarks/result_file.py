"""What every benchmark writes: what it measured, with command, software, hardware and date."""

import json
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lenspinn.data.provenance import portable, portable_command, provenance
from lenspinn.files import write_whole


def write_result(path: Path, measured: Mapping[str, Any], *, schema: int = 1) -> None:
    """Write a result as JSON, whole or not at all, and print where."""
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    result = {
        "schema": schema,
        "command": portable_command(command),
        **provenance(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **portable(measured),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path)
