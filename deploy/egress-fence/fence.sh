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

# As in packages/dispatcher/src/egress/denied.ts.
deny="0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"

list() { echo "$*" | tr -s ' \n' ',' | sed 's/^,//; s/,$//'; }

# Routes that forbid, and a filter behind them. $1: how a command is run in the namespace; $2: the gateway.
rules() {
  for range in $deny; do $1 ip route replace prohibit "$range"; done
  for address in $allow; do
    if [ -n "$2" ]; then $1 ip route replace "$address" via "$2"; fi
  done
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

up() {
  ip netns add "$name"
  ip link add "$name-h" type veth peer name eth0 netns "$name"
  ip address add "$host/30" dev "$name-h"
  ip link set "$name-h" up
  ip -n "$name" link set lo up
  ip -n "$name" address add "$inner/30" dev eth0
  ip -n "$name" link set eth0 up
  ip -n "$name" route add default via "$host"
  rules "ip netns exec $name" "$host"
  echo 1 > /proc/sys/net/ipv4/ip_forward
  # What comes out of the namespace goes on under the host's address; to the host itself it opens nothing.
  nft -f - <<RULES
table ip playa_fence_$name {
  chain postrouting { type nat hook postrouting priority srcnat; ip saddr $inner oifname != "$name-h" masquerade; }
  chain input { type filter hook input priority -10; iifname "$name-h" ct state new reject; }
}
RULES
}

check() {
  ip netns list | grep -q "^$name\b" || { echo "there is no namespace $name"; exit 1; }
  ip netns exec "$name" nft list table inet playa_fence > /dev/null 2>&1 || { echo "its filter is missing"; exit 1; }
  ip -n "$name" route get 169.254.169.254 2> /dev/null && { echo "metadata has a route"; exit 1; }
  echo "the fence stands: namespace $name, the service listens on $inner"
}

down() {
  nft delete table ip "playa_fence_$name" 2> /dev/null || true
  # The link goes with the namespace.
  ip netns delete "$name"
}

case $command in
  up) up ;;
  here) rules "" "$(ip route show default | sed -n 's/.*via \([^ ]*\).*/\1/p' | head -n 1)" ;;
  check) check ;;
  down) down ;;
  *) sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,12p'; exit 64 ;;
esac
