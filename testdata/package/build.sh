#!/usr/bin/env bash
# Makes the .deb and the .rpm of this checkout in a directory:
#
#	bash testdata/package/build.sh DIRECTORY [VERSION]
#
# The version is that of the newest tag unless it is given. GOARCH chooses
# another architecture than this machine's. It needs Go and the Go module proxy.
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || {
	echo "usage: build.sh DIRECTORY [VERSION]" >&2
	exit 2
}
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VERSION=${2:-$(git describe --tags --match 'v[0-9]*' 2>/dev/null || echo 0.0.0)}
VERSION=$(sed -E 's/^v//; s/-([0-9]+)-g/+\1.g/' <<<"$VERSION") # commits after a tag are newer than it
GOARCH=$(go env GOARCH)
# The same commit makes the same packages.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
BUILT=$(mktemp -d)
trap 'rm -rf "$BUILT"' EXIT
export VERSION GOARCH SOURCE_DATE_EPOCH BUILT

echo "build.sh: ftl $VERSION for $GOARCH"
CGO_ENABLED=0 GOOS=linux go build -trimpath -ldflags '-s -w' -o "$BUILT/ftl" ./cmd/ftl
here=(env -u GOOS -u GOARCH)
"${here[@]}" go run ./testdata/man "$BUILT/man" "$VERSION"
gzip -9n "$BUILT"/man/*
mkdir "$BUILT/man1" "$BUILT/man7"
mv "$BUILT"/man/*.1.gz "$BUILT/man1"
mv "$BUILT"/man/*.7.gz "$BUILT/man7"
ftl=$BUILT/ftl
if [ "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" != "linux/$GOARCH" ]; then # it doesn't run here
	ftl=$BUILT/here
	"${here[@]}" go build -o "$ftl" ./cmd/ftl
fi
for shell in bash zsh fish; do
	"$ftl" completion $shell >"$BUILT/ftl.$shell"
done
nfpm=$(cd testdata/package && GOWORK=off "${here[@]}" go tool -n nfpm)
for packager in deb rpm; do
	"$nfpm" package --config testdata/package/nfpm.yaml --packager $packager --target "$out"
done
