"""Deliberate faults in training: which of them do the tests notice?

    python tests/train/mutants.py [WORD...]

Each fault is put into a copy of ``src`` and the tests that should notice it are run there; faults whose name
holds one of the words, or all. Prints what survived; exit code 1 if more than ``ALLOWED`` did.
"""

# ruff: noqa: E501 - one fault a line
from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ALLOWED = 2


class Fault(NamedTuple):
    """A text that stands once in a file below ``src/pathsegmentor/train``, what replaces it, and who should notice.

    ``only`` chooses among the tests of the file, as pytest's ``-k`` does.
    """

    name: str
    file: str
    right: str
    wrong: str
    tests: str
    only: str = ""


CRITERION, STEP, RUN = "test_criterion.py", "test_step.py", "test_run.py"
BATCHES, CONFIG, START = "test_batches.py", "test_config.py", "test_start.py"

FAULTS = [
    Fault("matching inverted", "losses.py", "linear_sum_assignment(cost.nan_to_num(1e6, 1e6, -1e6)", "linear_sum_assignment(-cost.nan_to_num(1e6, 1e6, -1e6)", CRITERION),
    Fault("matching forgets the masks", "losses.py", "COST_BCE * pair_bce(logits, labels)", "0 * pair_bce(logits, labels)", CRITERION),
    Fault("matching forgets Dice", "losses.py", "+ COST_DICE * pair_dice", "+ 0 * pair_dice", CRITERION),
    Fault("matching prefers unlikely choices", "losses.py", "- COST_CHOICE * similarity", "+ COST_CHOICE * similarity", CRITERION),
    Fault("matching's softmax over prompts", "losses.py", "similarity.softmax(dim=-2)", "similarity.softmax(dim=-1)", CRITERION),
    Fault("present prompts are not matched", "criterion.py", "for b, p in present.nonzero().tolist():", "for b, p in []:", CRITERION),
    Fault("absent prompts are matched", "criterion.py", "present.nonzero().tolist()", "torch.ones_like(present).nonzero().tolist()", CRITERION),
    Fault("choice cross-entropy over prompts", "losses.py", "similarity.log_softmax(dim=-2)", "similarity.log_softmax(dim=-1)", CRITERION),
    Fault("choice taught on absent prompts", "criterion.py", "(choice(similarity, query) * targets.present)", "(choice(similarity, query))", CRITERION),
    Fault("Dice taught on absent prompts", "criterion.py", "(dice(inside, labels) * present)", "dice(inside, labels)", CRITERION),
    Fault("Dice without its epsilon above", "losses.py", "return 1 - (2 * overlap + epsilon)", "return 1 - (2 * overlap)", CRITERION),
    Fault("Dice counts the overlap once", "losses.py", "(2 * overlap + epsilon)", "(overlap + epsilon)", CRITERION),
    Fault("Dice of raw logits", "losses.py", "    p = logits.sigmoid()\n    overlap", "    p = logits\n    overlap", CRITERION),
    Fault("unknown pixels counted in the loss", "criterion.py", "sure = (known > 0.5).to(logits)", "sure = (known > -1).to(logits)", CRITERION),
    Fault("unknown pixels decide the match", "criterion.py", "    sure = known > 0.5\n", "    sure = known > -1\n", CRITERION),
    Fault("a small known part counts less", "criterion.py", "bce(inside, labels) / share * weight", "bce(inside, labels) * weight", CRITERION),
    Fault("absent prompts weigh as present ones", "criterion.py", "torch.where(present, 1.0, self.weights.empty)", "torch.ones_like(share)", CRITERION),
    Fault("presence untaught", "criterion.py", "total = total + w.presence * sums[\"presence\"]", "total = total + 0 * sums[\"presence\"]", CRITERION),
    Fault("presence taught upside down", "criterion.py", "targets.present.to(seen), reduction", "1 - targets.present.to(seen), reduction", CRITERION),
    Fault("presence learnt from unknown pixels", "criterion.py", "(masks & known).flatten(2)", "masks.flatten(2)", CRITERION),
    Fault("earlier predictions at full weight", "criterion.py", "depth = 1.0 if i == last else self.weights.deep", "depth = 1.0", CRITERION),
    Fault("only the last prediction is taught", "criterion.py", "sums[name] = sums.get(name, 0) + depth * value", "sums[name] = depth * value", CRITERION),
    Fault("parts of a step weigh by themselves", "criterion.py", "whole = whole or Whole.of(targets)", "whole = Whole.of(targets)", CRITERION),
    Fault("the wrong query is judged", "criterion.py", "maps.gather(2, query[", "maps.gather(2, (0 * query)[", CRITERION),
    Fault("weights of BCE and Dice swapped", "criterion.py", "w.bce * sums[\"bce\"] + w.dice * sums[\"dice\"]", "w.dice * sums[\"bce\"] + w.bce * sums[\"dice\"]", CRITERION),
    Fault("gradients add up over steps", "step.py", "run.optimizer.zero_grad(set_to_none=True)", "pass", STEP, "gradients_of_one_step"),
    Fault("average never updated", "step.py", "        update_average(run, schedule.ema)\n", "        pass\n", STEP, "every_step_updates"),
    Fault("average takes all of the weights", "step.py", "average.lerp_(value.to(average), 1 - decay)", "average.copy_(value)", STEP, "average_follows"),
    Fault("average moves the wrong way", "step.py", "average.lerp_(value.to(average), 1 - decay)", "average.lerp_(value.to(average), decay)", STEP, "average_follows"),
    Fault("counters of the average stand still", "step.py", "average.copy_(value)", "pass", STEP, "average_follows"),
    Fault("gradients not clipped", "step.py", "max_norm=schedule.clip", "max_norm=1e9", STEP, "clipped_and"),
    Fault("rate of the schedule not used", "step.py", "group[\"lr\"] = rate * group[\"factor\"]", "pass", STEP, "moves_weights"),
    Fault("rates of parts ignored", "step.py", "rate * group[\"factor\"]", "rate", STEP, "moves_weights"),
    Fault("random numbers not seeded", "step.py", "    torch.manual_seed(seed_of(run.config, run.step) + fabric.global_rank)\n", "", STEP, "random_numbers"),
    Fault("counts of one part only", "step.py", "device=run.fabric.device).sum(dim=0)", "device=run.fabric.device)[0]", STEP, "counts_all"),
    Fault("a gradient that is not finite passes", "step.py", "    if not scaled or run.overflows > OVERFLOWS:", "    if False:", RUN, "gradient_that_is_not"),
    Fault("a loss that is not finite passes", "step.py", "    if not math.isfinite(terms[\"total\"]):", "    if False:", RUN, "loss_that_is_not"),
    Fault("no warm-up", "optimiser.py", "return config.rate * (step + 1) / warm", "return config.rate", STEP, "rate_"),
    Fault("no decay of the rate", "optimiser.py", "config.rate * left**config.power", "config.rate", STEP, "rate_"),
    Fault("drops come too late", "optimiser.py", "step >= share * steps", "step > share * steps + 1", STEP, "rate_"),
    Fault("vectors decay", "optimiser.py", "config.decay if matrix else 0.0", "config.decay", STEP, "vectors"),
    Fault("frozen parts learn", "optimiser.py", "        if learns:\n", "        if True:\n", STEP, "vectors"),
    Fault("a look leaves the average in the network", "look.py", "            state[name].copy_(value)\n        teach(", "            pass\n        teach(", STEP, "look_uses"),
    Fault("a look uses the live weights", "look.py", "state[name].copy_(run.average[name])", "pass", STEP, "look_uses"),
    Fault("a look leaves evaluation mode on", "look.py", "        teach(net, run.config)\n", "        pass\n", STEP, "look_uses"),
    Fault("best is the worst", "loop.py", "score <= run.best", "score >= run.best", RUN, "keep_the_best"),
    Fault("optimiser not restored", "checkpoint.py", "    run.optimizer.load_state_dict(state[\"optimizer\"])\n", "", RUN, "cut_at_any_step and 5"),
    Fault("average not restored", "checkpoint.py", "            run.average[name].copy_(value)\n", "            pass\n", RUN, "cut_at_any_step and 5"),
    Fault("step not restored", "checkpoint.py", "run.step, run.best = state[\"step\"], state[\"best\"]", "run.best = state[\"best\"]", RUN, "cut_at_any_step and 5"),
    Fault("resume takes the oldest checkpoint", "loop.py", "restore(run, there[-1])", "restore(run, there[0])", RUN, "takes_the_newest"),
    Fault("resume takes other data", "checkpoint.py", "if state.get(\"manifest_sha256\") != manifest:", "if False:", RUN, "other_data"),
    Fault("resume takes another rate", "checkpoint.py", "FREE = (\"name\",", "FREE = (\"schedule\", \"name\",", RUN, "resume_refuses"),
    Fault("newest checkpoints are dropped", "checkpoint.py", "checkpoints(out)[: -run.config.saving.keep]", "checkpoints(out)[run.config.saving.keep :]", RUN, "what_a_run_folder"),
    Fault("lines of repeated steps stay", "folder.py", "if _step_of(line) < step]", "]", RUN, "cut_at_any_step and 5"),
    Fault("the live weights become the model", "loop.py", "write_model(run, out / \"model\", run.average, run.step)", "write_model(run, out / \"model\", run.net.state_dict(), run.step)", RUN, "model_is_the_average"),
    Fault("held-out images are trained on", "run.py", "pathseg.select(\"train\", config.sources, config.held_out, config.seed)", "pathseg.select(\"train\", config.sources, 0, config.seed)", RUN, "nothing_held_out"),
    Fault("a model's tokenizer is not taken", "start.py", "return Start(net, model.tokenizer,", "return Start(net, prompt_tokenizer([\"x\"], config_vocab),".replace("config_vocab", "300"), START, "brings_its"),
    Fault("a model's labels are forgotten", "start.py", "known + sorted(set(labels) - set(known))", "sorted(labels)", START, "brings_its"),
    Fault("masks are not turned with pixels", "batches.py", "label: warp(mask.astype(np.uint8), affine, size, nearest=True)", "label: warp(mask.T.astype(np.uint8), affine, size, nearest=True)", BATCHES, "masks_follow or fit"),
    Fault("beyond the border is known", "batches.py", "        sure = inside(shape, affine, size)\n", "        sure = np.ones((size, size), bool)\n", BATCHES, "fit"),
    Fault("every step is the first", "batches.py", "rng = np.random.default_rng([self.seed, step])", "rng = np.random.default_rng([self.seed, 0])", BATCHES, "seed_and_step"),
    Fault("the seed is not used", "batches.py", "np.random.default_rng([self.seed, step, i])", "np.random.default_rng([0, step, i])", BATCHES, "parts_of_a_batch or another_seed"),
    Fault("every part draws the first images", "batches.py", "rows = np.arange(images)[part::parts]", "rows = np.arange(images)[: len(range(part, images, parts))]", BATCHES, "parts_of_a_batch"),
    Fault("epochs are not shuffled anew", "order.py", "[self._seed, epoch, 1]", "[self._seed, 1]", BATCHES, "epoch"),
    Fault("rare labels are not drawn more often", "order.py", "np.sqrt(balance * len(labels) / n)", "np.sqrt(balance)", BATCHES, "rare"),
    Fault("what is computed again has another random depth", "recompute.py", "use_reentrant=False)", "use_reentrant=False, preserve_rng_state=False)", "test_recompute.py", "weights_are"),
    Fault("nothing is computed again", "recompute.py", "if isinstance(block, BLOCKS):", "if False:", "test_recompute.py", "keeps_less"),
    Fault("a run asks by the paper's prompts only", "run.py", "material.config.model.prompt_of(Label.from_id(material.start.labels[i]))", "Label.from_id(material.start.labels[i]).prompt", START, "own_prompts"),
]  # fmt: skip


