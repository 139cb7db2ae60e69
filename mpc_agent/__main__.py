"""`python -m mpc_agent`."""

from mpc_agent.cli import main

if __name__ == "__main__":
    main()
