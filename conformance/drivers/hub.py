"""huggingface_hub, every version: files, facts and the file system."""

import importlib.metadata
import os

from steps import PLAN, feature, folder, main, repo

from huggingface_hub import HfApi, hf_hub_download, snapshot_download

API = HfApi()


@feature("download-file")
def _():
    model = repo("model")
    for path in (model.small, model.weights):
        model.check(path, hf_hub_download(model.id, path, cache_dir=folder()))


@feature("snapshot")
def _():
    model = repo("model")
    model.check_folder(snapshot_download(model.id, cache_dir=folder()))


def version():
    names = ["huggingface_hub"]
    if os.environ.get("HF_HUB_ENABLE_HF_TRANSFER"):
        names.append("hf_transfer")
    elif "xet" in PLAN["client"] or PLAN["client"] in ("hub-1.0", "hub-1"):
        names.append("hf_xet")
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)


main(version())
