"""Engine, tables, ledger stores on SQLite and PostgreSQL, queries, migrations."""
