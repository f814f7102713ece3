# Shared by the fakes of OpenVZ's tools; none of this is OpenVZ. Sourced by vzctl, vzlist, vzpid and the container's `service`.
# The lab process is the "kernel" behind them: it keeps HOST/run/vz/CTID (key=value) up to date and answers requests laid into HOST/run/requests.
# Sets nothing but functions; needs HOST, the directory that stands for the host's disk.
LC_ALL=C; export LC_ALL

# field CTID NAME: prints a value of the kernel's state of that container; fails when the kernel knows no such container.
field() {
  [ -r "$HOST/run/vz/$1" ] || return 1
  while IFS='=' read -r key value; do
    if [ "$key" = "$2" ]; then printf '%s\n' "$value"; return 0; fi
  done <"$HOST/run/vz/$1"
  return 1
}

running() { [ "$(field "$1" status)" = running ]; }
defined() { [ -e "$HOST/etc/vz/conf/$1.conf" ]; }

# json_words TEXT...: prints them as the inside of a JSON array. The text of arguments comes from whoever called: escaped, never interpreted.
json_words() {
  awk -- 'BEGIN {
    for (i = 1; i < 32; i++) escaped[sprintf("%c", i)] = sprintf("\\u%04x", i)
    escaped["\""] = "\\\""; escaped["\\"] = "\\\\"
    for (i = 1; i < ARGC; i++) {
      text = ""
      for (j = 1; j <= length(ARGV[i]); j++) { c = substr(ARGV[i], j, 1); text = text (c in escaped ? escaped[c] : c) }
      printf "%s\"%s\"", (i > 1 ? "," : ""), text
    }
  }' "$@"
}

# log_call TOOL WORDS EXIT: one line in the host's own log.
log_call() { printf '{"at":"%s","what":"call","tool":"%s","argv":[%s],"exit":%d}\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" "$3" >>"$HOST/log/host.log"; }

# request WORD...: asks the kernel and waits for its answer. Prints the text of the answer and returns its code; 5 when there is no kernel.
request() {
  asked=$$.$(date +%s%N)
  printf '%s\n' "$@" >"$HOST/run/requests/.$asked" || return 5
  mv "$HOST/run/requests/.$asked" "$HOST/run/requests/$asked"
  tries=0
  while [ ! -e "$HOST/run/replies/$asked" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 600 ]; then
      rm -f "$HOST/run/requests/$asked"
      echo 'Unable to open /dev/vzctl: No such file or directory' >&2
      echo 'Please check that vzdev kernel module is loaded and you have sufficient permissions to access the file.' >&2
      return 5
    fi
    sleep 0.02
  done
  { read -r code; cat; } <"$HOST/run/replies/$asked"
  rm -f "$HOST/run/replies/$asked"
  return "$code"
}

# misbehaviour WORD...: how the first of these words is to misbehave, from HOST/misbehave (key=value), empty when it is not.
misbehaviour() {
  [ -r "$HOST/misbehave" ] || return 0
  for word; do
    while IFS='=' read -r key value; do
      if [ "$key" = "$word" ]; then printf '%s\n' "$value"; return 0; fi
    done <"$HOST/misbehave"
  done
}
