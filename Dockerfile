# The image of `atlas`, for amd64 and arm64. Its context is made by `npm run release -- --dry-run`
# (atlas-image-context-VERSION.tar.gz: this file and app/), not by the checkout: docs/decisions/release.md says why.
# Nothing runs while it is built, so a build needs no network but for the base image, and no emulator.

# Node 24 on Debian's C library: no shell, no package manager; runs as 65532. Pin it: --build-arg BASE=NAME@sha256:DIGEST
ARG BASE=gcr.io/distroless/nodejs24-debian13:nonroot
FROM ${BASE}

LABEL org.opencontainers.image.title="atlas" \
      org.opencontainers.image.description="Connects Thanos Query to the Thanos sidecars of many clusters through Envoy proxies with mutual TLS" \
      org.opencontainers.image.source="https://github.com/goatlas-io/atlas" \
      org.opencontainers.image.licenses="MIT"

# The base keeps Node outside of PATH. Node's cache of compiled code would be the one thing that is written outside of a store.
ENV PATH=/nodejs/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    NODE_ENV=production \
    NODE_DISABLE_COMPILE_CACHE=1

COPY app /app

# By number: Kubernetes can check runAsNonRoot. No file of /app is this user's.
USER 65532:65532
WORKDIR /
EXPOSE 6305 6309
# V8's young generation has 4 MiB and stays so. bin/run.js holds it at 1 MiB for commands, which run briefly; a server that is collected
# four times as often uses a sixth more CPU time at its start and a fifth more for a change, and its old generation fills sooner.
ENTRYPOINT ["node", "--min-semi-space-size=4", "--max-semi-space-size=4", "/app/bin/run.js"]
