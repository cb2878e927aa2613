"""The program printed in the guide sends a message that the ledger answers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from coldchain_devices.signer import DeviceKey
from e2e.serving import Server, enrol, run

GUIDE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text()


def test_the_device_program_of_the_guide_works_as_printed(server: Server, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.+?)^```", GUIDE, re.M | re.S)
    assert "1883" in program
    key = DeviceKey.load_or_create(tmp_path / "truck-7.key")
    account = enrol(server.directory, key, "truck-7", "--place", "veh:TRUCK-7")
    (tmp_path / "truck-7.json").write_text(json.dumps(account))

    command = [sys.executable, "-c", program.replace("1883", str(server.mqtt[1]))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert (done.stdout, done.stderr) == ("in the ledger\n", "")
    server.terminate()
    shown = run("device", "show", "truck-7", "--dir", str(server.directory))
    assert [probe["last_mc"] for probe in shown["probes"]] == [-19_500]
