"""`python -m app` and the console script `letterbox`."""

from app.cli import main

if __name__ == "__main__":
    main()
