"""A JupyterHub that gives each student the notebooks, and stops what is idle.

    pip install ".[hub]"
    make students && unzip -d CLASS dist/lazydestroy-students.zip
    CLASS_FOLDER=CLASS CLASS_PASSWORD=... jupyterhub --config hub/jupyterhub_config.py

Servers run as the user who starts the hub ("simple"): good for a try, and for people who trust each other, because each
can read what the others have written. For a class that is graded, set another `spawner_class`, one with a user, a
container or a machine for each student; of the rest, only where a student's home is may change.
"""

import os
import shutil
import sys
from pathlib import Path

config = get_config()  # noqa: F821 (JupyterHub's loader defines it)

CLASS = Path(os.environ.get("CLASS_FOLDER", "class")).resolve()
NOTEBOOKS = CLASS / "lazydestroy-students/notebooks"
"""What `make students` has packed."""

IDLE = int(os.environ.get("CLASS_IDLE", 1800))
"""Seconds after which a kernel, and then a server, is stopped if nothing happens in it."""

if not NOTEBOOKS.is_dir():
    raise SystemExit(f"{NOTEBOOKS} is not there: unzip dist/lazydestroy-students.zip into {CLASS} first")
if not os.environ.get("CLASS_PASSWORD"):
    raise SystemExit("CLASS_PASSWORD is not set, and without one nobody can log in: CLASS_PASSWORD=choose-a-long-one")


def give_notebooks(spawner):
    """Give a student what they don't have yet. What they have changed stays."""
    home = Path(spawner.home_dir, "notebooks")
    for path in sorted(NOTEBOOKS.rglob("*.ipynb")):
        mine = home / path.relative_to(NOTEBOOKS)
        if not mine.exists():
            mine.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, mine)


config.JupyterHub.bind_url = os.environ.get("CLASS_URL", "http://127.0.0.1:8000")
config.JupyterHub.hub_bind_url = os.environ.get("CLASS_HUB_URL", "http://127.0.0.1:8081")
config.ConfigurableHTTPProxy.api_url = os.environ.get("CLASS_PROXY_URL", "http://127.0.0.1:8001")
config.JupyterHub.db_url = f"sqlite:///{CLASS / 'jupyterhub.sqlite'}"
config.JupyterHub.cookie_secret_file = str(CLASS / "jupyterhub_cookie_secret")
config.ConfigurableHTTPProxy.pid_file = str(CLASS / "jupyterhub-proxy.pid")

# One password for all, who choose their names themselves. Your university has better: see JupyterHub's authenticators.
config.JupyterHub.authenticator_class = "shared-password"
config.SharedPasswordAuthenticator.user_password = os.environ["CLASS_PASSWORD"]
config.Authenticator.allow_all = True

config.JupyterHub.spawner_class = "simple"
config.SimpleLocalProcessSpawner.home_dir_template = str(CLASS / "homes/{username}")
config.Spawner.notebook_dir = "~/notebooks"
config.Spawner.default_url = "/lab/tree/index.ipynb"
config.Spawner.pre_spawn_hook = give_notebooks
config.Spawner.http_timeout = 300  # a class begins all at once, and starting a server takes seconds of a processor
config.Spawner.args = [
    f"--MappingKernelManager.cull_idle_timeout={IDLE}",
    f"--MappingKernelManager.cull_interval={max(IDLE // 10, 1)}",
    "--MappingKernelManager.cull_connected=True",
]
if os.geteuid() == 0:
    config.Spawner.args.append("--allow-root")  # in containers there is often no other user

config.JupyterHub.load_roles = [
    {
        "name": "culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["culler"],
    }
]
config.JupyterHub.services = [
    {
        "name": "culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", f"--timeout={IDLE}"],
    }
]
