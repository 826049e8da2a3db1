# A peer in a container: two stages, from source or from binaries built before.
#
#   docker build -t panal .                    compiles in the first stage
#   scripts/docker-image [TAG]                 uses build/release/bin (what CI does)
#   scripts/docker-image --from-source [TAG]   the first, with this machine's apt settings
#
# The first stage leaves the programs and the shared libraries they need, so that the second needs no network.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY . .
# Binaries below prebuilt/ are taken as they are; otherwise they are compiled here.
RUN scripts/docker-stage /out

FROM debian:bookworm-slim AS runtime
COPY --from=build /out/ /usr/local/
RUN echo /usr/local/lib/panal >/etc/ld.so.conf.d/panal.conf && ldconfig && \
    useradd --uid 1000 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin panal && \
    install -d -o panal -g panal -m 0700 /data
USER panal
VOLUME /data
# API (gRPC, plaintext), mesh (mutual TLS), HTTP (/healthz, /metrics).
EXPOSE 7400 7401 7402
ENV PANAL_DATA_DIR=/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s --retries=3 \
    CMD ["panal", "--api", "127.0.0.1:7400", "status"]
# As process 1, without a shell between it and its signals.
ENTRYPOINT ["panald"]
