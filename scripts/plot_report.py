#!/usr/bin/python3
"""Draws the report of a bench: RESULTS_DIR/report.html, one file that needs no other and no network, and its pictures
as .svg and .png beside it. Reads RESULTS_DIR/results.json and, for what went on inside, RESULTS_DIR/runs/*.jsonl.
"""
import argparse
import sys
from pathlib import Path

try:
    import matplotlib  # noqa: F401
except ImportError:
    if {"-h", "--help"} & set(sys.argv):  # its help needs nothing
        sys.exit(print("usage: plot_report.py RESULTS_DIR\n", __doc__, sep="\n"))
    sys.exit("error: the report needs matplotlib: apt-get install python3-matplotlib, or scripts/setup.sh --report")

from report.arms import open_bench
from report.figures import overview
from report.page import write_report
from report.results import BadFile, read_results
from report.style import write_picture

RUNTIME_FAILURE, BAD_FILE = 1, 3


def main():
    parser = argparse.ArgumentParser(prog="plot_report.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", metavar="RESULTS_DIR", type=Path, help="what bntrain bench --out wrote")
    parser.add_argument("--picture", metavar="FILE", type=Path,
                        help="draw only test accuracy against learning rate there (.svg or .png), for a README")
    arguments = parser.parse_args()
    if arguments.picture and arguments.picture.suffix not in (".svg", ".png"):
        parser.error(f"--picture {arguments.picture}: must end in .svg or .png")
    try:
        bench = open_bench(read_results(arguments.results))
        if arguments.picture:
            write_picture(overview(bench), arguments.picture)
            print(arguments.picture)
        else:
            print(write_report(bench, arguments.results))
    except BadFile as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_FILE
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return RUNTIME_FAILURE
    return 0


if __name__ == "__main__":
    sys.exit(main())
