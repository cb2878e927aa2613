"""The errors of every decoder."""


class DecodeError(ValueError):
    """Bytes that are not what their type says; the text names what was expected and what was found."""


class DocumentError(DecodeError):
    """No EPCIS document: the JSON pointer (RFC 6901) of the fault, and what is expected there and what was found."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__(f"{pointer or '/'}: {problem}")
        self.pointer = pointer
        self.problem = problem


def escaped(name: str) -> str:
    """A member's name as one step of a JSON pointer (RFC 6901 §3)."""
    return name.replace("~", "~0").replace("/", "~1")
