"""The embedded PostgreSQL: one cluster per data directory, found again by whoever knows that.

The binaries come from a wheel; the process handling is ours. The server is nobody's child: it
outlives a killed Bayon, and the next start adopts it. What PostgreSQL can judge itself (stale pid
files, the shared memory of a former life) is left to it.

It listens on a unix socket only and believes the kernel about who connects (`peer`): no port, no
password, and no other user of the machine gets in. The socket is also the faster way (`pgbench -N`,
8 clients on 2 cores: 6.1 k/s, over loopback TCP 5.0 k/s).
"""

from bayon.postgres.place import binary
from bayon.postgres.server import EmbeddedPostgres, url_of

__all__ = ["EmbeddedPostgres", "binary", "url_of"]
