"""What operators see: log lines and metrics. Neither ever holds a body, a password or a whole address."""
