#!/bin/sh
# The entry point of a container behind the fence: raises it in the container's own network namespace as root, then becomes an
# ordinary user without any capability, who cannot take it down, and runs what it is given.
#
#   docker run --cap-drop ALL --cap-add NET_ADMIN --cap-add SETUID --cap-add SETGID --cap-add SETPCAP \
#     --env "FENCE_ALLOW=10.0.0.2" --entrypoint /opt/playa/deploy/egress-fence/docker-entrypoint.sh … \
#     /opt/playa/packages/dispatcher/bin/playa serve --listen 0.0.0.0:8080
#
# FENCE_ALLOW: as for fence.sh; the name servers of /etc/resolv.conf that have private addresses among them.
# FENCE_USER: who it becomes, as UID:GID (1000:1000).
set -eu

user=${FENCE_USER:-1000:1000}
"$(dirname "$0")/fence.sh" here
exec setpriv --reuid "${user%:*}" --regid "${user#*:}" --clear-groups --bounding-set -all --inh-caps -all --no-new-privs "$@"
