"""One input through one bundle: pipeline, ledger, receipt, run."""
