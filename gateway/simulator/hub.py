"""The hub host: its routes and their answers (hub-protocol §3 to §7, §13)."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import parse_qs

from gateway.simulator import answers, listings
from gateway.simulator.answers import Answer, json_answer
from gateway.simulator.call import Call, granted, number, paged
from gateway.simulator.cdn import Cdn
from gateway.simulator.content import xet_hash
from gateway.simulator.files import HubFiles
from gateway.simulator.repo import Commit, Repo
from gateway.simulator.search import search
from gateway.simulator.targets import Target
from gateway.simulator.world import World

TREE_PAGE, TREE_PAGE_EXPANDED, COMMITS_PAGE, COMMITS_LIMIT = 1000, 50, 50, 1000


class Hub:
    """Answers the hub's routes from a world. `base_url` is this host's own origin, for absolute links."""

    def __init__(self, world: World, cdn: Cdn) -> None:
        self.world = world
        self.cdn = cdn
        self.files = HubFiles(cdn)
        self._verbs: dict[str, Callable[[Call, Repo, Commit], Answer]] = {
            "resolve": self.files.resolve,
            "resolve-cache": self.files.resolve_cache,
            "raw": self.files.raw,
            "blob": self.files.blob,
            "info": self._info,
            "revision": self._info,
            "tree": self._tree,
            "paths-info": self._paths_info,
            "commits": self._commits,
            "xet-read-token": self._xet_token,
            "refs": lambda call, repo, _: json_answer(listings.refs(repo, include_prs=call.target.flag("include_prs"))),
            "scan": lambda _call, repo, _: json_answer(listings.security_status(repo)),
            "auth-check": self._auth_check,
            "treesize": self._treesize,
            "safetensors-metadata": self._safetensors_metadata,
        }

    @property
    def base_url(self) -> str:
        return self.files.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self.files.base_url = url

    def answer(self, method: str, target: Target, headers: dict[str, str], body: bytes) -> Answer:
        token = headers.get("authorization", "").removeprefix("Bearer ").strip()
        account = self.world.tokens.get(token)
        if token and account is None:
            return answers.bad_token()
        call = Call(method, target, headers, body, account)
        if not target.asked:
            return self._global(call)
        if method not in ("GET", "HEAD") and not (method == "POST" and target.verb == "paths-info"):
            return answers.refusal(405, "Method not allowed")
        repo = self.world.repos.get(target.name)
        if repo is None or (repo.private and not granted(repo, account)):
            return answers.repo_missing(has_token=account is not None)
        if target.asked != target.name:
            return Answer(307, {"Location": target.canonical_target})
        if repo.disabled:
            return answers.repo_disabled()
        return self._of_repo(call, repo)

    def _of_repo(self, call: Call, repo: Repo) -> Answer:
        verb = self._verbs.get(call.target.verb)
        if verb is None:
            return answers.page_missing()
        if call.target.is_file and repo.gated and not granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        commit = repo.resolve(call.target.revision) if "main" in repo.branches else None
        if commit is None:
            return answers.revision_missing(call.target.revision)
        return verb(call, repo, commit)

    # -- facts ---------------------------------------------------------------------------------------------------

    def _info(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        target = call.target
        expand = target.query.get("expand", [])
        unknown = [name for name in expand if name not in listings.EXPANDABLE]
        if unknown:
            return answers.refusal(
                400, f"Invalid option: expected one of the expandable properties, got {unknown[0]!a}"
            )
        return json_answer(
            listings.info(
                repo, commit, blobs=target.flag("blobs"), security=target.flag("securityStatus"), expand=expand
            )
        )

    def _tree(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        target, expand = call.target, call.target.flag("expand")
        entries = listings.tree(repo, commit, target.path, recursive=target.flag("recursive"), expand=expand)
        if entries is None:
            return answers.entry_missing(commit.id)
        page = TREE_PAGE_EXPANDED if expand else TREE_PAGE
        return paged(self.base_url, call, entries, call.limit(page))

    def _paths_info(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        if "json" in call.headers.get("content-type", ""):
            try:
                asked = json.loads(call.body)
                paths, expand = list(asked["paths"]), bool(asked.get("expand", False))
            except (ValueError, KeyError, TypeError):
                return answers.refusal(400, "Invalid body: paths are required")
        else:
            form = parse_qs(call.body.decode(errors="replace"))
            paths, expand = form.get("paths", []), form.get("expand", [""])[-1].lower() in ("true", "1")
        return json_answer(listings.paths_info(repo, commit, paths, expand=expand))

    def _commits(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        author = repo.id.split("/")[0]
        rows = [listings.commit_entry(c, author) for c in repo.history(commit)]
        limit = min(COMMITS_LIMIT, number(call.target.first("limit"), COMMITS_PAGE))
        return paged(self.base_url, call, rows, limit, total=len(rows))

    def _xet_token(self, call: Call, repo: Repo, _commit: Commit) -> Answer:
        """A token that opens nothing here: tests assert that nobody asks for it."""
        if repo.gated and not granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        token, expires = f"xet_{xet_hash(repo.name)[:32]}", 4_102_444_800
        headers = {
            "X-Xet-Cas-Url": self.cdn.base_url,
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": str(expires),
        }
        return json_answer({"casUrl": self.cdn.base_url, "accessToken": token, "exp": expires}, headers=headers)

    def _treesize(self, call: Call, _repo: Repo, commit: Commit) -> Answer:
        size = listings.treesize(commit, call.target.path)
        if size is None:
            return answers.entry_missing(commit.id)
        return json_answer({"path": f"/{call.target.path}", "size": size})

    def _safetensors_metadata(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        if repo.gated and not granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        found = listings.safetensors_metadata(commit, call.target.path)
        return answers.entry_missing(commit.id) if found is None else json_answer(found)

    def _auth_check(self, call: Call, repo: Repo, _commit: Commit) -> Answer:
        if call.target.path == "write":
            return answers.refusal(403, "You do not have write access to this repo.")
        if repo.gated and not granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        return json_answer({})

    # -- without a repo ------------------------------------------------------------------------------------------

    def _global(self, call: Call) -> Answer:
        verb = call.target.verb
        if verb == "search":
            return search(self.world, self.base_url, call)
        if verb == "whoami-v2":
            return self._whoami(call)
        if verb == "agent-harnesses":
            return json_answer({"standardEnvVars": [], "harnesses": {}})
        if verb.startswith("telemetry/"):
            return Answer(200)
        return answers.page_missing()

    def _whoami(self, call: Call) -> Answer:
        if call.account is None:
            return answers.refusal(401, "Invalid username or password.")
        name = call.account.name
        token = {"displayName": "simulator", "role": "read", "createdAt": "2025-01-15T10:00:00.000Z"}
        return json_answer(
            {
                "type": "user", "id": xet_hash(name)[:24], "name": name, "fullname": name, "email": f"{name}@localhost",
                "emailVerified": True, "isPro": False, "canPay": False, "periodEnd": None, "avatarUrl": "", "orgs": [],
                "auth": {"type": "access_token", "accessToken": token},
            }
        )  # fmt: skip
