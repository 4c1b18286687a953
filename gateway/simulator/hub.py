"""The hub host: its routes and their answers (hub-protocol §3 to §7, §13)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from gateway.simulator import answers, listings
from gateway.simulator.answers import Answer, json_answer
from gateway.simulator.cdn import Cdn
from gateway.simulator.content import Bytes, lfs_pointer, xet_hash
from gateway.simulator.delivery import ranged
from gateway.simulator.repo import Commit, File, Repo
from gateway.simulator.targets import Target, quoted
from gateway.simulator.world import Account, World

TREE_PAGE, TREE_PAGE_EXPANDED, COMMITS_PAGE, COMMITS_LIMIT, SEARCH_PAGE = 1000, 50, 50, 1000, 1000


@dataclass
class Call:
    """One request to the hub: what was asked, by whom, with which conditions."""

    method: str
    target: Target
    headers: dict[str, str]  # lower-case names
    body: bytes
    account: Account | None


class Hub:
    """Answers the hub's routes from a world. `base_url` is this host's own origin, for absolute links."""

    def __init__(self, world: World, cdn: Cdn) -> None:
        self.world = world
        self.cdn = cdn
        self.base_url = ""
        self._verbs: dict[str, Callable[[Call, Repo, Commit], Answer]] = {
            "resolve": self._resolve,
            "resolve-cache": self._resolve_cache,
            "raw": self._raw,
            "info": self._info,
            "revision": self._info,
            "tree": self._tree,
            "paths-info": self._paths_info,
            "commits": self._commits,
            "xet-read-token": self._xet_token,
            "refs": lambda call, repo, _: json_answer(listings.refs(repo, include_prs=call.target.flag("include_prs"))),
            "scan": lambda _call, repo, _: json_answer(listings.security_status(repo)),
            "auth-check": self._auth_check,
        }

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
        if repo is None or (repo.private and not _granted(repo, account)):
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
        if call.target.is_file and repo.gated and not _granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        commit = repo.resolve(call.target.revision) if "main" in repo.branches else None
        if commit is None:
            return answers.revision_missing(call.target.revision)
        return verb(call, repo, commit)

    # -- files ---------------------------------------------------------------------------------------------------

    def _resolve(self, call: Call, repo: Repo, commit: Commit) -> Answer:
        file = commit.files.get(call.target.path)
        if file is None:
            return answers.entry_missing(commit.id)
        headers = {"X-Repo-Commit": commit.id, "X-Linked-Etag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if call.headers.get("if-none-match", "").removeprefix("W/").strip('"') == file.etag:
            return Answer(304, {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"'})
        if not file.lfs:
            return _redirect(307, self._cache_target(call.target, repo, commit, file), headers)
        token_url = f"{self.base_url}/api/{repo.type}s/{repo.id}/xet-read-token/{commit.id}"
        cas_url = f"{self.cdn.base_url}/v1/reconstructions/{file.xet}"
        headers |= {
            "X-Linked-Size": str(file.size),
            "X-Xet-Hash": file.xet,
            "Link": f'<{token_url}>; rel="xet-auth", <{cas_url}>; rel="xet-reconstruction-info"',
            "Cache-Control": "no-store",
        }
        # Ollama follows only 307 here.
        status = 307 if call.headers.get("user-agent", "").startswith("ollama") else 302
        return _redirect(status, self.cdn.link(repo, file), headers)

    def _cache_target(self, target: Target, repo: Repo, commit: Commit, file: File) -> str:
        asked = f"/{repo.name}/resolve/{quote(target.revision, safe='')}/{file.path}"
        query = f"{quote(asked, safe='')}=&etag={quote(f'{chr(34)}{file.oid}{chr(34)}', safe='')}"
        return f"/api/resolve-cache/{repo.type}s/{repo.id}/{commit.id}/{quoted(file.path)}?{query}"

    def _resolve_cache(self, call: Call, _repo: Repo, commit: Commit) -> Answer:
        file = commit.files.get(call.target.path)
        if file is None or file.lfs:
            return answers.entry_missing(commit.id)
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"'}
        if call.headers.get("if-none-match", "").removeprefix("W/").strip('"') == file.oid:
            return Answer(304, headers)
        name = file.path.rsplit("/", 1)[-1]
        headers |= {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Disposition": answers.disposition(name),
            "Cache-Control": "public, max-age=31536000, immutable",
        }
        return ranged(file.content, call.headers.get("range", ""), headers)

    def _raw(self, call: Call, _repo: Repo, commit: Commit) -> Answer:
        """The git blob itself: of a large file, its pointer. Knows no conditions."""
        file = commit.files.get(call.target.path)
        if file is None:
            return answers.entry_missing(commit.id)
        content = Bytes(lfs_pointer(file.content)) if file.lfs else file.content
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.oid}"', "Content-Type": "text/plain; charset=utf-8"}
        return ranged(content, call.headers.get("range", ""), headers)

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
        return self._paged(call, entries, min(page, _number(target.first("limit"), page)))

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
        return self._paged(
            call, rows, min(COMMITS_LIMIT, _number(call.target.first("limit"), COMMITS_PAGE)), total=len(rows)
        )

    def _paged(self, call: Call, rows: list[Any], limit: int, total: int | None = None) -> Answer:
        """One page of the rows; the next one is named by an absolute link on this host."""
        cursor = call.target.first("cursor")
        try:
            start = int(urlsafe_b64decode(cursor)) if cursor else 0
        except ValueError:
            return answers.refusal(400, "Invalid cursor")
        headers = {} if total is None else {"X-Total-Count": str(total)}
        if start + limit < len(rows):
            query = {k: v for k, v in call.target.query.items() if k != "cursor"}
            query |= {"limit": [str(limit)], "cursor": [urlsafe_b64encode(str(start + limit).encode()).decode()]}
            path = call.target.before + call.target.after.partition("?")[0]
            if call.target.asked:
                path = call.target.canonical_target.partition("?")[0]
            headers["Link"] = f'<{self.base_url}{path}?{urlencode(query, doseq=True)}>; rel="next"'
        return json_answer(rows[start : start + limit], headers=headers)

    def _xet_token(self, call: Call, repo: Repo, _commit: Commit) -> Answer:
        """A token that opens nothing here: tests assert that nobody asks for it."""
        if repo.gated and not _granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        token, expires = f"xet_{xet_hash(repo.name)[:32]}", 4_102_444_800
        headers = {
            "X-Xet-Cas-Url": self.cdn.base_url,
            "X-Xet-Access-Token": token,
            "X-Xet-Token-Expiration": str(expires),
        }
        return json_answer({"casUrl": self.cdn.base_url, "accessToken": token, "exp": expires}, headers=headers)

    def _auth_check(self, call: Call, repo: Repo, _commit: Commit) -> Answer:
        if repo.gated and not _granted(repo, call.account):
            return answers.gated(repo.id, anonymous=call.account is None)
        return json_answer({})

    # -- without a repo ------------------------------------------------------------------------------------------

    def _global(self, call: Call) -> Answer:
        verb = call.target.verb
        if verb == "search":
            return self._search(call)
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

    def _search(self, call: Call) -> Answer:
        target = call.target
        words, author = target.first("search").lower(), target.first("author")
        found = [
            repo
            for repo in self.world.repos.values()
            if repo.type == target.type
            and "main" in repo.branches
            and words in repo.id.lower()
            and (not author or repo.id.startswith(author + "/"))
            and (not repo.private or _granted(repo, call.account))
        ]
        keep = [
            "_id",
            "id",
            "modelId",
            "likes",
            "downloads",
            "tags",
            "pipeline_tag",
            "library_name",
            "createdAt",
            "private",
        ]
        if target.flag("full"):
            keep += ["sha", "lastModified", "gated", "disabled", "author", "siblings"]
        rows = []
        for repo in found:
            info = listings.info(repo, repo.main, blobs=False, security=False, expand=[])
            rows.append({name: info[name] for name in keep if name in info})
        target.before = f"/api/{target.type}s"
        return self._paged(call, rows, _number(target.first("limit"), SEARCH_PAGE))


def _granted(repo: Repo, account: Account | None) -> bool:
    return account is not None and repo.name in account.grants


def _redirect(status: int, location: str, headers: dict[str, str]) -> Answer:
    words = {302: "Found", 307: "Temporary Redirect"}[status]
    body = Bytes(f"{words}. Redirecting to {location}".encode())
    return Answer(status, {**headers, "Location": location, "Content-Type": "text/plain; charset=utf-8"}, body)


def _number(text: str, default: int) -> int:
    return int(text) if text.isdigit() and int(text) > 0 else default
