"""LoRA: what it computes, what is trained, and its file both ways with the public loader."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from longtake.model.config import preset
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.longlive.names import lora_targets
from longtake.model.longlive.weights import Lora, merge
from longtake.model.network.transformer import Transformer
from longtake.model.ops.linear.upcast import upcast_linear
from longtake.model.training.lora import (
    LoraConfig,
    add_lora,
    load_lora,
    lora_maps,
    lora_state,
    merge_lora,
    save_lora,
)
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning

CONFIG = LoraConfig(rank=4, alpha=6.0)
SIZES = preset("tiny").transformer


def network(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    transformer = Transformer(SIZES)
    torch.nn.init.normal_(transformer.head.head.weight)
    return transformer


def changed(transformer: Transformer, seed: int = 1) -> Transformer:
    """The transformer with a LoRA that changes something."""
    generator = torch.Generator().manual_seed(seed)
    for weight in add_lora(transformer, CONFIG):
        torch.nn.init.normal_(weight, std=0.1, generator=generator)
    return transformer


def output(transformer: Transformer) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    xt = torch.randn(1, 3, *SIZES.latent_shape, generator=generator)
    text = torch.randn(1, SIZES.text_tokens, SIZES.text_dim, generator=generator)
    return BidirectionalScore(transformer, Schedule(5.0)).flow(xt, torch.tensor([500.0]), Conditioning(text=text))


def test_a_new_lora_changes_nothing_and_is_all_that_learns() -> None:
    transformer = network()
    before = output(transformer).detach()
    trained = add_lora(transformer, CONFIG)
    assert torch.equal(output(transformer), before)
    assert len(trained) == 2 * 10 * SIZES.layers
    assert {id(p) for p in transformer.parameters() if p.requires_grad} == {id(p) for p in trained}
    assert all(weight.dtype == torch.float32 for weight in trained)
    output(transformer).sum().backward()
    # B is zero, so that at first only B has a gradient.
    for _, module in lora_maps(transformer):
        assert module.lora_B.weight.grad is not None
        assert module.lora_B.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in transformer.parameters() if not p.requires_grad)


def test_the_weights_keep_their_names() -> None:
    transformer = network()
    names = set(transformer.state_dict())
    add_lora(transformer, CONFIG)
    assert names <= set(transformer.state_dict())
    assert [name for name, _ in lora_maps(transformer)] == [
        name for name, _ in transformer.named_modules() if name in lora_targets(SIZES.layers)
    ]


def test_merging_computes_the_same() -> None:
    transformer = changed(network())
    wanted = output(transformer).detach()
    assert not torch.allclose(wanted, output(network()), rtol=1e-2)
    merge_lora(transformer)
    assert set(transformer.state_dict()) == set(network().state_dict())
    torch.testing.assert_close(output(transformer), wanted, rtol=1e-4, atol=1e-5)


def test_inference_wants_it_merged() -> None:
    transformer = changed(network())
    with pytest.raises(ConfigError, match="merge it"):
        transformer.replace_linears(upcast_linear)
    merge_lora(transformer)
    transformer.replace_linears(upcast_linear)


def test_half_precision_weights_keep_a_full_precision_lora() -> None:
    transformer = changed(network().bfloat16())
    assert output(transformer).dtype == torch.bfloat16
    assert all(module.lora_A.weight.dtype == torch.float32 for _, module in lora_maps(transformer))


def test_the_public_loader_reads_what_was_saved(tmp_path: Path) -> None:
    transformer = changed(network())
    save_lora(tmp_path / "lora.pt", generator=transformer, critic=changed(network(), seed=2), step=700)
    content = torch.load(tmp_path / "lora.pt", weights_only=True)
    assert set(content) == {"generator_lora", "critic_lora", "step"}
    assert content["step"] == 700
    public = Lora.open(tmp_path / "lora.pt", alpha=CONFIG.alpha)
    base = network()
    public.check({n: p.shape for n, p in base.named_parameters()}, lora_targets(SIZES.layers))
    weights = dict(base.named_parameters())
    merge_lora(transformer)
    for module, pair in public.pairs.items():
        memory = torch.empty_like(weights[f"{module}.weight"])
        merge(weights[f"{module}.weight"].detach(), pair, public.alpha, memory, torch.empty(2**16))
        torch.testing.assert_close(memory, transformer.get_parameter(f"{module}.weight"), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", ["generator", "critic"])
def test_a_saved_lora_comes_back(tmp_path: Path, part: str) -> None:
    saved = {"generator": changed(network(), seed=1), "critic": changed(network(), seed=2)}
    save_lora(tmp_path / "lora.pt", generator=saved["generator"], critic=saved["critic"])
    again = network()
    add_lora(again, CONFIG)
    load_lora(tmp_path / "lora.pt", again, part)  # type: ignore[arg-type]
    assert torch.equal(output(again), output(saved[part]))
    assert not list(tmp_path.glob("*.part"))


def test_a_public_file_can_be_trained_on(tmp_path: Path) -> None:
    state = {name.replace("lora_A.", "lora_A.default."): t for name, t in lora_state(changed(network())).items()}
    torch.save(state, tmp_path / "lora.pt")
    again = network()
    add_lora(again, CONFIG)
    load_lora(tmp_path / "lora.pt", again)
    assert torch.equal(output(again), output(changed(network())))


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    transformer = network()
    add_lora(transformer, LoraConfig(rank=3, alpha=6.0))
    save_lora(tmp_path / "lora.pt", generator=changed(network()))
    with pytest.raises(CheckpointError, match=r"lora_A of blocks\.0.* is \[4, 48\], not \[3, 48\]"):
        load_lora(tmp_path / "lora.pt", transformer)
    with pytest.raises(CheckpointError, match="differ in lora_A of blocks"):
        load_lora(tmp_path / "lora.pt", network())
    with pytest.raises(CheckpointError, match="missing"):
        load_lora(tmp_path / "none.pt", transformer)
    with pytest.raises(ConfigError, match="already"):
        add_lora(transformer, CONFIG)
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_lora(tmp_path / "lora.pt" / "inside.pt", generator=transformer)
