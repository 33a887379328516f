"""What monitors ask for; never counted, never blocked, no version."""

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.emails.office import Office


def register(app: Flask, office: Office) -> None:
    """`/test` says that the service answers; `/metrics` is for Prometheus."""

    @app.get("/test")
    def test_route() -> Response:
        return Response("Test: route is working", mimetype="text/plain")

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(office.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
