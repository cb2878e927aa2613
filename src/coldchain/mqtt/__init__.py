"""Topics, broker accounts, embedded broker, subscriber with manual acknowledgement."""
