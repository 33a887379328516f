"""Connections, deployments and tests -> the contract's bodies."""

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Response, jsonify

from app.connections.types import masked, public_fields
from app.model.connection import Connection, Deployment
from app.smtp.check import CheckStep


def connection_list(connections: Iterable[Connection], *, shows_secrets: bool) -> Response:
    """The envelope around connections; their secrets are null unless `shows_secrets`."""
    documents = [public_fields(connection) for connection in connections]
    if not shows_secrets:
        documents = [masked(document) for document in documents]
    return jsonify({"success": True, "resultList": documents, "resultCount": len(documents)})


def change(deployments: Sequence[Deployment]) -> Response:
    """A change that was made. Without deployments nothing is said of them: nobody asked for any."""
    body: dict[str, Any] = {"success": True}
    if deployments:
        body["deploymentResult"] = {
            "success": all(deployment.success for deployment in deployments),
            "deploymentResults": [
                {
                    "environmentName": deployment.environment,
                    "success": deployment.success,
                    "message": deployment.message,
                }
                for deployment in deployments
            ],
        }
    return jsonify(body)


def examination(steps: Sequence[CheckStep]) -> Response:
    """The steps of a test; it succeeded when all of them did."""
    return jsonify(
        {
            "success": all(step.success for step in steps),
            "steps": [
                {
                    "name": step.name,
                    "success": step.success,
                    "durationMs": step.duration_ms,
                    "detail": step.detail,
                    "remedy": step.remedy,
                }
                for step in steps
            ],
        }
    )
