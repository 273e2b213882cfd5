"""nnU-Net's part of the work, run by the Python of its own environment: this file imports nothing of this project.

``python nnunet_work.py train JOB.json`` plans, preprocesses and trains; ``python nnunet_work.py predict FOLDER DEVICE``
answers one JSON line per image: ``{"image": NPY (H, W, 3), "out": NPY}`` in, ``{}`` or ``{"error": ...}`` out.
F. Isensee et al., "nnU-Net", 2021; its Python interface, since its commands do not start where torchvision does not.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

# Of nnU-Net 2: which of the planned networks, and where a trained one lies.
CONFIGURATION, FOLD = "2d", "all"
CHECKPOINT, STATE = "checkpoint_final.pth", "state.pth"
POWER = 0.9


def train(job_path: Path) -> None:
    """Train as the job says, or go on from its last state; leaves plans, dataset and checkpoint in ``job['out']``."""
    job = json.loads(job_path.read_text(encoding="utf-8"))
    # An interrupt at the terminal reaches every process; the one that started this one passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    work = Path(job["work"])
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(work / name)
    os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "nnUNet_compile": "f"}
    plans = _plans(job, work)
    # Planning dies without a process of its own for augmentation; in training there is none that could die.
    os.environ |= {"nnUNet_n_proc_DA": "0"}
    trainer = _trainer(job, plans, work)
    _learn(trainer, job, Path(job["out"]))


def _plans(job: dict[str, Any], work: Path) -> dict[str, Any]:
    """Planned (and shrunk, where asked) and preprocessed, once; the last file written says that it is done."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    done = work / "plans.json"
    if not done.is_file():
        extract_fingerprints([job["id"]], num_processes=1, show_progress_bar=False)
        name = plan_experiments([job["id"]])
        path = work / "preprocessed" / job["dataset"] / f"{name}.json"
        plans = json.loads(path.read_text(encoding="utf-8"))
        if job["shrunk"]:
            _shrink(plans["configurations"][CONFIGURATION], job["shrunk"])
            path.write_text(json.dumps(plans, indent=1), encoding="utf-8")
        preprocess([job["id"]], name, (CONFIGURATION,), (1,), show_progress_bar=False)
        beside = work / "plans.part"
        beside.write_text(json.dumps(plans, indent=1), encoding="utf-8")
        beside.replace(done)
    plans = json.loads(done.read_text(encoding="utf-8"))
    return dict(plans)


def _shrink(plan: dict[str, Any], wish: dict[str, Any]) -> None:
    """Smaller patches, fewer and narrower stages; every list of the plan has one entry per stage."""
    plan["patch_size"], plan["batch_size"] = [wish["patch"]] * 2, wish["batch"]
    network = plan["architecture"]["arch_kwargs"]
    widths = wish["features"]
    stages = len(widths)
    network["n_stages"], network["features_per_stage"] = stages, widths
    for name in ("kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage"):
        if name in network:
            network[name] = network[name][:stages]
    network["n_conv_per_stage_decoder"] = network["n_conv_per_stage_decoder"][: stages - 1]


def _trainer(job: dict[str, Any], plans: dict[str, Any], work: Path) -> Any:
    import numpy as np
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    np.random.seed(job["seed"])
    torch.manual_seed(job["seed"])
    dataset = json.loads((work / "raw" / job["dataset"] / "dataset.json").read_text(encoding="utf-8"))
    plans = plans | {"continue_training": False}
    trainer = nnUNetTrainer(plans, CONFIGURATION, FOLD, dataset, torch.device(job["device"]))
    trainer.initialize()
    trainer.on_train_start()
    return trainer


