"""`longtake eval vbench`: film prompt lists, and name the films so that the public `vbench` tool can score them.

A list is a text file with one prompt a line, as in VBench's `prompts/prompts_per_dimension`, or a folder of such files.
Each list becomes a folder of `PROMPT-INDEX.mp4` with nothing else in it, because `vbench` takes the type of the first
file for the type of all. Next to the folder are `LIST.json` (what was filmed, with seeds and cues) and
`LIST.prompts.json` (file to prompt, for `vbench evaluate --mode=custom_input --prompt_file`). LongLive's interactive
files (`.jsonl`) become one film a line, with the cues in `LIST.json`. Films that exist are kept, so an interrupted run
continues.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtake.runtime.cli.arguments import (
    add_hosting_arguments,
    add_json_argument,
    count,
    file_path,
    positive_seconds,
    seed,
)
from longtake.runtime.cli.hosting import hosted
from longtake.runtime.cli.output import print_json
from longtake.runtime.cli.render import Film, shoot
from longtake.runtime.cli.scenario_argument import Plan, add_switches_argument, prompt_file
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.scenarios.schema import Scenario

SAMPLES = 5
FLICKER_SAMPLES = 25
"""for `temporal_flickering`, which drops films with motion before it scores"""
SECONDS, LONG_SECONDS = 5.0, 30.0
"""length of a film for VBench and for VBench-Long"""
MAX_NAME_BYTES = 255
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class PromptList:
    """A list of VBench: the prompts that name the films, and those the model gets."""

    name: str
    named: list[str]
    told: list[str]
    """the same prompts, or longer versions of them"""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """One film of a list."""

    file: str
    prompt: str
    """what the film is scored against"""
    film: Film
    line: int
    index: int


def add_vbench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `eval vbench`."""
    parser.add_argument(
        "lists", nargs="+", type=file_path, metavar="LIST", help="a .txt, a folder of them, or a .jsonl"
    )
    parser.add_argument(
        "--output", "-o", type=file_path, default=Path("renders/vbench"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--long", action="store_true", help=f"film {LONG_SECONDS:g} s for VBench-Long instead of {SECONDS:g}"
    )
    parser.add_argument("--seconds", type=positive_seconds, help="length of a film")
    parser.add_argument(
        "--samples", type=count, help=f"films a prompt (default: {SAMPLES}; {FLICKER_SAMPLES} for temporal_flickering)"
    )
    parser.add_argument(
        "--extended",
        type=file_path,
        metavar="FILE.txt",
        help="longer versions of the list's prompts, line by line; these are filmed, the short ones name the films",
    )
    add_switches_argument(parser)
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the first sample; the next has one more (default: %(default)s)"
    )
    add_hosting_arguments(parser, endpoint=True)
    add_json_argument(parser)


def run_vbench(options: argparse.Namespace) -> int:
    """Film every list. Raises LongtakeError."""
    paths = list_files(options.lists)
    if options.extended is not None and (len(paths) != 1 or paths[0].suffix != ".txt"):
        raise UsageError("--extended goes with a single .txt, line by line")
    lists = {path: read_list(path, options.extended) for path in paths if path.suffix == ".txt"}
    plans = {
        path: Plan(model=options.model, prompts=prompt_file(str(path), options.switch_latents))
        for path in paths
        if path not in lists
    }
    done = []
    with hosted(options, model=options.model) as endpoint:
        for path in paths:
            shots = (
                shots_of(lists[path], options) if path in lists else interactive_shots(plans[path], options, endpoint)
            )
            done.append(film_list(path.stem, shots, options, endpoint))
    if options.json:
        print_json({"lists": done})
    else:
        for row in done:
            print(f"{row['folder']}  {row['films']} films, {row['made']} of them made now")
    return OK


