#!/bin/sh
# A second fence around the whole service: what its own broker would let through by mistake stops at the kernel.
#
#   fence.sh up [NAME]     makes the network namespace NAME (playa) with its rules; run as root, once after each boot
#   fence.sh here          puts the rules on the present namespace: for a container that has one of its own
#   fence.sh check [NAME]  says whether the fence stands; status 1 where it does not
#   fence.sh down [NAME]   takes it away
#
# FENCE_ALLOW: addresses and networks, separated by spaces, that are reached all the same: name servers, a database.
# FENCE_NETWORK: the first three numbers of a private network for the link to the host (10.213.77).
set -eu

command=${1:-}
name=${2:-playa}
network=${FENCE_NETWORK:-10.213.77}
host=$network.1
inner=$network.2
allow=${FENCE_ALLOW:-}

# As in packages/dispatcher/src/egress/denied.ts; loopback stays, within the namespace.
deny="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"

fail() {
  echo "fence.sh: $1" >&2
  exit 1
}

list() { echo "$*" | tr -s ' \n' ',' | sed 's/^,//; s/,$//'; }

need() {
  for program in ip nft; do
    command -v "$program" > /dev/null || fail "there is no $program; install iproute2 and nftables"
  done
}

# It becomes the name of an interface and of a table.
check_name() {
  case $name in
    '' | *[!A-Za-z0-9_]*) fail "\"$name\" cannot be the name of the namespace: letters, digits and _ only" ;;
  esac
  [ ${#name} -le 13 ] || fail "\"$name\" cannot be the name of the namespace: 13 characters at most"
}

# Routes that forbid, and a filter behind them. $1: how a command is run in the namespace.
rules() {
  # Those of an earlier time.
  for range in $deny; do $1 ip route del prohibit "$range" 2> /dev/null || true; done
  # The ways to what is allowed, as they are before anything is forbidden. What is on the link keeps its own.
  ways=
  for address in $allow; do
    way=$($1 ip route get "${address%/*}" | sed -n 's/.* via \([^ ]*\) .*/\1/p' | head -n 1)
    [ -z "$way" ] || ways="$ways $address=$way"
  done
  for range in $deny; do
    # A link's own network of just this size would be replaced, and the gateway be lost with it; the filter holds there.
    [ -z "$($1 ip route show exact "$range" scope link)" ] || continue
    $1 ip route replace prohibit "$range"
  done
  for way in $ways; do $1 ip route replace "${way%=*}" via "${way#*=}"; done
  allowed=
  if [ -n "$allow" ]; then allowed="ip daddr { $(list "$allow") } accept"; fi
  $1 nft -f - <<RULES
table inet playa_fence
delete table inet playa_fence
table inet playa_fence {
  chain output {
    type filter hook output priority -10; policy drop;
    ct state established,related accept
    oifname "lo" accept
    $allowed
    meta nfproto ipv6 reject
    ip daddr { $(list "$deny") } reject
    meta l4proto tcp accept
    udp dport 53 accept
  }
}
RULES
}

# Whether the rules stand. $1: as above.
standing() {
  $1 nft list table inet playa_fence > /dev/null 2>&1 || { echo "the filter is missing"; return 1; }
  if $1 ip route get 169.254.169.254 > /dev/null 2>&1; then echo "metadata has a route"; return 1; fi
}

# Docker drops what the host forwards, unless this chain of its lets it pass. $1: -I to put the rules in, -D to take them out.
docker_rules() {
  command -v iptables > /dev/null && iptables -S DOCKER-USER > /dev/null 2>&1 || return 0
  iptables "$1" DOCKER-USER -i "$name-h" -j ACCEPT
  iptables "$1" DOCKER-USER -o "$name-h" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
}

up() {
  [ ! -e "/run/netns/$name" ] || fail "there is a namespace $name already; fence.sh down $name takes it away"
  # Half a fence is none.
  trap 'down 2> /dev/null' EXIT
  ip netns add "$name"
  ip link add "$name-h" type veth peer name eth0 netns "$name"
  ip address add "$host/30" dev "$name-h"
  ip link set "$name-h" up
  ip -n "$name" link set lo up
  ip -n "$name" address add "$inner/30" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" route add default via "$host"
  rules "ip netns exec $name"
  echo 1 > /proc/sys/net/ipv4/ip_forward
  # What comes out of the namespace goes on under the host's address; to the host itself it opens nothing.
  nft -f - <<RULES
table ip playa_fence_$name {
  chain postrouting { type nat hook postrouting priority srcnat; ip saddr $inner oifname != "$name-h" masquerade; }
  chain input { type filter hook input priority -10; iifname "$name-h" ct state new reject; }
}
RULES
  docker_rules -I
  standing "ip netns exec $name"
  trap - EXIT
}

check() {
  [ -e "/run/netns/$name" ] || { echo "there is no namespace $name"; exit 1; }
  standing "ip netns exec $name" || exit 1
  echo "the fence stands: namespace $name, the service listens on $inner"
}

down() {
  docker_rules -D 2> /dev/null || true
  nft delete table ip "playa_fence_$name" 2> /dev/null || true
  # The link goes with the namespace.
  ip netns delete "$name"
}

case $command in
  up | check | down)
    need
    check_name
    "$command"
    ;;
  here)
    need
    rules ""
    standing ""
    ;;
  *)
    sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,10p'
    exit 64
    ;;
esac
