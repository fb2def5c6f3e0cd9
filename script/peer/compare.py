"""Ours and EZKL's, model by model on this machine, proofs alternating; called by script/bench --peer:

    compare.py [--runs N] RESULTS MODEL_FOLDER...

Inputs and outputs are public and weights private in both. A proof's time and memory are those of its whole process,
keys and witness included; gas is that of the whole transaction on anvil (EZKL) and in the in-process EVM (ours), under
the same rules. RESULTS is a JSON file, which table.mjs prints; progress goes to standard error."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VOUCH = ROOT / "target/debug/vouch"
STEP = Path(__file__).with_name("step.py")
PORT = 8599
# EZKL's verifiers may be larger than a chain takes.
ANVIL = ["anvil", "--port", str(PORT), "--disable-code-size-limit", "--gas-limit", "1000000000", "--hardfork", "cancun"]
LONGEST_STEP = 1800


def run(command):
    """Runs a process; the last line of its output as JSON, its wall time (s) and its peak memory (bytes)."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen([str(part) for part in command], stdout=output, stderr=errors, cwd=ROOT)
        deadline = start + LONGEST_STEP
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() > deadline:
                child.kill()
            time.sleep(0.005)
        seconds = time.perf_counter() - start
        output.seek(0)
        errors.seek(0)
        text = output.read().decode(errors="replace").strip()
        if os.waitstatus_to_exitcode(status) != 0:
            words = (text + errors.read().decode(errors="replace")).strip().splitlines()
            raise RuntimeError(f"{Path(command[0]).name} {Path(command[1]).name}: {words[-1] if words else 'no word'}")
    return json.loads(text.splitlines()[-1]), seconds, usage.ru_maxrss * 1024


class Ours:
    name = "vouch"
    objective = "prover"

    def __init__(self, model, work):
        self.model, self.dir, self.proof = model, work / self.objective, work / f"{self.objective}.json"
        compiled, *_ = run([VOUCH, "compile", model / "network.onnx", "--calibrate", model / "calib.json",
                            "--test", model / "test.npz", "--objective", self.objective, "--out", self.dir, "--json"])
        set_up, self.setup_seconds, _ = run([VOUCH, "setup", self.dir, "--insecure-dev-srs", "--json"])
        self.k, self.error = compiled["k"], compiled["max_abs_error"]

    def prove(self):
        proven, seconds, memory = run([VOUCH, "prove", self.dir, "--input", self.model / "input.json",
                                       "--out", self.proof, "--json"])
        self.proof_bytes = proven["proof_bytes"]
        return seconds, memory

    def finish(self):
        verified, *_ = run([VOUCH, "verify", self.dir, self.proof, "--evm", "--json"])
        self.gas, self.runtime_bytes = verified["gas"], verified["runtime_bytes"]


class OursForGas(Ours):
    name = "vouch, gas plan"
    objective = "gas"


class Peer:
    name = "EZKL"

    def __init__(self, model, work):
        self.model, self.work = model, work / "ezkl"
        self.work.mkdir()
        self.k = self.step("settings")[0]["k"]
        self.srs = ROOT / f"target/peer/kzg{self.k}.srs"
        if not self.srs.exists():
            self.step("srs", self.srs)
        self.setup_seconds = self.step("setup", self.srs)[1]

    def step(self, name, *more):
        return run([sys.executable, STEP, name, self.model, self.work, *more])

    def prove(self):
        _, seconds, memory = self.step("prove", self.srs)
        return seconds, memory

    def finish(self):
        if not self.step("verify", self.srs)[0]["accepted"]:
            raise RuntimeError("EZKL refuses its own proof")
        self.error = self.step("error")[0]["max_abs_error"]
        proof = json.loads((self.work / "proof.json").read_text())
        self.proof_bytes = len(proof["proof"]) if isinstance(proof["proof"], list) else len(proof["hex_proof"]) // 2 - 1
        calldata = self.step("contract", self.srs)[0]["calldata"]
        creation, runtime = compile_solidity(self.work / "Verifier.sol")
        self.runtime_bytes = len(runtime) // 2
        self.gas = gas_on_anvil(creation, calldata)


def compile_solidity(path):
    """Creation and runtime code of the largest contract of a file, hexadecimal."""
    request = {
        "language": "Solidity",
        "sources": {"Verifier.sol": {"content": path.read_text()}},
        "settings": {"optimizer": {"enabled": True, "runs": 1}, "evmVersion": "cancun",
                     "outputSelection": {"*": {"*": ["evm.bytecode.object", "evm.deployedBytecode.object"]}}},
    }
    answer = subprocess.run([ROOT / "script/solc", "--standard-json"], input=json.dumps(request), text=True,
                            capture_output=True, check=True, cwd=ROOT).stdout
    contracts = json.loads(answer)["contracts"]["Verifier.sol"].values()
    codes = [(c["evm"]["bytecode"]["object"], c["evm"]["deployedBytecode"]["object"]) for c in contracts]
    return max(codes, key=lambda code: len(code[1]))


def rpc(method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}", body, {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])
    return answer["result"]


def send(data, to=None):
    """The receipt of a transaction, which must succeed."""
    transaction = {"from": rpc("eth_accounts")[0], "data": "0x" + data, "gas": hex(900_000_000)}
    if to:
        transaction["to"] = to
    digest = rpc("eth_sendTransaction", transaction)
    for _ in range(200):
        receipt = rpc("eth_getTransactionReceipt", digest)
        if receipt:
            if receipt["status"] != "0x1":
                raise RuntimeError("the verifier's transaction reverted")
            return receipt
        time.sleep(0.05)
    raise RuntimeError("anvil does not mine")


def gas_on_anvil(creation, calldata):
    anvil = subprocess.Popen([ROOT / "script/foundry", *ANVIL], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                rpc("eth_chainId")
                break
            except OSError:
                time.sleep(0.1)
        contract = send(creation)["contractAddress"]
        return int(send(calldata, contract)["gasUsed"], 16)
    finally:
        anvil.terminate()
        anvil.wait()


def measure(model, runs):
    with tempfile.TemporaryDirectory() as folder:
        systems = []
        failures = {}
        for system in (Ours, OursForGas, Peer):
            print(f"{model.name}: {system.name}: set-up", file=sys.stderr)
            try:
                systems.append(system(model, Path(folder)))
            except RuntimeError as error:
                failures[system.name] = str(error)
        samples = {system.name: [] for system in systems}
        for turn in range(runs):
            for system in systems:
                print(f"{model.name}: {system.name}: proof {turn + 1} of {runs}", file=sys.stderr)
                try:
                    samples[system.name].append(system.prove())
                except RuntimeError as error:
                    failures[system.name] = str(error)
        figures = {}
        for system in systems:
            if system.name in failures:
                continue
            try:
                system.finish()
            except RuntimeError as error:
                failures[system.name] = str(error)
                continue
            figures[system.name] = {
                "k": system.k,
                "setup_seconds": system.setup_seconds,
                "prove_seconds": statistics.median(seconds for seconds, _ in samples[system.name]),
                "all_prove_seconds": [seconds for seconds, _ in samples[system.name]],
                "peak_memory_bytes": max(memory for _, memory in samples[system.name]),
                "proof_bytes": system.proof_bytes,
                "runtime_bytes": system.runtime_bytes,
                "gas": system.gas,
                "max_abs_error": system.error,
            }
    return {"model": model.name, "figures": figures, "failures": failures}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    (ROOT / "target/peer").mkdir(parents=True, exist_ok=True)
    results = [measure(model.resolve(), arguments.runs) for model in arguments.models]
    arguments.results.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
