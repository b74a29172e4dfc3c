"""Two clients that share a core through Flower: in its simulation engine, or as processes on this machine.

One client has images of the digits 0 to 4, the other of 5 to 9. Cores are averaged, images and heads stay where they
are. Everything of Flower's is its own: strategy, engines, messages; `FlowerGuard` says who was left out of an average,
and why. ::

    pip install 'rnn_core[federated]' 'flwr[simulation]' scikit-learn
    python examples/federated.py                     # the simulation engine: Ray, one process a client
    python examples/federated.py --deploy            # a SuperLink and two SuperNodes, processes on loopback
    python examples/federated.py --deploy --kill 5   # the second SuperNode gets SIGKILL after round 5
    python examples/federated.py --deploy --kill 3 --back 6   # and is started again after round 6

At the end the same rounds are done once more without Flower, by the clients that were in each average, and the greatest
difference of the two cores is printed; with ``--back`` they are not, since a client that was killed may have kept a
head of a round that nobody averaged.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_core import SequenceClassifier
from rnn_core.data import Examples
from rnn_core.training import Adam
from rnn_core.weights import read_arrays, save
from transfer import FlowerGuard, LocalClient, average, flower_app, flower_arrays, shared_arrays

# Flower's programs would report their use to its makers, and look for newer releases; Ray would, too.
QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
CLIENTS = 2


class Settings(NamedTuple):
    """What clients and server have to know of a run."""

    folder: str  # of heads and results; every process here sees it
    rounds: int
    alike: bool  # the second client has the first one's images


def local_client(settings: Settings, k: int, path: Path | None = None) -> LocalClient:
    """Return client `k`, with what is its own in the file `path`."""
    from sklearn.datasets import load_digits

    digits, first = load_digits(), 0 if settings.alike else 5 * k
    chosen = (digits.target >= first) & (digits.target < first + 5)
    x, y = digits.images[chosen] / 16, digits.target[chosen] - first  # (N, 8, 8): a row of pixels a time step
    model = SequenceClassifier(
        5, 24, input_size=8, cell="lstm", dtype=np.float64, seed=first,
        backend="numpy",  # each message is a new process, which would have to load compiled kernels
    )  # fmt: skip
    held = np.arange(len(x)) % 4 == 0
    return LocalClient(
        model, Examples(x[~held], y[~held], batch_size=32, seed=first), optimizer=Adam(1e-2),
        validation=Examples(x[held], y[held], batch_size=256, shuffle=False), path=path,
    )  # fmt: skip


def apps(settings: Settings) -> tuple[Any, Any]:
    """Return Flower's ``ClientApp`` and ``ServerApp``."""
    from flwr.serverapp import ServerApp

    folder = Path(settings.folder)

    def make_client(context: Any) -> LocalClient:
        k = int(context.node_config["partition-id"])
        return local_client(settings, k, folder / f"head-{k}.safetensors")

    server = ServerApp()

    @server.main()
    def main(grid: Any, context: Any) -> None:
        try:
            serve(settings, grid)
        except BaseException as error:
            written(folder / "failed.json", repr(error))
            raise

    return flower_app(make_client), server


def serve(settings: Settings, grid: Any) -> None:
    """Run the rounds; write down after each who was in it, and the core and scores in the end."""
    from flwr.serverapp.strategy import FedAvg

    folder = Path(settings.folder)
    guard = FlowerGuard(grid, say=print)
    # Before every round a strategy waits for as many nodes as it is told: all before the first, one before the others.
    while len(list(grid.get_node_ids())) < CLIENTS:
        time.sleep(1)
    strategy = FedAvg(min_available_nodes=1, min_train_nodes=1, min_evaluate_nodes=1)

    def over(number: int, arrays: Any) -> None:
        done = [exchange._asdict() for exchange in guard.exchanges]
        written(folder / "progress.json", {"rounds": number, "exchanges": done})

    first = shared_arrays(local_client(settings, 0).model)
    result = strategy.start(guard, flower_arrays(first), settings.rounds, timeout=600, evaluate_fn=over)
    save({name: array.numpy() for name, array in result.arrays.items()}, folder / "core.safetensors")
    scores = {number: dict(record) for number, record in result.evaluate_metrics_clientapp.items()}
    written(folder / "result.json", scores)


def written(path: Path, content: Any) -> None:
    """Write a file of JSON, whole: another process waits for it."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    part.replace(path)


def simulated(settings: Settings) -> None:
    """Run the rounds in Flower's simulation engine."""
    from flwr.simulation import run_simulation

    client, server = apps(settings)
    config = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"include_dashboard": False}}
    run_simulation(server, client, num_supernodes=CLIENTS, backend_config=config)


