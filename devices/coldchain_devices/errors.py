"""One family of errors; each text tells a person what to do."""


class DeviceError(Exception):
    """Base of every error this package raises on purpose."""


class KeyFileError(DeviceError):
    """A key file that is missing, unreadable, taken, or of a kind we do not sign with."""


class MessageTooLarge(DeviceError):
    """A message over 48 KiB: nothing was signed, no sequence number was spent (telemetry §2)."""


class ChainMoved(DeviceError):
    """Another process started the same device: its boot is newer, this signer must stop."""


class ScenarioError(DeviceError):
    """A scenario file that cannot be played; the text names the table and the field."""


class ReplayError(DeviceError):
    """A recorded log whose columns or times are not what the replay reads."""


class NotDelivered(DeviceError):
    """A message that the ledger did not answer in time."""
