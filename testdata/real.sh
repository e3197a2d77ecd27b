#!/usr/bin/env bash
# Deploys real source trees to three hosts over a real S3 server, and compares
# every tree on every host with what GNU tar makes of the same tarball: bytes,
# modes, times and links.
#
#   bash testdata/real.sh                 two consecutive patch versions of Kubernetes
#   bash testdata/real.sh OLDER NEWER     two directories of yours
#
# It needs Go, GNU tar and, for one of the tarballs, zstd. TMPDIR needs 4 GB.
set -euo pipefail
shopt -s inherit_errexit
umask 022
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
began=$SECONDS

work=$(mktemp -d "${TMPDIR:-/tmp}/ftl-real-XXXXXXXX")
server=
finish() {
	local code=$?
	trap - EXIT INT TERM
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	chmod -R u+w "$work" && rm -rf "$work"
	[ "$code" = 0 ] || echo "real.sh: FAILED with exit code $code" >&2
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '%4ds  %s\n' "$((SECONDS - began))" "$*"; }
fail() {
	echo "real.sh: $*" >&2
	exit 1
}

# --- the S3 server, pinned in testdata/s3 -------------------------------------

# serve starts it on a free port of the loopback interface, with one bucket,
# which for this server is a directory. Its health answers under a name that
# nobody else's would.
serve() {
	local binary token port
	binary=$(cd "$repo/testdata/s3" && GOWORK=off GOFLAGS=-buildvcs=false go tool -n versitygw)
	token=health-$(basename "$work")
	mkdir -p "$work/s3/data/releases" "$work/s3/meta"
	for _ in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		env -i HOME="$work/s3" TMPDIR="$work/s3" ROOT_ACCESS_KEY_ID=real ROOT_SECRET_ACCESS_KEY=real-secret \
			"$binary" --port "127.0.0.1:$port" --quiet --keep-alive --health "/$token" \
			posix --sidecar "$work/s3/meta" "$work/s3/data" >"$work/s3/log" 2>&1 &
		server=$!
		if answers "$port" "$token"; then
			export AWS_ENDPOINT_URL=http://127.0.0.1:$port
			return
		fi
		kill "$server" 2>/dev/null || true
	done
	cat "$work/s3/log" >&2
	fail "the S3 server does not start"
}

answers() {
	local status
	for _ in {1..300}; do
		kill -0 "$server" 2>/dev/null || return 1
		if exec 3<>"/dev/tcp/127.0.0.1/$1"; then
			printf 'GET /%s HTTP/1.0\r\n\r\n' "$2" >&3
			read -r _ status _ <&3 || true
			exec 3>&-
			[ "${status:-}" = 200 ] && return
		fi 2>/dev/null
		sleep 0.1
	done
	return 1
}

# --- the trees ------------------------------------------------------------------

# copy makes DIR/NAME of a tree. What comes from the module cache is read-only
# there.
copy() { # TREE TO
	mkdir -p "$(dirname "$2")"
	cp -a --no-preserve=ownership "$1" "$2"
	chmod -R u+w "$2"
}

# corners adds to a tree what source trees rarely have.
corners() { # DIR
	mkdir -p "$1/corners/empty" "$1/corners/ünïcode name"
	ln -s empty "$1/corners/link-to-a-directory"
	ln -s ../corners/script "$1/corners/link-to-a-file"
	ln -s nowhere "$1/corners/link-to-nothing"
	printf '#!/bin/sh\n' >"$1/corners/script"
	ln "$1/corners/script" "$1/corners/the-same-script"
	: >"$1/corners/ünïcode name/empty file"
	echo secret >"$1/corners/read-only"
	chmod 755 "$1/corners/script"
	chmod 400 "$1/corners/read-only"
	chmod 700 "$1/corners/empty"
	touch -d '2001-02-03 04:05:06.789 UTC' "$1/corners/read-only"
	touch -h -d '2002-03-04 05:06:07 UTC' "$1/corners/link-to-nothing"
	touch -d '2003-04-05 06:07:08 UTC' "$1/corners"
}

