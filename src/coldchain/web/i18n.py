"""The words of the pages, in English and Chinese: one flat catalogue a language, looked up by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request

LANGUAGES = ("en", "zh_Hans")
COOKIE = "lang"


@dataclass(frozen=True, slots=True)
class Words:
    """One language. A missing key is an error: a test holds every catalogue to the same keys."""

    language: str
    texts: Mapping[str, str]

    @property
    def tag(self) -> str:
        """BCP 47, for the lang attribute."""
        return self.language.replace("_", "-")

    def __call__(self, key: str, **values: object) -> str:
        return self.texts[key].format(**values)

    def has(self, key: str) -> bool:
        return key in self.texts

    def sentence(self, text: str) -> str:
        """A fixed English sentence of the rules, translated where the catalogue has it."""
        return self.texts.get(f"sentence.{text}", text)


def load_words() -> dict[str, Words]:
    folder = resources.files("coldchain.web") / "locale"
    texts = {language: (folder / f"{language}.json").read_text("utf-8") for language in LANGUAGES}
    return {language: Words(language, json.loads(text)) for language, text in texts.items()}


def language_of(request: Request) -> str:
    """What the reader chose on a page, else what the browser prefers, else English."""
    for choice in (request.query_params.get("lang"), request.cookies.get(COOKIE)):
        if choice in LANGUAGES:
            return choice
    return _preferred(request.headers.get("accept-language", ""))


def _preferred(header: str) -> str:
    """RFC 9110 §12.5.4, for two languages: any `zh…` is Chinese, any `en…` English; the highest weight wins."""
    weighed = []
    for place, part in enumerate(header.split(",")[:20]):
        tag, _, parameter = part.strip().lower().partition(";")
        weighed.append((-_weight(parameter.strip()), place, tag.strip()))
    for weight, _, tag in sorted(weighed):
        if weight < 0 and tag.split("-")[0] in ("zh", "en"):
            return "zh_Hans" if tag.startswith("zh") else "en"
    return "en"


def _weight(parameter: str) -> float:
    if not parameter:
        return 1.0
    try:
        return float(parameter.removeprefix("q="))
    except ValueError:
        return 0.0
