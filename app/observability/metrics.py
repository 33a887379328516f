"""Counters in a registry of their own, read at `/metrics` in Prometheus' text format."""

from prometheus_client import CollectorRegistry, Counter, generate_latest


class Metrics:
    """Every figure the service counts, one attribute each. Values are per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.emails = Counter("letterbox_emails", "Emails by final status", ["status"], registry=self.registry)
        self.attempts = Counter(
            "letterbox_smtp_attempts",
            "Attempts by SMTP configuration and outcome",
            ["smtp_id", "outcome"],
            registry=self.registry,
        )
        self.late_replies = Counter(
            "letterbox_late_replies",
            "Uncertain emails whose server replied after all, by final status",
            ["status"],
            registry=self.registry,
        )
        self.refusals = Counter("letterbox_refusals", "Requests refused by a guard", ["guard"], registry=self.registry)
        self.limit_storage_errors = Counter(
            "letterbox_limit_storage_errors",
            "Requests limited by this process alone because the storage is gone",
            registry=self.registry,
        )
        self.record_errors = Counter(
            "letterbox_record_errors", "Writes that the database did not take", registry=self.registry
        )
        self.broker_errors = Counter(
            "letterbox_broker_errors", "Times that the broker did not take a ring for workers", registry=self.registry
        )

    def exposition(self) -> bytes:
        """The text that a scraper reads."""
        return generate_latest(self.registry)
