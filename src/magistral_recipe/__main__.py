"""``python -m magistral_recipe`` and ``accelerate launch -m magistral_recipe``."""

from magistral_recipe.cli import main

if __name__ == "__main__":
    main()
