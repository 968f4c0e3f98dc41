# A node. The final image holds the binary, the C library and certificates, no shell, and does not run as root.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The folders are mounted for the build alone: what is fetched and compiled is kept between builds, not in layers.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin verbatim && cp target/release/verbatim /verbatim && mkdir /data /blobs

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /verbatim /usr/local/bin/verbatim
COPY --from=build --chown=nonroot:nonroot /data /data
COPY --from=build --chown=nonroot:nonroot /blobs /blobs
USER nonroot
ENV VERBATIM_DATA=/data VERBATIM_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/verbatim"]
CMD ["serve"]
