ARG BASE=python:3.11-slim-bookworm

# ---- build: the virtual environment with the locked packages and the agent's wheel
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /src

COPY requirements-runtime.lock requirements-build.lock ./
# The secret is optional: a pip.conf that names a package mirror.
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf \
    python -m venv /opt/venv \
    && python -m venv /opt/build \
    && /opt/venv/bin/python -m pip install --no-compile --require-hashes -r requirements-runtime.lock \
    && /opt/build/bin/python -m pip install --require-hashes -r requirements-build.lock

COPY . .
# Compiled here, because the container's file system is read-only; the state directory is only made
# here, because the final stage runs nothing.
RUN /opt/build/bin/hatchling build -t wheel -d /tmp/dist \
    && /opt/venv/bin/python -m pip install --no-compile --no-deps --no-index /tmp/dist/*.whl \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet setuptools pip \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib \
    && mkdir -p configs /empty

# ---- final: copies only
FROM ${BASE}
LABEL org.opencontainers.image.title="mpc-agent" \
      org.opencontainers.image.description="Model-predictive control agent for fed-batch bioreactors" \
      org.opencontainers.image.version="0.1.0"

COPY --from=build /opt/venv /opt/venv
COPY --from=build /src/configs /etc/mpc-agent
COPY --from=build --chown=10001:10001 /empty /var/lib/mpc-agent

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    JAX_PLATFORMS=cpu \
    HOME=/var/lib/mpc-agent \
    XDG_STATE_HOME=/var/lib/mpc-agent \
    XDG_CACHE_HOME=/var/lib/mpc-agent/cache \
    JAX_COMPILATION_CACHE_DIR=/var/lib/mpc-agent/cache/jax

USER 10001:10001
WORKDIR /var/lib/mpc-agent
VOLUME /var/lib/mpc-agent
# Metrics and the page.
EXPOSE 9464
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/venv/bin/mpc-agent"]
CMD ["run", "/etc/mpc-agent/config.yaml"]