def list_files(given: Sequence[Path]) -> list[Path]:
    """Return the files of the lists given; a folder gives its lists. Raises `UsageError`."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(path.glob("*.txt"))
            if not inside:
                raise UsageError(f"{path} holds no .txt with prompts")
            found += inside
        elif path.suffix not in (".txt", ".jsonl"):
            raise UsageError(f"{path}: a list is a .txt with a prompt a line, or LongLive's .jsonl")
        elif not path.is_file():
            raise UsageError(f"{path}: no such list of prompts")
        else:
            found.append(path)
    if len({path.stem for path in found}) < len(found):
        raise UsageError("two of the lists have the same name and would share a folder")
    return found


def read_list(path: Path, extended: Path | None) -> PromptList:
    """Read a list and the longer versions of its prompts. Raises `UsageError`."""
    named = prompts_in(path)
    told = named if extended is None else prompts_in(extended)
    if len(told) != len(named):
        raise UsageError(f"{extended} has {len(told)} prompts, {path} {len(named)}: they go line by line")
    return PromptList(name=path.stem, named=named, told=told)


def prompts_in(path: Path) -> list[str]:
    """Return the lines of a file that are not empty. Raises LongtakeError."""
    from longtake.scenarios.interactive import checked_prompt, text_lines

    prompts = [checked_prompt(f"{path}:{number}", line) for number, line in text_lines(path)]
    if not prompts:
        raise UsageError(f"{path}: no prompts in it")
    return prompts


def shots_of(prompts: PromptList, options: argparse.Namespace) -> list[Shot]:
    """Return the films of a list; a prompt that is there twice is filmed once."""
    samples = options.samples or (FLICKER_SAMPLES if prompts.name == "temporal_flickering" else SAMPLES)
    length = options.seconds or (LONG_SECONDS if options.long else SECONDS)
    shots, seen = [], set()
    for line, (named, told) in enumerate(zip(prompts.named, prompts.told, strict=True), start=1):
        if named in seen:
            continue
        seen.add(named)
        for index in range(samples):
            file = file_name(named, index, f"{prompts.name}-{line}")
            film = Film(
                model=options.model,
                seconds=length,
                seed=options.seed + index,
                video=options.output / prompts.name / file,
                prompt=told,
            )
            shots.append(Shot(file=file, prompt=named, film=film, line=line, index=index))
    return shots


def file_name(prompt: str, index: int, instead: str) -> str:
    """Return `PROMPT-INDEX.mp4`, as VBench wants it; a prompt that cannot be a file name goes by list and line."""
    name = f"{prompt}-{index}.mp4"
    fits = len(name.encode()) <= MAX_NAME_BYTES and not {"/", "\0", *((os.sep, ":") if os.name == "nt" else ())} & {
        *name
    }
    return name if fits and not name.startswith(".") else f"{instead}-{index}.mp4"


def interactive_shots(plan: Plan, options: argparse.Namespace, endpoint: str) -> list[Shot]:
    """Return one film for each line of LongLive's interactive prompts. Raises LongtakeError."""
    assert plan.prompts is not None
    shots = []
    for line, scenario in enumerate(plan.scenarios(endpoint, options.seed), start=1):
        for index in range(options.samples or 1):
            file = f"{scenario.name}-{index}.mp4"
            film = Film(
                model=options.model,
                seconds=options.seconds or scenario.seconds,
                seed=options.seed + index,
                video=options.output / plan.prompts.path.stem / file,
                scenario=scenario,
            )
            shots.append(Shot(file=file, prompt=scenario.template, film=film, line=line, index=index))
    return shots


def film_list(name: str, shots: Sequence[Shot], options: argparse.Namespace, endpoint: str) -> dict[str, Any]:
    """Film what is missing, and update the account after every film. Raises LongtakeError.

    A folder is one command's: two that write the same account would each lose what the other filmed.
    """
    from longtake.model.locks import Locked, locked

    folder = options.output / name
    try:
        with locked(folder / ".lock"):
            return _film_list(name, shots, options, endpoint)
    except Locked:
        raise UsageError(
            f"another longtake is filming into {folder}: wait for it, or choose another --output"
        ) from None


def _film_list(name: str, shots: Sequence[Shot], options: argparse.Namespace, endpoint: str) -> dict[str, Any]:
    folder, account = options.output / name, options.output / f"{name}.json"
    entries = read_account(account)
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for shot in shots:
        wanted = asked(shot)
        before = entries.get(shot.file)
        if before is not None and shot.film.video.is_file():
            if {key: before.get(key) for key in wanted} != wanted:
                raise UsageError(
                    f"{shot.film.video} was filmed with other settings ({account}); choose another --output"
                )
            continue
        filmed = shoot(shot.film, endpoint, quiet=options.json)
        if others := {str(entry.get("weights")) for entry in entries.values()} - {filmed.weights}:
            shot.film.video.unlink()
            raise UsageError(
                f"{folder} has films of weights {', '.join(sorted(others))}, the model's are {filmed.weights}; "
                "choose another --output"
            )
        timeline = [{"tick": mark.tick, "second": mark.tick / filmed.fps, "prompt": mark.prompt}
                    for mark in filmed.timeline]  # fmt: skip
        entries[shot.file] = {
            **wanted, "frames": filmed.ticks, "fps": filmed.fps, "digest": filmed.digest, "weights": filmed.weights,
            "cues": timeline,
        }  # fmt: skip
        write_json(account, {"format": FORMAT, "list": name, "films": entries})
        made += 1
    write_json(options.output / f"{name}.prompts.json", {shot.file: shot.prompt for shot in shots})
    return {"folder": str(folder), "account": str(account), "films": len(shots), "made": made}


def asked(shot: Shot) -> dict[str, Any]:
    """Return what a film should be like, in the form of its list's account."""
    film = shot.film
    return {
        "prompt": shot.prompt,
        "told": film.prompt or shot.prompt,
        "line": shot.line,
        "index": shot.index,
        "seed": film.seed,
        "seconds": film.seconds,
        "model": film.model,
        "switches": switches(film.scenario) if film.scenario else [],
    }


def switches(scenario: "Scenario") -> list[dict[str, Any]]:
    """Return when the scenario's prompts start, in ticks."""
    return [{"tick": moment.tick, "prompt": moment.prompt} for moment in scenario.timeline]


def read_account(path: Path) -> dict[str, Any]:
    """Read the films of an earlier run. Raises `UsageError`."""
    if not path.is_file():
        return {}
    from longtake.model.json_object import parse_object

    try:
        body = parse_object(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path} is damaged ({error}); remove it and the folder beside it") from None
    films = body.get("films")
    if not isinstance(films, dict) or not all(isinstance(film, dict) for film in films.values()):
        raise UsageError(f"{path} is not an account of films; choose another --output")
    return films


def write_json(path: Path, value: Any) -> None:
    """Replace a file in one step, so that an interrupted run leaves the old one."""
    from longtake.clients.film.whole_file import WholeFile

    with WholeFile(path) as file:
        file.part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
