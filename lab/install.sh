#!/bin/sh
# npm run lab:install, as root: the Debian packages that the lab and its tests use. Nothing that it installs is started or left listening.
# May be run again: what is there already stays as it is. Works on a fresh Debian 12.
set -eu

# What each is for. Nothing else is installed, but what these depend on.
PACKAGES='openssh-server openssh-client iproute2 util-linux procps busybox openjdk-17-jre-headless maven'
cat <<'WHAT'
The lab of Nightshift installs these Debian packages:
  openssh-server openssh-client   the lab host is a real sshd
  iproute2 util-linux procps      namespaces, sessions, and looking at processes
  busybox                         the far-side helper is tested under it too
  openjdk-17-jre-headless maven   Temporal's test server that skips time, for tests that wait for hours
Nothing of it is started, and nothing will listen. On disk: about 500 MB, most of it Java.
WHAT

if [ "$(id -u)" != 0 ]; then echo 'npm run lab:install needs root: try `sudo npm run lab:install`' >&2; exit 1; fi
if ! command -v apt-get >/dev/null; then echo 'this is not Debian: install the packages above by other means' >&2; exit 1; fi

missing=''
for package in $PACKAGES; do
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in 'install ok installed') ;; *) missing="$missing $package";; esac
done
if [ -z "$missing" ]; then echo 'All of them are installed already.'; exit 0; fi
echo "Missing:$missing"

# Debian starts a daemon as soon as it is installed, unless this file says no (101). What stood there before comes back, whatever happens.
POLICY=/usr/sbin/policy-rc.d
KEPT=$POLICY.nightshift-kept
restore() {
  if [ -e "$KEPT" ] || [ -L "$KEPT" ]; then mv -f "$KEPT" "$POLICY"; else rm -f "$POLICY"; fi
}
# An installation that was killed has left both files: the kept one is the real one.
if ! { [ -e "$KEPT" ] || [ -L "$KEPT" ]; } && { [ -e "$POLICY" ] || [ -L "$POLICY" ]; }; then mv "$POLICY" "$KEPT"; fi
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\n# Nightshift is installing packages and wants none of them started; this file goes away again.\nexit 101\n' >"$POLICY"
chmod 755 "$POLICY"

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
apt-get update -qq
# Unquoted on purpose: a list of words of ours.
apt-get install -y -qq --no-install-recommends $missing

# A boot would start sshd: it is switched off, unless it was here before us.
case $missing in
  *openssh-server*)
    if command -v systemctl >/dev/null; then systemctl disable ssh.service ssh.socket >/dev/null 2>&1 || true; fi
    if command -v update-rc.d >/dev/null; then update-rc.d ssh disable >/dev/null 2>&1 || true; fi
    ;;
esac
echo 'Installed. Nothing was started.'
