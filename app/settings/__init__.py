"""Environment -> one frozen `Settings`. Nobody else reads the environment.

`load_settings` walks the table in `variables`: `sources` finds the texts; `readers`, `network` and `smtp` turn each
into a value or say what is wrong with it; `reading` collects that, so that one start shows every problem.
"""

from app.settings.loading import load_settings
from app.settings.sources import EnvFile, find_env_file
from app.settings.values import PROJECT_ROOT, GuardSettings, MessageLimits, Settings
from app.settings.variables import VARIABLES, Variable

__all__ = [
    "PROJECT_ROOT",
    "VARIABLES",
    "EnvFile",
    "GuardSettings",
    "MessageLimits",
    "Settings",
    "Variable",
    "find_env_file",
    "load_settings",
]
