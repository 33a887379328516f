"""What monitors ask for; never counted, never blocked, no version."""

from flask import Flask, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST

from app.emails.health import Check, Health, HealthMonitor
from app.emails.office import Office


def register(app: Flask, office: Office) -> None:
    """`/test` and `/health/live` say that the service answers, `/health/ready` that it can work.

    `/metrics` is for Prometheus.
    """
    monitor = HealthMonitor(office)

    @app.get("/test")
    def test_route() -> Response:
        return Response("Test: route is working", mimetype="text/plain")

    @app.get("/health/live")
    def live() -> Response:
        return _uncached(jsonify({"status": "live"}))

    @app.get("/health/ready")
    def ready() -> Response:
        health = monitor.health()
        response = jsonify(_readiness(health))
        response.status_code = 200 if health.is_ready else 503
        return _uncached(response)

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(office.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def _readiness(health: Health) -> dict[str, object]:
    oldest_due_s = None if health.oldest_due_s is None else round(health.oldest_due_s)
    return {
        "status": "ready" if health.is_ready else "not ready",
        "checks": {
            "database": _check(health.database),
            "queue": _check(health.queue) | {"oldestDueSeconds": oldest_due_s},
            "smtp": _check(health.smtp),
        },
    }


def _check(check: Check) -> dict[str, object]:
    return {"ok": check.is_ok, "detail": check.detail}


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
