# METADATA
# title: Test inputs
# description: A clean revision, a clean file and a small configuration, changed by JSON patches.
package gateway.lib.fixture_test

import rego.v1

# The clean revision with patches applied.
revision(patches) := json.patch(clean_revision, patches)

# The clean file with patches applied.
file(patches) := json.patch(clean_file, patches)

# The small configuration with patches applied.
config(patches) := json.patch(small_config, patches)

# A patch that sets one value.
set(path, value) := {"op": "add", "path": path, "value": value}

# A file of a listing.
entry(path, format) := {
	"path": path,
	"size_bytes": 64,
	"format": format,
	"digest": "git-sha1:5555555555555555555555555555555555555555",
	"twin": "",
}

# The clean file with one finding of a class.
found(class) := file([set("/evidence/reports/0/findings", [{
	"rule": "scanner.rule",
	"class": class,
	"severity": "high",
	"message": "something was seen",
	"location": "data.pkl",
	"symbol": "os.system",
}])])

clean_revision := {
	"contract": "v1",
	"scope": "revision",
	"action": "fetch",
	"subject": {
		"id": "alice",
		"kind": "user",
		"groups": [
			"research",
		],
		"claims": {},
		"client": {
			"name": "hf_hub",
			"version": "1.33.0",
		},
		"address": "192.0.2.7",
	},
	"repo": {
		"hub": "huggingface",
		"type": "model",
		"id": "acme/tiny",
		"stable_key": "621ffdc036468d709f174328",
		"publisher": {
			"name": "acme",
		},
		"license": {
			"declared": [
				"apache-2.0",
			],
			"spdx": "Apache-2.0",
			"source": "card",
			"name": "",
			"link": "",
		},
		"lineage": [],
		"created_at": "2026-01-10T09:00:00Z",
		"first_seen_at": "2026-11-01T09:00:00Z",
		"last_modified": "2026-02-10T09:00:00Z",
		"gated": "no",
		"private": false,
		"disabled": false,
		"access": "anonymous",
		"tags": [],
		"library": "transformers",
		"pipeline": "text-generation",
		"downloads": 10,
		"likes": 1,
		"custom_code": {
			"paths": [],
			"auto_map": [],
		},
	},
	"revision": {
		"commit": "1111111111111111111111111111111111111111",
		"ref": "main",
		"ref_kind": "branch",
		"reachable": "yes",
		"committed_at": "2026-02-10T09:00:00Z",
		"files": [
			{
				"path": "config.json",
				"size_bytes": 620,
				"format": "json",
				"digest": "git-sha1:2222222222222222222222222222222222222222",
				"twin": "",
			},
			{
				"path": "model.safetensors",
				"size_bytes": 4096,
				"format": "safetensors",
				"digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333",
				"twin": "",
			},
		],
		"files_complete": true,
		"unroutable": [],
	},
	"evidence": {
		"reports": [],
		"hub": [],
	},
	"environment": {
		"now": "2026-11-24T10:00:00Z",
		"instance": "gw-1",
		"mode": "serve",
	},
}

clean_file := {
	"contract": "v1",
	"scope": "file",
	"action": "fetch",
	"subject": {
		"id": "alice",
		"kind": "user",
		"groups": [
			"research",
		],
		"claims": {},
		"client": {
			"name": "hf_hub",
			"version": "1.33.0",
		},
		"address": "192.0.2.7",
	},
	"repo": {
		"hub": "huggingface",
		"type": "model",
		"id": "acme/tiny",
		"stable_key": "621ffdc036468d709f174328",
		"publisher": {
			"name": "acme",
		},
		"license": {
			"declared": [
				"apache-2.0",
			],
			"spdx": "Apache-2.0",
			"source": "card",
			"name": "",
			"link": "",
		},
		"lineage": [],
		"created_at": "2026-01-10T09:00:00Z",
		"first_seen_at": "2026-11-01T09:00:00Z",
		"last_modified": "2026-02-10T09:00:00Z",
		"gated": "no",
		"private": false,
		"disabled": false,
		"access": "anonymous",
		"tags": [],
		"library": "transformers",
		"pipeline": "text-generation",
		"downloads": 10,
		"likes": 1,
		"custom_code": {
			"paths": [],
			"auto_map": [],
		},
	},
	"revision": {
		"commit": "1111111111111111111111111111111111111111",
		"ref": "main",
		"ref_kind": "branch",
		"reachable": "yes",
		"committed_at": "2026-02-10T09:00:00Z",
		"files": [],
		"files_complete": true,
		"unroutable": [],
	},
	"evidence": {
		"reports": [
			{
				"scanner": "own",
				"version": "1",
				"format": "safetensors",
				"coverage": {
					"surface": "complete",
					"whole_file": false,
					"cause": "",
				},
				"findings": [],
			},
		],
		"hub": [],
	},
	"environment": {
		"now": "2026-11-24T10:00:00Z",
		"instance": "gw-1",
		"mode": "serve",
	},
	"artifact": {
		"path": "model.safetensors",
		"size_bytes": 4096,
		"format": "safetensors",
		"digest": "sha256:3333333333333333333333333333333333333333333333333333333333333333",
		"twin": "",
	},
	"parent": "sha256:4444444444444444444444444444444444444444444444444444444444444444",
}

small_config := {
	"contract": "v1",
	"decision": {
		"max_age_s": 0,
		"serve_last_approved": {
			"age/quarantine": true,
		},
	},
	"licenses": {
		"allowed": {
			"apache-2.0": true,
			"mit": true,
		},
		"conditional": {
			"llama3": {
				"conditions": "attribution",
			},
		},
		"denied": {
			"cc-by-nc-4.0": {
				"why": "no commercial use",
			},
			"agpl-3.0": true,
		},
		"agreements": {
			"acme": {
				"link": "https://acme.example/license",
				"name": "acme-license",
				"repos": {
					"acme/*": true,
				},
			},
		},
	},
	"formats": {
		"banned": {
			"7z": {
				"instead": "Ask for a zip.",
			},
			"executable": true,
		},
		"hide_with_twin": {
			"torch-zip": true,
		},
		"no_evidence": {},
	},
	"scan": {
		"hub_levels": {
			"unsafe": true,
		},
		"transient_causes": {
			"timeout": true,
		},
		"required_scanners": {},
	},
	"allowlist": {
		"repos": {
			"enabled": false,
			"names": {},
			"patterns": {},
		},
		"publishers": {
			"enabled": false,
			"names": {},
		},
	},
	"denylist": {
		"repos": {
			"names": {},
			"patterns": {},
		},
		"publishers": {
			"names": {},
		},
		"digests": {},
	},
	"custom_code": {
		"approved": {},
		"suffixes": {
			".py": true,
		},
	},
	"age": {
		"commit_min_hours": 72,
		"repo_min_hours": 168,
	},
	"provenance": {
		"unreachable_kinds": {
			"commit": true,
			"branch": false,
		},
	},
	"rules": {},
}
