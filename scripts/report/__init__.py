"""The report of `bntrain bench`; the program is scripts/plot_report.py."""
