"""The one error of every decoder."""


class DecodeError(ValueError):
    """Bytes that are not what their type says; the text names what was expected and what was found."""
