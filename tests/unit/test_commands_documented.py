"""docs/commands.md names every command with all its options and arguments, and none that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from coldchain.cli import COMMANDS, group

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "commands.md").read_text()
PAGES = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *PROJECT.glob("*/README.md")]
USAGES = {
    re.split(r" (?=[A-Z\[-])", usage, maxsplit=1)[0]: usage
    for usage in (" ".join(block.split()) for block in re.findall(r"^```\ncoldchain (.+?)^```", TEXT, re.M | re.S))
}
"""`device enrol` -> its whole usage line."""
COMMON = {"--dir", "--database", "--json"}


def leaves() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    waiting = [(name, group.get_command(context, name)) for name in reversed(COMMANDS)]
    while waiting:
        words, command = waiting.pop()
        if isinstance(command, click.Group):
            waiting += [(f"{words} {sub}", one) for sub, one in reversed(command.commands.items())]
        elif command is not None:
            yield words, command


LEAVES = dict(leaves())
GROUPS = {words.rpartition(" ")[0] for words in LEAVES} | set(COMMANDS)


def test_every_command_has_its_section_in_the_order_of_help() -> None:
    assert re.findall(r"^## (.+)$", TEXT, re.M) == list(COMMANDS)


def test_no_usage_is_of_a_command_that_is_gone() -> None:
    assert set(USAGES) == set(LEAVES)


@pytest.mark.parametrize("words", LEAVES)
def test_the_usage_has_the_options_and_arguments_the_command_takes(words: str) -> None:
    usage, command = USAGES[words], LEAVES[words]
    options = {name for p in command.params if isinstance(p, click.Option) for name in p.opts} - COMMON
    assert set(re.findall(r"--[a-z-]+", usage)) == options
    required = {p.opts[0] for p in command.params if isinstance(p, click.Option) and p.required}
    assert {name for name in options if f"[{name}" not in usage} == required
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    plain = re.sub(r"\[[^]]*\]|--[a-z-]+ \S+", "", usage.removeprefix(words))
    assert plain.split() == arguments


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_line_shown_anywhere_is_one_that_exists(page: Path) -> None:
    for words in re.findall(r"(?:^|`|exec server )coldchain ([a-z][^`\n#)]*)", page.read_text(), re.M):
        shown = words.split()
        name = next((name for name in (" ".join(shown[:n]) for n in (3, 2, 1)) if name in LEAVES), None)
        assert name or words in GROUPS, f"there is no `coldchain {words}`"
        known = {option for p in (LEAVES[name].params if name else []) for option in p.opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", words)) <= known, f"no such option: coldchain {words}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{page.name}: {target}"
