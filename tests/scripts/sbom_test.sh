#!/usr/bin/env bash
# The bill of materials of the program here: valid JSON, complete, with licences, and the same twice.
# usage: sbom_test.sh SBOM_PY PROGRAM
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! type -P dpkg-query >/dev/null; then echo 'skipped: not a Debian'; exit 0; fi
"$1" "$2" >"$work/one"
"$1" "$2" -o "$work/two"
cmp "$work/one" "$work/two"
python3 - "$work/one" "$2" <<'EOF'
import hashlib
import json
import re
import sys
bill = json.load(open(sys.argv[1]))
packages = {package["name"]: package for package in bill["packages"]}
assert packages["bntrain"]["checksums"][0]["checksumValue"] == hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest()
for name in ["libssl3", "libpng16-16", "zlib1g", "libjpeg62-turbo", "libcli11-dev", "nlohmann-json3-dev"]:
    assert packages[name]["versionInfo"], name
    assert packages[name]["licenseDeclared"] != "NOASSERTION", name
assert packages["zlib1g"]["licenseDeclared"] == "Zlib"
assert ("libjs-chart.js" in packages) == (b"* Chart.js v" in open(sys.argv[2], "rb").read())
assert packages.get("libjs-chart.js", {"licenseDeclared": "MIT"})["licenseDeclared"] == "MIT"
ids = {package["SPDXID"] for package in bill["packages"]} | {"SPDXRef-DOCUMENT"}
for relation in bill["relationships"]:
    assert {relation["spdxElementId"], relation["relatedSpdxElement"]} <= ids, relation
used = {name for package in bill["packages"] for name in re.findall(r"LicenseRef-[A-Za-z0-9.-]+", package["licenseDeclared"])}
assert used == {info["licenseId"] for info in bill["hasExtractedLicensingInfos"]}
EOF
