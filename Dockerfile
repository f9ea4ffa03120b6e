# One image for every service: the command says which one runs. The binaries
# need glibc, because the embedded engine is loaded as a shared library.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./services/...

FROM debian:bookworm-slim
# A container may run as whoever owns the secrets, so its volumes take any user;
# what is made in them is its maker's alone.
RUN useradd --system --uid 7480 --home-dir /var/lib/lethe --create-home lethe \
 && chmod 755 /var/lib/lethe \
 && install -d -m 1777 /var/lib/lethe/keys /var/lib/lethe/audit /var/lib/lethe/files
COPY --from=build /out/ /usr/local/bin/
USER lethe
WORKDIR /var/lib/lethe
ENTRYPOINT []
CMD ["lethe", "help"]
