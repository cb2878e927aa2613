"""FastAPI routers, schemas, problem+json."""
