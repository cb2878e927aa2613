# The server and its commands. docker-compose.yml runs it beside Mosquitto and PostgreSQL; alone it brings its own broker:
#   docker run -v ledger:/data -p 127.0.0.1:8080:8080 -p 127.0.0.1:1883:1883 -e COLDCHAIN_MQTT=0.0.0.0:1883 coldchain
FROM python:3.11 AS build
WORKDIR /build
COPY pyproject.toml hatch_build.py README.md ./
COPY ledger/coldchain_ledger ledger/coldchain_ledger
COPY devices devices
COPY src src
# Hot modules compiled (docs/decisions/0016-compiled-by-mypyc.md).
RUN HATCH_BUILD_HOOKS_ENABLE=1 pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11-slim
COPY constraints.txt /wheels/
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --constraint /wheels/constraints.txt /wheels/*.whl && rm -rf /wheels

# 1883 is the user of the Mosquitto image: who shares its account files and signals it must be the same user.
RUN install -d -m 0700 -o 1883 -g 1883 /data
USER 1883:1883
WORKDIR /data
VOLUME /data
ENV COLDCHAIN_DIR=/data COLDCHAIN_HTTP=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --start-period=30s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=5)"]
CMD ["coldchain", "serve"]