# module prints the directory of a module's source, which the Go module proxy has.
module() { # MODULE@VERSION
	(cd "$work" && go mod download -json "$1") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

make_trees() {
	if [ $# = 2 ]; then
		copy "$1" "$work/older/tree"
		copy "$2" "$work/newer/tree"
	else
		copy "$(module k8s.io/kubernetes@v1.34.1)" "$work/older/tree"
		copy "$(module k8s.io/kubernetes@v1.34.2)" "$work/newer/tree"
	fi
	corners "$work/older/tree"
	corners "$work/newer/tree"
}

declare -A files bytes # of a reference

# reference is what GNU tar makes of a tarball.
reference() { # TARBALL NAME
	mkdir -p "$work/reference/$2"
	tar -x --no-same-owner --no-same-permissions -f "$1" -C "$work/reference/$2"
	files[$2]=$(find "$work/reference/$2" -type f -printf . | wc -c)
	bytes[$2]=$(find "$work/reference/$2" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')
	say "$2: $(basename "$1"), ${files[$2]} files, ${bytes[$2]} bytes"
}

# --- comparing ------------------------------------------------------------------

compared=0 compared_files=0 compared_bytes=0

# inventory prints a line for everything in a tree: name, target of a link, type,
# mode and time, and of a file how many names it has.
inventory() { # DIR
	find "$1" -mindepth 1 -printf '%P -> %l %y %m %T@' \( -type f -printf ' %n\n' -o -printf '\n' \) | LC_ALL=C sort
}

compare() { # HOST LINK REVISION REFERENCE
	local tree=$work/$1/tree/$2
	[ "$(readlink "$tree")" = "revs/${3#tree.}" ] || fail "$1: $2 is $(readlink "$tree"), not $3"
	tree=$(readlink -f "$tree")
	diff -rq --no-dereference "$work/reference/$4" "$tree" >&2 || fail "$1: $3 differs from $4 in its bytes"
	diff <(inventory "$work/reference/$4") <(inventory "$tree") >&2 || fail "$1: $3 differs from $4 in modes, times or links"
	compared=$((compared + 1))
	compared_files=$((compared_files + files[$4]))
	compared_bytes=$((compared_bytes + bytes[$4]))
}

# --- the deploy -----------------------------------------------------------------

hosts=(web1 web2 web3)

on() { # HOST COMMAND...
	local host=$1
	shift
	FTL_ROOT=$work/$host FTL_NODE=$host ftl "$@" >>"$work/log" || fail "$host: ftl $* exited with $?"
}

everywhere() { # COMMAND...
	local host pids=()
	for host in "${hosts[@]}"; do
		on "$host" "$@" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid"; done
}

master() { ftl "$@" >>"$work/log"; }

exits() { # CODE COMMAND...
	local want=$1 got=0
	shift
	"$@" >>"$work/log" 2>&1 || got=$?
	[ "$got" = "$want" ] || fail "$* exited with $got, not $want"
}

gone() { # REVISION
	local host
	for host in "${hosts[@]}"; do
		[ ! -e "$work/$host/tree/revs/${1#tree.}" ] || fail "$host still has $1"
	done
}

say "building ftl and the S3 server"
(cd "$repo" && CGO_ENABLED=0 go build -o "$work/bin/ftl" ./cmd/ftl)
PATH=$work/bin:$PATH
unset "${!AWS_@}" "${!FTL_@}"
export AWS_ACCESS_KEY_ID=real AWS_SECRET_ACCESS_KEY=real-secret AWS_REGION=us-east-1 AWS_CONFIG_FILE=/dev/null \
	AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true NO_PROXY=127.0.0.1
export FTL_ENV_FILE=none FTL_BUCKET=s3://releases/real
serve

say "making the trees"
make_trees "$@"
mkdir "$work/tarballs"
tar -C "$work/older/tree" -czf "$work/tarballs/tree.tgz" .
if command -v zstd >/dev/null; then
	zipped=tree.tar.zst
	tar -C "$work/newer/tree" --format=posix -cf - . | zstd -q -o "$work/tarballs/$zipped"
else
	zipped=tree.tar.gz
	tar -C "$work/newer/tree" --format=posix -czf "$work/tarballs/$zipped" .
fi
tar -C "$work/newer/tree" --format=gnu --hard-dereference --exclude=.git -cf "$work/tarballs/directory.tar" .
tar -C "$work/older/tree" -cf "$work/tarballs/tree.tar" .
reference "$work/tarballs/tree.tgz" gzip
reference "$work/tarballs/$zipped" second
reference "$work/tarballs/directory.tar" directory
for host in "${hosts[@]}"; do mkdir -p "$work/$host/tree"; done

say "the first revision: spool, sync, bless, sync"
first=$(ftl spool "$work/tarballs/tree.tgz")
everywhere sync
for host in "${hosts[@]}"; do
	[ ! -e "$work/$host/tree/current" ] || fail "$host: something is active before the blessing"
done
master jump --master "$first"
everywhere sync
for host in "${hosts[@]}"; do compare "$host" current "$first" gzip; done

say "the second revision: spool, bless, sync"
second=$(ftl spool "$work/tarballs/$zipped")
master jump --master "$second"
everywhere sync
for host in "${hosts[@]}"; do
	compare "$host" current "$second" second
	compare "$host" previous "$first" gzip
done

say "jump back on one host, which lasts, then on the master"
on web1 jump-back tree
on web1 sync
compare web1 current "$first" gzip
compare web2 current "$second" second
master jump-back --master tree
everywhere sync
for host in "${hosts[@]}"; do
	compare "$host" current "$first" gzip
	compare "$host" previous "$second" second
done

say "the newer tree as a directory: spool, bless, sync"
third=$(ftl spool "$work/newer/tree")
master jump --master "$third"
everywhere sync
for host in "${hosts[@]}"; do
	compare "$host" current "$third" directory
	compare "$host" previous "$first" gzip
done

say "purge: what is in use is refused, the rest goes, from the hosts too"
exits 7 ftl purge --master "$third"
exits 7 ftl purge --master "$first"
master purge --master "$second"
everywhere sync
gone "$second"

say "clean, after a fourth revision, whose tarball is kept as it is"
fourth=$(ftl spool --as-is "$work/tarballs/tree.tar")
master jump --master "$fourth"
everywhere sync
master clean --master tree --keep 1
on web1 clean tree --keep 1
everywhere sync
gone "$first"
# Whether it has settled depends on how many of the hosts have reported by now.
listed=$(ftl list --master tree | sed 's/[ \t](settled)//')
[ "$listed" = "$(printf '%s\t(previous)\n%s\t(active)' "$third" "$fourth")" ] ||
	fail "the master lists: $listed"
for host in "${hosts[@]}"; do
	compare "$host" current "$fourth" gzip
	compare "$host" previous "$third" directory
done

say "compared on ${#hosts[@]} hosts: $compared trees, $compared_files files, $compared_bytes bytes:" \
	"all are what GNU tar makes of their tarballs, in bytes, modes, times and links"
