"""The words of the pages, in English and Chinese: one flat catalogue a language, looked up by key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources

from starlette.requests import Request

from coldchain.rules.clauses import clauses
from coldchain.web.formats import duration

LANGUAGES = ("en", "zh_Hans")
COOKIE = "lang"


@dataclass(frozen=True, slots=True)
class Words:
    """One language. A missing key is an error: a test holds every catalogue to the same keys."""

    language: str
    texts: Mapping[str, str]
    sentences: Sequence[tuple[re.Pattern[str], str]] = ()
    """Sentences of the rules: what matches the English one, and what it is here; the most definite first."""
    details: Sequence[tuple[re.Pattern[str], str]] = ()
    """The same of what a person is told who asked for what is not there, or is not to be."""

    clauses: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """BCP 47, for the lang attribute."""
        return self.language.replace("_", "-")

    def __call__(self, key: str, **values: object) -> str:
        return self.texts[key].format(**values)

    def has(self, key: str) -> bool:
        return key in self.texts

    def word(self, kind: str, word: str) -> str:
        """A word of a vocabulary, e.g. `step`; as it is where we have none for it."""
        return self.texts.get(f"{kind}.{word}", word)

    def duration(self, us: int) -> str:
        """Days, hours and minutes; seconds below one minute."""
        return " ".join(self(f"time.{unit}", n=value) for value, unit in duration(us))

    def clause(self, text: str) -> str:
        """Of a rule pack: the shipped ones in this language, others as they state it."""
        return self.clauses.get(text, text)

    def sentence(self, text: str) -> str:
        """Sentences that the rules say in English, several with `; ` between them; what the catalogue does not have
        stays as it is. Names and figures in them stay as they are."""
        if not self.sentences:
            return text
        return "；".join(self._sentence(part) for part in text.split("; "))

    def detail(self, text: str) -> str:
        """The detail of an error, or several with `; ` between them. Its English sentence is its id in the catalogue;
        what is not there stays as it is, and so do names and figures."""
        parts = [(part, self._detail(part)) for part in text.split("; ")]
        if all(told != part for part, told in parts):
            return "；".join(told for _, told in parts)
        return self._detail(text)

    def _detail(self, text: str) -> str:
        return _told(self.details, text, self._detail)

    def _sentence(self, text: str) -> str:
        return _told(self.sentences, text, self._listed)

    def _listed(self, text: str) -> str:
        return "、".join(self._sentence(part) for part in text.split(", "))


def _told(patterns: Sequence[tuple[re.Pattern[str], str]], text: str, inner: Callable[[str], str]) -> str:
    """inner: what a value becomes, which may be a sentence itself."""
    for pattern, template in patterns:
        if found := pattern.fullmatch(text):
            return template.format(**{name: inner(value) for name, value in found.groupdict().items()})
    return text


_PLACE = re.compile(r"\{(\w+)\}")


def _patterns(sentences: Mapping[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """The longer a sentence is without what stands in its places, the more definite."""
    ordered = sorted(sentences, key=lambda sentence: -len(_PLACE.sub("", sentence)))
    return [(re.compile(_expression(sentence)), sentences[sentence]) for sentence in ordered]


def _expression(sentence: str) -> str:
    parts = _PLACE.split(sentence)
    return "".join(f"(?P<{part}>.+?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))


def load_words() -> dict[str, Words]:
    folder = resources.files("coldchain.web") / "locale"
    texts = {language: (folder / f"{language}.json").read_text("utf-8") for language in LANGUAGES}

    def told(kind: str, language: str) -> list[tuple[re.Pattern[str], str]]:
        file = folder / f"{kind}_{language}.json"
        return _patterns(json.loads(file.read_text("utf-8"))) if file.is_file() else []

    return {
        language: Words(
            language, json.loads(text), told("sentences", language), told("details", language), clauses(language)
        )
        for language, text in texts.items()
    }


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
