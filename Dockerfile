# The image of the service: `docker build -t letterbox .`, or as a whole with workers, RabbitMQ, Redis, PostgreSQL and
# a mail server: `docker compose up`. What it needs at run time is configured by the variables of .env.example.

FROM python:3.13.7-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
WORKDIR /build
COPY pyproject.toml requirements.lock README.md LICENSE ./
# An empty package is enough to install what the service depends on, so that a change of its code does not repeat this.
RUN mkdir app templates && touch app/__init__.py && /opt/venv/bin/pip install -c requirements.lock '.[redis,postgresql,celery]'
COPY templates templates
COPY app app
RUN /opt/venv/bin/pip wheel --no-deps --wheel-dir /wheel . && /opt/venv/bin/pip install --no-deps --force-reinstall /wheel/*.whl

FROM python:3.13.7-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv/letterbox --shell /usr/sbin/nologin letterbox
# The code belongs to root, so the service cannot change it; only var/ is its own.
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/letterbox
RUN install -d -o letterbox -g letterbox -m 0750 var
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 VAR_DIR=/srv/letterbox/var
USER letterbox
VOLUME /srv/letterbox/var
EXPOSE 8000
# By http.client, because urllib would ask a proxy of the environment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 8000), timeout=3); connection.request('GET', '/health/live'); sys.exit(connection.getresponse().status != 200)"]
CMD ["letterbox", "serve"]
