def structlog_config(*, json: bool, level: str) -> dict:
    return {"version": 1}
