#!/bin/sh
# Starts MaoOCR on this machine with Docker Compose, waits until it is healthy and prints its addresses.
set -eu

usage() {
    cat <<'END'
Start MaoOCR on this machine, wait until it is healthy, and print its addresses.

Usage: deploy/deploy.sh [OPTION…]

  --pull          pull the image instead of building it: MAOOCR_IMAGE and MAOOCR_VERSION in deploy/.env
  --no-build      use the image that is here
  --gpu           run on an NVIDIA GPU (compose.gpu.yaml)
  --alerts        run Alertmanager too (compose.alerts.yaml)
  --webhooks      let the servers call webhooks and fetch pictures (compose.webhooks.yaml)
  --earlier DIR   also serve earlier MaoOCR clients: plain HTTP on 127.0.0.1:8000, no keys,
                  pictures by their path in DIR (compose.earlier.yaml)
  --only-earlier DIR
                  that server alone: needs no deploy/.env, no host name and no certificate
  --wait SECONDS  how long to wait for health [default: 300]
  --help          show this

Settings are in deploy/.env; docs/operate.md explains them. Running it again applies changes.

Exit status: 0 healthy, 1 not healthy, 2 wrong usage or something is missing.
END
}

fail() {
    printf 'deploy.sh: %s\n' "$*" >&2
    exit 2
}

# The value of a variable as Compose sees it: the environment comes before deploy/.env.
setting() {
    eval "value=\${$1:-}"
    if [ -z "$value" ] && [ -f .env ]; then
        value=$(sed -n "s/^$1=//p" .env | tail -n 1 | sed -e 's/\r$//' -e 's/^"\(.*\)"$/\1/' -e "s/^'\(.*\)'\$/\1/")
    fi
    printf '%s' "${value:-$2}"
}

# Whether something listens on a TCP port of this machine. From /proc, because no tool is everywhere.
taken() {
    awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Fails if a published port, as `PORT` or `ADDRESS:PORT`, belongs to something other than this service.
check_port() {
    port=${2##*:}
    case $port in
        '' | *[!0-9]*) fail "$3=$2 is no port: write PORT or ADDRESS:PORT" ;;
    esac
    # Our own, from the last time.
    if compose ps --quiet --status running "$1" 2>/dev/null | grep -q .; then
        return
    fi
    if taken "$port"; then
        fail "port $port is taken: stop what listens there (ss -ltnp 'sport = :$port' names it), or set another $3 in deploy/.env"
    fi
}

action=--build
files="-f compose.yaml"
earlier="" alone="" wait=300

while [ $# -gt 0 ]; do
    case $1 in
        --pull) action=--no-build pull=yes ;;
        --no-build) action=--no-build ;;
        --gpu) files="$files -f compose.gpu.yaml" ;;
        --alerts) files="$files -f compose.alerts.yaml" alerts=yes ;;
        --webhooks) files="$files -f compose.webhooks.yaml" ;;
        --earlier | --only-earlier)
            [ $# -gt 1 ] || fail "$1 needs a folder: deploy/deploy.sh $1 DIR"
            [ "$1" = --earlier ] || alone=yes
            earlier=$2
            shift
            ;;
        --wait)
            [ $# -gt 1 ] || fail "--wait needs a number of seconds"
            wait=$2
            case $wait in
                '' | *[!0-9]*) fail "--wait $wait: expected a number of seconds" ;;
            esac
            shift
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail "unknown option $1; --help lists the options" ;;
    esac
    shift
done

if [ -n "$earlier" ]; then
    [ -d "$earlier" ] || fail "$earlier is not a folder"
    # Compose wants the whole path, and so do the clients.
    MAOOCR_PICTURES=$(cd "$earlier" && pwd)
    export MAOOCR_PICTURES
    files="$files -f compose.earlier.yaml"
fi
if [ -n "$alone" ]; then
    case $files in
        *gpu* | *alerts* | *webhooks*) fail "--only-earlier excludes --gpu, --alerts and --webhooks" ;;
    esac
    files="-f compose.earlier.yaml"
fi

cd "$(dirname "$0")"
[ -z "${pull:-}" ] || [ -n "$(setting MAOOCR_IMAGE "")" ] ||
    fail "--pull needs the image's name: set MAOOCR_IMAGE=REGISTRY/maoocr in deploy/.env"

compose() {
    # shellcheck disable=SC2086 # One word a file, none with a space.
    docker compose $files "$@"
}

# What can be told without Docker.
if [ -z "$alone" ]; then
    [ -f .env ] || fail "deploy/.env is missing: cp deploy/.env.example deploy/.env, then fill it in"
    # shellcheck disable=SC2013 # Names have no spaces.
    for name in $(sed -n 's/^\([A-Z_]*\)=$/\1/p' .env.example); do
        [ -n "$(setting "$name" "")" ] || fail "$name is empty: set it in deploy/.env"
    done
    tls=$(setting MAOOCR_TLS_FOLDER "")
    [ -d "$tls" ] || fail "MAOOCR_TLS_FOLDER: there is no folder $tls"
    for file in tls.crt tls.key; do
        # It may be closed to this user.
        [ ! -x "$tls" ] || [ -e "$tls/$file" ] ||
            fail "$tls/$file is missing: docs/operate.md shows how to get a certificate"
    done
    [ -z "${alerts:-}" ] || [ -f alertmanager/alertmanager.yml ] ||
        fail "deploy/alertmanager/alertmanager.yml is missing: copy alertmanager.example.yml and say who is told"
fi

command -v docker >/dev/null 2>&1 || fail "Docker is not installed: https://docs.docker.com/engine/install/"
docker compose version >/dev/null 2>&1 ||
    fail "Docker has no Compose 2 (\`docker compose\`): https://docs.docker.com/compose/install/linux/"
if ! said=$(docker info 2>&1 >/dev/null); then
    printf '%s\n' "$said" >&2
    fail "Docker doesn't respond: start it (systemctl start docker), or join the group docker"
fi

if [ -z "$alone" ]; then
    check_port nginx "$(setting MAOOCR_HTTP_PUBLISH 80)" MAOOCR_HTTP_PUBLISH
    check_port nginx "$(setting MAOOCR_HTTPS_PUBLISH 443)" MAOOCR_HTTPS_PUBLISH
fi
if [ -n "$earlier" ]; then
    plain=$(setting MAOOCR_EARLIER_PUBLISH 127.0.0.1:8000)
    check_port earlier "$plain" MAOOCR_EARLIER_PUBLISH
fi

if [ -n "${pull:-}" ]; then
    compose pull
fi
if ! compose up --detach $action --wait --wait-timeout "$wait"; then
    compose ps --all >&2
    compose logs --tail 20 >&2
    printf 'deploy.sh: not healthy; see above, or: cd deploy && docker compose %s logs\n' "$files" >&2
    exit 1
fi

echo
echo "MaoOCR is running."
if [ -z "$alone" ]; then
    name=$(setting MAOOCR_NAME "")
    public=$(setting MAOOCR_HTTPS_PUBLIC "")
    cat <<END
  web app        https://$name$public/
  interface      https://$name$public/docs
  dashboard      https://$name$public/grafana/ (for MAOOCR_ADMIN_NETWORK)
  first key      docker compose -f deploy/compose.yaml exec server maoocr keys create --name first
END
fi
if [ -n "$earlier" ]; then
    case $plain in
        *:*) at=$plain ;;
        *) at=localhost:$plain ;;
    esac
    cat <<END
  earlier clients  http://$at (pictures in $MAOOCR_PICTURES)
END
fi
