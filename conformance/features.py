"""The features of the matrix: what a user does. Drivers hold the code, clients name which of them they have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """`needs`: roles of the test repos, or "token". `gateway_only`: says nothing about the hub itself, so it is not run there."""

    name: str
    title: str
    needs: tuple[str, ...] = ("model",)
    gateway_only: bool = False


_ALL = (
    # files
    Feature("download-file", "one small and one large-storage file (`hf_hub_download`, `downloadFile`), bytes checked"),
    Feature("download-cached", "the same file again: from the cache, the same path"),
    Feature("snapshot", "a whole repo (`snapshot_download`, `snapshotDownload`), bytes checked"),
    Feature("snapshot-cached", "the same repo again: no file is fetched"),
    Feature("snapshot-patterns", "`allow_patterns`, `ignore_patterns`"),
    Feature("snapshot-local-dir", "`local_dir`"),
    Feature("download-local-dir", "one file with `local_dir`, then with `force_download`"),
    Feature("dry-run", "`dry_run`"),
    Feature("snapshot-dataset", "a dataset's snapshot", ("csv",)),
    Feature("space", "a space: facts, snapshot, search", ("space",)),
    Feature("card", "`ModelCard.load`"),
    Feature("offline", "`HF_HUB_OFFLINE=1` afterwards"),
    Feature("resume", "a 24 MiB file whose connection is cut once", ("large",)),
    Feature("revisions", "revision as branch, tag, commit, short commit", ("revisions",)),
    Feature("revision-pull", "revision `refs/pr/1`", ("pull",)),
    Feature("revision-convert", "revision `refs/convert/parquet` of a dataset", ("converted",)),
    Feature("names", "spaces, unicode, `%`, `#`, `?`, `+` and brackets in file names", ("unusual",)),
    Feature("escaped-name", "a file whose very name holds an escape, `with%20escape.txt`", ("escaped",)),
    Feature("escaped-repo", "a repo that holds such a file: all others", ("escaped",)),
    Feature("empty-file", "an empty file", ("unusual",)),
    Feature("renamed", "a repo's old name", ("renamed",)),
    Feature("wrong-case", "a repo's name in the wrong case"),
    Feature("legacy-name", "a name without a namespace", ("legacy",)),
    # facts
    Feature("model-info", "facts of a model (`model_info` with `files_metadata`, `modelInfo`)"),
    Feature("dataset-info", "facts of a dataset (`dataset_info`, `datasetInfo`)", ("csv",)),
    Feature("list-files", "the list of files (`list_repo_files`, `listFiles`)"),
    Feature("list-tree", "`list_repo_tree`, recursive and of a folder, with `expand`"),
    Feature("many-files", "the list of 5,000 files", ("many",)),
    Feature("paths-info", "some files' facts (`get_paths_info`, `pathsInfo`)"),
    Feature("refs", "`list_repo_refs` with pull requests", ("revisions",)),
    Feature("commits", "the history (`list_repo_commits`, `listCommits`)", ("revisions",)),
    Feature("search", "search of models (`list_models`, `listModels`)"),
    Feature("search-datasets", "search of datasets (`list_datasets`)", ("csv",)),
    Feature("exists", "does a repo, file, revision exist?"),
    Feature(
        "safetensors-metadata",
        "tensors' names and shapes (`get_safetensors_metadata`): one file, and shards",
        ("model", "sharded"),
    ),
    Feature("auth-check", "`auth_check`"),
    Feature("whoami", "`whoami`", ("token",)),
    Feature("agreement", "HEAD, listing and bytes agree on size and digest"),
    # file system
    Feature("fs-list", "`HfFileSystem.ls`, `find`, `info`"),
    Feature("fs-glob", "`HfFileSystem.glob`"),
    Feature("fs-read", "`HfFileSystem.open`: random reads of a 24 MiB file", ("large",)),
    # absence
    Feature("missing", "a file and a repo that do not exist: the client's own errors"),
    Feature("gated", "a gated repo: the user reads that it is gated", ("gated",)),
    # commands
    Feature("cli-download", "`download REPO --local-dir`"),
    Feature("cli-download-file", "`download REPO FILE --revision`"),
    Feature("cli-cache", "`cache ls`, `cache scan` or `scan-cache`"),
    Feature("cli-verify", "`cache verify`: a whole cache, and a damaged file"),
    Feature("cli-whoami", "`auth whoami` or `whoami`", ("token",)),
    Feature("cli-search", "`models ls --search`"),
    Feature("cli-info", "`models info`"),
    Feature("cli-missing", "a repo that does not exist: says so"),
    Feature("cli-gated", "a gated repo: says so", ("gated",)),
    # models and data sets
    Feature("tokenizer", "`Tokenizer.from_pretrained`"),
    Feature("load-config", "`AutoConfig`"),
    Feature("load-tokenizer", "`AutoTokenizer`, and a sentence through it"),
    Feature("load-model", "`AutoModel`: weights checked, one step run"),
    Feature("load-shards", "`AutoModel` from two shards and their index", ("sharded",)),
    Feature("load-pipeline", "`pipeline(…)`"),
    Feature("load-again", "`AutoModel` at a commit, then from the cache without network"),
    Feature(
        "no-fallback",
        "`model.safetensors` refused, `pytorch_model.bin` beside it: not asked for, and the reason shown",
        ("denied",),
        gateway_only=True,
    ),
    Feature("load-sentences", "`SentenceTransformer(…).encode`", ("sentences",)),
    Feature("diffusers-pipeline", "`DiffusionPipeline`, one step run", ("pipeline",)),
    Feature("diffusers-model", "`UNet2DModel` from a subfolder", ("pipeline",)),
    Feature("data-csv", "`load_dataset` of CSV files, two splits", ("csv",)),
    Feature("data-parquet", "`load_dataset` of a Parquet file", ("parquet",)),
    Feature("data-files", "`load_dataset(data_files=…)`", ("csv",)),
    Feature("data-pandas", "`pandas.read_csv` and `read_parquet` of `hf://datasets/…`", ("csv", "parquet")),
    Feature("data-streaming", "`load_dataset(streaming=True)` of both", ("csv", "parquet")),
    # manners
    Feature("hosts", "no host but the endpoint's is asked", gateway_only=True),
    Feature("xet", "a Xet-backed file stays on HTTP", ("large",), gateway_only=True),
    # other programs
    Feature("get", "a small and a large-storage file by their address, bytes checked"),
    Feature("half-file", "the second half of a file whose first is there (`-C -`, `-c`)", ("large",)),
    Feature("segments", "16 ranges at once (`-x16 -s16`)", ("large",)),
    Feature("compressed", "`--compressed`"),
    Feature("head", "`-I`: size and digest of a file"),
    Feature("clone", "`git clone`", gateway_only=True),
    Feature("lfs-pull", "`git lfs pull` of pointers, by `lfs.url`", gateway_only=True),
    Feature("replay", "its requests for a model's weights: every answer holds what it needs"),
    Feature("replay-gguf", "its requests for a GGUF file: every answer holds what it needs", ("gguf",)),
    Feature(
        "replay-denied",
        "its requests for a denied file: the reason where it can show one",
        ("denied",),
        gateway_only=True,
    ),
    Feature(
        "replay-gguf-denied",
        "its requests for a denied GGUF file: the reason where it can show one",
        ("denied-gguf",),
        gateway_only=True,
    ),
    Feature("js-config", "`AutoConfig.from_pretrained`"),
    Feature("js-tokenizer", "`AutoTokenizer.from_pretrained`"),
    Feature("js-weights", "`AutoModel.from_pretrained`, an ONNX file", ("onnx",)),
)
FEATURES = {feature.name: feature for feature in _ALL}
