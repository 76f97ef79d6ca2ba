"""What loading takes of the host's memory, measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc/self/status")

MEASURE = """
import json, sys, threading, time
from pathlib import Path
import torch
from longtake.model.config import TransformerConfig
from longtake.model.longlive.layouts import find_transformer, open_transformer
from longtake.model.longlive.names import lora_targets
from longtake.model.longlive.weights import Lora, from_file, materialise
from longtake.model.network.transformer import Transformer

torch.set_num_threads(1)
folder, action = Path(sys.argv[1]), sys.argv[2]
sizes = TransformerConfig(dim=512, ffn_dim=4096, heads=4, layers=4, text_tokens=8, text_dim=64,
                          latent_height=4, latent_width=6)
if action == "write":
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Transformer(sizes).state_dict().items()}
    torch.save({"generator": {f"model.{n}": torch.full(s, 0.5) for n, s in shapes.items()}},
               folder / "longlive_base.pt")
    lora = {}
    for module in lora_targets(sizes.layers):
        out, width = shapes[f"{module}.weight"]
        lora[f"{module}.lora_A.weight"], lora[f"{module}.lora_B.weight"] = torch.ones(8, width), torch.ones(out, 8)
    torch.save({"generator_lora": lora}, folder / "lora.pt")
    sys.exit()

def anonymous():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024

def load(root):
    found = find_transformer(root, ("longlive",), with_lora=True)
    with torch.device("meta"):
        module = Transformer(sizes)
    write = from_file(open_transformer(found), module, what="it", lora=Lora.open(found.lora, alpha=8))
    peak = anonymous()
    def watched(name, memory):
        nonlocal peak
        write(name, memory)
        peak = max(peak, anonymous())
    materialise(module, watched, dtype=torch.bfloat16, device=torch.device("cpu"))
    return module, peak

# What the libraries import and set up when first used is not the weights'.
with torch.device("meta"):
    small = torch.nn.Linear(300, 300)
    Transformer(sizes)
scratch = torch.zeros(300, 300)
materialise(small, lambda name, memory: memory.zero_(), dtype=torch.bfloat16, device=torch.device("cpu"))
scratch.addmm_(scratch, scratch)
open_transformer(find_transformer(folder, ("longlive",), with_lora=True))
before = anonymous()
highest = [0]
stop = threading.Event()
def sample():
    while not stop.is_set():
        highest[0] = max(highest[0], anonymous())
        time.sleep(0.0005)
threading.Thread(target=sample, daemon=True).start()
module, peak = load(folder)
stop.set()
tensors = [p for p in module.parameters()]
print(json.dumps({"grown": max(peak, highest[0]) - before, "weights": sum(t.nbytes for t in tensors),
                  "largest": max(t.nbytes for t in tensors)}))
"""


def run(folder: Path, action: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(folder), action], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_holds_the_weights_and_two_tensors_at_most(tmp_path: Path) -> None:
    """fp32 files, LoRA merged, cast to bf16: a reader that loads the files first would hold three times as much."""
    run(tmp_path, "write")
    measured = json.loads(run(tmp_path, "load"))
    on_disk = (tmp_path / "longlive_base.pt").stat().st_size
    assert on_disk > 1.9 * measured["weights"]
    assert measured["grown"] <= measured["weights"] + 2 * measured["largest"], measured
