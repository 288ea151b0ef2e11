# syntax=docker/dockerfile:1
# `docker build .` makes the server for CPUs, `docker build --target gpu .` the one for NVIDIA's GPUs.
#   --build-arg MODELS=baked  puts the models (45 MB) into the image; else they come from a volume, or are pulled there.
#   --build-arg WEB=0         leaves the web app out, which takes most of the time to build.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --package maoocr-cli \
    && install -D target/dist/maoocr /out/maoocr \
    # Empty folders which the server's user owns: volumes mounted there take that over.
    && mkdir -p /out/models /out/data

FROM build AS build-gpu
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --profile dist --locked --package maoocr-cli --features gpu \
    && install -D target/dist/maoocr /out/maoocr

FROM node:22-bookworm-slim AS node

FROM build AS web
ARG WEB=1
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules/npm /usr/local/lib/node_modules/npm
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \
    && mkdir -p www/app/dist \
    && if [ "$WEB" != 0 ] && [ -f www/package.json ]; then MAOOCR_BIN=/out/maoocr cargo xtask web; fi

FROM build AS models
ARG MODELS=
RUN if [ "$MODELS" = baked ]; then MAOOCR_MODELS=/out/models /out/maoocr models pull; fi

# Vulkan's loader, and the libraries that NVIDIA's driver, which the container runtime mounts, wants beside it.
FROM debian:12-slim AS gpu
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libegl1 libvulkan1 libx11-6 libxext6 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 65532 maoocr \
    && useradd --uid 65532 --gid 65532 --no-create-home --home-dir /data --shell /usr/sbin/nologin maoocr
COPY --from=build-gpu /out/maoocr /usr/bin/maoocr
COPY --from=web /src/www/app/dist /srv/maoocr/www/app/dist
COPY --from=models --chown=65532:65532 /out/models /models
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE NOTICE /usr/share/doc/maoocr/
ENV MAOOCR_LISTEN=0.0.0.0:8787 \
    MAOOCR_DATA=/data \
    MAOOCR_MODELS=/models \
    MAOOCR_LOG=json \
    MAOOCR_DEVICE=gpu \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,graphics,utility
LABEL org.opencontainers.image.title="maoocr" \
      org.opencontainers.image.description="Reads text in pictures, over HTTP; on NVIDIA's GPUs" \
      org.opencontainers.image.source="https://github.com/maoocr/maoocr" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /srv/maoocr
USER 65532:65532
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["/usr/bin/maoocr", "health"]
ENTRYPOINT ["/usr/bin/maoocr"]
CMD ["serve"]

# No shell, no package manager: glibc, certificates, the program.
FROM gcr.io/distroless/cc-debian12:nonroot AS cpu
COPY --from=build /out/maoocr /usr/bin/maoocr
COPY --from=web /src/www/app/dist /srv/maoocr/www/app/dist
COPY --from=models --chown=65532:65532 /out/models /models
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE NOTICE /usr/share/doc/maoocr/
ENV MAOOCR_LISTEN=0.0.0.0:8787 \
    MAOOCR_DATA=/data \
    MAOOCR_MODELS=/models \
    MAOOCR_LOG=json
LABEL org.opencontainers.image.title="maoocr" \
      org.opencontainers.image.description="Reads text in pictures, over HTTP" \
      org.opencontainers.image.source="https://github.com/maoocr/maoocr" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /srv/maoocr
USER 65532:65532
EXPOSE 8787
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["/usr/bin/maoocr", "health"]
ENTRYPOINT ["/usr/bin/maoocr"]
CMD ["serve"]
