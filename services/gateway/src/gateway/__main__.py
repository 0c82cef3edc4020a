"""`python -m gateway`."""

from mirsal_runtime.process import run_process

from gateway.main import main

if __name__ == "__main__":
    run_process(main)