def applied(fault: Fault, source: Path) -> None:
    """Put a fault into a copy of ``src``; its text must stand there exactly once."""
    path = source / "pathsegmentor" / "train" / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.right) != 1:
        raise ValueError(f"'{fault.name}': its text stands {text.count(fault.right)} times in {fault.file}")
    path.write_text(text.replace(fault.right, fault.wrong), encoding="utf-8")


def passes(fault: Fault | None, tests: str, only: str, data: Path) -> bool:
    """Run tests in a child of this process, which has loaded the heavy libraries already."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if fault is not None:
            applied(fault, source)
        child = os.fork()
        if child == 0:
            os.environ["TINY_PATHSEG"] = str(data)
            _run_tests(source, [f"tests/train/{tests}", "-k", only], Path(folder) / "tmp")
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _run_tests(source: Path, tests: list[str], scratch: Path) -> None:
    """In the child: never returns."""
    import pytest

    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(ROOT)
    sys.path[:0] = [str(source), str(ROOT)]
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={scratch}"]
    # Libraries loaded above may bring plugins of pytest along, which pytest would have liked to load itself.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    os._exit(int(pytest.main([*options, *tests])))


def main(words: list[str]) -> int:
    """Try all faults, or those whose name holds a word."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # Loaded once, not once per fault.
    import lightning_fabric
    import scipy.optimize
    import torch.utils.tensorboard

    del lightning_fabric, scipy, torch
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        data = _tiny_data(Path(folder))
        # What fails without any fault notices nothing.
        for tests, only in sorted({(fault.tests, fault.only) for fault in chosen}):
            if not passes(None, tests, only, data):
                print(f"{tests} -k '{only}' fails without any fault")
                return 1
        alive = []
        for fault in chosen:
            began = time.monotonic()
            lives = passes(fault, fault.tests, fault.only, data)
            alive += [fault.name] * lives
            print(f"{'SURVIVES' if lives else 'noticed '}  {time.monotonic() - began:5.1f} s  {fault.name}", flush=True)
    print(f"{len(alive)} of {len(chosen)} faults survive{': ' if alive else ''}{'; '.join(alive)}")
    return int(len(alive) > ALLOWED)


def _tiny_data(folder: Path) -> Path:
    """The data set of the tests, built once by a child: this process must not import what is to be changed."""
    child = os.fork()
    if child == 0:
        sys.path[:0] = [str(ROOT / "src"), str(ROOT)]
        from tests.train.tiny import make_data

        make_data(folder)
        os._exit(0)
    os.waitpid(child, 0)
    return folder / "pathseg"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