class Deployment:
    """A SuperLink and SuperNodes on loopback, each in a process group of its own, so that all of it ends with it."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.folder, self.stack = Path(settings.folder), stack
        self.ports = free_ports(1 + CLIENTS)
        self.address = f"127.0.0.1:{self.ports[0]}"
        self.home = self.folder / "flower"
        bin_ = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # Flower's start one another
        root = f"{Path(__file__).resolve().parent.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        self.environment = os.environ | QUIET | {"FLWR_HOME": str(self.home), "PATH": bin_, "PYTHONPATH": root}
        self.nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._write_app(settings)

    def _write_app(self, settings: Settings) -> None:
        """Write what Flower wants of an app: a pyproject.toml, this file, and where the two apps are."""
        app = self.folder / "app"
        app.mkdir(parents=True)
        self.home.mkdir()
        shutil.copy(__file__, app / "federated.py")
        (app / "begun.py").write_text(
            f"from federated import Settings, apps\n\nboth = apps(Settings(*{tuple(settings)!r}))\n"
            "client = both[0]\nserver = both[1]\n"  # Flower looks for these lines without running the file
        )
        (app / "pyproject.toml").write_text(
            '[project]\nname = "federated"\nversion = "1.0.0"\ndescription = "Two clients that share a core"\n'
            'license = "Apache-2.0"\ndependencies = []\n\n'
            '[tool.flwr.app]\npublisher = "rnn_core"\n\n'
            '[tool.flwr.app.components]\nserverapp = "begun:server"\nclientapp = "begun:client"\n'
        )
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "{self.address}"\ninsecure = true\n'
        )

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """Start a program of Flower's; it ends when this one does."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self.stack.callback(ended, process)
        return process

    def superlink(self) -> None:
        """Start the SuperLink, and wait until it answers."""
        process = self.start("superlink", "flower-superlink", "--insecure", "--disable-runtime-dependency-installation",
                             "--host", "127.0.0.1", "--port", str(self.ports[0]))  # fmt: skip
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.address}/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.5)
        raise SystemExit(f"federated.py: the SuperLink did not start; {self.folder}/superlink.log says why")

    def supernode(self, k: int) -> None:
        """Start the SuperNode of client `k`."""
        self.nodes[k] = self.start(
            f"supernode-{k}", "flower-supernode", "--insecure", "--superlink", self.address,
            "--host", "127.0.0.1", "--port", str(self.ports[1 + k]), "--node-config", f"partition-id={k}",
        )  # fmt: skip

    def kill(self, k: int) -> None:
        """Give SIGKILL to a SuperNode and what it has started, as if its machine went down."""
        os.killpg(self.nodes[k].pid, signal.SIGKILL)

    def run(self) -> None:
        """Hand the app to the SuperLink."""
        subprocess.run(["flwr", "run", str(self.folder / "app"), "loopback"], env=self.environment, check=True)


def deployed(settings: Settings, kill: int | None, back: int | None) -> None:
    """Run the rounds on a SuperLink and SuperNodes; the second node is killed and started as asked."""
    with ExitStack() as stack:
        flower = Deployment(settings, stack)
        flower.superlink()
        for k in range(CLIENTS):
            flower.supernode(k)
        flower.run()
        folder, seen = Path(settings.folder), -1
        while not (folder / "result.json").exists():
            if (folder / "failed.json").exists():
                raise SystemExit(f"federated.py: the server failed: {(folder / 'failed.json').read_text()}")
            time.sleep(0.2)
            done = json.loads(path.read_text())["rounds"] if (path := folder / "progress.json").exists() else seen
            for number in range(seen + 1, done + 1):
                print(f"round {number} is over", flush=True) if number else None
                if number == kill:
                    flower.kill(1)
                    print("the SuperNode of client 1 gets SIGKILL", flush=True)
                if number == back:
                    flower.supernode(1)
                    print("the SuperNode of client 1 is started again", flush=True)
            seen = done


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours and its group: by request, and after some seconds without asking."""
    for how, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, how)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_ports(n: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def replayed(settings: Settings, exchanges: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the core after the same rounds in this process, each by the clients that were in its average."""
    clients = [local_client(settings, k) for k in range(CLIENTS)]
    core = clients[0].get()
    for exchange in exchanges:
        members = [k for k in range(CLIENTS) if any(f"client {k} " in one for one in exchange["kept"])]
        if exchange["kind"] == "train" and members:
            updates = [clients[k].fit(core) for k in members]
            core = average([update.arrays for update in updates], [update.count for update in updates])
    return core


def report(settings: Settings, replay: bool) -> None:
    """Print the rounds and, if asked, the greatest difference from the same without Flower."""
    folder = Path(settings.folder)
    scores = json.loads((folder / "result.json").read_text())
    exchanges = json.loads((folder / "progress.json").read_text())["exchanges"]
    print("round   loss  accuracy  averaged")
    for exchange in exchanges:
        if exchange["kind"] == "train":
            score = scores.get(str(exchange["round"]), {})
            who = ", ".join(sorted(one.partition(" (")[0] for one in exchange["kept"])) or "nobody"
            loss, accuracy = (score.get(name, np.nan) for name in ("loss", "accuracy"))
            print(f"{exchange['round']:5}  {loss:.3f}  {accuracy:8.3f}  {who}")
            for name, reason in exchange["left_out"].items():
                print(f"       {name} is left out: {reason}")
    if not replay:
        return
    core, again = read_arrays(folder / "core.safetensors"), replayed(settings, exchanges)
    difference = max(np.abs(core[name] - again[name]).max() for name in again)
    print(f"greatest difference from the same rounds without Flower: {difference:.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--deploy", action="store_true", help="a SuperLink and two SuperNodes in place of a simulation")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kill", type=int, metavar="ROUND", help="SIGKILL for the second SuperNode after this round")
    parser.add_argument("--back", type=int, metavar="ROUND", help="start it again after this one")
    parser.add_argument("--alike", action="store_true", help="both clients have the images of 0 to 4")
    parser.add_argument("--folder", help="where heads, results and logs go; by default a temporary one")
    given = parser.parse_args()
    if (given.kill is not None or given.back is not None) and not given.deploy:
        parser.error("--kill and --back are for processes: add --deploy")
    os.environ.update(QUIET)
    with ExitStack() as stack:
        folder = given.folder or stack.enter_context(tempfile.TemporaryDirectory())
        Path(folder).mkdir(parents=True, exist_ok=True)
        if any(Path(folder).iterdir()):
            parser.error(f"--folder must be empty or new, got {folder}")
        settings = Settings(str(Path(folder).resolve()), given.rounds, given.alike)
        if given.deploy:
            deployed(settings, given.kill, given.back)
        else:
            simulated(settings)
        report(settings, replay=given.back is None)


if __name__ == "__main__":
    main()
