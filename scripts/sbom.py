#!/usr/bin/python3
"""Writes the bill of materials of a built bntrain as SPDX 2.3 JSON: the program, the Debian packages of the libraries that
it loads, of the headers and of the chart library that are compiled into it, with their versions and licences as the packages themselves state
them (dpkg, /usr/share/doc/PACKAGE/copyright)."""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADERS = ["libcli11-dev", "nlohmann-json3-dev", "libspdlog-dev", "libfmt-dev"]
# Put into the program where it was there when that was built: what the program then holds of it.
CHARTS = ("libjs-chart.js", b"* Chart.js v")
# Debian's short names of licences that SPDX calls otherwise.
SPDX = {"expat": "MIT", "mit": "MIT", "apache-2.0": "Apache-2.0", "apache-2": "Apache-2.0", "zlib": "Zlib", "bsd-3-clause": "BSD-3-Clause",
        "bsd-2-clause": "BSD-2-Clause", "bsl-1.0": "BSL-1.0", "boost-1.0": "BSL-1.0", "libpng": "Libpng", "gpl-3+": "GPL-3.0-or-later",
        "gpl-2+": "GPL-2.0-or-later", "lgpl-2.1+": "LGPL-2.1-or-later", "lgpl-2+": "LGPL-2.0-or-later", "cc0-1.0": "CC0-1.0", "ijg": "IJG"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout


def loaded_files(program):
    """The libraries that the program loads, those of Debian."""
    for line in output("ldd", str(program)).splitlines():
        found = re.search(r"(?:^\s*|=> )(/.+) \(0x", line)
        if found and not found[1].startswith(str(program.parent)):
            yield Path(found[1])


def package_of(file):
    """dpkg knows a file by the name that it was installed under, which may be without /usr."""
    for name in dict.fromkeys([file, file.resolve(), Path(str(file.resolve()).removeprefix("/usr"))]):
        found = subprocess.run(["dpkg-query", "-S", str(name)], capture_output=True, text=True)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise SystemExit(f"error: {file} is of no Debian package")


def licences(package):
    text = Path("/usr/share/doc", package, "copyright").read_text(errors="replace")
    return sorted({name.strip() for name in re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)})


def declared(names, references):
    parts = []
    for name in (part for text in names for part in re.split(r"\s+(?:and|or)\s+|,\s*", text)):
        spdx = SPDX.get(name.lower())
        if not spdx:
            spdx = "LicenseRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")
            references[spdx] = name
        if spdx not in parts:
            parts.append(spdx)
    return " AND ".join(parts) or "NOASSERTION"


def entry(name, version, licence, **more):
    return {"SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name), "name": name, "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": licence,
            "copyrightText": "NOASSERTION", **more}


def bill(program):
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    own = entry("bntrain", output(str(program), "--version").split()[1], "Apache-2.0",
                checksums=[{"algorithm": "SHA256", "checksumValue": digest}])
    packages, references = {}, {}
    for file in loaded_files(program):
        packages[package_of(file)] = "DYNAMIC_LINK"
    for name in HEADERS:
        packages.setdefault(name, "STATIC_LINK")
    if CHARTS[1] in program.read_bytes():
        packages[CHARTS[0]] = "STATIC_LINK"
    entries, relations = [own], [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": own["SPDXID"]}]
    for name, link in sorted(packages.items()):
        version = output("dpkg-query", "-W", "-f", "${Version}\n", name).split()[0]
        stated = licences(name)
        one = entry(name, version, declared(stated, references), licenseComments="as the package states: " + "; ".join(stated),
                    externalRefs=[{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": f"pkg:deb/debian/{name}@{version}"}])
        entries.append(one)
        relations.append({"spdxElementId": own["SPDXID"], "relationshipType": link, "relatedSpdxElement": one["SPDXID"]})
    # https://reproducible-builds.org/specs/source-date-epoch
    made = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", program.stat().st_mtime)), timezone.utc)
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "bntrain",
            "documentNamespace": f"https://spdx.org/spdxdocs/bntrain-{digest}",
            "creationInfo": {"created": made.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: bntrain scripts/sbom.py"]},
            "packages": entries, "relationships": relations,
            "hasExtractedLicensingInfos": [
                {"licenseId": reference, "name": name, "extractedText": f"Named {name} in /usr/share/doc/PACKAGE/copyright."}
                for reference, name in sorted(references.items())]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", metavar="PROGRAM", type=Path, default=ROOT / "build/release/bntrain",
                        help="default: build/release/bntrain")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: standard output")
    arguments = parser.parse_args()
    if not arguments.program.exists():
        parser.error(f"there is no {arguments.program}; scripts/train.sh builds it")
    text = json.dumps(bill(arguments.program.resolve()), indent=2) + "\n"
    if arguments.output:
        arguments.output.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
