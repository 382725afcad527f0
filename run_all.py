"""One command: run every study of a plan and write the report.  `python run_all.py --help` says more."""

from harness.cli import run_all

if __name__ == "__main__":
    run_all()
