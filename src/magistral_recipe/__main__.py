"""``python -m magistral_recipe`` and ``accelerate launch -m magistral_recipe``."""

import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()] != [_HOME]:
    # As the console script has it: a `random.py` of a person's in the working folder is no library.
    del sys.path[0]

if __name__ == "__main__":
    from magistral_recipe.cli import main

    main()
