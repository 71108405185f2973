# Sourced by the scripts beside it: finds the Swift toolchain and installs the Debian packages that are missing.
# shellcheck shell=bash

say() { printf '\n\033[1m==> %s\033[0m\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# What building needs: the libraries we link, and what Swift itself asks of Debian 12.
BUILD_PACKAGES=(
    ca-certificates git pkg-config
    binutils gcc libc6-dev libstdc++-12-dev libgcc-12-dev libcurl4 libxml2 libedit2 libncurses6 libpython3.11 tzdata
    libsqlite3-dev libyaml-dev zlib1g-dev
)

need_swift() {
    if ! command -v swift >/dev/null 2>&1; then
        fail "no 'swift' in the path. mailhookd needs Swift 6.3 or newer.
  Get it from https://www.swift.org/install/linux/ (choose Debian 12), unpack it, and add its usr/bin to PATH:
      export PATH=/opt/swift/usr/bin:\$PATH
  or let swiftly do it, which that page describes as well. Then run this again."
    fi
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    case $version in
        6.[3-9]* | 6.[1-9][0-9]* | [7-9].* | [1-9][0-9].*) ;;
        *) fail "Swift 6.3 or newer is needed; 'swift' in the path is ${version:-of an unknown version}.
  See https://www.swift.org/install/linux/ for a newer one." ;;
    esac
}

# need_packages NAME...: installs the Debian packages that are missing, as root or through sudo.
need_packages() {
    local missing=() package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    say "Installing Debian packages: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 ||
        fail "these packages are missing and only root can install them:
      apt-get install --no-install-recommends ${missing[*]}"
    as_root apt-get -o DPkg::Lock::Timeout=300 -q update >&2 || fail "apt-get update failed"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q install -y \
        --no-install-recommends "${missing[@]}" >&2 || fail "apt-get install failed"
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

# How the package is built everywhere: an import that is not declared is an error.
SWIFT_FLAGS=(--explicit-target-dependency-import-check error)

build_mailhookd() { swift build "${SWIFT_FLAGS[@]}" --product mailhookd; }

# Mail servers for the tests. Their packages are installed without a configuration and without starting a service; the
# tests run instances of their own. smtp-source comes with Postfix.
need_mail_servers() {
    local policy=/usr/sbin/policy-rc.d made=no
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod +x "$policy" && made=yes
    fi
    command -v debconf-set-selections >/dev/null 2>&1 &&
        echo 'postfix postfix/main_mailer_type select No configuration' | as_root debconf-set-selections
    need_packages postfix dovecot-lmtpd
    [ "$made" = no ] || as_root rm -f "$policy"
}

# Exim for the tests. Its package cannot be installed beside Postfix's, so it is unpacked into a folder of the project's
# own. Where it can't be had, its tests say so and are skipped.
need_exim() {
    local folder=$PWD/.build/test-exim
    if [ ! -x "$folder/usr/sbin/exim4" ]; then
        need_packages libdb5.3 libgnutls-dane0 libidn12 libnsl2 libpcre2-8-0
        say "Unpacking Exim for the tests"
        rm -rf "$folder.new" && mkdir -p "$folder.new"
        if (
            cd "$folder.new" || exit
            apt-get -q download exim4-daemon-light ||
                { as_root apt-get -q update && apt-get -q download exim4-daemon-light; } || exit
            dpkg -x ./exim4-daemon-light_*.deb . && rm -f ./*.deb
        ) >&2; then
            rm -rf "$folder" && mv "$folder.new" "$folder"
        else
            printf 'warning: Exim could not be unpacked; its tests will be skipped\n' >&2
        fi
    fi
    [ -x "$folder/usr/sbin/exim4" ] || return 0
    # Debian's Exim looks its user up before it reads a configuration, and ends if there is none.
    id Debian-exim >/dev/null 2>&1 ||
        as_root useradd --system --user-group --no-create-home --home-dir /var/spool/exim4 \
            --shell /usr/sbin/nologin Debian-exim || {
            printf 'warning: there is no user Debian-exim; the tests with Exim will be skipped\n' >&2
            return 0
        }
    export MAILHOOKD_TEST_EXIM=$folder/usr/sbin/exim4
}

# The reference verifiers of webhook signatures and events, in a virtual environment of the project's own.
# Where they can't be had, their tests say so and are skipped.
need_standardwebhooks() {
    local venv=.build/test-venv
    if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import standardwebhooks, cloudevents' 2>/dev/null; then
        say "Installing the standardwebhooks and cloudevents packages from PyPI for the tests"
        { python3 -m venv "$venv" && "$venv/bin/pip" install -q standardwebhooks cloudevents; } >&2 ||
            printf 'warning: standardwebhooks and cloudevents could not be installed; their tests will be skipped\n' >&2
    fi
    export MAILHOOKD_TEST_PYTHON=$PWD/$venv/bin/python
}

# Tests the description of the management interface against the daemon. As above.
need_schemathesis() {
    local python=.build/test-venv/bin/python
    [ -x "$python" ] || return 0
    "$python" -c 'import schemathesis' 2>/dev/null || "$python" -m pip install -q schemathesis >&2 ||
        printf 'warning: schemathesis could not be installed; its test will be skipped\n' >&2
}

# A browser without a window. Where it can't be had, its test says so and is skipped.
need_browser() {
    command -v chromium-headless-shell >/dev/null 2>&1 || command -v chromium >/dev/null 2>&1 ||
        (need_packages chromium-headless-shell) ||
        printf 'warning: no chromium; its test will be skipped\n' >&2
}
