"""`python -m sfmc_sandbox`: the same as the command `sfmc-sandbox`."""

from sfmc_sandbox.entry import main

if __name__ == "__main__":
    main()
