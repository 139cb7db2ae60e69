"""Configuration: YAML, environment and files of secrets become frozen, checked settings.

Precedence, highest first: environment variables `MPC_AGENT__SECTION__KEY`, the file, defaults.
"""

from mpc_agent.config.faults import ConfigError, Fault
from mpc_agent.config.settings import Settings
from mpc_agent.config.surroundings import missing_files, record_file, record_folder

__all__ = ["ConfigError", "Fault", "Settings", "missing_files", "record_file", "record_folder"]