def _learn(trainer: Any, job: dict[str, Any], out: Path) -> None:
    """nnU-Net's own step, as often as the budget allows; its rate falls with the share of the budget that is spent."""
    import numpy as np
    import torch

    state_path = Path(job["work"]) / STATE
    step, spent = 0, 0.0
    if state_path.is_file():
        state = torch.load(state_path, map_location=trainer.device, weights_only=True)
        trainer.network.load_state_dict(state["net"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["spent"]
        np.random.seed((job["seed"] + step) % 2**32)
    trainer.network.train()
    said, asked_to_stop = sys.stdout, []
    signal.signal(signal.SIGTERM, lambda number, frame: asked_to_stop.append(number))
    clock = time.perf_counter if trainer.device.type == "cuda" else time.process_time
    while (share := step / job["steps"] if job["steps"] else spent / (60 * job["minutes"])) < 1:
        began = clock()
        for group in trainer.optimizer.param_groups:
            group["lr"] = trainer.initial_lr * (1 - share) ** POWER
        loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
        step, spent = step + 1, spent + clock() - began
        line = json.dumps({"step": step, "loss": round(float(loss), 5), "spent": round(spent, 2)})
        print(line, file=said, flush=True)
        if step % job["save_steps"] == 0 or asked_to_stop:
            _save(trainer, state_path, step, spent)
        if asked_to_stop:
            raise SystemExit(128 + signal.SIGTERM)
    _save(trainer, state_path, step, spent)
    _finish(trainer, out)


def _save(trainer: Any, path: Path, step: int, spent: float) -> None:
    import torch

    state = {"net": trainer.network.state_dict(), "optimizer": trainer.optimizer.state_dict()}
    torch.save(state | {"step": step, "spent": spent}, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def _finish(trainer: Any, out: Path) -> None:
    """The trained folder as nnU-Net itself leaves it."""
    fold = out / f"fold_{FOLD}"
    fold.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(str(fold / CHECKPOINT))
    for name in ("plans.json", "dataset.json"):
        shutil.copyfile(Path(trainer.output_folder_base) / name, out / name)


def predict(folder: Path, device: str) -> None:
    """Answer images until there are no more lines."""
    import numpy as np

    real = sys.stdout
    sys.stdout = sys.stderr  # nnU-Net prints; only answers may go to stdout
    predictor = _predictor(folder, device)
    print("{}", file=real, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            pixels = np.load(asked["image"], allow_pickle=False)
            image = pixels.transpose(2, 0, 1)[:, None].astype(np.float32)
            _, maps = predictor.predict_single_npy_array(image, {"spacing": (999, 1, 1)}, None, None, True)
            np.save(asked["out"], maps[:, 0].astype(np.float32), allow_pickle=False)
            print("{}", file=real, flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=real, flush=True)


def _predictor(folder: Path, device: str) -> Any:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    dataset = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    plans = PlansManager(json.loads((folder / "plans.json").read_text(encoding="utf-8")))
    configuration = plans.get_configuration(CONFIGURATION)
    weights = _weights(folder)
    channels = determine_num_input_channels(plans, configuration, dataset)
    heads = plans.get_label_manager(dataset).num_segmentation_heads
    network = nnUNetTrainer.build_network_architecture(plans, configuration, channels, heads, False)
    # nnU-Net mirrors by default; a quarter of the time, and hardly another mask, without.
    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=torch.device(device), allow_tqdm=False
    )
    network.load_state_dict(weights)
    predictor.manual_initialization(network, plans, configuration, [weights], dataset, "nnUNetTrainer", None)
    return predictor


def _weights(folder: Path) -> Any:
    """The network's tensors from nnU-Net's checkpoint; nothing is unpickled but those and NumPy's numbers."""
    import numpy as np
    import torch

    paths = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if len(paths) != 1:
        raise SystemExit(f"{folder} holds {len(paths)} trained folds (fold_*/{CHECKPOINT}); one is needed")
    numbers = [np.dtype, *(getattr(np.dtypes, f"{kind}DType") for kind in ("Float64", "Float32", "Int64"))]
    # What NumPy itself names to rebuild a number.
    rebuild: Any = np.float64(0).__reduce__()[0]
    with torch.serialization.safe_globals([rebuild, *numbers]):
        return torch.load(paths[0], map_location="cpu", weights_only=True)["network_weights"]


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(Path(sys.argv[2]))
    else:
        predict(Path(sys.argv[2]), sys.argv[3])
