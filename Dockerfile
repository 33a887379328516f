# The image of the service: `docker build -t letterbox .`, or as a whole with workers, RabbitMQ, Redis, PostgreSQL and
# a mail server: `docker compose up`. What it needs at run time is configured by the variables of .env.example.

FROM python:3.13.7-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /srv/letterbox
COPY pyproject.toml requirements.lock README.md LICENSE ./
# An empty package is enough to install what the service depends on, so that a change of its code does not repeat this.
RUN mkdir app && touch app/__init__.py
# Editable, because the service finds templates/ and var/ beside app/.
RUN /opt/venv/bin/pip install --no-cache-dir -c requirements.lock -e '.[redis,postgresql,celery]'
# ALTCHA's widget, a file of JavaScript; the framework that its package is made for is not needed.
RUN /opt/venv/bin/pip install --no-cache-dir -c requirements.lock --no-deps altcha-django

FROM python:3.13.7-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/letterbox --shell /usr/sbin/nologin letterbox
WORKDIR /srv/letterbox
COPY --from=build /opt/venv /opt/venv
COPY pyproject.toml README.md LICENSE ./
COPY templates templates
COPY app app
# The code belongs to root, so the service cannot change it; only var/ is its own.
RUN /opt/venv/bin/python -m compileall -q app && install -d -o letterbox -g letterbox -m 0750 var
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000
USER letterbox
VOLUME /srv/letterbox/var
EXPOSE 8000
# By http.client, because urllib would ask a proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=3); connection.request('GET', '/health/live'); sys.exit(connection.getresponse().status != 200)"]
CMD ["letterbox", "serve"]
