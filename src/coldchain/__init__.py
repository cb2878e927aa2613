"""Cold-chain traceability: telemetry and events in, verifiable conclusions out."""
