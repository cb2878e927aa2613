"""Builds the compiled distribution: the modules that run for every message, as C by mypyc (docs/decisions/0016).

Only when asked: `HATCH_BUILD_HOOKS_ENABLE=1 pip wheel .`, or `make build/compiled`. The same sources run interpreted
wherever no compiled module stands beside them, with the same results; it takes a C compiler and Python's headers.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("src", "ledger", "devices")
COMPILED = {
    "src/coldchain/domain": "blocks columns condition devices doors folding halts pauses quality rulepacks "
    "temperature watching",
    "src/coldchain/db": "sqlite_rows",
    "src/coldchain/decoders": "jws recorded senml",
    "src/coldchain/mqtt": "answers packets",
    "src/coldchain/projections": "channels device_state doors follow lateness quality series temperature verdict_rows",
    "src/coldchain/services": "admit messages recorded",
    "ledger/coldchain_ledger": "index log merkle rows tiles",
}
"""Left out are modules whose classes msgspec reads and writes: it looks for annotations that compiled ones have not. So
are those that judge what may be of any type, as entries do: a compiled class takes no other than its annotations say.
"""

CONFIG = """
[mypy]
[mypy-sqlalchemy.*]
follow_imports = skip
"""
"""SQLAlchemy says that a row is a tuple, which compiled code would insist on."""


class Compile(BuildHookInterface[Any]):
    """Puts the compiled modules into the wheel, beside their sources. Leaves nothing in the source tree."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            raise RuntimeError("an editable installation runs its sources: a compiled one would not follow them")
        self._directory = TemporaryDirectory()
        library = Path(self._directory.name, "lib")
        _compile(Path(self.root), library)
        for module in sorted(library.rglob("*.so")):
            build_data["force_include"][str(module)] = str(module.relative_to(library))
        build_data.update(pure_python=False, infer_tag=True)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._directory.cleanup()


def _compile(root: Path, library: Path) -> None:
    from mypyc.build import mypycify
    from setuptools import Distribution

    os.environ["MYPYPATH"] = os.pathsep.join(str(root / source) for source in SOURCES)
    config = library.parent / "mypy.ini"
    config.write_text(CONFIG)
    options = [f"--config-file={config}", "--explicit-package-bases"]
    modules = mypycify(
        [
            *options,
            *(str(root / folder / f"{name}.py") for folder, names in COMPILED.items() for name in names.split()),
        ],
        group_name="coldchain",
        target_dir=str(library.parent),
    )
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(library), str(library.parent)
    command.ensure_finalized()
    command.run()
